// What CUDA's matrix instructions do (cuda/matrix_instructions.hpp), by threads that read each
// other's registers: for GPUs that have none of these shapes. Correct, and many times slower.
#pragma once

#include <cstdint>

#include "vector_types.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {

/// sum + the products of four unsigned bytes and four signed ones.
constexpr std::int32_t dot_4(std::uint32_t bytes_u8, std::uint32_t bytes_s8, std::int32_t sum) {
  for (int i = 0; i < 4; ++i) {
    sum +=
        static_cast<std::uint8_t>(bytes_u8 >> 8 * i) * static_cast<std::int8_t>(bytes_s8 >> 8 * i);
  }
  return sum;
}

/// load_matrices() of lane `lane` of 32. from_lane(v, l) is what lane l calls it with; word(at) are
/// 4 bytes of shared memory.
template <class FromLane, class Word>
constexpr void load_matrices_by_lanes(std::uint32_t (&r)[4], SharedAddress at, unsigned lane,
                                      const FromLane& from_lane, const Word& word) {
  for (unsigned i = 0; i < 4; ++i) {
    r[i] = word(from_lane(at, 8 * i + lane / 4) + lane % 4 * 4);
  }
}

/// multiply_16x8x32() of lane `lane` of 32; from_lane(v, l) as above.
template <class FromLane>
constexpr void multiply_16x8x32_by_lanes(int (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                         std::uint32_t b1, unsigned lane,
                                         const FromLane& from_lane) {
  const unsigned rows = lane / 4 * 4, columns = lane % 4 * 2 * 4;  // the first lanes that have them
  for (unsigned i = 0; i < 8; ++i) {                               // four inputs each
    const unsigned quarter = i % 4;
    for (unsigned column = 0; column < 2; ++column) {
      const std::uint32_t b = from_lane(i < 4 ? b0 : b1, columns + 4 * column + quarter);
      for (unsigned row = 0; row < 2; ++row) {
        int& sum = d[2 * row + column];
        sum = dot_4(from_lane(a[i / 4 * 2 + row], rows + quarter), b, sum);
      }
    }
  }
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
