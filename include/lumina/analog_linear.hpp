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
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <type_traits>

#include "backward.hpp"
#include "coded_weights.hpp"
#include "config.hpp"
#include "detail/magnitude_tracker.hpp"
#include "detail/message.hpp"
#include "epilogue.hpp"
#include "executor.hpp"
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

  /// DAC over [0, 1] and tracked ADC with the profile's bits. The layer's weights have a number of
  /// bits of their own: AnalogLinear<profile.bits>.
  static AnalogLinearConfig of(const HardwareProfile& profile, std::size_t in, std::size_t out) {
    return {in, out, {profile.bits, 0.0f, 1.0f}, Readout::of(profile), profile.bits, {}};
  }
};

/// `WeightBits`: 2 … 8 multiply codes in integers; 9 … 16 what they stand for, in floats.
/// `WeightNoise`: one of weight_noise.hpp's, drawn afresh by each load().
template <int WeightBits, class WeightNoise = NoWeightNoise>
class AnalogLinear {
  static_assert(WeightBits >= 2 && WeightBits <= 16,
                "lumina::AnalogLinear: WeightBits must be in 2..16");

 public:
  static constexpr bool kCodes = WeightBits <= 8;
  using Weights = std::conditional_t<kCodes, CodedWeights<WeightBits>, PackedWeights>;

  /// Room for batches of up to `batch` rows; larger ones make it grow. Errors: those of Quantizer
  /// for the ADC's range, a readout that is not finite, gain ≤ 0.
  explicit AnalogLinear(const AnalogLinearConfig& config, std::size_t batch = 0,
                        const WeightNoise& weight_noise = {})
      : config_(config), weight_noise_(weight_noise), no_bias_(1, config.out) {
    const Readout& readout = config.readout;
    if (!(readout.gain > 0.0f && std::isfinite(readout.gain) &&
          std::isfinite(readout.attenuation))) {
      detail::report_error(
          "lumina::AnalogLinear: gain must be positive, gain and attenuation finite");
      config_.readout = {};
    }
    workspace_.gradient.grow_to(batch * config.out);
    record_.resize(batch, config.out, kGates);
    tracker_.resize(batch, config.out);
  }

  const AnalogLinearConfig& config() const { return config_; }
  /// The weights as the hardware holds them: encoded, with their noise.
  const Weights& weights() const { return weights_; }

  /// Takes the parameters of the next calls. `w` [out, in] is encoded, here and now; `bias` [out],
  /// which may be empty, is read by each call. `key`: of the weight noise.
  /// Errors: shapes that do not fit; those of encode_weights.
  void load(MatrixView<const float> w, std::span<const float> bias = {}, const NoiseKey& key = {}) {
    if (w.rows() != config_.out || w.cols() != config_.in ||
        (!bias.empty() && bias.size() != config_.out)) {
      detail::report_error((detail::Message()
                            << "lumina::AnalogLinear: w is " << detail::Shape{w.rows(), w.cols()}
                            << " with " << bias.size() << " biases, the layer is "
                            << detail::Shape{config_.out, config_.in})
                               .c_str());
      return;
    }
    encode(w, key);
    bias_ = bias;
    weight_key_ = key;
  }

  /// The ADC's range is [−limit, limit] where it is tracked; 0: not known yet.
  float adc_limit() const { return adc_limit_; }
  /// Sets it, say to what a stored layer had.
  void set_adc_limit(float limit) { adc_limit_ = limit; }

  /// With noise; what backward() needs is remembered. Where the ADC's range is tracked, this batch
  /// widens it for the next ones; the very first batch sets its own.
  template <class Executor = Serial>
  void forward(MatrixView<const float> x, MatrixView<float> y, const NoiseKey& key,
               const Executor& executor = {}) {
    key_ = key;
    detail::MagnitudeTracker* const tracker = config_.adc_range ? nullptr : &tracker_;
    if (tracker != nullptr) tracker_.resize(y.rows(), y.cols());
    const bool first = tracker != nullptr && adc_limit_ == 0.0f;
    with_stages(adc(), tracker, true, [&](const auto& stages) {
      lumina::forward(pass(x, stages, key), y, record_, executor);
    });
    if (tracker == nullptr || !record_.filled()) return;
    adc_limit_ = std::max(adc_limit_, limit_for(tracker_.largest()));
    if (first) {
      with_stages(adc(), nullptr, true, [&](const auto& stages) {
        lumina::forward(pass(x, stages, key), y, record_, executor);
      });
    }
  }

  /// The gradients of the last forward(), whose x this is; load() must not have been called since.
  /// Errors: see lumina::backward.
  template <class Products = F32Products, class Executor = Serial>
  void backward(MatrixView<const float> x, MatrixView<const float> grad_y,
                const Gradients& gradients, const Products& products = {},
                const Executor& executor = {}) {
    with_stages(adc(), nullptr, true, [&](const auto& stages) {
      lumina::backward(pass(x, stages, key_), grad_y, record_, gradients, workspace_, products,
                       executor);
    });
  }

  /// Without noise of the readout. Error: a tracked range that no training has set.
  template <class Executor = Serial>
  void infer(MatrixView<const float> x, MatrixView<float> y, const Executor& executor = {}) const {
    run(x, y, false, {}, executor);
  }
  /// With noise, as in forward(), but nothing is remembered.
  template <class Executor = Serial>
  void infer(MatrixView<const float> x, MatrixView<float> y, const NoiseKey& key,
             const Executor& executor = {}) const {
    run(x, y, true, key, executor);
  }

 private:
  static constexpr std::size_t kGates = 1;  // the ADC

  /// A range that a quantizer takes.
  static float limit_for(float largest) {
    return std::clamp(largest, 0x1p-60f, std::numeric_limits<float>::max() / 4.0f);
  }

  RuntimeQuantizer adc() const {
    if (config_.adc_range) return {config_.adc_bits, config_.adc_range->lo, config_.adc_range->hi};
    const float limit = adc_limit_ == 0.0f ? 1.0f : adc_limit_;
    return {config_.adc_bits, -limit, limit};
  }

  template <class Stages>
  auto pass(MatrixView<const float> x, const Stages& stages, const NoiseKey& key) const {
    const auto plain = forward_pass(x, config_.dac, weights_, stages, key);
    if constexpr (std::is_same_v<WeightNoise, NoWeightNoise>) {
      return plain;
    } else {
      return plain.with_weight_stages(epilogue(weight_noise_.gradient_stage()), weight_key_);
    }
  }

  /// f(the epilogue).
  template <class F>
  void with_stages(const RuntimeQuantizer& adc, detail::MagnitudeTracker* tracker, bool noise,
                   F f) const {
    const Readout& readout = config_.readout;
    const Attenuation gain{readout.gain}, loss{readout.attenuation};
    const GaussianNoise additive{readout.noise};
    const detail::TrackMagnitude track{tracker};
    const AddBias bias{bias_.empty() ? std::span<const float>(no_bias_.elements()) : bias_};
    if (noise && readout.shot_noise != 0.0f) {
      f(epilogue(gain, readout.shot_noise_behind_gain(), additive, loss, track, adc, bias));
    } else if (noise && readout.noise != 0.0f) {
      f(epilogue(gain, additive, loss, track, adc, bias));
    } else {
      f(epilogue(gain, loss, track, adc, bias));
    }
  }

  template <class Executor>
  void run(MatrixView<const float> x, MatrixView<float> y, bool noise, const NoiseKey& key,
           const Executor& executor) const {
    if (!config_.adc_range && adc_limit_ == 0.0f) {
      detail::report_error(
          "lumina::AnalogLinear: the range of the ADC is tracked, but there was no "
          "forward() yet and no set_adc_limit()");
      return;
    }
    with_stages(adc(), nullptr, noise, [&](const auto& stages) {
      fused_gemm(x, config_.dac, weights_, y, stages, key, executor);
    });
  }

  void encode(MatrixView<const float> w, const NoiseKey& key) {
    // Noise, where there is some, is the last two arguments.
    const auto with = [&](const auto&... noise) {
      if constexpr (kCodes) {
        encode_weights(w, weights_, noise...);
      } else {
        pack_quantized_weights<WeightBits>(w, weights_, noise...);
      }
    };
    if constexpr (std::is_same_v<WeightNoise, NoWeightNoise>) {
      with();
    } else {
      with(weight_noise_, key);
    }
  }

  AnalogLinearConfig config_;
  WeightNoise weight_noise_;
  Matrix<float> no_bias_;
  Weights weights_;
  std::span<const float> bias_;
  NoiseKey weight_key_;
  float adc_limit_ = 0.0f;

  // Of the last forward().
  NoiseKey key_;
  ForwardRecord record_;
  detail::MagnitudeTracker tracker_;
  BackwardWorkspace workspace_;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
