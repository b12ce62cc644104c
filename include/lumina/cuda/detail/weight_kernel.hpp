// Weights encoded on a device, a warp for each output.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "../../coded_weights.hpp"
#include "../../config.hpp"
#include "../../detail/base/scalar_math.hpp"
#include "../../detail/packing/symmetric_encoder.hpp"
#include "../../detail/random/noise_field.hpp"
#include "../../detail/rows/levels.hpp"
#include "../../detail/rows/weight_scale.hpp"
#include "../../weight_noise.hpp"
#include "../coded_weights.hpp"
#include "../platform/platform.hpp"
#include "noise_lanes.hpp"
#include "pair.hpp"
#include "row_noise.hpp"
#include "rows_of_warps.hpp"
#include "warp_reductions.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// w [rows, columns], and where what is made of it goes.
struct WeightMemory {
  const float* w;
  std::size_t stride, rows, columns;
  CodedRows to;
  std::size_t padded_rows;  ///< of scales and sums

  __device__ __forceinline__ const float* row(std::size_t number) const {
    return w + number * stride;
  }
};

/// How weights are encoded: with codes, or levels, up to ±max_code.
template <class Noise>
struct WeightEncoding {
  std::int32_t max_code;
  const float* scales;  ///< of the caller's, or null
  bool per_matrix;
  /// The largest magnitude of all weights lies where each scale will.
  bool has_largest;
  Noise noise;
  std::array<NoiseField, draws_of_noise<Noise>> fields;
  std::uint64_t row_offset;
};

/// The largest magnitude of each row, to where its sum of codes will lie.
template <class Memory>
__global__ void __launch_bounds__(32 * kRowsOfBlock)
    measure_weights(const __grid_constant__ Memory weights) {
  let_next_grid_start();
  wait_for_previous_grid();
  const std::size_t row = row_of_warp();
  if (row >= weights.rows) return;
  const std::uint32_t largest =
      largest_of_row(weights.row(row), weights.columns, [](float v, std::size_t) { return v; });
  if (threadIdx.x % 32 == 0) weights.to.code_sums[row] = static_cast<std::int32_t>(largest);
}

/// That of all rows to where each scale will lie. One block.
template <class Memory>
__global__ void __launch_bounds__(1024) share_largest(const __grid_constant__ Memory weights) {
  let_next_grid_start();
  wait_for_previous_grid();
  auto* const of_warps = reinterpret_cast<std::uint32_t*>(dynamic_shared());
  std::uint32_t largest = 0;
  for (std::size_t row = threadIdx.x; row < weights.rows; row += blockDim.x) {
    const auto own = static_cast<std::uint32_t>(weights.to.code_sums[row]);
    largest = largest < own ? own : largest;
  }
  largest = largest_of_warp(largest);
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = largest;
  __syncthreads();
  for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) {
    largest = largest < of_warps[warp] ? of_warps[warp] : largest;
  }
  for (std::size_t row = threadIdx.x; row < weights.rows; row += blockDim.x) {
    weights.to.scales[row] = std::bit_cast<float>(largest);
  }
}

/// Codes, scales, sums; zeros behind the last output's.
template <class Memory, class Encoding>
__global__ void __launch_bounds__(32 * kRowsOfBlock)
    encode_rows(const __grid_constant__ Memory weights, const __grid_constant__ Encoding encoding) {
  using Noise = std::remove_cvref_t<decltype(encoding.noise)>;
  constexpr std::size_t kDraws = draws_of_noise<Noise>;
  let_next_grid_start();
  wait_for_previous_grid();
  const std::size_t row = row_of_warp();
  const bool is_first = threadIdx.x % 32 == 0;
  if (row >= weights.rows) {
    if (is_first && row < weights.padded_rows) {
      weights.to.scales[row] = 0.0f;
      weights.to.code_sums[row] = 0;
    }
    return;
  }
  const float* const own_row = weights.row(row);
  const std::uint32_t row_largest =
      largest_of_row(own_row, weights.columns, [](float v, std::size_t) { return v; });
  const std::uint32_t largest =
      encoding.has_largest ? std::bit_cast<std::uint32_t>(weights.to.scales[row]) : row_largest;
  __syncwarp();  // all have read what one writes

  float level_scale = 0.0f;
  bool valid = largest < kInfinityBits && row_largest < kInfinityBits;
  if (encoding.scales != nullptr) {
    level_scale = encoding.scales[row];
    valid = valid && level_scale > 0.0f && level_scale <= std::numeric_limits<float>::max();
  } else {
    level_scale = weight_scale(encoding.per_matrix ? largest : row_largest, encoding.max_code);
  }
  float scale = level_scale;
  std::int32_t highest = encoding.max_code;
  if constexpr (kDraws != 0) {
    highest = CodedWeights<8>::max_code;
    scale = grid_scale(
        level_scale, encoding.max_code,
        deviation_of(encoding.noise, product(level_scale, static_cast<float>(encoding.max_code)),
                     std::bit_cast<float>(largest), std::bit_cast<float>(row_largest)));
  }
  const SymmetricEncoder encoder(scale, highest);

  std::int8_t* const codes = weights.to.codes + row * weights.to.row_bytes;
  std::uint32_t sum = 0;
  const auto store = [&](std::size_t column, const Pair<float>& values) {
    Pair<std::int8_t> two(0);
    if (!encoder.all_zero()) {
      const auto raised = encoder.encode_lanes(std::array<Pair<float>, 1>{values})[0];
      two = {static_cast<std::int8_t>(raised.first), static_cast<std::int8_t>(raised.second)};
    }
    if (column >= weights.columns) two.first = 0;
    if (column + 1 >= weights.columns) two.second = 0;
    sum += static_cast<std::uint32_t>(two.first + two.second);
    *reinterpret_cast<std::uint16_t*>(codes + column) = std::bit_cast<std::uint16_t>(two);
  };
  if constexpr (kDraws == 0) {
    for_each_pair_of_row(
        weights.columns, [](std::size_t) {}, [] {},
        [&](std::size_t column, int) {
          store(column, pair_of_row(own_row, column, weights.columns));
        });
  } else {
    const SymmetricLevels levels(level_scale, encoding.max_code, level_scale);
    const RowNoise<Noise> noise(encoding.noise, std::bit_cast<float>(largest),
                                std::bit_cast<float>(row_largest));
    NoiseLanes<8> lanes[kDraws];
    typename NoiseLanes<8>::Round normals[kDraws];
    for_each_pair_of_row(
        weights.columns,
        [&](std::size_t block) {
#pragma unroll
          for (std::size_t draw = 0; draw < kDraws; ++draw) {
            const auto field = encoding.fields[draw].row(encoding.row_offset + row);
            lanes[draw] = NoiseLanes<8>(field.seed_of(block), static_cast<int>(threadIdx.x) % 8);
          }
        },
        [&] {
#pragma unroll
          for (std::size_t draw = 0; draw < kDraws; ++draw) {
            normals[draw] = lanes[draw].next_round();
          }
        },
        [&](std::size_t column, int pair) {
          const Pair<float> clean = pair_of_row(own_row, column, weights.columns);
          const Pair<float> level = levels.all_zero() ? Pair<float>(0.0f) : levels.level_of(clean);
          Pair<float> own[kDraws];
#pragma unroll
          for (std::size_t draw = 0; draw < kDraws; ++draw) own[draw] = normals[draw][pair];
          store(column, noise(level, clean, column, own));
        });
  }
  sum = sum_of_warp(sum);
  if (is_first) {
    weights.to.scales[row] = valid ? scale : std::numeric_limits<float>::quiet_NaN();
    weights.to.code_sums[row] = static_cast<std::int32_t>(sum);
  }
}

/// The kernels of an encoding.
template <class Encoding>
Error encode_weights_on(const WeightMemory& weights, const Encoding& encoding,
                        StreamHandle stream) {
  if (encoding.has_largest) {
    Error error =
        launch(&measure_weights<WeightMemory>, shape_of_rows(weights.rows), stream, weights);
    if (error != kSuccess) return error;
    constexpr unsigned kThreads = 512;
    const LaunchShape one{1, 1, kThreads, kThreads / 32 * sizeof(std::uint32_t), true};
    error = launch(&share_largest<WeightMemory>, one, stream, weights);
    if (error != kSuccess) return error;
  }
  return launch(&encode_rows<WeightMemory, Encoding>, shape_of_rows(weights.padded_rows), stream,
                weights, encoding);
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
