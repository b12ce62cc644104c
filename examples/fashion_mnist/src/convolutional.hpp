// A convolutional network on a profile's hardware, trained without its noise and with it.
#pragma once

#include <lumina/hardware_profile.hpp>

#include "setting.hpp"

namespace example {

/// Trains two networks of two convolutions and a last layer, one on hardware of 12 bits without
/// noise, one on the profile's, and prints the accuracies of both on the latter, over the noise.
void report_convolutional(const Setting& setting, const lumina::HardwareProfile& profile);

}  // namespace example
