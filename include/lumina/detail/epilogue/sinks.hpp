// Sinks: where an epilogue's values go. They are stored as floats, or as the codes of the quantizer
// that ends the epilogue.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../quantizer.hpp"
#include "../../stage.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

struct StoreFloats {
  using Element = float;

  /// All lanes of `values`, or as many as are active.
  template <class Arch, class Floats>
  [[gnu::always_inline]] void store(const Floats& values, const Coordinates&,
                                    const ActiveLanes& active, float* to) const {
    if (active.count == Floats::size) {
      values.store_unaligned(to);
    } else {
      store_first(values, to, active.count);
    }
  }
};

/// `Code`: std::uint8_t or std::uint16_t; the quantizer's codes must fit.
template <class Code, class Adc>
struct StoreCodes {
  using Element = Code;
  Adc adc;

  template <class Arch, class Floats>
  [[gnu::always_inline]] void store(const Floats& values, const Coordinates&,
                                    const ActiveLanes& active, Code* to) const {
    const auto codes = adc.encode_lanes(std::array<Floats, 1>{values})[0];
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

/// f(stages, sink) of a call with this epilogue that stores elements of type T. Codes need a
/// Quantizer or RuntimeQuantizer as the last stage.
template <class T, class EpilogueT, class F>
requires std::is_same_v<T, float>
auto with_sink(const EpilogueT& epilogue, F f) { return f(epilogue, StoreFloats{}); }

template <class T, class... Stages, class F>
requires(!std::is_same_v<T, float>) auto with_sink(const Epilogue<Stages...>& epilogue, F f) {
  constexpr std::size_t count = sizeof...(Stages);
  static_assert(count > 0,
                "lumina: an output of codes needs an epilogue that ends with a quantizer");
  using Adc = std::tuple_element_t<count - 1, std::tuple<Stages...>>;
  static_assert(is_adc<Adc>,
                "lumina: an output of codes needs an epilogue that ends with a quantizer");
  return f(leading_stages(epilogue, std::make_index_sequence<count - 1>{}),
           StoreCodes<T, Adc>{std::get<count - 1>(epilogue.stages())});
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
