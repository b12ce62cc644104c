// Rows into columns, in registers.
#pragma once

#include <array>
#include <cstddef>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Four neighbouring elements of four rows, turned: result[k] has element k of each row.
template <class Quad, class T>
[[gnu::always_inline]] inline std::array<Quad, 4> transposed_4x4(const T* from,
                                                                 std::size_t row_stride) {
  const Quad a = Quad::load_unaligned(from);
  const Quad b = Quad::load_unaligned(from + row_stride);
  const Quad c = Quad::load_unaligned(from + 2 * row_stride);
  const Quad d = Quad::load_unaligned(from + 3 * row_stride);
  const Quad ac_lo = zip_lo(a, c), ac_hi = zip_hi(a, c);
  const Quad bd_lo = zip_lo(b, d), bd_hi = zip_hi(b, d);
  return {zip_lo(ac_lo, bd_lo), zip_hi(ac_lo, bd_lo), zip_lo(ac_hi, bd_hi), zip_hi(ac_hi, bd_hi)};
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
