// AnalogLinear: the input is a program of calls, right ones and wrong ones, with handlers that
// throw or return. After each of them the layer's state and results are those of a plain model.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include <lumina/analog_linear.hpp>
#include <lumina/reference.hpp>
#include <lumina/reference_backward.hpp>

#include "support/check.hpp"
#include "support/input.hpp"
#include "support/problem.hpp"
#include "support/stages.hpp"

namespace {

using fuzz::Input;
using fuzz::OnError;
using fuzz::require;
using lumina::AnalogLinearConfig;
using lumina::MatrixView;
using lumina::NoiseKey;
using lumina::Readout;
using lumina::RuntimeQuantizer;
using test::TestMatrix;

/// Whether an ADC can have it.
bool range_valid(bool symmetric, int bits, float lo, float hi) {
  if (bits < (symmetric ? 2 : 1) || bits > 16) return false;
  if (symmetric) {
    return lo == -hi && hi > 0.0f && hi <= test::kLargest &&
           lumina::reference::symmetric_step(hi, bits) > 0.0f;
  }
  return lo < hi &&
         static_cast<double>(hi) - static_cast<double>(lo) <= static_cast<double>(test::kLargest) &&
         lumina::reference::step(lo, hi, bits) > 0.0f;
}

AnalogLinearConfig::Range range_around_0(Input& input) {
  const float hi = 1.0f + input.byte();
  return {input.flag() ? -hi : -1.0f, hi};
}

struct Config {
  AnalogLinearConfig config;
  bool adc_valid, readout_valid;
  bool noise_valid;  ///< of calls with noise

  static Config draw(Input& input) {
    AnalogLinearConfig config{.in = input.integer(1, 40), .out = input.integer(1, 140)};
    config.dac = fuzz::converter(input, input.rarely(32) ? 16 : 8);
    config.adc_bits = input.rarely(32) ? static_cast<int>(input.byte()) - 100
                                       : static_cast<int>(input.integer(1, 16));
    if (input.flag()) {
      config.adc_range = input.rarely(8)
                             ? AnalogLinearConfig::Range{input.any_float(), input.any_float()}
                             : range_around_0(input);
    }
    config.zero_preserving_adc = input.rarely(4);
    config.readout.gain = input.rarely(32) ? input.any_float() : 0x1p-7f * (1.0f + input.byte());
    config.readout.attenuation = input.rarely(32) ? input.any_float() : 0.75f;
    if (input.flag()) config.readout.shot_noise = fuzz::strength(input);
    if (input.flag()) config.readout.noise = fuzz::strength(input);
    return Config(config);
  }
  bool valid() const { return adc_valid && readout_valid; }

 private:
  explicit Config(const AnalogLinearConfig& drawn) : config(drawn) {
    const Readout& readout = config.readout;
    const auto range = config.adc_range.value_or(AnalogLinearConfig::Range{-1.0f, 1.0f});
    adc_valid = range_valid(config.zero_preserving_adc, config.adc_bits, range.lo, range.hi);
    readout_valid = readout.gain > 0.0f && std::isfinite(readout.gain) &&
                    std::isfinite(readout.attenuation) &&
                    fuzz::strength_valid(readout.shot_noise) && fuzz::strength_valid(readout.noise);
    noise_valid = fuzz::strength_valid(readout.shot_noise_behind_gain().strength);
    fuzz::note("in", config.in);
    fuzz::note("out", config.out);
    fuzz::note("adc_bits", config.adc_bits);
    fuzz::note("zero_preserving_adc", config.zero_preserving_adc);
    if (config.adc_range) {
      fuzz::note("adc lo", config.adc_range->lo);
      fuzz::note("adc hi", config.adc_range->hi);
    }
    fuzz::note("gain", readout.gain);
    fuzz::note("attenuation", readout.attenuation);
    fuzz::note("shot noise", readout.shot_noise);
    fuzz::note("noise", readout.noise);
  }
};

/// A layer and what it must be.
template <int Bits, class WeightNoise>
class Program {
 public:
  Program(Input& input, const Config& config, const WeightNoise& weight_noise)
      : input_(input), config_(config), weight_noise_(weight_noise) {}

  void run() {
    std::optional<Layer> layer;
    const std::size_t reports = fuzz::reports_of(
        how(), [&] { layer.emplace(config_.config, input_.byte() % 9, weight_noise_); }, 4);
    require((reports != 0) == !config_.valid(),
            "the constructor refuses what cannot be a layer, and only that");
    constructed_ = reports == 0;
    for (int calls = 0; layer && calls < 20 && !input_.empty(); ++calls) step(*layer);
  }

 private:
  using Layer = lumina::AnalogLinear<Bits, WeightNoise>;
  static constexpr bool kNoise = !std::is_same_v<WeightNoise, lumina::NoWeightNoise>;

  /// The last forward pass.
  struct Pass {
    TestMatrix* x;
    std::size_t batch;
    NoiseKey key;
    float limit;
  };

  void step(Layer& layer) {
    const std::uint8_t call = input_.byte() % 8;
    fuzz::note("call", call);
    switch (call) {
      case 0:
      case 1:
        load(layer);
        break;
      case 2:
      case 3:
        forward(layer);
        break;
      case 4:
        backward(layer);
        break;
      case 5:
        infer(layer, false);
        break;
      case 6:
        infer(layer, true);
        break;
      default:
        set_limit(layer);
    }
    require(test::same_bits(layer.adc_limit(), limit_), "the tracked range");
  }

  OnError how() { return input_.flag() ? OnError::throws : OnError::returns; }

  TestMatrix& matrix(std::size_t rows, std::size_t cols) {
    return matrices_.emplace_back(fuzz::matrix(input_, rows, cols));
  }

  void load(Layer& layer) {
    const std::size_t in = config_.config.in, out = config_.config.out;
    const bool wrong_shape = input_.rarely(16);
    TestMatrix& w = matrix(out, in + (wrong_shape ? 1 : 0));
    const std::uint8_t kind = input_.byte();
    const std::size_t biases = kind % 3 == 0 ? 0 : kind == 0xff ? out + 1 : out;
    TestMatrix& bias = matrix(1, biases);
    const NoiseKey key = fuzz::noise_key(input_);
    float largest = 0.0f;
    for (std::size_t row = 0; row < out; ++row) {
      for (std::size_t k = 0; k < in; ++k) {
        const float magnitude = std::fabs(w(row, k));
        largest = magnitude <= test::kLargest ? std::fmax(largest, magnitude) : test::kInf;
        if (largest > test::kLargest) break;
      }
      if (largest > test::kLargest) break;
    }
    bool valid =
        constructed_ && !wrong_shape && (biases == 0 || biases == out) && largest <= test::kLargest;
    if constexpr (kNoise) valid = valid && weight_noise_.stddev * largest <= test::kLargest;
    const std::span<const float> columns(bias.view().data(), biases);
    const std::size_t reports =
        fuzz::reports_of(how(), [&] { return layer.load(w, columns, key); });
    require((reports != 0) == !valid, "load: what is wrong, and only that, is refused");
    if (reports != 0) return;
    loaded_ = true;
    last_.reset();  // backward() wants the weights of the forward pass
    bias_ =
        biases == 0 ? std::vector<float>(out) : std::vector<float>(columns.begin(), columns.end());
    weight_key_ = key;
    if constexpr (kNoise) {
      coded_ = lumina::encode_weights<Bits>(w, weight_noise_, key);  // in 8 bits
    } else if constexpr (Layer::kCodes) {
      coded_ = lumina::encode_weights<Bits>(w);
    } else {
      lumina::pack_quantized_weights<Bits>(w, coded_);
    }
    values_ = lumina::Matrix<float>(out, in);
    if constexpr (Layer::kCodes) {
      values_ = coded_.decode();
    } else {
      for (std::size_t row = 0; row < out; ++row) {
        for (std::size_t k = 0; k < in; ++k)
          values_(row, k) = coded_.panel(row / 32)[k * 32 + row % 32];
      }
    }
  }

  struct Operands {
    TestMatrix *x, y;
    std::size_t batch;
    bool valid;
    MatrixView<const float> x_view;
    MatrixView<float> y_view;
  };
  /// Of a call that multiplies: right ones mostly.
  Operands operands() {
    const std::size_t in = config_.config.in, out = config_.config.out;
    const std::size_t batch = input_.byte() % 7;
    Operands result{&matrix(batch, in),
                    TestMatrix(batch, out, out + fuzz::gap(input_)),
                    batch,
                    loaded_,
                    {},
                    {}};
    result.x_view = *result.x;
    result.y_view = result.y;
    switch (input_.byte() % 32) {
      case 29:
        result.x_view = {result.x_view.data(), batch, in - 1, result.x_view.row_stride()};
        result.valid = false;
        break;
      case 30:
        result.y_view = {result.y_view.data(), batch, out - 1, result.y_view.row_stride()};
        result.valid = false;
        break;
      case 31:
        result.y_view = {nullptr, batch, out};
        result.valid = result.valid && batch == 0;
        break;
      default:
        break;
    }
    if (Layer::kCodes && config_.config.dac.bits() > 8) result.valid = false;
    fuzz::note("batch", batch);
    return result;
  }

  void forward(Layer& layer) {
    Operands call = operands();
    const NoiseKey key = fuzz::noise_key(input_);
    bool valid = call.valid && config_.noise_valid && constructed_, perhaps = false;
    std::size_t reports = 0;
    if (input_.rarely(4)) {
      fuzz::Workspace workspace(
          input_, std::max(lumina::coded_workspace_bytes(call.batch, config_.config.in),
                           lumina::float_workspace_bytes(call.batch, config_.config.in)));
      perhaps = valid && call.batch != 0 && workspace.aligned() && !workspace.surely_enough();
      valid = valid && (call.batch == 0 || workspace.aligned());
      reports = fuzz::reports_of(how(), [&] {
        return layer.forward(call.x_view, call.y_view, key, workspace.executor());
      });
    } else {
      reports =
          fuzz::reports_of(how(), [&] { return layer.forward(call.x_view, call.y_view, key); });
    }
    if (!perhaps) {
      require((reports != 0) == !valid, "forward: what is wrong, and only that, is refused");
    }
    require(call.y.gaps_untouched(), "nobody writes between rows");
    if (reports != 0) {
      require(call.y.untouched(), "a refused forward pass has written nothing");
      last_.reset();
      return;
    }
    if (!config_.config.adc_range) {
      const float largest = largest_value(call, key);
      const bool first = limit_ == 0.0f;
      const float before = limit_;
      const float own = std::clamp(largest, 0x1p-60f, test::kLargest / 4.0f);
      if (largest > 0.0f) limit_ = std::max(limit_, own);
      last_ = Pass{call.x, call.batch, key, first ? own : before};
    } else {
      last_ = Pass{call.x, call.batch, key, 0.0f};
    }
    TestMatrix expected(call.batch, config_.config.out);
    multiply(call, expected, true, adc(last_->limit), key);
    fuzz::require_same(test::difference(call.y, expected), "forward: y is the model's");
  }

  void infer(Layer& layer, bool noise) {
    Operands call = operands();
    const NoiseKey key = fuzz::noise_key(input_);
    const std::size_t reports = fuzz::reports_of(how(), [&] {
      if (noise) {
        return layer.infer(call.x_view, call.y_view, key);
      } else {
        return layer.infer(call.x_view, call.y_view);
      }
    });
    const bool ranged = config_.config.adc_range || limit_ != 0.0f;
    const bool valid = call.valid && ranged && (config_.noise_valid || !noise) && constructed_;
    require((reports != 0) == !valid, "infer: what is wrong, and only that, is refused");
    require(call.y.gaps_untouched(), "nobody writes between rows");
    if (reports != 0) return require(call.y.untouched(), "a refused call has written nothing");
    TestMatrix expected(call.batch, config_.config.out);
    multiply(call, expected, noise, adc(limit_), key);
    fuzz::require_same(test::difference(call.y, expected), "infer: y is the model's");
  }

  void backward(Layer& layer) {
    const std::size_t in = config_.config.in, out = config_.config.out;
    const std::size_t batch = last_ ? last_->batch : input_.byte() % 7;
    TestMatrix& x = last_ ? *last_->x : matrix(batch, in);
    const bool wrong = input_.rarely(16);
    TestMatrix& grad_y = matrix(batch + (wrong ? 1 : 0), out);
    TestMatrix input(batch, in), weights(out, in), bias(1, out);
    const std::size_t reports = fuzz::reports_of(how(), [&] {
      layer.backward(x, grad_y, {input, weights, {bias.view().data(), out}});
    });
    require((reports != 0) == (wrong || !last_),
            "backward: what is wrong, and only that, is refused");
    if (reports != 0) {
      return require(input.untouched() && weights.untouched() && bias.untouched(),
                     "a refused backward pass has written nothing");
    }
    TestMatrix y(batch, out), expected_input(batch, in), expected_weights(out, in),
        expected_bias(1, out);
    using Products = lumina::DefaultProducts<typename Layer::Weights>;
    with_stages(true, adc(last_->limit), [&](const auto& stages) {
      const auto plain =
          lumina::forward_pass(x.view(), config_.config.dac, coded_, stages, last_->key);
      const lumina::Gradients gradients{
          expected_input, expected_weights, {expected_bias.view().data(), out}};
      if constexpr (kNoise) {
        lumina::reference::forward_and_backward(
            plain.with_weight_stages(lumina::epilogue(weight_noise_.gradient_stage()), weight_key_),
            values_, grad_y, y, gradients, Products{});
      } else {
        lumina::reference::forward_and_backward(plain, values_, grad_y, y, gradients, Products{});
      }
    });
    fuzz::require_same(test::difference(input, expected_input), "backward: the gradient by x");
    fuzz::require_same(test::difference(weights, expected_weights), "backward: the gradient by w");
    fuzz::require_same(test::difference(bias, expected_bias), "backward: the gradient by the bias");
  }

  void set_limit(Layer& layer) {
    const float limit = input_.any_float();
    fuzz::note("set_adc_limit", limit);
    const bool valid = limit == 0.0f || (limit >= 0x1p-100f && limit <= 0x1p126f);
    const std::size_t reports = fuzz::reports_of(how(), [&] { layer.set_adc_limit(limit); });
    require((reports != 0) == !valid, "set_adc_limit: what is no range, and only that, is refused");
    if (reports == 0) limit_ = limit;
  }

  // The model.

  RuntimeQuantizer adc(float limit) const {
    const float tracked = limit == 0.0f ? 1.0f : limit;
    const auto range =
        config_.config.adc_range.value_or(AnalogLinearConfig::Range{-tracked, tracked});
    if (config_.config.zero_preserving_adc) {
      return RuntimeQuantizer::symmetric(config_.config.adc_bits, range.hi);
    }
    return {config_.config.adc_bits, range.lo, range.hi};
  }

  /// f(what a layer's outputs go through).
  template <class F>
  void with_stages(bool noise, const RuntimeQuantizer& adc, F f) const {
    using namespace lumina;
    with_readout(noise,
                 [&](const auto&... stages) { f(epilogue(stages..., adc, AddBias{bias_})); });
  }
  template <class F>
  void with_readout(bool noise, F f) const {
    using namespace lumina;
    const Readout& readout = config_.config.readout;
    const Attenuation gain{readout.gain}, loss{readout.attenuation};
    if (noise && readout.shot_noise != 0.0f) {
      f(gain, readout.shot_noise_behind_gain(), GaussianNoise{readout.noise}, loss);
    } else if (noise && readout.noise != 0.0f) {
      f(gain, GaussianNoise{readout.noise}, loss);
    } else {
      f(gain, loss);
    }
  }

  template <class Stages>
  void multiply_with(const Operands& call, TestMatrix& y, const Stages& stages,
                     const NoiseKey& key) const {
    if constexpr (Layer::kCodes) {
      lumina::reference::fused_gemm(call.x->constant(), config_.config.dac, coded_, y.view(),
                                    stages, key);
    } else {
      TestMatrix x(call.batch, config_.config.in);
      for (std::size_t row = 0; row < call.batch; ++row) {
        for (std::size_t k = 0; k < config_.config.in; ++k) {
          x(row, k) = config_.config.dac((*call.x)(row, k));
        }
      }
      lumina::reference::fused_gemm(x, values_, y, stages, key);
    }
  }
  void multiply(const Operands& call, TestMatrix& y, bool noise, const RuntimeQuantizer& adc,
                const NoiseKey& key) const {
    with_stages(noise, adc, [&](const auto& stages) { multiply_with(call, y, stages, key); });
  }
  /// The largest magnitude before the ADC; NaN is passed over.
  float largest_value(const Operands& call, const NoiseKey& key) const {
    TestMatrix v(call.batch, config_.config.out);
    with_readout(true, [&](const auto&... stages) {
      multiply_with(call, v, lumina::epilogue(stages...), key);
    });
    float result = 0.0f;
    for (std::size_t row = 0; row < call.batch; ++row) {
      for (std::size_t o = 0; o < config_.config.out; ++o) {
        result = std::fmax(result, std::fabs(v(row, o)));
      }
    }
    return result;
  }

  Input& input_;
  Config config_;
  WeightNoise weight_noise_;
  std::list<TestMatrix> matrices_;  // of calls: the layer looks at some of them later

  bool constructed_ = false, loaded_ = false;
  float limit_ = 0.0f;
  std::vector<float> bias_;
  NoiseKey weight_key_;
  typename Layer::Weights coded_;
  lumina::Matrix<float> values_;
  std::optional<Pass> last_;
};

template <int Bits, class WeightNoise>
void run(Input& input, const WeightNoise& noise) {
  const Config config = Config::draw(input);
  Program<Bits, WeightNoise>(input, config, noise).run();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::notes.clear();
  Input input(data, size);
  const std::uint8_t form = input.byte() % 3;
  fuzz::note("form", form);
  if (form == 0) {
    run<4>(input, lumina::NoWeightNoise{});
  } else if (form == 1) {
    run<4>(input, lumina::MultiplicativeWeightNoise{static_cast<float>(input.byte()) / 256.0f});
  } else {
    run<12>(input, lumina::NoWeightNoise{});
  }
  return 0;
}
