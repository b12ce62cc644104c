// The numbers that stages draw, 32 columns of a row at a time: an element's normals or uniform
// numbers, or one normal for all columns of the row.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../stage.hpp"
#include "../base/aligned_buffer.hpp"
#include "../random/noise_field.hpp"
#include "../random/noise_generator.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

template <std::size_t Count>
constexpr bool any_flag(const std::array<bool, Count>& flags) {
  return std::any_of(flags.begin(), flags.end(), [](bool flag) { return flag; });
}

/// A row's only number of a draw: that of its first column.
template <class Arch>
typename NoiseGenerator<Arch>::Floats number_of_row(const NoiseField::Row& row, bool uniform) {
  NoiseGenerator<Arch> generator(row.seed_of(0));
  alignas(kCacheLine) float first[NoiseGenerator<Arch>::Floats::size];
  (uniform ? generator.next_uniform_round() : generator.next_round())[0].store_aligned(first);
  return typename NoiseGenerator<Arch>::Floats(first[0]);
}

/// The next round of number `draw` of what `Stages` draw. `generator`: that of the draw, the row
/// and the column block; `field`: the draw's.
template <class Stages, class Arch>
[[gnu::always_inline]] inline typename NoiseGenerator<Arch>::Round next_numbers(
    NoiseGenerator<Arch>& generator, [[maybe_unused]] std::size_t draw,
    [[maybe_unused]] const NoiseField& field, [[maybe_unused]] std::uint64_t global_row) {
  constexpr auto kOfRow = row_draws_of<Stages>, kUniform = uniform_draws_of<Stages>;
  if constexpr (any_flag(kOfRow)) {
    if (kOfRow[draw]) {
      typename NoiseGenerator<Arch>::Round round;
      round.fill(number_of_row<Arch>(field.row(global_row), kUniform[draw]));
      return round;
    }
  }
  if constexpr (any_flag(kUniform)) {
    if (kUniform[draw]) return generator.next_uniform_round();
  }
  return generator.next_round();
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
