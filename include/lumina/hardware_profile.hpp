// What kinds of analog hardware do to a layer, as numbers; docs/numerics.md says what a layer
// computes under a profile, AnalogLinear (analog_linear.hpp) does it.
#pragma once

#include <array>
#include <cmath>
#include <string_view>

#include "border.hpp"
#include "config.hpp"
#include "detail/base/message.hpp"
#include "epilogue.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// With s the dot product of a DAC's values and the weights, and independent N₁, N₂ ~ N(0, 1):
///   v = attenuation·((1 − 0.8·temp_drift)·s + noise_level·√|s|·N₁ + 0.005·N₂),  y = ADC(v) + bias
struct HardwareProfile {
  std::string_view name;
  int bits;           ///< of DAC, weights and ADC
  float noise_level;  ///< strength of the shot noise
  float attenuation;  ///< optical loss, a factor
  float temp_drift;   ///< 0 … 1: how far the temperature has moved the gain
};

namespace profiles {

inline constexpr HardwareProfile lumina_nano_v1{"lumina_nano_v1", 4, 0.15f, 0.85f, 0.05f};
inline constexpr HardwareProfile lumina_micro_v1{"lumina_micro_v1", 8, 0.10f, 0.90f, 0.03f};
inline constexpr HardwareProfile edge_ultra_low_power{"edge_ultra_low_power", 2, 0.20f, 0.75f,
                                                      0.10f};
inline constexpr HardwareProfile datacenter_high_precision{"datacenter_high_precision", 12, 0.05f,
                                                           0.95f, 0.01f};
inline constexpr HardwareProfile custom{"custom", 8, 0.10f, 1.0f, 0.0f};

inline constexpr std::array all{lumina_nano_v1, lumina_micro_v1, edge_ultra_low_power,
                                datacenter_high_precision, custom};

}  // namespace profiles

/// The preset of that name. Error: there is none; should the handler return, `custom`.
inline const HardwareProfile& hardware_profile(std::string_view name) {
  for (const HardwareProfile& profile : profiles::all) {
    if (profile.name == name) return profile;
  }
  detail::Message message;
  message << "lumina::hardware_profile: unknown name; there are";
  for (const HardwareProfile& profile : profiles::all) message << " " << profile.name.data();
  detail::report_error(message.c_str());
  return profiles::all.back();
}

// What Readout (border.hpp) has them for.
inline Readout readout_of(const HardwareProfile& profile) {
  return {1.0f - 0.8f * profile.temp_drift, profile.noise_level, Readout::kThermalNoise,
          profile.attenuation};
}
/// The gain's root is undone.
inline ShotNoise shot_noise_behind_gain_of(const Readout& readout) {
  return {static_cast<float>(static_cast<double>(readout.shot_noise) /
                             std::sqrt(static_cast<double>(readout.gain)))};
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
