// Products on a matrix unit whose registers are tiles: how one block of sums is made. The unit is a
// template parameter, so that tests can put an emulated one in its place.
//
//   Tiles::configure(shapes), release()     before and after, on every thread
//   Tiles::fence()                          what has been written is in memory
//   Tiles::zero<T>(), load<T>(from, stride), store<T>(to, stride)
//                                           rows of a tile lie `stride` bytes apart in memory
//   Tiles::load_once<T>(from, stride)       the same for what is not needed again soon
//   Tiles::dot<C, A, B>()                   C(m, n) += Σ A(m, 4g + i)·B(g, 4n + i): A unsigned
//                                           bytes, B signed ones, C 32-bit sums
//   Tiles::dot_bf16<C, A, B>()              C(m, n) += Σ A(m, 2g + i)·B(g, 2n + i): A and B bf16
//                                           (bf16.hpp), C floats
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../noise.hpp"
#include "../base/unroll.hpp"
#include "../isa/tile_config.hpp"
#include "../packing/float_panels.hpp"
#include "code_dot.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Bytes from one row to the next, of sums and of a panel.
inline constexpr std::size_t kSumRowBytes = kBlockColumns * sizeof(std::int32_t);
inline constexpr std::size_t kPanelRowBytes = kPanelColumns * sizeof(std::int32_t);

/// Up to 32 rows of x as tiles read them: kUnitTileBytes of each row in a step, in one or several
/// parts that are multiplied with the same weights.
struct TiledRows {
  const void* first;
  std::size_t row_bytes, part_bytes, step_bytes;  ///< from one to the next
  std::size_t steps;

  const void* at(std::size_t step, std::size_t part, std::size_t row) const {
    return static_cast<const char*>(first) + step * step_bytes + part * part_bytes +
           row * row_bytes;
  }
};

/// What one block of sums multiplies: rows of x with the 32 columns of a panel.
struct TiledOperands {
  TiledRows x;                  ///< behind a row's end zeros, to a whole step
  const std::int32_t* weights;  ///< a panel; what follows its end is multiplied by zeros
  bool continue_sums;           ///< add to the sums that are there
};

/// A panel's weights, step by step, as signed bytes. Those of fewer bits are unpacked one step
/// ahead: prepare(s) before at(s).
template <class Arch, int StoredBits>
class UnitWeights {
 public:
  static constexpr bool kUnpacks = StoredBits != 8;

  explicit UnitWeights(const std::int32_t* panel) : panel_(panel) {}

  [[gnu::always_inline]] void prepare(std::size_t step) {
    if constexpr (kUnpacks) {
      using Products = CodeDot<Arch, StoredBits>;
      using Words = typename Products::Sums;
      constexpr std::size_t kGroups = 8 / StoredBits;
      const std::int32_t* const words = panel_ + step * kStepWords;
      for (std::size_t i = 0; i < kStepWords; i += Words::size) {
        const std::size_t row = i / kPanelColumns, column = i % kPanelColumns;
        unroll<kGroups>([&](auto group) __attribute__((always_inline)) {
          Products::template unpack<group>(Words::load_aligned(words + i))
              .store_aligned(unpacked_[step % 2] + (row * kGroups + group) * kPanelColumns +
                             column);
        });
      }
    }
  }
  [[gnu::always_inline]] const std::int32_t* at(std::size_t step) const {
    if constexpr (kUnpacks) {
      return unpacked_[step % 2];
    } else {
      return panel_ + step * kStepWords;
    }
  }

 private:
  static constexpr std::size_t kStepWords =
      kUnitTileBytes / kCodesPerWord<StoredBits> * kPanelColumns;

  const std::int32_t* panel_;
  alignas(64) std::int32_t unpacked_[2][kUnpacks ? kUnitTileRows * kPanelColumns : 1];
};

// What tiles multiply:
//
//   Sum               element of the sums
//   inputs_per_step   inputs that a row of a tile holds
//   parts             of x
//   Weights           a panel's weights, as UnitWeights
//   dot<...>()        Tiles' product

/// Codes of x and weights.
template <class Arch, int StoredBits>
struct CodesOnUnit {
  using Sum = std::int32_t;
  using Weights = UnitWeights<Arch, StoredBits>;
  static constexpr std::size_t inputs_per_step = kUnitTileBytes;
  static constexpr std::size_t parts = 1;

  template <class Tiles, int C, int A, int B>
  [[gnu::always_inline]] static void dot() {
    Tiles::template dot<C, A, B>();
  }
};

/// Floats in three parts of bf16, and bf16 weights (bf16_split.hpp).
template <class Arch>
struct Bf16OnUnit {
  using Sum = float;
  using Weights = UnitWeights<Arch, 8>;  // words that are read as they are
  static constexpr std::size_t inputs_per_step = kUnitTileBytes / 2;
  static constexpr std::size_t parts = 3;

  template <class Tiles, int C, int A, int B>
  [[gnu::always_inline]] static void dot() {
    Tiles::template dot_bf16<C, A, B>();
  }
};

/// sums[row][column], in rows of 128, for RowTiles tiles of rows. The unit works by itself, so
/// after giving it each step's work, between() may do something else for as long as that takes.
template <class Products, class Tiles, int RowTiles, class Between>
void multiply_in_tiles(const TiledOperands& operands, typename Products::Sum* sums,
                       Between&& between) {
  using Sum = typename Products::Sum;
  using Weights = typename Products::Weights;
  const auto for_sums = [&](auto f) __attribute__((always_inline)) {
    unroll<2 * RowTiles>([&](auto i) __attribute__((always_inline)) {
      f(i, sums + i / 2 * kUnitTileRows * kBlockColumns + i % 2 * kUnitTileRows);
    });
  };

  const TiledRows x = operands.x;
  Weights weights(operands.weights);
  if (x.steps > 0) weights.prepare(0);
  Tiles::fence();
  if (operands.continue_sums) {
    for_sums([](auto i, const Sum* at)
                 __attribute__((always_inline)) { Tiles::template load<i>(at, kSumRowBytes); });
  } else {
    for_sums([](auto i, const Sum*) __attribute__((always_inline)) { Tiles::template zero<i>(); });
  }
  for (std::size_t step = 0; step < x.steps; ++step) {
    const std::int32_t* const w = weights.at(step);
    unroll<Products::parts>([&](auto part) __attribute__((always_inline)) {
      if constexpr (part == 0) Tiles::template load_once<6>(w, kPanelRowBytes);
      Tiles::template load<4>(x.at(step, part, 0), x.row_bytes);
      Products::template dot<Tiles, 0, 4, 6>();
      if constexpr (part == 0) Tiles::template load_once<7>(w + kUnitTileRows, kPanelRowBytes);
      Products::template dot<Tiles, 1, 4, 7>();
      if constexpr (RowTiles == 2) {
        Tiles::template load<5>(x.at(step, part, kUnitTileRows), x.row_bytes);
        Products::template dot<Tiles, 2, 5, 6>();
        Products::template dot<Tiles, 3, 5, 7>();
      }
    });
    if constexpr (Weights::kUnpacks) {
      if (step + 1 < x.steps) weights.prepare(step + 1);
      Tiles::fence();
    }
    between();
  }
  for_sums([](auto i, Sum* at)
               __attribute__((always_inline)) { Tiles::template store<i>(at, kSumRowBytes); });
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
