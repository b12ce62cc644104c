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
// (none where the member is missing). Two noise stages never share a normal. A stage may have
// `bool valid_for(rows, cols) const`, which reports an error and returns false where it does not
// fit the output. Built-in stages and quantizers are stages like any other.
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
#include "detail/simd/vectors.hpp"

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
};

/// How many lanes, from the first, stand for elements of y. The others hold numbers that nobody
/// stores; parameters must not be read for them.
struct ActiveLanes {
  std::size_t count;
};

/// Per-column parameters for a vector: reads active lanes only.
template <class Floats>
Floats load_columns(std::span<const float> parameters, const Coordinates& at,
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

template <class T, class Floats>
concept StageOn = std::copyable<T> &&
    requires(const T stage, const Floats values, const Coordinates at, const ActiveLanes active,
             const std::array<Floats, normals_of<T>> normals) {
  { stage.apply(values, at, active, normals) } -> std::convertible_to<Floats>;
};

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
