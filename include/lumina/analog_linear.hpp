// A trainable layer on simulated analog hardware: y = ADC(readout(DAC(x)·Wᵀ)) + bias.
//
//   lumina::AnalogLinear<4> layer(lumina::AnalogLinearConfig::of(profile, 784, 512), 256);
//   layer.load(w, bias);                              // after each update of the parameters
//   layer.forward(x, y, key);                         // with noise, remembered for
//   layer.backward(x, grad_y, gradients);             // straight-through gradients
//   layer.infer(x, y);                                // without noise
//
//   x [batch, in]   w [out, in]   bias [out]   y, grad_y [batch, out]
//
// The parameters are the caller's, and so is what updates them. Once the layer has seen its largest
// batch no call allocates memory.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "adc_calibration.hpp"
#include "backward.hpp"
#include "coded_weights.hpp"
#include "config.hpp"
#include "detail/base/kept.hpp"
#include "detail/base/message.hpp"
#include "epilogue.hpp"
#include "executor.hpp"
#include "forward_pass.hpp"
#include "forward_record.hpp"
#include "hardware_profile.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantized_weights.hpp"
#include "quantizer.hpp"
#include "weight_noise.hpp"
#include "weights.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// In the place of a weight noise.
struct NoWeightNoise {};

struct AnalogLinearConfig {
  struct Range {
    float lo, hi;
  };

  std::size_t in, out;
  RuntimeQuantizer dac = {8, 0.0f, 1.0f};
  Readout readout = {};
  int adc_bits = 8;
  /// Without one the ADC's range is ± the largest magnitude that training has brought so far.
  std::optional<Range> adc_range = {};
  /// The ADC is a SymmetricQuantizer: 0 stays 0, also that of a row of zeros. Its range is tracked,
  /// or given with lo = −hi; it has 2 bits or more. (A DAC that keeps zeros: `dac` over [0, hi], or
  /// RuntimeQuantizer::symmetric.)
  bool zero_preserving_adc = false;

  /// DAC over [0, 1] and tracked ADC with the profile's bits. The layer's weights have a number of
  /// bits of their own: AnalogLinear<profile.bits>.
  static AnalogLinearConfig of(const HardwareProfile& profile, std::size_t in, std::size_t out) {
    return {in, out, {profile.bits, 0.0f, 1.0f}, Readout::of(profile), profile.bits, {}, false};
  }
};

namespace detail {

/// Each layer of a program has its own.
inline std::uint64_t next_layer_number() {
  static std::atomic<std::uint32_t> layers{0};
  return layers.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace detail

/// `WeightBits`: 2 … 8 multiply codes in integers; 9 … 16 what they stand for, in floats.
/// `WeightNoise`: one of weight_noise.hpp's, drawn afresh by each load(): levels of WeightBits
/// bits, the noise on them, and where codes are multiplied, in 8 bits.
template <int WeightBits, class WeightNoise = NoWeightNoise>
class AnalogLinear {
  static_assert(WeightBits >= 2 && WeightBits <= 16,
                "lumina::AnalogLinear: WeightBits must be in 2..16");

 public:
  static constexpr bool kCodes = WeightBits <= 8;
  static constexpr bool kNoisyWeights = !std::is_same_v<WeightNoise, NoWeightNoise>;
  using Weights =
      std::conditional_t<kCodes, CodedWeights<kNoisyWeights ? 8 : WeightBits>, PackedWeights>;

  /// Room for batches of up to `batch` rows; larger ones make it grow. Errors: those of Quantizer
  /// for the ADC's bits and range; a zero-preserving ADC with a range that is not [−hi, hi]; a
  /// readout that is not finite or has a negative noise, gain ≤ 0. Should the handler return, each
  /// call of the layer is an error and does nothing.
  explicit AnalogLinear(const AnalogLinearConfig& config, std::size_t batch = 0,
                        const WeightNoise& weight_noise = {})
      : config_(config), weight_noise_(weight_noise), no_bias_(1, config.out) {
    const std::size_t errors = detail::reported_errors;
    const Readout& readout = config.readout;
    if (!(readout.gain > 0.0f && std::isfinite(readout.gain) &&
          std::isfinite(readout.attenuation) && readout.noise >= 0.0f &&
          std::isfinite(readout.noise) && readout.shot_noise >= 0.0f &&
          std::isfinite(readout.shot_noise))) {
      detail::report_error(
          "lumina::AnalogLinear: gain must be positive, noises not negative, and all of the "
          "readout "
          "finite");
    }
    if (config.zero_preserving_adc && config.adc_range &&
        config.adc_range->lo != -config.adc_range->hi) {
      detail::report_error(
          "lumina::AnalogLinear: a zero-preserving ADC needs a range with lo = -hi, or a tracked "
          "one");
    }
    static_cast<void>(adc());  // reports a range or a number of bits that no quantizer has
    workspace_.gradient.grow_to(detail::size_product(batch, config.out));
    record_.resize(batch, config.out, kGates);
    tracker_.resize(batch, config.out);
    usable_ = errors == detail::reported_errors;
  }

  const AnalogLinearConfig& config() const { return config_; }
  /// The weights as the hardware holds them: encoded, with their noise.
  const Weights& weights() const { return weights_; }

  /// Takes the parameters of the next calls. `w` [out, in] is encoded, here and now; `bias` [out],
  /// which may be empty, is read by each call, so it is no temporary. Without a key the weight
  /// noise is drawn afresh by each load, and another one than that of any other layer of the
  /// program; with a key it is that key's. backward() needs a forward() behind it. Errors: shapes
  /// that do not fit; those of encode_weights; the layer is as before then. The result: whether the
  /// parameters were taken.
  bool load(MatrixView<const float> w, detail::KeptSpan<const float> bias = {}) {
    return load(w, bias, NoiseKey{.seed = number_, .stream = loads_});
  }
  bool load(MatrixView<const float> w, detail::KeptSpan<const float> bias, const NoiseKey& key) {
    if (!usable()) return false;
    if (w.rows() != config_.out || w.cols() != config_.in ||
        (!bias.empty() && bias.size() != config_.out)) {
      detail::report_error((detail::Message()
                            << "lumina::AnalogLinear: w is " << detail::Shape{w.rows(), w.cols()}
                            << " with " << bias.size() << " biases, the layer is "
                            << detail::Shape{config_.out, config_.in})
                               .c_str());
      return false;
    }
    const std::size_t errors = detail::reported_errors;
    encode(w, key);
    if (errors != detail::reported_errors) return false;
    bias_ = bias;
    weight_key_ = key;
    ++loads_;
    record_.resize(record_.rows(), record_.cols(), kGates);  // it was one of other weights
    return true;
  }

  /// The scales of the loads from now on, one for each output: what code 1 is worth, or the level
  /// next to 0 where weights have noise. So a layer stays the device that it was calibrated as,
  /// whatever its largest weights are now; weights beyond ±max_code·scale saturate, straight
  /// through. None: those for the largest weights of each load, as at first. The scales are copied.
  /// Error: another number of scales, one that is not positive and finite; nothing is set then.
  bool set_weight_scales(std::span<const float> scales) {
    if (!usable()) return false;
    if (!scales.empty()) {
      const MatrixView<const float> shape(nullptr, config_.out, 0);
      if (!detail::weight_scales_valid(shape, scales)) return false;
    }
    Matrix<float> kept(scales.empty() ? 0 : 1, scales.size());
    if (kept.elements().size() != scales.size()) return false;  // reported
    std::copy(scales.begin(), scales.end(), kept.data());
    weight_scales_ = std::move(kept);
    return true;
  }
  /// Those that were set.
  std::span<const float> weight_scales() const& { return weight_scales_.elements(); }
  std::span<const float> weight_scales() const&& = delete;

  /// The ADC's range is [−limit, limit] where it is tracked; 0: not known yet.
  float adc_limit() const { return adc_limit_; }
  /// Sets it, say to what a stored layer had; 0: not known yet. Error: a limit that is negative,
  /// infinite, NaN, or too small or large for a quantizer; nothing is set then.
  void set_adc_limit(float limit) {
    if (!(limit == 0.0f || (limit >= kSmallestLimit && limit <= kLargestLimit))) {
      detail::report_error(
          "lumina::AnalogLinear: set_adc_limit takes 0, for a range that is not known yet, or a "
          "limit "
          "from 2^-100 to 2^126");
      return;
    }
    adc_limit_ = limit;
  }

  /// Another DAC, say with a range that is learned or a percentile. backward() needs a forward()
  /// behind it.
  void set_dac(const RuntimeQuantizer& dac) {
    config_.dac = dac;
    record_.resize(record_.rows(), record_.cols(), kGates);  // it was one of other inputs
  }

  /// With noise, that of `key`: the same key, the same noise. What backward() needs is remembered.
  /// Where the ADC's range is tracked, this batch widens it for the next ones; the very first batch
  /// sets its own, but for one without rows or with nothing but zeros in front of the ADC, after
  /// which it is as unknown as before. The result: whether it has run.
  template <class Executor = Serial>
  bool forward(MatrixView<const float> x, MatrixView<float> y, const NoiseKey& key,
               const Executor& executor = {}) {
    if (!usable()) return false;
    key_ = key;
    MagnitudeTracker* const tracker = config_.adc_range ? nullptr : &tracker_;
    const auto run_with = [&](const RuntimeQuantizer& adc, MagnitudeTracker* magnitudes) {
      return with_stages(adc, true, [&](const auto& stages) {
        return lumina::forward(pass(x, stages, key), y, PassObservers{&record_, magnitudes},
                               executor);
      });
    };
    if (!run_with(adc(), tracker)) return false;
    if (tracker == nullptr) return true;
    const float largest = tracker_.largest();
    const bool first = adc_limit_ == 0.0f;
    const float limit = std::clamp(largest, 0x1p-60f, std::numeric_limits<float>::max() / 4.0f);
    if (largest > 0.0f) adc_limit_ = std::max(adc_limit_, limit);
    return !first || run_with(adc_over(-limit, limit), nullptr);
  }

  /// The gradients of the last forward(), whose x this is. Errors: see lumina::backward; load()
  /// since then.
  template <class Products = F32Products, class Executor = Serial>
  void backward(MatrixView<const float> x, MatrixView<const float> grad_y,
                const Gradients& gradients, const Products& products = {},
                const Executor& executor = {}) {
    if (!usable()) return;
    with_stages(adc(), true, [&](const auto& stages) {
      lumina::backward(pass(x, stages, key_), grad_y, record_, gradients, workspace_, products,
                       executor);
    });
  }

  /// Without noise of the readout. Error: a tracked range that no training has set. The result:
  /// whether it has run.
  template <class Executor = Serial>
  bool infer(MatrixView<const float> x, MatrixView<float> y, const Executor& executor = {}) const {
    return run(x, y, false, {}, executor);
  }
  /// With the noise of `key`, as in forward(), but nothing is remembered.
  template <class Executor = Serial>
  bool infer(MatrixView<const float> x, MatrixView<float> y, const NoiseKey& key,
             const Executor& executor = {}) const {
    return run(x, y, true, key, executor);
  }
  /// The same, and what enters the ADC counted into `seen` (adc_calibration.hpp), whatever its
  /// range is; a tracked one need not be known, and stays as it is. So
  ///   layer.set_adc_limit(seen.histogram().quantile(0.999));
  template <class Executor = Serial>
  bool calibrate(MatrixView<const float> x, MatrixView<float> y, const NoiseKey& key,
                 AdcCalibration& seen, const Executor& executor = {}) const {
    if (!usable()) return false;
    return with_stages(adc(), true, [&](const auto& stages) {
      return lumina::forward(pass(x, stages, key), y, PassObservers{nullptr, nullptr, &seen},
                             executor);
    });
  }

 private:
  static constexpr std::size_t kGates = 1;  // the ADC

  static constexpr float kSmallestLimit = 0x1p-100f, kLargestLimit = 0x1p+126f;

  bool usable() const {
    if (!usable_) {
      detail::report_error("lumina::AnalogLinear: the constructor has refused the configuration");
    }
    return usable_;
  }

  RuntimeQuantizer adc_over(float lo, float hi) const {
    if (config_.zero_preserving_adc) return RuntimeQuantizer::symmetric(config_.adc_bits, hi);
    return {config_.adc_bits, lo, hi};
  }
  RuntimeQuantizer adc() const {
    if (config_.adc_range) return adc_over(config_.adc_range->lo, config_.adc_range->hi);
    const float limit = adc_limit_ == 0.0f ? 1.0f : adc_limit_;
    return adc_over(-limit, limit);
  }

  template <class Stages>
  auto pass(MatrixView<const float> x, const Stages& stages, const NoiseKey& key) const {
    const auto plain = forward_pass(x, config_.dac, weights_, stages, key);
    if constexpr (!kNoisyWeights) {
      return plain;
    } else {
      return plain.with_weight_stages(epilogue(weight_noise_.gradient_stage()), weight_key_);
    }
  }

  /// f(the epilogue).
  template <class F>
  auto with_stages(const RuntimeQuantizer& adc, bool noise, F f) const {
    const Readout& readout = config_.readout;
    const Attenuation gain{readout.gain}, loss{readout.attenuation};
    const GaussianNoise additive{readout.noise};
    const AddBias bias{bias_.empty() ? std::span<const float>(no_bias_.elements()) : bias_};
    if (noise && readout.shot_noise != 0.0f) {
      return f(epilogue(gain, readout.shot_noise_behind_gain(), additive, loss, adc, bias));
    }
    if (noise && readout.noise != 0.0f) return f(epilogue(gain, additive, loss, adc, bias));
    return f(epilogue(gain, loss, adc, bias));
  }

  template <class Executor>
  bool run(MatrixView<const float> x, MatrixView<float> y, bool noise, const NoiseKey& key,
           const Executor& executor) const {
    if (!usable()) return false;
    if (!config_.adc_range && adc_limit_ == 0.0f) {
      detail::report_error(
          "lumina::AnalogLinear: the range of the ADC is tracked, but there was no "
          "forward() yet and no set_adc_limit()");
      return false;
    }
    return with_stages(adc(), noise, [&](const auto& stages) {
      return fused_gemm(x, config_.dac, weights_, y, stages, key, executor);
    });
  }

  void encode(MatrixView<const float> w, [[maybe_unused]] const NoiseKey& key) {
    const std::span<const float> scales = weight_scales_.elements();
    if constexpr (!kCodes) {
      if constexpr (kNoisyWeights) {
        pack_quantized_weights<WeightBits>(w, weights_, weight_noise_, key, scales);
      } else {
        pack_quantized_weights<WeightBits>(w, weights_, scales);
      }
    } else {
      const auto with = [&](const auto&... scales_or_none) {
        if constexpr (kNoisyWeights) {
          encode_weights(w, weights_, WeightBits, weight_noise_, key, scales_or_none...);
        } else {
          encode_weights(w, weights_, scales_or_none...);
        }
      };
      if (scales.empty()) {
        with();
      } else {
        with(scales);
      }
    }
  }

  AnalogLinearConfig config_;
  WeightNoise weight_noise_;
  Matrix<float> no_bias_;
  Matrix<float> weight_scales_;
  Weights weights_;
  std::span<const float> bias_;
  NoiseKey weight_key_ = {};
  float adc_limit_ = 0.0f;
  bool usable_ = false;
  std::uint64_t number_ = detail::next_layer_number();
  std::uint64_t loads_ = 0;

  // Of the last forward().
  NoiseKey key_ = {};
  ForwardRecord record_;
  MagnitudeTracker tracker_;
  BackwardWorkspace workspace_;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
