// Training in f32, which knows nothing of hardware.
#pragma once

#include <cstdint>

#include "network.hpp"
#include "setting.hpp"
#include "training.hpp"

namespace example {

/// A network 784-512-10 that begins with random weights and is trained by gradient descent with
/// momentum.
Network trained_in_f32(const Setting& setting, std::uint64_t seed);

/// `network`, trained on by Adam.
Network trained_further(const Setting& setting, Network network, const Schedule& schedule);

}  // namespace example
