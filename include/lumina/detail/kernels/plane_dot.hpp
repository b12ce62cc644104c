// What the microkernel multiplies (dot_product.hpp): codes, and beside them the planes of extra
// sums.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../isa/blocks.hpp"
#include "code_dot.hpp"
#include "sum_planes.hpp"
#include "unit_dot.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// `Dot`: a CodeDot; Set: sums beside the product (sum_planes.hpp). Rows are virtual ones, whole
/// groups of `planes`. The sums are exact, for magnitudes 2^(8 − StoredBits) times those of the
/// codes, as the product's.
///
/// A part is one plane of one of Dot's parts, plane after plane. So a step loads and unpacks a
/// vector of weights once, and makes magnitudes, then squares of it once for all rows.
template <class Dot, unsigned Set>
struct PlaneDot : Dot {
  using Codes = typename Dot::Codes;
  static constexpr std::size_t planes = plane_count(Set);
  static constexpr Blocks blocks = Dot::blocks.with_rows_in_groups_of(planes);
  static constexpr std::size_t parts = Dot::parts * planes;
  static constexpr std::size_t steps_in_round = parts >= 4 ? 1 : 4 / parts;

  /// Of the first of a part's planes.
  template <std::size_t Part>
  [[gnu::always_inline]] static typename Dot::Weights weights(const std::int32_t* words) {
    return Dot::Arch::in_register(Dot::template weights<Part / planes>(words));
  }
  template <std::size_t Part>
  [[gnu::always_inline]] static typename Dot::Weights weights_of_next_plane(
      const typename Dot::Weights& of_plane_before) {
    constexpr PlaneForm before = weights_of_plane(Set, Part % planes - 1);
    constexpr PlaneForm form = weights_of_plane(Set, Part % planes);
    if constexpr (form == before) {
      return of_plane_before;
    } else if constexpr (form == PlaneForm::magnitudes) {
      return Codes::magnitudes(of_plane_before);
    } else {
      return Codes::rounded_squares(of_plane_before);  // those of magnitudes are the same
    }
  }
  template <std::size_t Part>
  [[gnu::always_inline]] static auto input(const typename Dot::Input* x) {
    return Dot::template input<Part / planes>(x);
  }
};

/// The same on a matrix unit, plane after plane.
template <class Architecture, int StoredBits, unsigned Set>
struct PlanesOnUnit : CodesOnUnit<Architecture, StoredBits> {
  static constexpr std::size_t planes = plane_count(Set);
  template <std::size_t Number>
  using Plane = CodesOnUnit<Architecture, StoredBits, weights_of_plane(Set, Number)>;
};
template <class Arch, int StoredBits, unsigned Set>
struct OnUnit<PlaneDot<CodeDot<Arch, StoredBits>, Set>> {
  using type = PlanesOnUnit<Arch, StoredBits, Set>;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
