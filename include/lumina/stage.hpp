// What a stage is: something that happens to an output between the dot product and memory.
//
// A stage is a small value type with a member
//
//   template <class Floats>
//   Floats apply(Floats values, const Coordinates& at, const ActiveLanes& active,
//                const std::array<Floats, normals_per_element>& normals) const;
//
// Floats is a vector of neighbouring columns of one row. It has + − * / and comparisons, is built
// from a float (all lanes), and is taken by min, max, abs and select(mask, a, b), which argument
// dependent lookup finds, and by the functions of `lumina::` below. A stage that wants independent
// N(0, 1) values says how many per element: `static constexpr std::size_t normals_per_element`
// (none where the member is missing). Two noise stages never share a normal. Where `static
// constexpr bool draws_uniform = true`, they are uniform numbers in (0, 1] instead:
// standard_uniform_at (noise.hpp) of the same element and draw. A stage may have `bool
// valid_for(rows, cols) const`, which reports an error and returns false where it does not fit the
// output. Built-in stages and quantizers are stages like any other.
//
// A stage for a GPU (cuda.hpp) is the same type; there its apply() is `constexpr`, and so is what
// it calls.
//
// A stage of an array (analog_gemm.hpp) may want more than the value: other sums of the same
// weights and inputs, `static constexpr unsigned sums = Sums::magnitudes | …`, or what is known of
// the row, `static constexpr bool row_facts = true`. Its apply() has a fifth argument then, `const
// Facts<Floats>& facts`. And where `static constexpr bool normals_of_row = true`, its normals are
// those of the row: one for all columns.
//
// For the backward pass (backward.hpp) a stage also has one of
//
//   Floats backward(gradient) const           its derivative depends on nothing
//   Mask passes(values) const                 a gate: the gradient passes, or becomes 0
//   Floats backward(gradient, values, coordinates, active_lanes, normals) const
//                                             anything else, given what entered apply()
//
// where `gradient` is the one by what leaves the stage and the result the one by what enters it.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/isa/native.hpp"
#include "detail/kernels/sum_planes.hpp"
#include "detail/simd/vectors.hpp"
#include "elementary.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// a·b + c rounded once; a·b rounded by itself, whatever is added to it afterwards; a / b and √a
/// rounded to nearest: the same bits on every instruction set.
using detail::fused_multiply_add;
using detail::product;
using detail::quotient;
using detail::square_root;

/// Where a vector of values stands in y.
struct Coordinates {
  std::size_t row;           ///< row of y
  std::size_t column;        ///< column of y of the first lane
  std::uint64_t global_row;  ///< row + key.row_offset: the row in the unsharded batch
  std::size_t tile = 0;      ///< which array of those along the inputs (analog_gemm.hpp)
};

/// How many lanes, from the first, stand for elements of y. The others hold numbers that nobody
/// stores; parameters must not be read for them.
struct ActiveLanes {
  std::size_t count;
};

/// What a stage may ask for beside the dot product Σ ŵ·x̂, in its units: inputs x̂ = x / range of the
/// DAC, weights ŵ = w / scale, both in [−1, 1].
struct Sums {
  static constexpr unsigned magnitudes = detail::kMagnitudeSums;         ///< Σ |ŵ|·|x̂|
  static constexpr unsigned squared_inputs = detail::kSquaredInputSums;  ///< Σ |ŵ|·x̂²
  static constexpr unsigned squares = detail::kSquareSums;               ///< Σ ŵ²·x̂²
  /// Σ ŵ·x̂·(1 − (1 − k/n)²) over the array's inputs k = 0 … n − 1.
  static constexpr unsigned positions = detail::kPositionSums;
};

/// What is known of a row of inputs of an array.
struct RowFacts {
  float range = 0.0f;           ///< r, what x̂ = 1 stands for
  float sum_of_squares = 0.0f;  ///< Σ x̂²
  float inputs = 0.0f;          ///< how many the array has; known in any case
};

/// What a stage has asked for, for the vector of outputs that it gets; 0 what it has not.
template <class Floats>
struct Facts {
  Floats magnitudes = Floats(0.0f), squared_inputs = Floats(0.0f), squares = Floats(0.0f);
  RowFacts row = {};
  Floats positions = Floats(0.0f);
};

/// Per-column parameters for a vector: reads active lanes only.
template <class Floats>
constexpr Floats load_columns(std::span<const float> parameters, const Coordinates& at,
                              const ActiveLanes& active) {
  const float* const first = parameters.data() + at.column;
  if (active.count >= Floats::size) return Floats::load_unaligned(first);
  return detail::load_first<Floats>(first, active.count);
}

namespace detail {

template <class T>
inline constexpr std::size_t normals_of = 0;
template <class T>
requires requires { T::normals_per_element; }
inline constexpr std::size_t normals_of<T> = T::normals_per_element;

template <class T>
inline constexpr unsigned sums_of = 0;
template <class T>
requires requires { T::sums; }
inline constexpr unsigned sums_of<T> = T::sums;

template <class T>
inline constexpr bool wants_row_facts = false;
template <class T>
requires requires { T::row_facts; }
inline constexpr bool wants_row_facts<T> = T::row_facts;

/// The stage takes Facts.
template <class T>
inline constexpr bool wants_facts = sums_of<T> != 0 || wants_row_facts<T>;

/// For each of a stage's normals, whether it is the row's.
template <class T>
inline constexpr auto row_draws_of = [] {
  std::array<bool, normals_of<T>> draws{};
  if constexpr (requires { T::normals_of_row; }) draws.fill(T::normals_of_row);
  return draws;
}();
template <class T>
requires requires { T::row_draws; }
inline constexpr auto row_draws_of<T> = T::row_draws;

/// For each of them, whether it is a uniform number.
template <class T>
inline constexpr auto uniform_draws_of = [] {
  std::array<bool, normals_of<T>> draws{};
  if constexpr (requires { T::draws_uniform; }) draws.fill(T::draws_uniform);
  return draws;
}();
template <class T>
requires requires { T::uniform_draws; }
inline constexpr auto uniform_draws_of<T> = T::uniform_draws;

template <class T, class Floats>
concept StageOn = std::copyable<T> &&
    requires(const T stage, const Floats values, const Coordinates at, const ActiveLanes active,
             const std::array<Floats, normals_of<T>> normals, const Facts<Floats> facts) {
  requires requires {
    requires !wants_facts<T>;
    { stage.apply(values, at, active, normals) } -> std::convertible_to<Floats>;
  } || requires {
    requires wants_facts<T>;
    { stage.apply(values, at, active, normals, facts) } -> std::convertible_to<Floats>;
  };
};

/// In the place of Facts where no stage takes them.
struct NoFacts {};

/// The stage's apply(), with facts where it takes them.
template <class T, class Floats, class Normals, class FactsT>
[[gnu::always_inline]] constexpr Floats apply_stage(const T& stage, const Floats& values,
                                                    const Coordinates& at,
                                                    const ActiveLanes& active,
                                                    const Normals& normals,
                                                    [[maybe_unused]] const FactsT& facts) {
  if constexpr (wants_facts<T>) {
    return stage.apply(values, at, active, normals, facts);
  } else {
    return stage.apply(values, at, active, normals);
  }
}

template <class T>
bool stage_valid_for(const T& stage, std::size_t rows, std::size_t cols) {
  if constexpr (requires { stage.valid_for(rows, cols); }) {
    return passes_or_reports([&] { return static_cast<bool>(stage.valid_for(rows, cols)); },
                             "a stage refused the output", {rows, cols});
  } else {
    return true;
  }
}

}  // namespace detail

/// Something that epilogue(...) takes.
template <class T>
concept Stage = detail::StageOn<T, detail::Native::Batch<float>>;

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
