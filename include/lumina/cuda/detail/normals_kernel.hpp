// A matrix of normals: the epilogue of nothing, without a product before it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../detail/base/range.hpp"
#include "../../detail/layout/float_panels.hpp"
#include "../../detail/random/noise_field.hpp"
#include "../../matrix.hpp"
#include "../platform/platform.hpp"
#include "noise_lanes.hpp"
#include "sinks.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// A thread for a row and a quarter of a column block: as accumulators have them.
template <class Sink>
__global__ void __launch_bounds__(128)
    draw_normals(const __grid_constant__ Sink sink, NoiseField field, std::uint64_t row_offset,
                 std::size_t rows, int columns) {
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int thread = static_cast<int>(threadIdx.x % 4);
  const std::size_t blocks = ceil_div(static_cast<std::size_t>(columns), kBlockColumns);
  const std::size_t row = i / 4 / blocks, block = i / 4 % blocks;
  NoiseLanes<4> lanes(field.row(row_offset + row).seed_of(block), thread);
#pragma unroll
  for (int round = 0; round < static_cast<int>(kBlockColumns) / 32; ++round) {
    const int column = static_cast<int>(block * kBlockColumns) + 32 * round;
    sink.template store<4>(static_cast<int>(row), column, columns, thread, row < rows,
                           lanes.next_round());
  }
}

inline Error fill_normals_on(const MatrixView<float>& y, const NoiseKey& key, std::size_t draw,
                             StreamHandle stream) {
  constexpr std::size_t kThreads = 128;
  const std::size_t threads = 4 * y.rows() * ceil_div(y.cols(), kBlockColumns);
  return launch(&draw_normals<FloatSink>,
                {static_cast<unsigned>(ceil_div(threads, kThreads)), 1, kThreads, 0, false}, stream,
                FloatSink(y), NoiseField(key, draw), key.row_offset, y.rows(),
                static_cast<int>(y.cols()));
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
