// Crosstalk: each output of an analog device takes in a part of its neighbours.
//
//   s'[j] = s[j] + crosstalk·(s[j − 1] + s[j + 1])       s = x·wᵀ; the first and the last output
//                                                        have one neighbour
//
// That is linear in the dot products and comes before noise, bias and ADC, so it is the product
// with mixed rows of w: mix them once and pack the result, and a call stays one pass. On a device
// whose weights have few bits the outputs mix, not the codes: quantize w first (SymmetricQuantizer)
// and multiply the mixed rows as floats.
//
// The gradient by w is that by the mixed rows, mixed again, for the mixing is symmetric.
#pragma once

#include <cmath>
#include <cstddef>

#include "config.hpp"
#include "detail/simd/vectors.hpp"
#include "fused_gemm.hpp"
#include "matrix.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

inline bool mixing_valid(MatrixView<const float> w, float crosstalk, MatrixView<float> mixed) {
  const auto message = [&] {
    return Message() << "lumina::mix_neighbours: w is " << Shape{w.rows(), w.cols()}
                     << ", mixed is " << Shape{mixed.rows(), mixed.cols()};
  };
  if (mixed.rows() != w.rows() || mixed.cols() != w.cols()) {
    return report_false(message() << "; they must have the same shape");
  }
  if (!(std::abs(crosstalk) <= 1.0f)) {
    return report_false(message() << "; crosstalk must be in -1..1");
  }
  return !overlap(mixed, w) || report_false(message() << "; they overlap");
}

}  // namespace detail

/// mixed[j, k] = fma(crosstalk, w[j − 1, k] + w[j + 1, k], w[j, k]), both [out, in]; the first and
/// the last output have one neighbour, a single one has none. Errors: different shapes, crosstalk
/// outside of [−1, 1], w and mixed overlap.
inline void mix_neighbours(MatrixView<const float> w, float crosstalk, MatrixView<float> mixed) {
  using Floats = detail::Native::Batch<float>;
  if (!detail::mixing_valid(w, crosstalk, mixed)) return;
  for (std::size_t row = 0; row < w.rows(); ++row) {
    const float* const own = w.row(row);
    const float* const before = row > 0 ? w.row(row - 1) : nullptr;
    const float* const after = row + 1 < w.rows() ? w.row(row + 1) : nullptr;
    float* const to = mixed.row(row);
    const auto mix = [&](std::size_t k, auto load, auto store) {
      Floats neighbours(0.0f);
      if (before != nullptr && after != nullptr) {
        neighbours = load(before + k) + load(after + k);
      } else if (before != nullptr || after != nullptr) {
        neighbours = load((before != nullptr ? before : after) + k);
      }
      store(detail::fused_multiply_add(Floats(crosstalk), neighbours, load(own + k)), to + k);
    };
    std::size_t k = 0;
    for (; k + Floats::size <= w.cols(); k += Floats::size) {
      mix(
          k, [](const float* from) { return Floats::load_unaligned(from); },
          [](const Floats& values, float* place) { values.store_unaligned(place); });
    }
    if (const std::size_t rest = w.cols() - k; rest != 0) {
      mix(
          k, [rest](const float* from) { return detail::load_first<Floats>(from, rest); },
          [rest](const Floats& values, float* place) { detail::store_first(values, place, rest); });
    }
  }
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
