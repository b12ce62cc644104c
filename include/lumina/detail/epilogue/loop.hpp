// From sums to outputs: the noise of each element, the stages, and the one store to y.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../stage.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../base/unroll.hpp"
#include "../layout/float_panels.hpp"
#include "../random/noise_field.hpp"
#include "../random/noise_generator.hpp"
#include "../simd/vectors.hpp"
#include "draws.hpp"
#include "observer.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Sums from one row of a block to the next: a row may have several planes.
template <class Values>
inline constexpr std::size_t sum_columns = kBlockColumns;
template <class Values>
requires requires { Values::planes; }
inline constexpr std::size_t sum_columns<Values> = Values::planes * kBlockColumns;

/// The outputs of a block, in rows `stride` apart.
template <class Element>
struct OutputBlock {
  Element* first;
  std::size_t stride;
};

/// The epilogue of a call, or of an array: its stages, who looks on (observer.hpp), where the
/// values go (sinks.hpp).
template <class Arch, class Stages, class Observer, class Sink>
class EpilogueLoop {
 public:
  using Element = typename Sink::Element;
  using Floats = typename Arch::template Batch<float>;
  static constexpr std::size_t kDraws = normals_of<Stages>;
  static constexpr std::size_t kGenerators =
      std::max<std::size_t>(kDraws, 1);  // no empty arrays, no division by 0

  /// The noise generators of Rows neighbouring rows of a column block.
  using RowGenerators = std::array<NoiseGenerator<Arch>, kGenerators>;
  template <std::size_t Rows>
  using Generators = std::array<RowGenerators, Rows>;

  /// `first_draw`: that of the first normal; `tile`: of an array.
  EpilogueLoop(const Stages& stages, const Observer& observer, const Sink& sink,
               const NoiseKey& key, std::size_t first_draw = 0, std::size_t tile = 0)
      : stages_(stages),
        observer_(observer),
        sink_(sink),
        row_offset_(key.row_offset),
        tile_(tile) {
    for (std::size_t draw = 0; draw < kDraws; ++draw) {
      fields_[draw] = NoiseField(key, first_draw + draw);
    }
  }

  /// Of a stage of a list, whose noise is `fields`.
  EpilogueLoop(const Stages& stages, const Observer& observer, const Sink& sink,
               std::uint64_t row_offset, std::size_t tile, const NoiseField* fields)
      : stages_(stages), observer_(observer), sink_(sink), row_offset_(row_offset), tile_(tile) {
    std::copy_n(fields, kDraws, fields_.begin());
  }

  /// Rows of a column block, `columns` of which exist, to `y`; RowsAtOnce of them at a time.
  /// `sums`: theirs, in rows of sum_columns<Values>. values(sums, column): one vector of sums as
  /// floats, values.facts(sums, column) what a stage wants beside; columns count within the block.
  /// before() is called now and then.
  template <std::size_t RowsAtOnce, class Sum, class Values, class Before>
  void finish(const Range& rows, std::size_t block, std::size_t columns, const Sum* sums,
              const Values& values, OutputBlock<Element> y, const Before& before) const {
    constexpr std::size_t kStride = sum_columns<Values>;
    std::size_t row = 0;
    for (; row + RowsAtOnce <= rows.size; row += RowsAtOnce) {
      before();
      finish_rows<RowsAtOnce>(rows.begin + row, block, columns, sums + row * kStride, values,
                              {y.first + row * y.stride, y.stride});
    }
    for (; row < rows.size; ++row) {
      before();
      finish_rows<1>(rows.begin + row, block, columns, sums + row * kStride, values,
                     {y.first + row * y.stride, y.stride});
    }
  }

 private:
  static constexpr std::size_t kVectors = kNormalsPerRound / Floats::size;

  /// Rows neighbouring rows: their generators' long chains of operations run side by side.
  template <std::size_t Rows, class Sum, class Values>
  void finish_rows(std::size_t first_row, std::size_t block, std::size_t columns, const Sum* sums,
                   const Values& values, OutputBlock<Element> y) const {
    const auto run = [&](const EpilogueLoop& self) __attribute__((always_inline)) {
      auto generators = self.template generators<Rows>(first_row, block);
      std::size_t column = 0;
      for (; column + kNormalsPerRound <= columns; column += kNormalsPerRound) {
        self.template finish_vectors<Rows, true>(generators.data(), first_row, block, column,
                                                 columns, sums, values, y);
      }
      if (column < columns) {
        self.finish_last_round(generators, first_row, block, column, columns, sums, values, y);
      }
    };
    if constexpr (Arch::unrolls_vectors) {
      // A copy, for the compiler cannot know that y does not contain the members.
      const EpilogueLoop self = *this;
      run(self);
    } else {  // where memory is small
      run(*this);
    }
  }

  template <std::size_t Rows>
  [[gnu::always_inline]] Generators<Rows> generators(std::size_t first_row,
                                                     std::size_t block) const {
    Generators<Rows> result;
    repeat<Arch, Rows * kDraws>([&](auto i) __attribute__((always_inline)) {
      const std::size_t row = i / kGenerators, draw = i % kGenerators;
      result[row][draw] =
          NoiseGenerator<Arch>(fields_[draw].row(row_offset_ + first_row + row).seed_of(block));
    });
    return result;
  }

  /// The round in which y ends: too seldom to be written out for several rows. All on copies, for
  /// what a function that is not inlined gets to see must lie in memory from the beginning.
  template <std::size_t Rows, class Sum, class Values>
  [[gnu::always_inline]] void finish_last_round(Generators<Rows>& generators, std::size_t first_row,
                                                std::size_t block, std::size_t column,
                                                std::size_t columns, const Sum* sums,
                                                const Values& values,
                                                OutputBlock<Element> y) const {
    if constexpr (Arch::unrolls_vectors) {
      const EpilogueLoop self = *this;
      Generators<Rows> own = generators;
      self.finish_row_end(own.data(), Rows, first_row, block, column, columns, sums, values, y);
    } else {  // they lie in memory, of which there is little
      finish_row_end(generators.data(), Rows, first_row, block, column, columns, sums, values, y);
    }
  }
  template <class Sum, class Values>
  [[gnu::noinline]] void finish_row_end(RowGenerators* generators, std::size_t rows,
                                        std::size_t first_row, std::size_t block,
                                        std::size_t column, std::size_t columns, const Sum* sums,
                                        const Values& values, OutputBlock<Element> y) const {
    for (std::size_t row = 0; row < rows; ++row) {
      finish_vectors<1, false>(generators + row, first_row + row, block, column, columns,
                               sums + row * sum_columns<Values>, values,
                               {y.first + row * y.stride, y.stride});
    }
  }

  /// AllColumns: all columns of the round exist.
  template <std::size_t Rows, bool AllColumns, class Sum, class Values>
  [[gnu::always_inline]] void finish_vectors(RowGenerators* generators, std::size_t first_row,
                                             std::size_t block, std::size_t column,
                                             std::size_t columns, const Sum* sums,
                                             const Values& values, OutputBlock<Element> y) const {
    typename NoiseGenerator<Arch>::Round normals[Rows][kGenerators];
    repeat<Arch, Rows * kDraws>([&](auto i) __attribute__((always_inline)) {
      const std::size_t row = i / kGenerators, draw = i % kGenerators;
      normals[row][draw] = next_numbers<Stages>(generators[row][draw], draw, fields_[draw],
                                                row_offset_ + first_row + row);
    });
    repeat<Arch, Rows * kVectors>([&](auto i) __attribute__((always_inline)) {
      const std::size_t row = i / kVectors, vector = i % kVectors;
      const std::size_t in_block = column + vector * Floats::size;
      const Coordinates at{first_row + row, block * kBlockColumns + in_block,
                           row_offset_ + first_row + row, tile_};
      if (!AllColumns && in_block >= columns) return;
      std::array<Floats, kDraws> own;
      for (std::size_t draw = 0; draw < kDraws; ++draw) own[draw] = normals[row][draw][vector];
      const ActiveLanes active{AllColumns ? Floats::size
                                          : std::min(Floats::size, columns - in_block)};
      const Sum* const own_sums = sums + row * sum_columns<Values>;
      const auto facts = [&] {
        if constexpr (wants_facts<Stages>) {
          return values.facts(own_sums, in_block);
        } else {
          return NoFacts();
        }
      }();
      const Floats result =
          apply_observed(stages_, values(own_sums, in_block), at, active, own, facts, observer_);
      sink_.template store<Arch>(result, at, active, y.first + row * y.stride + in_block);
    });
  }

  Stages stages_;
  [[no_unique_address]] Observer observer_;
  [[no_unique_address]] Sink sink_;
  std::uint64_t row_offset_;
  std::size_t tile_;
  std::array<NoiseField, kDraws> fields_{};
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
