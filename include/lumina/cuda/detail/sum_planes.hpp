// Sums beside the product on a device (detail/kernels/sum_planes.hpp has the CPU's, and what each
// sum is): planes of x that the kernel reads, planes of w that it makes in registers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../detail/kernels/sum_planes.hpp"
#include "../platform/platform.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// The magnitudes of four signed bytes, −127 … 127.
constexpr std::uint32_t magnitudes_of_bytes(std::uint32_t four) {
  const std::uint32_t negative = (four >> 7) & 0x01010101u;
  return (four ^ negative * 0xffu) + negative;  // no carry: a byte becomes 127 at most
}

/// rounded_square() of codes of StoredBits, of which these are the magnitudes.
template <int StoredBits>
constexpr std::uint32_t squares_of_bytes(std::uint32_t magnitudes) {
  std::uint32_t squares = 0;
  for (int shift = 0; shift < 32; shift += 8) {
    const auto code = static_cast<std::int32_t>((magnitudes >> shift) & 0xffu);
    squares |= static_cast<std::uint32_t>(rounded_square(code << (8 - StoredBits))) << shift;
  }
  return squares;
}

/// The planes of a set of sums. Sums are numbered as the CPU's planes. x has its codes (or their
/// high bytes, then low ones), then each other form of inputs once, in the order of PlaneForm.
template <unsigned Set, int StoredBits>
struct SumPlanes {
  static constexpr unsigned set = Set;
  static constexpr int stored_bits = StoredBits;
  static constexpr int sums = static_cast<int>(plane_count(Set));
  /// Inputs have 16 bits, in two planes.
  static constexpr bool fine = (Set & kLowByteSums) != 0;

  static constexpr bool has_input(PlaneForm form) {
    for (std::size_t sum = 0; sum < plane_count(Set); ++sum) {
      if (inputs_of_plane(Set, sum) == form) return true;
    }
    return false;
  }
  /// Which plane of x a sum multiplies.
  static constexpr int input_of(std::size_t sum) {
    const PlaneForm form = inputs_of_plane(Set, sum);
    return form == PlaneForm::codes ? static_cast<int>(sum) : planes_before(form);
  }
  /// How many planes of x lie before those of a form.
  static constexpr int planes_before(PlaneForm form) {
    int before = 0;
    for (int other = 0; other < static_cast<int>(form); ++other) {
      if (!has_input(static_cast<PlaneForm>(other))) continue;
      before += other == 0 && fine ? 2 : 1;
    }
    return before;
  }
  static constexpr int inputs = planes_before(static_cast<PlaneForm>(4));
  template <PlaneForm Form>
  static constexpr int plane_with = planes_before(Form);

  /// Sum number Sum's weights of those of the sum before.
  template <std::size_t Sum, std::size_t Count>
  __device__ __forceinline__ static void to_weights_of(std::uint32_t (&words)[Count]) {
    constexpr PlaneForm before = weights_of_plane(Set, Sum - 1), form = weights_of_plane(Set, Sum);
    if constexpr (form != before) {
#pragma unroll
      for (std::size_t i = 0; i < Count; ++i) {
        if constexpr (before == PlaneForm::codes) words[i] = magnitudes_of_bytes(words[i]);
        if constexpr (form == PlaneForm::squares) words[i] = squares_of_bytes<StoredBits>(words[i]);
      }
    }
  }
};

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
