// What trainable layers share: the readout behind their product with its ADC, whose range is given
// or tracked, and how their weights are encoded.
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

#include "../../coded_weights.hpp"
#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../forward_pass.hpp"
#include "../../hardware_profile.hpp"
#include "../../matrix.hpp"
#include "../../noise.hpp"
#include "../../quantized_weights.hpp"
#include "../../quantizer.hpp"
#include "../../stages.hpp"
#include "../../weight_noise.hpp"
#include "../../weights.hpp"
#include "../base/message.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// Each layer of a program has its own.
inline std::uint64_t next_layer_number() {
  static std::atomic<std::uint32_t> layers{0};
  return layers.fetch_add(1, std::memory_order_relaxed);
}

/// `Config`: AnalogLinearConfig or AnalogConvConfig.
template <class Config>
class LayerReadout {
 public:
  /// Reports what no layer can have; usable() is false then. `layer`: its name.
  LayerReadout(const char* layer, const Config& config, std::size_t outputs)
      : layer_(layer),
        readout_(config.readout),
        adc_bits_(config.adc_bits),
        range_(config.adc_range),
        zero_preserving_(config.zero_preserving_adc),
        no_bias_(1, outputs) {
    const std::size_t errors = reported_errors;
    if (!(readout_.gain > 0.0f && std::isfinite(readout_.gain) &&
          std::isfinite(readout_.attenuation) && readout_.noise >= 0.0f &&
          std::isfinite(readout_.noise) && readout_.shot_noise >= 0.0f &&
          std::isfinite(readout_.shot_noise))) {
      refuse(": gain must be positive, noises not negative, and all of the readout finite");
    }
    if (zero_preserving_ && range_ && range_->lo != -range_->hi) {
      refuse(": a zero-preserving ADC needs a range with lo = -hi, or a tracked one");
    }
    static_cast<void>(adc());  // reports a range or a number of bits that no quantizer has
    usable_ = errors == reported_errors;
  }

  /// False is reported.
  bool usable() const {
    return usable_ || refuse(": the constructor has refused the configuration");
  }
  bool refuse(const char* why) const {
    report_error((Message() << layer_ << why).c_str());
    return false;
  }

  bool tracks() const { return !range_; }
  float limit() const { return limit_; }
  void set_limit(float limit) {
    if (!(limit == 0.0f || (limit >= kSmallestLimit && limit <= kLargestLimit))) {
      refuse(
          ": set_adc_limit takes 0, for a range that is not known yet, or a limit from 2^-100 to "
          "2^126");
      return;
    }
    limit_ = limit;
  }

  RuntimeQuantizer adc() const {
    if (range_) return adc_over(range_->lo, range_->hi);
    const float limit = limit_ == 0.0f ? 1.0f : limit_;
    return adc_over(-limit, limit);
  }
  /// False is reported.
  bool range_known() const {
    return range_ || limit_ != 0.0f ||
           refuse(
               ": the range of the ADC is tracked, but there was no forward() yet and no "
               "set_adc_limit()");
  }

  /// run(adc, who sees magnitudes), a forward pass, and again where it was the first to tell the
  /// range.
  template <class Run>
  bool run_tracked(MagnitudeTracker& tracker, const Run& run) {
    if (!tracks()) return run(adc(), nullptr);
    if (!run(adc(), &tracker)) return false;
    const float largest = tracker.largest();
    const bool first = limit_ == 0.0f;
    const float limit = std::clamp(largest, 0x1p-60f, std::numeric_limits<float>::max() / 4.0f);
    if (largest > 0.0f) limit_ = std::max(limit_, limit);
    return !first || run(adc_over(-limit, limit), nullptr);
  }

  /// f(the epilogue).
  template <class F>
  auto with_stages(const RuntimeQuantizer& adc, bool noise, std::span<const float> bias_or_none,
                   F f) const {
    const Attenuation gain{readout_.gain}, loss{readout_.attenuation};
    const GaussianNoise additive{readout_.noise};
    const AddBias bias{bias_or_none.empty() ? no_bias_.elements() : bias_or_none};
    if (noise && readout_.shot_noise != 0.0f) {
      return f(epilogue(gain, readout_.shot_noise_behind_gain(), additive, loss, adc, bias));
    }
    if (noise && readout_.noise != 0.0f) return f(epilogue(gain, additive, loss, adc, bias));
    return f(epilogue(gain, loss, adc, bias));
  }

 private:
  static constexpr float kSmallestLimit = 0x1p-100f, kLargestLimit = 0x1p+126f;

  RuntimeQuantizer adc_over(float lo, float hi) const {
    if (zero_preserving_) return RuntimeQuantizer::symmetric(adc_bits_, hi);
    return {adc_bits_, lo, hi};
  }

  const char* layer_;
  Readout readout_;
  int adc_bits_;
  std::optional<typename Config::Range> range_;
  bool zero_preserving_;
  Matrix<float> no_bias_;
  float limit_ = 0.0f;
  bool usable_ = false;
};

/// The weights of a layer of WeightBits: up to 8 as codes, where they have noise in 8 bits.
template <int WeightBits, class WeightNoise>
using LayerWeights = std::conditional_t<
    WeightBits <= 8,
    CodedWeights<std::is_same_v<WeightNoise, NoWeightNoise> && WeightBits <= 8 ? WeightBits : 8>,
    PackedWeights>;

/// Encodes w, with noise, where there is one; `scales` may be empty. What is wrong is reported.
template <int WeightBits, class WeightNoise>
void encode_layer(MatrixView<const float> w, LayerWeights<WeightBits, WeightNoise>& weights,
                  [[maybe_unused]] const WeightNoise& noise, [[maybe_unused]] const NoiseKey& key,
                  std::span<const float> scales) {
  constexpr bool kNoisy = !std::is_same_v<WeightNoise, NoWeightNoise>;
  if constexpr (WeightBits > 8) {
    if constexpr (kNoisy) {
      pack_quantized_weights<WeightBits>(w, weights, noise, key, scales);
    } else {
      pack_quantized_weights<WeightBits>(w, weights, scales);
    }
  } else {
    const auto with = [&](const auto&... scales_or_none) {
      if constexpr (kNoisy) {
        encode_weights(w, weights, WeightBits, noise, key, scales_or_none...);
      } else {
        encode_weights(w, weights, scales_or_none...);
      }
    };
    if (scales.empty()) {
      with();
    } else {
      with(scales);
    }
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
