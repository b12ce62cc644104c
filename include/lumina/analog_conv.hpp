// A trainable convolution on simulated analog hardware: y = ADC(readout(DAC(x) ∗ filters)) + bias,
// as AnalogLinear in every other respect.
//
//   lumina::AnalogConv<4> layer(lumina::AnalogConvConfig::of(profile, {64, 128, {1, 3, 3}}));
//   layer.load(filters, bias);                        // after each update of the parameters
//   layer.forward(x, y, key);                         // with noise, remembered for
//   layer.backward(x, grad_y, gradients);             // straight-through gradients
//   layer.infer(x, y);                                // without noise
//
//   x, y, grad_y images   filters [outputs, channels / groups · taps], torch's order   bias
//   [outputs]
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "adc_calibration.hpp"
#include "config.hpp"
#include "convolution.hpp"
#include "convolution_gradients.hpp"
#include "convolution_pass.hpp"
#include "detail/base/kept.hpp"
#include "detail/training/layer_readout.hpp"
#include "executor.hpp"
#include "forward_pass.hpp"
#include "forward_record.hpp"
#include "fused_convolution.hpp"
#include "hardware_profile.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "weight_noise.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

struct AnalogConvConfig {
  struct Range {
    float lo, hi;
  };

  Convolution shape;
  RuntimeQuantizer dac = {8, 0.0f, 1.0f};
  Readout readout = {};
  int adc_bits = 8;
  /// Without one the ADC's range is ± the largest magnitude that training has brought so far.
  std::optional<Range> adc_range = {};
  /// The ADC is a SymmetricQuantizer (AnalogLinearConfig).
  bool zero_preserving_adc = false;

  /// DAC over [0, 1] and tracked ADC with the profile's bits.
  static AnalogConvConfig of(const HardwareProfile& profile, const Convolution& shape) {
    return {shape, {profile.bits, 0.0f, 1.0f}, Readout::of(profile), profile.bits, {}, false};
  }
};

/// `WeightBits`, `WeightNoise`: as AnalogLinear's. Calls have its errors, and fused_convolution's.
template <int WeightBits, class WeightNoise = NoWeightNoise>
class AnalogConv {
  static_assert(WeightBits >= 2 && WeightBits <= 16,
                "lumina::AnalogConv: WeightBits must be in 2..16");

 public:
  using Weights = detail::LayerWeights<WeightBits, WeightNoise>;

  explicit AnalogConv(const AnalogConvConfig& config, const WeightNoise& weight_noise = {})
      : config_(config),
        readout_("lumina::AnalogConv", config, config.shape.outputs),
        weight_noise_(weight_noise) {}

  const AnalogConvConfig& config() const { return config_; }
  /// The weights of each product, as the hardware holds them.
  std::span<const Weights> weights() const& { return weights_; }
  std::span<const Weights> weights() const&& = delete;

  /// Takes the parameters of the next calls: AnalogLinear::load. The noise of weights has the
  /// outputs as rows, and as columns the inputs of their product (filter_matrix()).
  bool load(MatrixView<const float> filters, detail::KeptSpan<const float> bias = {}) {
    return load(filters, bias, NoiseKey{.seed = number_, .stream = loads_});
  }
  bool load(MatrixView<const float> filters, detail::KeptSpan<const float> bias,
            const NoiseKey& key) {
    const Convolution& shape = config_.shape;
    if (!readout_.usable() || !detail::filters_valid(filters, shape)) return false;
    if (!bias.empty() && bias.size() != shape.outputs) {
      detail::report_error((detail::Message()
                            << "lumina::AnalogConv: there are " << bias.size()
                            << " biases, the layer has " << shape.outputs << " outputs")
                               .c_str());
      return false;
    }
    const std::size_t errors = detail::reported_errors;
    next_weights_.resize(shape.products());
    for (std::size_t i = 0; i < shape.products() && errors == detail::reported_errors; ++i) {
      const Convolution::Product own = shape.product(i);
      const std::size_t cols = shape.taps() * own.channels;
      if (!matrix_.grow_to(detail::size_product(own.outputs, cols))) return false;
      const MatrixView<float> matrix(matrix_.data(), own.outputs, cols);
      detail::write_filter_matrix(filters, shape, i, matrix);
      const std::span<const float> scales = weight_scales_.elements();
      detail::encode_layer<WeightBits>(
          MatrixView<const float>(matrix), next_weights_[i], weight_noise_,
          detail::key_of_output(key, own.first_output),
          scales.empty() ? scales : scales.subspan(own.first_output, own.outputs));
    }
    if (errors != detail::reported_errors) return false;
    std::swap(weights_, next_weights_);
    bias_ = bias;
    weight_key_ = key;
    ++loads_;
    forget();
    return true;
  }

  /// AnalogLinear::set_weight_scales.
  bool set_weight_scales(std::span<const float> scales) {
    if (!readout_.usable()) return false;
    if (!scales.empty()) {
      const MatrixView<const float> shape(nullptr, config_.shape.outputs, 0);
      if (!detail::weight_scales_valid(shape, scales)) return false;
    }
    Matrix<float> kept(scales.empty() ? 0 : 1, scales.size());
    if (kept.elements().size() != scales.size()) return false;  // reported
    std::copy(scales.begin(), scales.end(), kept.data());
    weight_scales_ = std::move(kept);
    return true;
  }
  /// The ADC's range is [−limit, limit] where it is tracked; 0: not known yet.
  float adc_limit() const { return readout_.limit(); }
  void set_adc_limit(float limit) { readout_.set_limit(limit); }
  /// Another DAC; backward() needs a forward() behind it.
  void set_dac(const RuntimeQuantizer& dac) {
    config_.dac = dac;
    forget();
  }

  /// AnalogLinear::forward.
  template <class Executor = Serial>
  bool forward(const ImageView<const float>& x, const ImageView<float>& y, const NoiseKey& key,
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
  /// The gradients of the last forward(), whose x this is. `products`: F32Products, or
  /// The gradients of the last forward(), whose x this is; in integers, with codes, where no other
  /// products are chosen (backward.hpp). The result: whether it ran.
  template <class Products, class Executor = Serial>
  requires detail::are_products<Products>
  bool backward(const ImageView<const float>& x, const ImageView<const float>& grad_y,
                const ImageGradients& gradients, const Products& products,
                const Executor& executor = {}) {
    return readout_.usable() &&
           readout_.with_stages(readout_.adc(), true, bias_, [&](const auto& stages) {
             return lumina::backward(pass(x, stages, key_), grad_y, record_, gradients, workspace_,
                                     products, executor);
           });
  }
  template <class Executor = Serial>
  requires(!detail::are_products<Executor>)  //
      bool backward(const ImageView<const float>& x, const ImageView<const float>& grad_y,
                    const ImageGradients& gradients, const Executor& executor = {}) {
    return backward(x, grad_y, gradients, DefaultProducts<Weights>(), executor);
  }
  /// Without noise of the readout. Error: a tracked range that no training has set.
  template <class Executor = Serial>
  bool infer(const ImageView<const float>& x, const ImageView<float>& y,
             const Executor& executor = {}) const {
    return run(x, y, false, {}, executor);
  }
  /// With the noise of `key`, as in forward(), but nothing is remembered.
  template <class Executor = Serial>
  bool infer(const ImageView<const float>& x, const ImageView<float>& y, const NoiseKey& key,
             const Executor& executor = {}) const {
    return run(x, y, true, key, executor);
  }
  /// The same, and what enters the ADC counted into `seen`: AnalogLinear::calibrate.
  template <class Executor = Serial>
  bool calibrate(const ImageView<const float>& x, const ImageView<float>& y, const NoiseKey& key,
                 AdcCalibration& seen, const Executor& executor = {}) const {
    return readout_.usable() &&
           readout_.with_stages(readout_.adc(), true, bias_, [&](const auto& stages) {
             return lumina::forward(pass(x, stages, key), y, PassObservers{nullptr, nullptr, &seen},
                                    executor);
           });
  }

 private:
  /// The record is of other weights or inputs.
  void forget() { record_.resize(0, 0, 0); }

  template <class Stages>
  auto pass(const ImageView<const float>& x, const Stages& stages, const NoiseKey& key) const {
    const auto plain = convolution_pass(x, config_.dac, weights_, config_.shape, stages, key);
    if constexpr (std::is_same_v<WeightNoise, NoWeightNoise>) {
      return plain;
    } else {
      return plain.with_weight_stages(epilogue(weight_noise_.gradient_stage()), weight_key_);
    }
  }
  template <class Executor>
  bool run(const ImageView<const float>& x, const ImageView<float>& y, bool noise,
           const NoiseKey& key, const Executor& executor) const {
    return readout_.usable() && readout_.range_known() &&
           readout_.with_stages(readout_.adc(), noise, bias_, [&](const auto& stages) {
             return fused_convolution(x, config_.dac, weights_, y, config_.shape, stages, key,
                                      executor);
           });
  }

  AnalogConvConfig config_;
  detail::LayerReadout<AnalogConvConfig> readout_;
  WeightNoise weight_noise_;
  Matrix<float> weight_scales_;
  std::vector<Weights> weights_, next_weights_;
  detail::AlignedBuffer<float> matrix_;  ///< of a product, while it is encoded
  std::span<const float> bias_;
  NoiseKey weight_key_ = {};
  std::uint64_t number_ = detail::next_layer_number();
  std::uint64_t loads_ = 0;

  // Of the last forward().
  NoiseKey key_ = {};
  ForwardRecord record_;
  MagnitudeTracker tracker_;
  ConvolutionBackwardWorkspace workspace_;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
