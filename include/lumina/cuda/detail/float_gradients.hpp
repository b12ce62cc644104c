// The two products of a backward pass in floats, put into a stream: chains of FMA, as the CPU's
// F32Products of packed weights.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../detail/base/range.hpp"
#include "../../detail/layout/float_panels.hpp"
#include "../../noise.hpp"
#include "../../quantizer.hpp"
#include "../packed_weights.hpp"
#include "../platform/platform.hpp"
#include "checks.hpp"
#include "encode_kernel.hpp"
#include "finish.hpp"
#include "fixed_rows.hpp"
#include "float_kernel.hpp"
#include "pair.hpp"
#include "pieces.hpp"
#include "product.hpp"
#include "sinks.hpp"
#include "sums.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Rows of a product's right operand [depth, columns]: x, or what a DAC makes of it.
struct ValuesAsTheyAre {
  __device__ __forceinline__ Pair<float> operator()(const Pair<float>& values) const {
    return values;
  }
};
template <class Map>
struct RowsOfInputs {
  FloatMatrix from;
  Map map;

  /// Two neighbours, of which one at least exists.
  __device__ __forceinline__ Pair<float> operator()(std::size_t row, std::size_t column) const {
    const float* const own = from.row(row) + column;
    const bool both = column + 1 < from.columns;
    const Pair<float> values = map(Pair<float>(own[0], both ? own[1] : 0.0f));
    return {values.first, both ? values.second : 0.0f};
  }
};
/// Or weights [depth, columns] that lie in panels of outputs, as pack_weights has made them.
struct RowsOfPanels {
  const float* panels;
  std::size_t columns;

  __device__ __forceinline__ Pair<float> operator()(std::size_t row, std::size_t column) const {
    const float* const own = panels + (row / kPanelColumns * columns + column) * kPanelColumns +
                             place_in_panel(static_cast<int>(row % kPanelColumns));
    return {own[0], column + 1 < columns ? own[kPanelColumns] : 0.0f};
  }
};

/// Panels of columns: a thread for each four floats of a panel's row.
template <class Rows>
__global__ void __launch_bounds__(256)
    pack_rows_in_panels(const __grid_constant__ Rows rows, std::size_t depth, std::size_t columns,
                        float* panels) {
  let_next_grid_start();
  wait_for_previous_grid();
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::size_t k = i / kPanelThreads, thread = i % kPanelThreads;
  if (k >= depth) return;
  const std::size_t column = std::size_t{blockIdx.y} * kPanelColumns + 2 * thread;
  const Pair<float> zeros(0.0f);
  const Pair<float> low = column < columns ? rows(k, column) : zeros;
  const Pair<float> high = column + 16 < columns ? rows(k, column + 16) : zeros;
  *reinterpret_cast<Float4*>(panels + (blockIdx.y * depth + k) * kPanelColumns +
                             thread * kThreadFloats) = {low.first, low.second, high.first,
                                                        high.second};
}

/// to [columns, stride] = from [rows, columns], turned; 32 × 32 a block.
template <class Element>
__global__ void __launch_bounds__(256)
    transpose_floats(const FloatMatrix from, Element* to, std::size_t stride) {
  let_next_grid_start();
  wait_for_previous_grid();
  auto* const tile = reinterpret_cast<float*>(dynamic_shared());
  const std::size_t first_row = std::size_t{blockIdx.x} * 32, lane = threadIdx.x % 32;
  const std::size_t first_column = std::size_t{blockIdx.y} * 32;
  for (std::size_t i = threadIdx.x / 32; i < 32; i += blockDim.x / 32) {
    const bool there = first_row + i < from.rows && first_column + lane < from.columns;
    tile[i * 33 + lane] = there ? from.row(first_row + i)[first_column + lane] : 0.0f;
  }
  __syncthreads();
  for (std::size_t i = threadIdx.x / 32; i < 32; i += blockDim.x / 32) {
    if (first_column + i < from.columns && first_row + lane < from.rows) {
      to[(first_column + i) * stride + first_row + lane] = tile[lane * 33 + i];
    }
  }
}

/// The right operand of a product over `depth`, in panels of `columns`.
struct FloatProduct {
  std::size_t columns, depth;
  float* panels;

  FloatProduct(std::size_t of_columns, std::size_t of_depth, Pieces& pieces)
      : columns(of_columns),
        depth(of_depth),
        panels(pieces.take<float>(size_product(round_up(columns, kPanelColumns), depth))) {}

  template <class Rows>
  Error pack(const Rows& rows, StreamHandle stream) const {
    if (depth == 0) return kSuccess;
    constexpr std::size_t kThreads = 256;
    const LaunchShape shape{static_cast<unsigned>(ceil_div(depth * kPanelThreads, kThreads)),
                            static_cast<unsigned>(panel_count(columns)), kThreads, 0, true};
    return launch(&pack_rows_in_panels<Rows>, shape, stream, rows, depth, columns, panels);
  }
  /// y = stages(x · them), x [rows, depth].
  template <class Stages>
  Error multiply(const FloatMatrix& x, MatrixView<float> y, const Stages& stages,
                 const NoiseKey& key, const Device& device, StreamHandle stream) const {
    const Finish finish(stages, FloatSums(), FloatSink(y), key, x.rows, columns);
    const FloatOperands operands{x.first,
                                 x.stride,
                                 panels,
                                 static_cast<int>(x.rows),
                                 static_cast<int>(panel_count(columns)),
                                 static_cast<int>(depth)};
    return multiply_floats_on(operands, finish, device, stream);
  }
};

/// The gradient by the input, gradient·W: stages(…) to `input`.
template <class Stages>
Error float_input_gradient(const FloatMatrix& gradient, const cuda::PackedWeights& weights,
                           MatrixView<float> input, const Stages& stages, void* memory,
                           const Device& device, StreamHandle stream) {
  Pieces pieces(memory);
  const FloatProduct product(input.cols(), gradient.columns, pieces);
  return in_turn(
      [&] {
        return product.pack(RowsOfPanels{weights.panels(), input.cols()}, stream);
      },
      [&] { return product.multiply(gradient, input, stages, NoiseKey{}, device, stream); });
}

/// The gradient by the weights, gradientᵀ·X: stages(…) to `by_weights`.
template <class Dac, class Stages>
Error float_weight_gradient(const FloatMatrix& gradient, const MatrixView<const float>& x,
                            const Dac& dac, MatrixView<float> by_weights, const Stages& stages,
                            const NoiseKey& key, void* memory, const Device& device,
                            StreamHandle stream) {
  Pieces pieces(memory);
  const FloatProduct product(x.cols(), x.rows(), pieces);
  const std::size_t stride = round_up(x.rows(), std::size_t{4});
  float* const turned = pieces.take<float>(size_product(gradient.columns, stride));
  const FloatMatrix inputs{x.data(), x.row_stride(), x.rows(), x.cols()};
  return in_turn(
      [&] {
        if constexpr (std::is_same_v<Dac, NoDac>) {
          return product.pack(RowsOfInputs<ValuesAsTheyAre>{inputs, {}}, stream);
        } else {
          return product.pack(RowsOfInputs<ToValues>{inputs, ToValues{dac}}, stream);
        }
      },
      [&] {
        if (x.rows() == 0) return kSuccess;
        const LaunchShape shape{static_cast<unsigned>(ceil_div(gradient.rows, std::size_t{32})),
                                static_cast<unsigned>(ceil_div(gradient.columns, std::size_t{32})),
                                256, sizeof(float) * 32 * 33, true};
        return launch(&transpose_floats<float>, shape, stream, gradient, turned, stride);
      },
      [&] {
        return product.multiply({turned, stride, gradient.columns, x.rows()}, by_weights, stages,
                                key, device, stream);
      });
}

/// How much memory the two take, one after the other.
inline std::size_t float_gradients_bytes(std::size_t batch, std::size_t in, std::size_t out) {
  Pieces input, weights;
  FloatProduct(in, out, input);
  FloatProduct(in, batch, weights);
  weights.take<float>(size_product(out, round_up(batch, std::size_t{4})));
  return std::max(input.used(), weights.used());
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
