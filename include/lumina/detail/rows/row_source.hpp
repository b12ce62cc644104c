// The door of rows: what a kernel multiplies, and what is packed into panels, are rows that may
// exist only while they are read: those of a matrix, behind a DAC, of a transposed matrix, with
// noise, …
#pragma once

#include <concepts>
#include <cstddef>
#include <utility>

#include "../../config.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../kernels/views.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Element              what read() writes
/// row_multiple         a row that is made takes a multiple of so many inputs
/// elements_per_input   and so many elements for each
/// read(rows, inputs, to, stride)
///     writes these rows' inputs to `to`, at a cache line, rows `stride` elements apart: with zeros
///     behind a row's end where a kernel reads on (floats: it does not). `inputs` begins at a
///     multiple of row_multiple.
/// Number
///     optional, where the sums need to know something of each row: read() has one more argument
///     then, where to write it; by default nowhere
template <class S>
concept RowSource = requires(const S& source, const Range& range, typename S::Element* to,
                             std::size_t stride) {
  { source.rows() } -> std::convertible_to<std::size_t>;
  { source.depth() } -> std::convertible_to<std::size_t>;
  { S::row_multiple } -> std::convertible_to<std::size_t>;
  { S::elements_per_input } -> std::convertible_to<std::size_t>;
  source.read(range, range, to, stride);
};

/// Whose rows lie in memory, all of their inputs, so that nothing need be made.
template <class S>
concept InPlaceRows = RowSource<S> && requires(const S& source, const Range& rows) {
  { source.in_place(rows) } -> std::same_as<StridedRows<typename S::Element>>;
};

/// What a source wants to know of whole rows before it makes some of their inputs: facts(rows), of
/// a panel's rows at most; NoFactsOfRows where it wants nothing.
struct NoFactsOfRows {};
template <RowSource Rows>
auto facts_of([[maybe_unused]] const Rows& source, [[maybe_unused]] const Range& rows) {
  if constexpr (requires { source.facts(rows); }) {
    return source.facts(rows);
  } else {
    return NoFactsOfRows();
  }
}
template <class Rows>
using FactsOf = decltype(facts_of(std::declval<const Rows&>(), std::declval<const Range&>()));

/// read() with them.
template <RowSource Rows>
void read_with_facts(const Rows& source, const Range& rows, const Range& inputs,
                     typename Rows::Element* to, std::size_t stride, const FactsOf<Rows>& facts) {
  if constexpr (requires { source.facts(rows); }) {
    source.read(rows, inputs, to, stride, facts);
  } else {
    source.read(rows, inputs, to, stride);
  }
}

/// Rows of floats: what a source has that says nothing else.
struct FloatRows {
  using Element = float;
  static constexpr std::size_t row_multiple = kCacheLine / sizeof(float);
  static constexpr std::size_t elements_per_input = 1;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
