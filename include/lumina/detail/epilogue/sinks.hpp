// What is stored: the epilogue's values as floats, or the codes of the quantizer that ends it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../quantizer.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

template <class Arch, class EpilogueT>
struct FloatOutput {
  using Element = float;
  static constexpr std::size_t normals_per_element = normals_of<EpilogueT>;
  /// Nothing happens to the values.
  static constexpr bool kAsTheyAre = std::is_same_v<EpilogueT, Epilogue<>>;
  EpilogueT epilogue;

  /// All lanes of `values`, or as many as are active.
  template <class Floats, class Normals>
  [[gnu::always_inline]] void store(const Floats& values, const Coordinates& at,
                                    const ActiveLanes& active, const Normals& normals,
                                    float* to) const {
    const Floats result = epilogue.apply(values, at, active, normals);
    if (active.count == Floats::size) {
      result.store_unaligned(to);
    } else {
      store_first(result, to, active.count);
    }
  }
};

/// `Code`: std::uint8_t or std::uint16_t; the quantizer's codes must fit.
template <class Arch, class Code, class EpilogueT, class Adc>
struct CodeOutput {
  using Element = Code;
  static constexpr std::size_t normals_per_element = normals_of<EpilogueT>;
  static constexpr bool kAsTheyAre = false;
  EpilogueT before_adc;
  Adc adc;

  template <class Floats, class Normals>
  [[gnu::always_inline]] void store(const Floats& values, const Coordinates& at,
                                    const ActiveLanes& active, const Normals& normals,
                                    Code* to) const {
    const Floats result = before_adc.apply(values, at, active, normals);
    const auto codes = adc.encode_lanes(std::array<Floats, 1>{result})[0];
    if (active.count == Floats::size) {
      Arch::store_codes(codes, to);
    } else {
      Code lanes[Floats::size];
      Arch::store_codes(codes, lanes);
      std::copy_n(lanes, active.count, to);
    }
  }
};

/// Whose codes are numbers from 0 on (codes_valid looks at a RuntimeQuantizer).
template <class T>
inline constexpr bool is_adc = std::is_base_of_v<UniformQuantizer, T> && !has_signed_codes<T>;

template <class... Stages, std::size_t... Leading>
auto leading_stages(const Epilogue<Stages...>& epilogue, std::index_sequence<Leading...>) {
  return lumina::epilogue(std::get<Leading>(epilogue.stages())...);
}

/// What a call with this epilogue stores in elements of type T. Codes need a Quantizer or
/// RuntimeQuantizer as the last stage.
template <class Arch, class T, class EpilogueT>
requires std::is_same_v<T, float>
auto make_output(const EpilogueT& epilogue) { return FloatOutput<Arch, EpilogueT>{epilogue}; }

template <class Arch, class T, class... Stages>
requires(!std::is_same_v<T, float>) auto make_output(const Epilogue<Stages...>& epilogue) {
  constexpr std::size_t count = sizeof...(Stages);
  static_assert(count > 0,
                "lumina: an output of codes needs an epilogue that ends with a quantizer");
  using Adc = std::tuple_element_t<count - 1, std::tuple<Stages...>>;
  static_assert(is_adc<Adc>,
                "lumina: an output of codes needs an epilogue that ends with a quantizer");
  const auto leading = leading_stages(epilogue, std::make_index_sequence<count - 1>{});
  return CodeOutput<Arch, T, std::decay_t<decltype(leading)>, Adc>{
      leading, std::get<count - 1>(epilogue.stages())};
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
