// What a matrix unit multiplies (matrix_unit.hpp): codes, or floats in three parts of bf16.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/range.hpp"
#include "../isa/tile_config.hpp"
#include "../layout/code_panels.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/bf16.hpp"
#include "code_dot.hpp"
#include "sum_planes.hpp"
#include "views.hpp"
#include "weight_forms.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Up to 32 rows as tiles read them: kUnitTileBytes of each row in a step, in one or several parts
/// that are multiplied with the same weights; behind a row's end zeros, to a whole step.
struct UnitRows {
  const void* first;
  std::size_t row_bytes, part_bytes, step_bytes;  ///< from one to the next
  std::size_t steps;

  const void* at(std::size_t step, std::size_t part, std::size_t row) const {
    return static_cast<const char*>(first) + step * step_bytes + part * part_bytes +
           row * row_bytes;
  }
};

/// A panel's weights, step by step, as signed bytes, or these bytes' magnitudes or squares. What
/// does not lie there as it is multiplied is made one step ahead: prepare(s) before at(s). What
/// follows the panel's end is multiplied by zeros.
template <class Arch, int StoredBits, PlaneForm Form = PlaneForm::codes>
class UnitWeights {
 public:
  static constexpr bool kUnpacks = StoredBits != 8 || Form != PlaneForm::codes;

  explicit UnitWeights(const std::int32_t* panel) : panel_(panel) {}

  [[gnu::always_inline]] void prepare(std::size_t step) {
    if constexpr (kUnpacks) {
      store_in_form<Arch, StoredBits, Form>(panel_ + step * kStepWords, kStepWords / kPanelColumns,
                                            unpacked_[step % 2]);
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

/// Input, Sum        elements of the rows and of the sums
/// inputs_per_step   inputs that a row of a tile holds
/// parts             products of a step, all with the same weights
/// planes, Plane<p>  of how many planes of weights there are products, one after the other (1, or
///                   those of sum_planes.hpp), and what is multiplied for each
/// worth_threads     as of a DotProduct
/// rows(view)        rows as tiles read them
/// Weights           a panel's weights, as UnitWeights
/// dot<Unit, C, A, B>()   the unit's product
template <class D>
concept UnitDot = requires(const StridedRows<typename D::Input>& rows,
                           typename D::Weights weights) {
  typename D::Arch;
  typename D::Sum;
  { D::inputs_per_step } -> std::convertible_to<std::size_t>;
  { D::parts } -> std::convertible_to<std::size_t>;
  { D::planes } -> std::convertible_to<std::size_t>;
  typename D::template Plane<0>;
  { D::worth_threads } -> std::convertible_to<double>;
  { D::rows(rows) } -> std::same_as<UnitRows>;
  weights.prepare(0);
  { weights.at(0) } -> std::same_as<const std::int32_t*>;
};

/// Codes of x and weights, or of what planes of extra sums have in their place.
template <class Architecture, int StoredBits, PlaneForm Form = PlaneForm::codes>
struct CodesOnUnit {
  using Arch = Architecture;
  using Input = std::uint8_t;
  using Sum = std::int32_t;
  using Weights = UnitWeights<Arch, StoredBits, Form>;
  static constexpr std::size_t inputs_per_step = kUnitTileBytes;
  static constexpr std::size_t parts = 1;
  static constexpr std::size_t planes = 1;
  template <std::size_t>
  using Plane = CodesOnUnit;
  static constexpr double worth_threads = CodeDot<Arch, StoredBits>::worth_threads;

  static UnitRows rows(const StridedRows<Input>& rows) {
    return {rows.first, rows.stride, 0, kUnitTileBytes, ceil_div(rows.inputs, inputs_per_step)};
  }
  template <class Unit, int C, int A, int B>
  [[gnu::always_inline]] static void dot() {
    Unit::template dot<C, A, B>();
  }
};

/// Floats in three parts of bf16 (Bf16Rows), and bf16 weights.
template <class Architecture>
struct Bf16OnUnit {
  using Arch = Architecture;
  using Input = std::uint16_t;
  using Sum = float;
  using Weights = UnitWeights<Arch, 8>;  // words that are read as they are
  static constexpr std::size_t inputs_per_step = kUnitTileBytes / sizeof(Input);
  static constexpr std::size_t parts = kBf16Parts;
  static constexpr std::size_t planes = 1;
  template <std::size_t>
  using Plane = Bf16OnUnit;
  static constexpr double worth_threads = 1 << 21;

  /// Step after step, part after part: rows of 32 bf16, side by side.
  static UnitRows rows(const StridedRows<Input>& rows) {
    const std::size_t part = rows.rows * kUnitTileBytes;
    return {rows.first, kUnitTileBytes, part, parts * part, ceil_div(rows.inputs, inputs_per_step)};
  }
  template <class Unit, int C, int A, int B>
  [[gnu::always_inline]] static void dot() {
    Unit::template dot_bf16<C, A, B>();
  }
};

/// The same dot product on a matrix unit, where units have it.
template <class Dot>
struct OnUnit;
template <class Arch, int StoredBits>
struct OnUnit<CodeDot<Arch, StoredBits>> {
  using type = CodesOnUnit<Arch, StoredBits>;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
