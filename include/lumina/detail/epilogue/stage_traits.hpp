// What the backward pass asks of stages at compile time, see epilogue.hpp.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <tuple>

#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../isa/native.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

using StageFloats = Native::Batch<float>;

/// The stage clips: its gradient passes or becomes 0.
template <class T, class Floats = StageFloats>
inline constexpr bool is_gate = requires(const T stage, const Floats values) {
  stage.passes(values);
};

/// Its derivative depends on nothing.
template <class T, class Floats = StageFloats>
inline constexpr bool is_straight = requires(const T stage, const Floats gradient) {
  { stage.backward(gradient) } -> std::convertible_to<Floats>;
};

/// Its derivative depends on the value that enters.
template <class T, class Floats = StageFloats>
inline constexpr bool needs_values = requires(const T stage, const Floats gradient,
                                              const Floats values, const Coordinates at,
                                              const ActiveLanes active,
                                              const std::array<Floats, normals_of<T>> normals) {
  { stage.backward(gradient, values, at, active, normals) } -> std::convertible_to<Floats>;
};

template <class T>
inline constexpr bool is_differentiable = is_gate<T> || is_straight<T> || needs_values<T>;

/// Whether the stage of this number is the last gate of an epilogue's stages.
template <std::size_t Index, class... Stages>
constexpr bool is_last_gate() {
  std::size_t last = sizeof...(Stages), i = 0;
  ((last = is_gate<Stages> ? i : last, ++i), ...);
  return last == Index;
}

/// Where the stages of an epilogue find their normals and their gates.
template <class... Stages>
struct StageChain {
  static_assert((is_differentiable<Stages> && ...),
                "lumina: the backward pass needs stages with passes(values) or backward(...)");

  template <std::size_t Index>
  using Stage = std::tuple_element_t<Index, std::tuple<Stages...>>;

  static constexpr std::size_t count = sizeof...(Stages);
  static constexpr std::size_t normals = (normals_of<Stages> + ... + 0);
  static constexpr std::size_t gates = ((is_gate<Stages> ? std::size_t{1} : 0) + ... + 0);
  static constexpr bool any_needs_values = (needs_values<Stages> || ...);

  static constexpr std::size_t normals_before(std::size_t index) {
    std::size_t result = 0, i = 0;
    ((result += i++ < index ? normals_of<Stages> : 0), ...);
    return result;
  }
  static constexpr std::size_t gates_before(std::size_t index) {
    std::size_t result = 0, i = 0;
    ((result += i++ < index && is_gate<Stages> ? std::size_t{1} : 0), ...);
    return result;
  }

  /// The part of an element's normals that belongs to one stage.
  template <std::size_t Index, class Floats, std::size_t Count>
  [[gnu::always_inline]] static constexpr auto normals_of_stage(
      const std::array<Floats, Count>& all) {
    std::array<Floats, normals_of<Stage<Index>>> own;
    for (std::size_t i = 0; i < own.size(); ++i) own[i] = all[normals_before(Index) + i];
    return own;
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
