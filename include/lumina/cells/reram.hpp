// Resistive memory, and any cell whose σ is a polynomial: programming noise only. Nothing is
// published of their drift that is a formula of one device, so at a later time they are as
// programmed.
//
//   g' = max(g + σ_p(g)·N, 0),   all in µS
//
// σ_p is that of the conductance itself: a smaller g_max is a use of a part of the device's range.
#pragma once

#include <array>
#include <cstddef>
#include <limits>

#include "../config.hpp"
#include "../detail/base/message.hpp"
#include "../detail/base/polynomial.hpp"
#include "../detail/base/scalar_math.hpp"
#include "../detail/simd/polynomial.hpp"
#include "../detail/simd/vectors.hpp"
#include "cell_model.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// σ_p = Σ coefficients[i]·g^i µS, 0 where that is negative.
/// Errors: a g_max that is not positive and finite; a coefficient that is infinite or NaN.
struct PolynomialCell {
  float coefficients[5] = {};  ///< lowest power first
  float g_max = 25.0f;         ///< µS

  static constexpr std::array draws{Draw::programming};

  bool valid() const {
    if (!detail::g_max_valid(g_max, "PolynomialCell")) return false;
    for (std::size_t i = 0; i < 5; ++i) {
      const float c = coefficients[i];
      if (c - c == 0.0f) continue;
      detail::report_error((detail::Message() << "lumina::PolynomialCell: coefficients[" << i
                                              << "] is " << detail::Number{c})
                               .c_str());
      return false;
    }
    return true;
  }

  /// σ_p of a float or of vectors.
  template <class Floats>
  [[gnu::always_inline]] Floats deviation(const Floats& targets) const {
    return positive(detail::polynomial(coefficients, targets));
  }
  float largest_deviation() const {
    return detail::largest_deviation(g_max, [this](float g) { return deviation(g); });
  }
  template <class Floats>
  [[gnu::always_inline]] Floats programmed(const Floats& targets,
                                           const std::array<Floats, 1>& drawn) const {
    return detail::programmed_around(targets, deviation(targets), drawn[0]);
  }

 private:
  static float positive(float value) { return value > 0.0f ? value : 0.0f; }
  template <class Floats>
  [[gnu::always_inline]] static Floats positive(const Floats& values) {
    using detail::max_or_second;
    return max_or_second(values, Floats(0.0f));
  }
};

namespace detail {

/// The cell of a publication: a PolynomialCell whose coefficients are known.
template <class Derived>
struct PublishedPolynomialCell {
  static constexpr std::array draws{Draw::programming};

  bool valid() const { return g_max_valid(cell().g_max, Derived::name); }
  template <class Floats>
  [[gnu::always_inline]] Floats deviation(const Floats& targets) const {
    return polynomial_cell().deviation(targets);
  }
  float largest_deviation() const { return polynomial_cell().largest_deviation(); }
  template <class Floats>
  [[gnu::always_inline]] Floats programmed(const Floats& targets,
                                           const std::array<Floats, 1>& drawn) const {
    return polynomial_cell().programmed(targets, drawn);
  }
  /// The same cell with its coefficients as values.
  PolynomialCell polynomial_cell() const {
    PolynomialCell result{{}, cell().g_max};
    for (std::size_t i = 0; i < 5; ++i) result.coefficients[i] = Derived::kDeviation[i];
    return result;
  }

 private:
  const Derived& cell() const { return static_cast<const Derived&>(*this); }
};

}  // namespace detail

/// σ_p = 4.782321 − 0.009107·g µS: a fit (CrossSim's) to figure 4, algorithm IGVVA-100, of V. Milo
/// et al., "Optimized programming algorithms for multilevel RRAM in hardware neural networks", IRPS
/// 2021, for 50 … 225 µS: take Cells{.g_min = 50}.
/// Error: a g_max that is not positive and finite.
struct ReRamMilo2021 : detail::PublishedPolynomialCell<ReRamMilo2021> {
  float g_max = 225.0f;

  ReRamMilo2021() = default;
  explicit constexpr ReRamMilo2021(float fully_on) : g_max(fully_on) {}

  static constexpr const char* name = "ReRamMilo2021";
  static constexpr float kDeviation[5] = {4.782321f, -0.009107f, 0.0f, 0.0f, 0.0f};
};

/// σ_p = 1.536e-4·g³ − 1.167e-2·g² + 0.2374·g + 1.053 µS: a fit (CrossSim's) to extended data
/// figure 3, 1 s after programming, of W. Wan et al., "A compute-in-memory chip based on resistive
/// random-access memory", Nature 608 (2022), for 1 … 40 µS.
/// Error: a g_max that is not positive and finite.
struct ReRamWan2022 : detail::PublishedPolynomialCell<ReRamWan2022> {
  float g_max = 40.0f;

  ReRamWan2022() = default;
  explicit constexpr ReRamWan2022(float fully_on) : g_max(fully_on) {}

  static constexpr const char* name = "ReRamWan2022";
  static constexpr float kDeviation[5] = {1.053f, 0.2374f, -1.167e-2f, 1.536e-4f, 0.0f};
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
