// The kernel for vectors where a stage wants extra sums (sum_planes.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../base/unroll.hpp"
#include "../layout/code_panels.hpp"
#include "../layout/float_panels.hpp"
#include "code_dot.hpp"
#include "plane_dot.hpp"
#include "vector_kernel.hpp"
#include "views.hpp"
#include "weight_forms.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A kernel (engine/concepts.hpp). `D`: a CodeDot; Set: sums beside its product. Rows, of inputs
/// and of sums, are virtual ones, whole groups of `planes`.
///
/// The tiles of few rows make magnitudes and squares of the weights that they read in registers,
/// for reading them is most of the work. For more rows they are made once for all of the task's, a
/// part of a panel at a time, and multiplied plane after plane as any codes.
template <class D, unsigned Set>
struct PlaneKernel {
  using Dot = PlaneDot<D, set_of_weights(Set)>;
  using Arch = typename Dot::Arch;
  using Input = typename Dot::Input;
  using Word = std::int32_t;
  using Sum = std::int32_t;
  static constexpr std::size_t planes = Dot::planes;
  static constexpr Blocks blocks =
      Arch::forms_weights ? D::blocks.with_groups_for_rows(planes) : Dot::blocks;
  static constexpr double worth_threads = Dot::worth_threads;

  struct Session {
    explicit Session(std::size_t) {}
  };
  static constexpr std::size_t fetches(std::size_t) { return 0; }

  static void multiply(const StridedRows<Input>& rows, const PanelView<Word>& panels,
                       const SumBlock<Sum>& sums, bool accumulate, const Ahead& ahead) {
    if constexpr (Set == kLowByteSums) {
      // All planes have the same weights, so they are rows like others.
      Ahead own = ahead;
      own.columns = 0;
      return VectorKernel<D>::multiply(rows, panels, sums, accumulate, own);
    }
    if constexpr (Arch::forms_weights && planes > 1) {
      if (rows.rows > kFewRows) {
        return multiply_plane_by_plane(rows, panels, sums, accumulate, ahead);
      }
    }
    VectorKernel<Dot>::multiply(rows, panels, sums, accumulate, ahead);
  }

 private:
  /// A square takes ten instructions, a magnitude one.
  static constexpr std::size_t kFewRows =
      ((Set & kSquareSums) != 0 ? 1 : 4) * Dot::blocks.max_tile_rows();
  static constexpr std::size_t kPartInputs =
      Arch::unpacked_part_floats / kPanelColumns * kCodesPerWord<8>;
  static_assert(kPartInputs % kCacheLine == 0);

  static void multiply_plane_by_plane(const StridedRows<Input>& rows, const PanelView<Word>& panels,
                                      const SumBlock<Sum>& sums, bool accumulate,
                                      const Ahead& ahead) {
    const auto rows_of = [&](std::size_t plane, const Range& inputs) -> StridedRows<Input> {
      return {rows.first + plane * rows.stride + inputs.begin, planes * rows.stride,
              rows.rows / planes, inputs.size};
    };
    const auto sums_of = [&](std::size_t plane) -> SumBlock<Sum> {
      return {sums.first + plane * sums.stride, planes * sums.stride};
    };
    Ahead nothing = ahead;
    nothing.columns = 0;

    const Word* panel = panels.first;
    for (std::size_t column = panels.columns.begin; column < panels.columns.end();
         column += kPanelColumns, panel += panels.panel_size) {
      const Range columns{column, kPanelColumns};
      Ahead own = ahead;
      if (columns.end() < panels.columns.end()) own.next_weights_are_far = ahead.weights_are_far;
      unroll<planes>([&](auto plane) {
        if constexpr (weights_of_plane(Set, plane) == PlaneForm::codes) {
          VectorKernel<D>::multiply(rows_of(plane, {0, rows.inputs}),
                                    {panel, panels.panel_size, columns, panels.in_call},
                                    sums_of(plane), accumulate, plane == 0 ? own : nothing);
        }
      });
      const auto multiply_form = [&]<PlaneForm kForm>() {
        alignas(kCacheLine) Word part[Arch::unpacked_part_floats];
        std::size_t begin = 0;
        do {
          const Range inputs{begin, std::min(kPartInputs, rows.inputs - begin)};
          constexpr std::size_t kPerWord = kCodesPerWord<D::stored_bits>;
          store_in_form<Arch, D::stored_bits, kForm>(panel + begin / kPerWord * kPanelColumns,
                                                     ceil_div(inputs.size, kPerWord), part);
          unroll<planes>([&](auto plane) {
            if constexpr (weights_of_plane(Set, plane) == kForm) {
              VectorKernel<CodeDot<Arch, 8>>::multiply(rows_of(plane, inputs),
                                                       {part, 0, columns, false}, sums_of(plane),
                                                       accumulate || begin != 0, nothing);
            }
          });
          begin += kPartInputs;
        } while (begin < rows.inputs);
      };
      if constexpr ((Set & (kMagnitudeSums | kSquaredInputSums)) != 0) {
        multiply_form.template operator()<PlaneForm::magnitudes>();
      }
      if constexpr ((Set & kSquareSums) != 0) {
        multiply_form.template operator()<PlaneForm::squares>();
      }
    }
  }
};

/// The kernel that makes these sums, or none beside the product.
template <class D, unsigned Set>
using KernelWithSums = std::conditional_t<Set == 0, VectorKernel<D>, PlaneKernel<D, Set>>;

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
