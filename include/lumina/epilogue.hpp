// Epilogues: what happens to an output between the dot product and memory.
//
//   auto e = lumina::epilogue(AddBias{bias}, Attenuation{0.85f}, GaussianNoise{0.05f}, adc);
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
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include "config.hpp"
#include "detail/arch/native.hpp"
#include "detail/kept.hpp"
#include "detail/message.hpp"
#include "detail/simd.hpp"
#include "quantizer.hpp"

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

/// y + bias[column]. The bias is not copied: it must live as long as the stage is used, so it is no
/// temporary.
struct AddBias {
  detail::KeptSpan<const float> bias;

  bool valid_for(std::size_t rows, std::size_t cols) const {
    if (bias.size() == cols) return true;
    detail::report_error((detail::Message()
                          << "lumina::AddBias: bias has " << bias.size()
                          << " elements, the output is " << detail::Shape{rows, cols})
                             .c_str());
    return false;
  }
  template <class Floats, class Normals>
  Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
               const Normals&) const {
    return values + load_columns<Floats>(bias, at, active);
  }
  template <class Floats>
  Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

/// max(y, 0); NaN stays NaN.
struct Relu {
  template <class Floats, class Normals>
  Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&, const Normals&) const {
    return select(values < Floats(0.0f), Floats(0.0f), values);
  }
  template <class Floats>
  auto passes(const Floats& values) const {
    return values > Floats(0.0f);
  }
};

/// Optical loss: y · factor.
struct Attenuation {
  float factor;

  /// factor = 10^(−decibel / 10).
  static Attenuation from_decibel(float decibel) {
    return {static_cast<float>(std::pow(10.0, -static_cast<double>(decibel) / 10.0))};
  }
  template <class Floats, class Normals>
  Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&, const Normals&) const {
    return product(values, Floats(factor));
  }
  template <class Floats>
  Floats backward(const Floats& gradient) const {
    return product(gradient, Floats(factor));
  }
};

namespace detail {

inline bool valid_strength(float strength, const char* what) {
  if (strength >= 0.0f && strength <= std::numeric_limits<float>::max()) return true;
  report_error((Message() << what << " must be finite and not negative").c_str());
  return false;
}

}  // namespace detail

/// Additive noise: y + stddev·N(0, 1).
struct GaussianNoise {
  float stddev;

  static constexpr std::size_t normals_per_element = 1;
  bool valid_for(std::size_t, std::size_t) const {
    return detail::valid_strength(stddev, "lumina::GaussianNoise: stddev");
  }
  template <class Floats>
  Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&,
               const std::array<Floats, 1>& normals) const {
    return fused_multiply_add(Floats(stddev), normals[0], values);
  }
  template <class Floats>
  Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

/// Signal-dependent noise: y + strength·√|y|·N(0, 1). Straight through: the backward pass takes the
/// deviation for a constant, as is usual in noise-aware training.
struct ShotNoise {
  float strength;

  static constexpr std::size_t normals_per_element = 1;
  bool valid_for(std::size_t, std::size_t) const {
    return detail::valid_strength(strength, "lumina::ShotNoise: strength");
  }
  template <class Floats>
  Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&,
               const std::array<Floats, 1>& normals) const {
    const Floats deviation = product(Floats(strength), square_root(abs(values)));
    return fused_multiply_add(deviation, normals[0], values);
  }
  template <class Floats>
  Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

/// ShotNoise whose backward pass has the derivative of the deviation too: with the normal n that y
/// got, 1 + strength·n·sign(y) / (2·√|y|), which near 0 is as large as it likes; 1 at 0 itself.
struct ShotNoiseWithDerivative {
  float strength;

  static constexpr std::size_t normals_per_element = 1;
  bool valid_for(std::size_t rows, std::size_t cols) const {
    return ShotNoise{strength}.valid_for(rows, cols);
  }
  template <class Floats>
  Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
               const std::array<Floats, 1>& normals) const {
    return ShotNoise{strength}.apply(values, at, active, normals);
  }
  template <class Floats>
  Floats backward(const Floats& gradient, const Floats& values, const Coordinates&,
                  const ActiveLanes&, const std::array<Floats, 1>& normals) const {
    const Floats zero(0.0f), root = square_root(abs(values));
    const Floats slope = quotient(product(Floats(0.5f * strength), normals[0]), root);
    const Floats change = select(values > zero, slope, zero - slope);
    // At 0, and for NaN, the gradient itself: 0 times an infinite one would be NaN.
    return select(abs(values) > zero, fused_multiply_add(gradient, change, gradient), gradient);
  }
};

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

/// Stages, applied first to last; itself a stage.
template <class... Stages>
class Epilogue {
  static_assert(
      (Stage<Stages> && ...),
      "lumina::epilogue: a stage needs apply(values, coordinates, active_lanes, normals)");

 public:
  static constexpr std::size_t normals_per_element = (detail::normals_of<Stages> + ... + 0);

  constexpr explicit Epilogue(const Stages&... stages) : stages_(stages...) {}

  const std::tuple<Stages...>& stages() const { return stages_; }

  bool valid_for(std::size_t rows, std::size_t cols) const {
    return std::apply(
        [&](const auto&... stage) { return (detail::stage_valid_for(stage, rows, cols) && ...); },
        stages_);
  }

  template <class Floats>
  [[gnu::always_inline]] Floats apply(
      const Floats& values, const Coordinates& at, const ActiveLanes& active,
      const std::array<Floats, normals_per_element>& normals) const {
    return apply_showing(values, at, active, normals,
                         [](auto, const auto&, const auto&) __attribute__((always_inline)){});
  }

  /// The same; before each stage show(its number as a constant, the stage, the values that enter).
  template <class Floats, class Show>
  [[gnu::always_inline]] Floats apply_showing(
      const Floats& values, const Coordinates& at, const ActiveLanes& active,
      const std::array<Floats, normals_per_element>& normals, const Show& show) const {
    return apply_from<0, 0>(values, at, active, normals, show);
  }

 private:
  /// Stage number Index and those behind it; they use the normals from FirstNormal on.
  template <std::size_t Index, std::size_t FirstNormal, class Floats, class Normals, class Show>
  [[gnu::always_inline]] Floats apply_from(const Floats& values, const Coordinates& at,
                                           const ActiveLanes& active, const Normals& normals,
                                           const Show& show) const {
    if constexpr (Index == sizeof...(Stages)) {
      return values;
    } else {
      using ThisStage = std::tuple_element_t<Index, std::tuple<Stages...>>;
      constexpr std::size_t count = detail::normals_of<ThisStage>;
      std::array<Floats, count> own;
      for (std::size_t i = 0; i < count; ++i) own[i] = normals[FirstNormal + i];
      show(std::integral_constant<std::size_t, Index>{}, std::get<Index>(stages_), values);
      const Floats result = std::get<Index>(stages_).apply(values, at, active, own);
      return apply_from<Index + 1, FirstNormal + count>(result, at, active, normals, show);
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
