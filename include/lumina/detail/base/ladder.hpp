// Devices along one wire that has resistance, each of which ends in a potential of its own.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "scalar_math.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What each of `count` devices passes to the wire's end in front of the first one, in µS, with a
/// segment of resistance r (1/µS) before each device: its conductance times the potential that is
/// left of 1 at the wire's end. Nothing is subtracted; exact where r is 0. device(k): µS;
/// store(k, µS); `memory` has room for `count` numbers.
template <class Device, class Store>
void pass_ladder(std::size_t count, double r, double* memory, const Device& device,
                 const Store& store) {
  double behind = 0.0;  // what the wire behind device k is worth there
  for (std::size_t k = count; k-- != 0;) {
    const double load = device(k) + behind;
    memory[k] = 1.0 / (1.0 + product(r, load));
    behind = product(load, memory[k]);
  }
  double potential = 1.0;
  for (std::size_t k = 0; k < count; ++k) {
    potential = product(potential, memory[k]);
    store(k, product(device(k), potential));
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
