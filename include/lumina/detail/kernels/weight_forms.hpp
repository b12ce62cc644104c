// Weights in the form that a plane of extra sums multiplies (sum_planes.hpp): in registers, or as a
// part of a panel of bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/unroll.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/signed_bytes.hpp"
#include "code_dot.hpp"
#include "sum_planes.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Words of four signed bytes.
template <PlaneForm Form, class Words>
[[gnu::always_inline]] inline Words bytes_in_form(const Words& bytes) {
  if constexpr (Form == PlaneForm::magnitudes) {
    return byte_magnitudes(bytes);
  } else if constexpr (Form == PlaneForm::squares) {
    return rounded_byte_squares(bytes);
  } else {
    return bytes;
  }
}

/// `rows` rows of a panel's words, unpacked: 8 / StoredBits rows of words for each.
template <class Arch, int StoredBits, PlaneForm Form>
[[gnu::always_inline]] inline void store_in_form(const std::int32_t* words, std::size_t rows,
                                                 std::int32_t* to) {
  using Dot = CodeDot<Arch, StoredBits>;
  using Words = typename Dot::Sums;
  constexpr std::size_t kGroups = 8 / StoredBits;
  for (std::size_t i = 0; i < rows * kPanelColumns; i += Words::size) {
    const std::size_t row = i / kPanelColumns, column = i % kPanelColumns;
    unroll<kGroups>([&](auto group) __attribute__((always_inline)) {
      bytes_in_form<Form>(Dot::template unpack<group>(Words::load_aligned(words + i)))
          .store_aligned(to + (row * kGroups + group) * kPanelColumns + column);
    });
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
