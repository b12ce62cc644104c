// Shuffles, and matrices whose parts the threads of a warp hold.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../../include/lumina/cuda/platform/software_matrix.hpp"  // dot_4
#include "byte_products.hpp"
#include "shared_memory.hpp"
#include "warps.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
template <class T>
T shuffle_xor(T v, int mask) {
  struct Exchange {
    T given, got;
    int mask;
  } mine{v, v, mask};
  emulated::all_32_together("shuffle_xor", mine, [](const auto& all) {
    for (unsigned lane = 0; lane < 32; ++lane) {
      all[lane]->got = all[lane ^ static_cast<unsigned>(all[lane]->mask)]->given;
    }
    return true;
  });
  return mine.got;
}

inline void load_matrices(std::uint32_t (&r)[4], SharedAddress at) {
  struct Rows {
    std::uint32_t* r;
    SharedAddress at;
  } mine{r, at};
  emulated::all_32_together("load_matrices", mine, [](const auto& all) {
    for (unsigned from = 0; from < 32; ++from) {
      const std::byte* const row =
          emulated::block->shared->at(all[from]->at, 16, 16, "load_matrices");
      for (unsigned t = 0; t < 4; ++t) {
        std::memcpy(all[from % 8 * 4 + t]->r + from / 8, row + 4 * t, 4);
      }
    }
    return true;
  });
}

inline void multiply_16x8x32(int (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                             std::uint32_t b1) {
  struct Parts {
    int* d;
    const std::uint32_t* a;
    std::array<std::uint32_t, 2> b;
  } mine{d, a, {b0, b1}};
  emulated::all_32_together("multiply_16x8x32", mine, [](const auto& all) {
    emulated::Bytes32 rows[16], columns[8];
    for (unsigned lane = 0; lane < 32; ++lane) {
      const unsigned g = lane / 4, t = lane % 4;
      for (unsigned i = 0; i < 4; ++i)
        rows[g + i % 2 * 8].set_unsigned(i / 2 * 4 + t, all[lane]->a[i]);
      for (unsigned i = 0; i < 2; ++i) columns[g].set_signed(i * 4 + t, all[lane]->b[i]);
    }
    int sums[16 * 8];
    emulated::multiply_bytes(rows, 16, columns, 8, sums);
    for (unsigned lane = 0; lane < 32; ++lane) {
      for (unsigned i = 0; i < 4; ++i) {
        all[lane]->d[i] += sums[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2];
      }
    }
    return true;
  });
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
