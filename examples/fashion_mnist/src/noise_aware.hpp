// The second part of the example: a network that was trained with the noise, beside one that was
// not.
#pragma once

#include <lumina/hardware_profile.hpp>

#include "network.hpp"
#include "setting.hpp"

namespace example {

/// Trains both networks for hardware of the profile, for `seeds` seeds, prints their accuracies and
/// draws them over the noise. `network`: what trained_in_f32() made of the setting's own seed.
void report_noise_aware(const Setting& setting, const Network& network,
                        const lumina::HardwareProfile& profile, int seeds);

}  // namespace example
