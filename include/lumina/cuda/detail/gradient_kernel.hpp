// The first step back on a device: through the derivatives of an epilogue's stages; and the sums
// over the batch that are the gradient by a bias. (detail/epilogue/backward.hpp is the CPU's.)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../detail/base/range.hpp"
#include "../../detail/epilogue/derivatives.hpp"
#include "../../detail/epilogue/stage_traits.hpp"
#include "../../detail/layout/float_panels.hpp"
#include "../../epilogue.hpp"
#include "../../noise.hpp"
#include "../forward_record.hpp"
#include "../platform/platform.hpp"
#include "finish.hpp"
#include "fixed_rows.hpp"
#include "noise_lanes.hpp"
#include "pair.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Where the gradient by what enters the first AddBias is: nowhere, it is grad_y, it is the
/// gradient by the dot products, or it needs memory of its own.
enum class BiasGradient { none, grad_y, gradient, own };
template <class EpilogueT>
inline constexpr BiasGradient bias_gradient_of = BiasGradient::none;
template <class... Stages>
inline constexpr BiasGradient bias_gradient_of<Epilogue<Stages...>> = [] {
  std::size_t first = sizeof...(Stages), i = 0;
  ((first = std::is_same_v<Stages, AddBias> && first == sizeof...(Stages) ? i : first, ++i), ...);
  return first == sizeof...(Stages)       ? BiasGradient::none
         : first == 0                     ? BiasGradient::gradient
         : first + 1 == sizeof...(Stages) ? BiasGradient::grad_y
                                          : BiasGradient::own;
}();

/// From grad_y to `gradient`, rows `stride` floats apart, an even number. Where a stage needs the
/// values that entered it, `gradient` comes with the dot products in it, and their noise is drawn
/// again.
template <class EpilogueT>
class GradientStep;
template <class... Stages>
class GradientStep<Epilogue<Stages...>> {
 public:
  using Chain = StageChain<Stages...>;

  /// `by_bias`: as `gradient`, of what enters AddBias; or null.
  GradientStep(const Epilogue<Stages...>& epilogue, const GateWords& record, const NoiseKey& key,
               const FloatMatrix& grad_y, float* gradient, float* by_bias, std::size_t stride)
      : epilogue_(epilogue),
        record_(record),
        draws_(key),
        grad_y_(grad_y),
        gradient_(gradient),
        by_bias_(by_bias),
        stride_(stride) {}

  std::size_t threads() const { return 4 * grad_y_.rows * blocks(); }

  /// A thread's columns of a row and a column block.
  __device__ __forceinline__ void run(std::size_t number) const {
    const int thread = static_cast<int>(number % 4);
    const std::size_t row = number / 4 / blocks(), block = number / 4 % blocks();
    if (row >= grad_y_.rows) return;
    const int first = static_cast<int>(block * kBlockColumns);
    const int columns = static_cast<int>(grad_y_.columns);
    typename DrawsT::template Row<4> generators(draws_, static_cast<int>(row), first, thread);
#pragma unroll
    for (int round = 0; round < static_cast<int>(kBlockColumns) / 32; ++round) {
      const int column = first + 32 * round;
      if (column >= columns) return;
      const auto drawn = generators.next();
      std::array<std::uint32_t, kGates> passed;
#pragma unroll
      for (std::size_t gate = 0; gate < kGates; ++gate) {
        passed[gate] = load_constant(record_.at(gate, row, static_cast<std::size_t>(column)));
      }
#pragma unroll
      for (int pair = 0; pair < kPairs<4>; ++pair) {
        const int in_round = column_of_pair<4>(thread, pair), at = column + in_round;
        if (at >= columns) continue;
        std::array<Pair<float>, DrawsT::count> normals;
#pragma unroll
        for (std::size_t draw = 0; draw < DrawsT::count; ++draw) normals[draw] = drawn[draw][pair];
        const auto bits = [&](std::size_t gate) { return passed[gate] >> in_round; };
        step({row, static_cast<std::size_t>(at), draws_.global_row(static_cast<int>(row))},
             {columns - at > 1 ? std::size_t{2} : std::size_t{1}}, normals, bits);
      }
    }
  }

 private:
  static constexpr bool kNeedsValues = Chain::any_needs_values;
  static constexpr std::size_t kGates = kNeedsValues ? 0 : Chain::gates;
  using DrawsT = Draws<std::conditional_t<kNeedsValues, Epilogue<Stages...>, Epilogue<>>>;

  constexpr std::size_t blocks() const { return ceil_div(grad_y_.columns, kBlockColumns); }

  template <class Bits>
  __device__ __forceinline__ void step(const Coordinates& at, const ActiveLanes& active,
                                       const std::array<Pair<float>, DrawsT::count>& normals,
                                       const Bits& bits) const {
    const float* const from = grad_y_.row(at.row) + at.column;
    const Pair<float> grad_y(from[0], active.count > 1 ? from[1] : 0.0f);
    const std::size_t place = at.row * stride_ + at.column;
    auto* const to = reinterpret_cast<Float2*>(gradient_ + place);
    Pair<float> gradient, by_bias(0.0f);
    if constexpr (kNeedsValues) {
      const Pair<float> values(to->x, active.count > 1 ? to->y : 0.0f);
      gradient = Derivatives<Stages...>::with_values(epilogue_, grad_y, values, at, active, normals,
                                                     by_bias);
    } else {
      gradient = Derivatives<Stages...>::with_record(epilogue_, grad_y, bits, by_bias);
    }
    *to = {gradient.first, gradient.second};
    if (by_bias_ != nullptr) {
      *reinterpret_cast<Float2*>(by_bias_ + place) = {by_bias.first, by_bias.second};
    }
  }

  Epilogue<Stages...> epilogue_;
  GateWords record_;
  DrawsT draws_;
  FloatMatrix grad_y_;
  float* gradient_;
  float* by_bias_;
  std::size_t stride_;
};

template <class Step>
__global__ void __launch_bounds__(128) step_gradient(const __grid_constant__ Step step) {
  let_next_grid_start();
  wait_for_previous_grid();
  step.run(std::size_t{blockIdx.x} * blockDim.x + threadIdx.x);
}

/// Rows that are on their way to shared memory while as many before them are added.
inline constexpr int kAddedRows = 256;
inline constexpr std::size_t kAddShared = sizeof(float) * 2 * kAddedRows * 32;

/// The sum of each column over the rows, a chain in ascending order from 0 on: 32 columns a block,
/// of which one warp adds.
template <class Element>
__global__ void __launch_bounds__(256) add_rows(const FloatMatrix from, Element* sums) {
  let_next_grid_start();
  wait_for_previous_grid();
  auto* const shared = reinterpret_cast<float*>(dynamic_shared());
  const std::size_t column = std::size_t{blockIdx.x} * 32 + threadIdx.x % 32;
  const bool there = column < from.columns;
  const auto load = [&](std::size_t first) {
    float* const to = shared + first / kAddedRows % 2 * kAddedRows * 32;
    for (std::size_t i = threadIdx.x / 32; i < kAddedRows && first + i < from.rows;
         i += blockDim.x / 32) {
      copy_4_async(shared_address(to + i * 32 + threadIdx.x % 32),
                   there ? from.row(first + i) + column : from.first, there);
    }
    commit_copies();
  };
  load(0);
  float sum = 0.0f;
  for (std::size_t first = 0; first < from.rows; first += kAddedRows) {
    load(first + kAddedRows);
    wait_copies<1>();
    __syncthreads();
    if (threadIdx.x < 32) {
      const float* const own = shared + first / kAddedRows % 2 * kAddedRows * 32 + threadIdx.x;
      const int rows =
          from.rows - first < kAddedRows ? static_cast<int>(from.rows - first) : kAddedRows;
#pragma unroll 16
      for (int i = 0; i < rows; ++i) sum = add(sum, own[i * 32]);
    }
    __syncthreads();  // the next rows but one may come
  }
  if (threadIdx.x < 32 && there) sums[column] = sum;
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
