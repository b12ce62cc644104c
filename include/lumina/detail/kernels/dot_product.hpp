// What the microkernel multiplies: a dot product names its elements and says how one vector of sums
// takes one more product. float_dot.hpp and code_dot.hpp have the two that there are, plane_dot.hpp
// has codes with extra sums.
#pragma once

#include <concepts>
#include <cstddef>

#include "../../config.hpp"
#include "../isa/blocks.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Input, Word, Sum       elements of the rows, of a panel, of the sums
/// Sums, Weights          a vector of sums; the weights that it is multiplied with
/// inputs_per_step        inputs that one row of words covers
/// planes                 row i is multiplied with plane i % planes of the weights: 1, or those of
///                        sum_planes.hpp
/// parts                  products of one step: weights<part>(words), input<part>(x). A multiple of
///                        planes: part i is of plane i % planes, and its weights are those of the
///                        plane before, weights_of_next_plane<part>(weights), but for plane 0
/// steps_in_round         how far the loop over the depth is unrolled
/// worth_threads          multiplications that are worth several threads: about 10 µs of work
/// blocks                 block sizes
template <class D>
concept DotProduct = requires(const typename D::Input* x, const typename D::Word* words,
                              const typename D::Weights& weights, const typename D::Sums& sums) {
  typename D::Arch;
  typename D::Sum;
  { D::blocks } -> std::convertible_to<Blocks>;
  { D::inputs_per_step } -> std::convertible_to<std::size_t>;
  { D::planes } -> std::convertible_to<std::size_t>;
  { D::parts } -> std::convertible_to<std::size_t>;
  { D::steps_in_round } -> std::convertible_to<std::size_t>;
  { D::worth_threads } -> std::convertible_to<double>;
  { D::template weights<0>(words) } -> std::convertible_to<typename D::Weights>;
  {
    D::multiply_add(D::template input<0>(x), weights, sums)
    } -> std::convertible_to<typename D::Sums>;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
