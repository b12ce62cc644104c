// Several noises at one point as one.
//
//   array(independent(ReadNoise{0.0175f}, GaussianNoise{0.04f}), adc)
//
// Independent normals that are added at one point are one normal, whose variance is the sum of
// theirs: one draw instead of several. The law is the same, the numbers are not. Only noises with
// nothing nonlinear between them act at one point.
#pragma once

#include <array>
#include <cstddef>
#include <tuple>

#include "config.hpp"
#include "stage.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

template <class T>
inline constexpr bool draws_for_row = false;
template <class T>
requires requires { T::normals_of_row; }
inline constexpr bool draws_for_row<T> = T::normals_of_row;

/// The stage's variance(), with facts where it takes them.
template <class T, class Floats, class FactsT>
[[gnu::always_inline]] constexpr Floats variance_of(const T& stage, const Floats& values,
                                                    const Coordinates& at,
                                                    const ActiveLanes& active,
                                                    [[maybe_unused]] const FactsT& facts) {
  if constexpr (wants_facts<T>) {
    return stage.variance(values, at, active, facts);
  } else {
    return stage.variance(values, at, active);
  }
}

template <class T>
concept HasVariance = Stage<T> && normals_of<T>
== 1 && !draws_for_row<T> &&
    requires(const T stage, const Native::Batch<float> values, const Coordinates at,
             const ActiveLanes active, const Facts<Native::Batch<float>> facts) {
  { variance_of(stage, values, at, active, facts) } -> std::convertible_to<decltype(values)>;
};

}  // namespace detail

/// The stage y + √(Σ variances)·N(0, 1), the variances those that each noise has for the value that
/// enters, added in the order given: fma(square_root(Σ), n, y). Straight through: the deviation
/// counts as a constant.
///
/// A noise that can be merged adds one normal of an element, and says with what variance:
///
///   template <class Floats>
///   Floats variance(values, at, active[, facts]) const
///
/// Errors: those of the noises. (Deviations whose squares leave the range of float, below 1e-19 or
/// above 1e19, are lost.)
template <class... Noises>
class Independent {
  static_assert(sizeof...(Noises) > 0, "lumina::independent needs a noise");
  static_assert((detail::HasVariance<Noises> && ...),
                "lumina::independent takes noises that add one normal of each element and have "
                "variance(values, at, active[, facts])");

 public:
  static constexpr std::size_t normals_per_element = 1;
  static constexpr unsigned sums = (detail::sums_of<Noises> | ... | 0u);
  static constexpr bool row_facts = (detail::wants_row_facts<Noises> || ...);

  constexpr explicit Independent(const Noises&... noises) : noises_(noises...) {}

  constexpr const std::tuple<Noises...>& noises() const { return noises_; }

  bool valid_for(std::size_t rows, std::size_t cols) const {
    return std::apply(
        [&](const auto&... noise) { return (detail::stage_valid_for(noise, rows, cols) && ...); },
        noises_);
  }

  /// `facts`: where a noise takes some.
  template <class Floats, class FactsT = detail::NoFacts>
  [[gnu::always_inline]] constexpr Floats apply(const Floats& values, const Coordinates& at,
                                                const ActiveLanes& active,
                                                const std::array<Floats, 1>& normals,
                                                const FactsT& facts = {}) const {
    return fused_multiply_add(square_root(variance(values, at, active, facts)), normals[0], values);
  }
  template <class Floats, class FactsT = detail::NoFacts>
  [[gnu::always_inline]] constexpr Floats variance(const Floats& values, const Coordinates& at,
                                                   const ActiveLanes& active,
                                                   const FactsT& facts = {}) const {
    return std::apply(
        [&](const auto& first, const auto&... rest) __attribute__((always_inline)) {
          Floats sum = detail::variance_of(first, values, at, active, facts);
          ((sum = sum + detail::variance_of(rest, values, at, active, facts)), ...);
          return sum;
        },
        noises_);
  }

  template <class Floats>
  constexpr Floats backward(const Floats& gradient) const {
    return gradient;
  }

 private:
  std::tuple<Noises...> noises_;
};

/// One normal for all of these noises.
template <class... Noises>
constexpr Independent<Noises...> independent(const Noises&... noises) {
  return Independent<Noises...>(noises...);
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
