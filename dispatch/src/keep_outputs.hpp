// The stage that shows what leaves arrays (Call::array_outputs).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include <lumina/lumina.hpp>

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {

/// Writes what passes it to [rows, tiles, columns] and changes nothing.
struct KeepOutputs {
  float* outputs;
  std::size_t tiles, columns;

  template <class Floats>
  Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
               const std::array<Floats, 0>&) const {
    alignas(64) float lanes[Floats::size];
    values.store_aligned(lanes);
    std::copy_n(lanes, std::min(active.count, Floats::size),
                outputs + (at.row * tiles + at.tile) * columns + at.column);
    return values;
  }
  template <class Floats>
  Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
