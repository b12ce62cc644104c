// The backward pass through the conversions of sliced weights: what share of an array's output went
// through those that did not clip.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "../../config.hpp"
#include "../../forward_record.hpp"
#include "../../gradients.hpp"
#include "../../matrix.hpp"
#include "../../sliced_weights.hpp"
#include "../base/range.hpp"
#include "../engine/sliced_call.hpp"
#include "../epilogue/slice_stages.hpp"
#include "../isa/native.hpp"
#include "../simd/vectors.hpp"
#include "array_backward.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Slices whose stages are as straight as the first one's: they are of one type. (Of a list each
/// may be another one.)
template <class InArray>
bool array_stages_straight(const StagesOfSlices<InArray>& stages) {
  return std::all_of(stages.each.begin(), stages.each.end(),
                     [](const InArray& own) { return array_stages_straight(own.stages); });
}

/// f(vectors of a, of b) to b, element by element.
template <class F>
void update_floats(const float* a, float* b, std::size_t count, F f) {
  using Floats = Native::Batch<float>;
  std::size_t i = 0;
  for (; i + Floats::size <= count; i += Floats::size) {
    f(Floats::load_unaligned(a + i), Floats::load_unaligned(b + i)).store_unaligned(b + i);
  }
  if (i == count) return;
  const Floats rest = f(load_first<Floats>(a + i, count - i), load_first<Floats>(b + i, count - i));
  store_first(rest, b + i, count - i);
}

/// by_array = by_sum · (Σ |worth|·d / Σ |worth|) over the array's conversions, slices ascending,
/// planes ascending, d being the derivative of a conversion's stages: 1 where it did not clip, 0
/// where it did. So where nothing clipped it is by_sum itself.
template <int Bits>
struct GradientByArrays<SlicedWeights<Bits>> {
  template <class Pass, class Executor>
  static bool make(const Pass& pass, const ForwardRecord& record, std::size_t tile,
                   MatrixView<const float> by_sum, MatrixView<float> by_array,
                   BackwardWorkspace& workspace, const Executor& executor) {
    using Floats = Native::Batch<float>;
    const std::size_t rows = by_sum.rows(), columns = by_sum.cols();
    const std::size_t count = rows * columns;
    if (digits_collapse(pass.in_array.stages)) {
      std::copy_n(by_sum.data(), count, by_array.data());
      return true;
    }
    if (!workspace.conversions.grow_to(size_product(std::size_t{2}, rows, columns))) return false;
    float* const ones = workspace.conversions.data();
    const MatrixView<float> passed(ones + count, rows, columns);
    std::fill_n(ones, count, 1.0f);
    std::fill_n(by_array.data(), count, 0.0f);

    const Slices& slices = pass.weights.options();
    const InputDigits digits = input_of(pass.dac, NoiseKey()).digits(slices);
    float all = 0.0f;
    for (std::size_t slice = 0; slice < pass.weights.slices(); ++slice) {
      for (std::size_t plane = 0; plane < digits.planes(); ++plane) {
        const std::size_t number = (tile * pass.weights.slices() + slice) * digits.planes() + plane;
        gradient_through(stages_of_slice(pass.in_array.stages, slice), record,
                         number * pass.array_gates(), pass.key,
                         MatrixView<const float>(ones, rows, columns), passed, nullptr, nullptr,
                         executor);
        const float worth = std::fabs(conversion_worth(slices, digits, slice, plane));
        all += worth;
        update_floats(passed.data(), by_array.data(), count,
                      [worth](const Floats& own, const Floats& sum) {
                        return fused_multiply_add(own, Floats(worth), sum);
                      });
      }
    }
    update_floats(by_sum.data(), by_array.data(), count,
                  [all](const Floats& gradient, const Floats& open) {
                    return product(gradient, quotient(open, Floats(all)));
                  });
    return true;
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
