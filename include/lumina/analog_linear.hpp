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
#include "detail/training/layer_readout.hpp"
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
  using Weights = detail::LayerWeights<WeightBits, WeightNoise>;

  /// Room for batches of up to `batch` rows; larger ones make it grow. Errors: those of Quantizer
  /// for the ADC's bits and range; a zero-preserving ADC with a range that is not [−hi, hi]; a
  /// readout that is not finite or has a negative noise, gain ≤ 0. Should the handler return, each
  /// call of the layer is an error and does nothing.
  explicit AnalogLinear(const AnalogLinearConfig& config, std::size_t batch = 0,
                        const WeightNoise& weight_noise = {})
      : config_(config),
        readout_("lumina::AnalogLinear", config, config.out),
        weight_noise_(weight_noise) {
    workspace_.gradient.grow_to(detail::size_product(batch, config.out));
    record_.resize(batch, config.out, kGates);
    tracker_.resize(batch, config.out);
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
    if (!readout_.usable()) return false;
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
    detail::encode_layer<WeightBits>(w, weights_, weight_noise_, key, weight_scales_.elements());
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
    if (!readout_.usable()) return false;
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
  float adc_limit() const { return readout_.limit(); }
  /// Sets it, say to what a stored layer had; 0: not known yet. Error: a limit that is negative,
  /// infinite, NaN, or too small or large for a quantizer; nothing is set then.
  void set_adc_limit(float limit) { readout_.set_limit(limit); }

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
    if (!readout_.usable()) return false;
    key_ = key;
    return readout_.run_tracked(
        tracker_, [&](const RuntimeQuantizer& adc, MagnitudeTracker* magnitudes) {
          return readout_.with_stages(adc, true, bias_, [&](const auto& stages) {
            return lumina::forward(pass(x, stages, key), y, PassObservers{&record_, magnitudes},
                                   executor);
          });
        });
  }

  /// The gradients of the last forward(), whose x this is; in integers, with codes, where no other
  /// products are chosen (backward.hpp). Errors: see lumina::backward; load() since then.
  template <class Products = DefaultProducts<Weights>, class Executor = Serial>
  void backward(MatrixView<const float> x, MatrixView<const float> grad_y,
                const Gradients& gradients, const Products& products = {},
                const Executor& executor = {}) {
    if (!readout_.usable()) return;
    readout_.with_stages(readout_.adc(), true, bias_, [&](const auto& stages) {
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
    if (!readout_.usable()) return false;
    return readout_.with_stages(readout_.adc(), true, bias_, [&](const auto& stages) {
      return lumina::forward(pass(x, stages, key), y, PassObservers{nullptr, nullptr, &seen},
                             executor);
    });
  }

 private:
  static constexpr std::size_t kGates = 1;  // the ADC

  template <class Stages>
  auto pass(MatrixView<const float> x, const Stages& stages, const NoiseKey& key) const {
    const auto plain = forward_pass(x, config_.dac, weights_, stages, key);
    if constexpr (!kNoisyWeights) {
      return plain;
    } else {
      return plain.with_weight_stages(epilogue(weight_noise_.gradient_stage()), weight_key_);
    }
  }

  template <class Executor>
  bool run(MatrixView<const float> x, MatrixView<float> y, bool noise, const NoiseKey& key,
           const Executor& executor) const {
    if (!readout_.usable()) return false;
    if (!readout_.range_known()) return false;
    return readout_.with_stages(readout_.adc(), noise, bias_, [&](const auto& stages) {
      return fused_gemm(x, config_.dac, weights_, y, stages, key, executor);
    });
  }

  AnalogLinearConfig config_;
  detail::LayerReadout<AnalogLinearConfig> readout_;
  WeightNoise weight_noise_;
  Matrix<float> weight_scales_;
  Weights weights_;
  std::span<const float> bias_;
  NoiseKey weight_key_ = {};
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
