// What an architecture inherits unless it has a better instruction. Each isa/ file names its
// vectors (Batch, Quad, Column) and its block sizes (blocks, for floats; Codes::blocks).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "../../config.hpp"
#include "../base/message.hpp"
#include "blocks.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

struct ArchDefaults {
  /// How many rows the epilogue takes at a time.
  static constexpr std::size_t epilogue_rows = 1;
  /// With at most so many rows, weights that are not packed are multiplied as they lie.
  static constexpr std::size_t unpacked_rows = 0;
  /// What a task has for the rows of x in the form that kernels read: 48 rows of 4096 bytes, for
  /// where there is more than one chunk of rows, each group of weights makes them again.
  static constexpr std::size_t row_scratch_bytes = std::size_t{3} << 16;
  /// Whether loops over the vectors of a block of noise are written out (unroll.hpp).
  static constexpr bool unrolls_vectors = true;
  /// What a task has on its stack for parts of weights that are not packed: a third of the
  /// smallest first-level caches, for the weights themselves run through them too.
  static constexpr std::size_t unpacked_part_floats = 4096;

  /// Whether many rows multiply magnitudes and squares of weights (kernels/plane_kernel.hpp) that
  /// have been made for all of them. Otherwise tiles make their own, with less code and stack.
  static constexpr bool forms_weights = true;

  /// Words that the architecture reads behind the last panel of codes.
  static constexpr std::size_t words_behind = 0;

  /// Whether calls use the architecture's matrix unit, for codes and for bf16: it has none.
  static constexpr bool matrix_unit_active() { return false; }
  static constexpr bool bf16_unit_active() { return false; }

  /// What code for Arch may run on, the best one first.
  template <class Arch>
  static constexpr std::array<const char*, 1> names() {
    return std::array{Arch::name};
  }
  /// The name of what Arch's calls run on, and the wish for another one; false after an error. Here
  /// run time leaves nothing to choose.
  template <class Arch>
  static const char* name_in_use() {
    return Arch::name;
  }
  template <class Arch>
  static bool force(std::string_view name) {
    if (name == Arch::name) return true;
    report_error((Message() << "lumina::force_isa: this code is compiled for " << Arch::name
                            << ", not for " << name)
                     .c_str());
    return false;
  }

  /// Nothing passes here. Otherwise g++ for Arm, which orders instructions before it assigns
  /// registers, has more inputs under way than there are registers, and sums go to the stack.
  [[gnu::always_inline]] static void keep_order() {
#if defined(__GNUC__) && defined(__aarch64__)
    asm volatile("");
#endif
  }

  /// The same vector, of which the compiler no longer knows that it lies in memory too. Otherwise
  /// g++ for x86 reads it again where it is short of registers, and memory is what few rows wait
  /// for.
  template <class Vector>
  [[gnu::always_inline]] static Vector in_register(Vector vector) {
#if defined(__GNUC__) && defined(__x86_64__)
    if constexpr (requires { vector.data; }) asm("" : "+v"(vector.data));
#endif
    return vector;
  }

  /// 64-bit lanes rotated left by Bits.
  template <int Bits, class Words>
  static Words rotate_left(const Words& words) {
    return (words << Bits) | (words >> (64 - Bits));
  }

  /// The lanes, which hold codes, to memory as smaller integers side by side.
  template <class Ints, class Code>
  static void store_codes(const Ints& codes, Code* to) {
    alignas(64) std::int32_t lanes[Ints::size];
    codes.store_aligned(lanes);
    for (std::size_t i = 0; i < Ints::size; ++i) to[i] = static_cast<Code>(lanes[i]);
  }

  /// Four rows of four bytes each, a row in a word, to a word for each column.
  template <class Quad>
  static Quad transposed_bytes(const Quad& words) {
    alignas(16) std::int32_t rows[4];
    words.store_aligned(rows);
    std::uint32_t columns[4] = {};
    for (std::size_t row = 0; row < 4; ++row) {
      for (std::size_t column = 0; column < 4; ++column) {
        const std::uint32_t byte = static_cast<std::uint32_t>(rows[row]) >> (8 * column) & 0xffu;
        columns[column] |= byte << (8 * row);
      }
    }
    for (std::size_t column = 0; column < 4; ++column) {
      rows[column] = static_cast<std::int32_t>(columns[column]);
    }
    return Quad::load_aligned(rows);
  }

  /// Four vectors of codes below 256.
  template <class Ints>
  static void store_code_bytes(const std::array<Ints, 4>& codes, std::uint8_t* to) {
    for (std::size_t i = 0; i < 4; ++i) store_codes(codes[i], to + i * Ints::size);
  }

  /// A vector of codes that lie side by side.
  template <class Ints>
  static Ints load_code_bytes(const std::uint8_t* codes) {
    alignas(64) std::int32_t lanes[Ints::size];
    for (std::size_t i = 0; i < Ints::size; ++i) lanes[i] = codes[i];
    return Ints::load_aligned(lanes);
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
