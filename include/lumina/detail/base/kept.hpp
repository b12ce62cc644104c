// Parameters that somebody keeps: spans (and views, engine/arguments.hpp) of what must outlive the
// call they are given to. They are made of anything but temporaries that own their elements.
#pragma once

#include <concepts>
#include <cstddef>
#include <iterator>
#include <ranges>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

template <class T>
inline constexpr bool is_std_array = requires {
  std::tuple_size<T>::value;
};

/// An argument of type T&& whose elements are not gone with it: it is no temporary, or one that
/// owns none, as spans and views. (What owns elements has something to destroy; arrays have them
/// inside.)
template <class T>
inline constexpr bool stays = std::is_lvalue_reference_v<T> ||
                              std::ranges::enable_borrowed_range<std::remove_cvref_t<T>> ||
                              std::ranges::enable_view<std::remove_cvref_t<T>> ||
                              (std::is_trivially_destructible_v<T> && !std::is_array_v<T> &&
                               !is_std_array<std::remove_cvref_t<T>>);

template <class T>
class KeptSpan : public std::span<T> {
 public:
  constexpr KeptSpan() = default;
  template <std::contiguous_iterator It>
  constexpr KeptSpan(It first, std::size_t count) : std::span<T>(first, count) {}
  template <std::contiguous_iterator It, std::sized_sentinel_for<It> End>
  constexpr KeptSpan(It first, End end) : std::span<T>(first, end) {}

  template <class Range>
  requires(!std::derived_from<std::remove_cvref_t<Range>, KeptSpan> &&
           std::convertible_to<Range, std::span<T>> && stays<Range>)  //
      constexpr KeptSpan(Range&& range)
      : std::span<T>(std::forward<Range>(range)) {}
  template <class Range>
  requires(std::convertible_to<Range, std::span<T>> && !stays<Range>)  //
      constexpr KeptSpan(Range&& temporary) = delete;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
