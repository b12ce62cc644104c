// Epilogues: what happens to an output between the dot product and memory, stage by stage.
//
//   auto e = lumina::epilogue(AddBias{bias}, Attenuation{0.85f}, GaussianNoise{0.05f}, adc);
//
// stage.hpp says what a stage is, stages.hpp has the built-in ones.
#pragma once

#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>

#include "config.hpp"
#include "quantizer.hpp"
#include "stage.hpp"
#include "stages.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// Those of the first, then of the next, …
template <std::size_t... Counts>
constexpr auto joined_flags(const std::array<bool, Counts>&... flags) {
  std::array<bool, (Counts + ... + 0)> all{};
  std::size_t next = 0;
  [[maybe_unused]] const auto append = [&](const auto& some) {
    for (const bool flag : some) all[next++] = flag;
  };
  (append(flags), ...);
  return all;
}

}  // namespace detail

/// Stages, applied first to last; itself a stage.
template <class... Stages>
class Epilogue {
  static_assert(
      (Stage<Stages> && ...),
      "lumina::epilogue: a stage needs apply(values, coordinates, active_lanes, normals)");

 public:
  static constexpr std::size_t normals_per_element = (detail::normals_of<Stages> + ... + 0);
  static constexpr unsigned sums = (detail::sums_of<Stages> | ... | 0u);
  static constexpr bool row_facts = (detail::wants_row_facts<Stages> || ...);
  /// For each of the normals, whether it is the row's, and whether it is a uniform number.
  static constexpr auto row_draws = detail::joined_flags(detail::row_draws_of<Stages>...);
  static constexpr auto uniform_draws = detail::joined_flags(detail::uniform_draws_of<Stages>...);

  constexpr explicit Epilogue(const Stages&... stages) : stages_(stages...) {}

  constexpr const std::tuple<Stages...>& stages() const { return stages_; }

  bool valid_for(std::size_t rows, std::size_t cols) const {
    return std::apply(
        [&](const auto&... stage) { return (detail::stage_valid_for(stage, rows, cols) && ...); },
        stages_);
  }

  /// `facts`: where a stage takes some.
  template <class Floats, class FactsT = detail::NoFacts>
  [[gnu::always_inline]] constexpr Floats apply(
      const Floats& values, const Coordinates& at, const ActiveLanes& active,
      const std::array<Floats, normals_per_element>& normals, const FactsT& facts = {}) const {
    return apply_showing(values, at, active, normals, facts,
                         [](auto, const auto&, const auto&) __attribute__((always_inline)){});
  }

  /// The same; before each stage show(its number as a constant, the stage, the values that enter).
  template <class Floats, class FactsT, class Show>
  [[gnu::always_inline]] constexpr Floats apply_showing(
      const Floats& values, const Coordinates& at, const ActiveLanes& active,
      const std::array<Floats, normals_per_element>& normals, const FactsT& facts,
      const Show& show) const {
    return apply_from<0, 0>(values, at, active, normals, facts, show);
  }

 private:
  /// Stage number Index and those behind it; they use the normals from FirstNormal on.
  template <std::size_t Index, std::size_t FirstNormal, class Floats, class Normals, class FactsT,
            class Show>
  [[gnu::always_inline]] constexpr Floats apply_from(const Floats& values, const Coordinates& at,
                                                     const ActiveLanes& active,
                                                     const Normals& normals, const FactsT& facts,
                                                     const Show& show) const {
    if constexpr (Index == sizeof...(Stages)) {
      return values;
    } else {
      using ThisStage = std::tuple_element_t<Index, std::tuple<Stages...>>;
      constexpr std::size_t count = detail::normals_of<ThisStage>;
      std::array<Floats, count> own;
      for (std::size_t i = 0; i != count; ++i) own[i] = normals[FirstNormal + i];
      show(std::integral_constant<std::size_t, Index>{}, std::get<Index>(stages_), values);
      const Floats result =
          detail::apply_stage(std::get<Index>(stages_), values, at, active, own, facts);
      if constexpr (requires { ThisStage::ends_arrays; }) {
        Coordinates behind = at;
        behind.tile = 0;
        return apply_from<Index + 1, FirstNormal + count>(result, behind, active, normals, facts,
                                                          show);
      } else {
        return apply_from<Index + 1, FirstNormal + count>(result, at, active, normals, facts, show);
      }
    }
  }

  std::tuple<Stages...> stages_;
};

/// An epilogue of these stages, held by value; epilogue() stores the dot products as they are.
template <class... Stages>
constexpr Epilogue<Stages...> epilogue(const Stages&... stages) {
  return Epilogue<Stages...>(stages...);
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
