// What a call on arrays of sliced weights multiplies, and what becomes of each conversion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../tiled_weights.hpp"
#include "../base/range.hpp"
#include "../epilogue/array_sum.hpp"
#include "../epilogue/block_loop.hpp"
#include "../epilogue/loop.hpp"
#include "../epilogue/slice_stages.hpp"
#include "../epilogue/slice_sums.hpp"
#include "../kernels/sum_planes.hpp"
#include "../layout/tiles.hpp"
#include "../rows/array_input.hpp"
#include "../rows/array_rows.hpp"
#include "../rows/input_digits.hpp"
#include "array_problem.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What 1 in a conversion of a slice and a plane is in an array's total.
inline float conversion_worth(const Slices& slices, const InputDigits& digits, std::size_t slice,
                              std::size_t plane) {
  const int shift = slices.cell_bits * static_cast<int>(slice);
  return static_cast<float>(1 << shift) * digits.worth(plane);
}

/// Digits of rows × slices of weights, whose whole codes are stored in `StoredBits`.
template <class K, class RowsT, class Arch, unsigned Set, int StoredBits>
struct SlicedProblem {
  using Kernel = K;
  using Rows = RowsT;
  using Sums = SliceSums<Arch, Set>;

  Rows rows;
  InputScale input;
  TiledPanels<StoredBits> panels;  ///< of the whole codes
  std::span<const TiledWeights<8>> slices;
  Slices options;
  Origin origin = {};

  auto panels_of(std::size_t tile, std::size_t slice) const {
    return panels_of_tile(slices[slice].panels(), tile);
  }
  std::size_t block_bytes() const { return slices.size() * panels_of(0, 0).block_bytes(); }
  const float* scales_of(std::size_t tile) const {
    return panels.scales + tile * panels.padded_outputs;
  }
  Sums sums_of(std::size_t slice) const {
    const InputDigits& digits = rows.digits();
    return {slices[slice].panels(), digits.lowest(), digits.largest(),
            (1 << options.cell_bits) - 1};
  }
  float worth(std::size_t slice, std::size_t plane) const {
    return conversion_worth(options, rows.digits(), slice, plane);
  }

  struct Totals : SlicedTotals<Arch> {
    Totals(const SlicedProblem& problem, std::size_t tile, std::size_t block)
        : SlicedTotals<Arch>(problem.input, problem.panels, tile, block) {}
  };
};

/// Stages of each conversion, who looks on, and what becomes of the arrays' totals: `Outputs`, an
/// ArrayFinish without stages of arrays. Conversion (tile·slices + slice)·planes + plane has the
/// noise, and is the array of observers, of that number.
template <class Arch, class ConversionStages, class Observer, class Outputs>
struct SlicedFinish {
  using Element = typename Outputs::Element;
  using Stages = typename OfOneSlice<ConversionStages>::Stages;

  ConversionStages stages;
  Observer observer;
  Outputs outputs;
  NoiseKey key;
  std::size_t count;  ///< of conversions

  /// Draws of a call.
  std::size_t draws() const { return first_output_draw() + outputs.draws(); }
  std::size_t first_output_draw() const { return count * draws_of(stages_of_slice(stages, 0)); }

  /// The sums of a slice, plane after plane, to the array's totals. `rows`: of the whole call;
  /// `block`: of the problem. `flags`: of rows that a
  /// conversion clips, or nullptr.
  template <class Problem>
  void conversions(const Problem& problem, std::size_t tile, std::size_t slice,
                   std::size_t first_draw, const Range& rows, std::size_t block,
                   std::size_t columns, const std::int32_t* sums, const RowNumbers* numbers,
                   float* totals, std::uint8_t* flags) const {
    using Values = typename Problem::Sums::Values;
    const std::size_t planes = problem.rows.digits().planes();
    const auto slice_sums = problem.sums_of(slice);
    const Stages& own_stages = stages_of_slice(stages, slice);
    with_clip_flags<Stages>(observer, flags, rows.begin, [&](const auto& own_observer) {
      using OwnObserver = std::remove_cvref_t<decltype(own_observer)>;
      for (std::size_t plane = 0; plane < planes; ++plane) {
        const std::size_t first_row = plane * rows.size;
        const std::int32_t* const own = sums + first_row * sum_columns<Values>;
        const std::size_t number = (tile * problem.slices.size() + slice) * planes + plane;
        const AddShifted add{problem.worth(slice, plane), slice == 0 && plane == 0};
        EpilogueLoop<Arch, Stages, OwnObserver, AddShifted>(
            own_stages, own_observer, add, key, first_draw + number * draws_of(own_stages), number)
            .template finish<Outputs::kRowsAtOnce>(
                rows, problem.origin.block + block, columns, own,
                Values(slice_sums, tile, block, own, numbers + first_row), {totals, kBlockColumns},
                [] {});
      }
    });
  }

  /// The totals of an array to partial sums; those of the last one to `y`.
  template <class Totals>
  void array(std::size_t tile, std::size_t first_draw, const Range& rows, std::size_t block,
             std::size_t columns, const float* totals, const Totals& values, const AddTo& add,
             const OutputBlock<Element>& y) const {
    outputs.array(tile, first_draw + first_output_draw(), rows, block, columns, totals, values, add,
                  nullptr, y);
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
