// DACs in front of arrays on a device: a row's inputs of an array become codes, and the planes of
// the sums that stages want (detail/rows/input_planes.hpp); and what is known of the row.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../detail/rows/input_planes.hpp"
#include "../../detail/rows/random_input.hpp"
#include "../../detail/simd/stochastic_code.hpp"
#include "../../noise.hpp"
#include "../../quantizer.hpp"
#include "../platform/platform.hpp"
#include "array_tiling.hpp"
#include "pair.hpp"
#include "sum_planes.hpp"
#include "warp_reductions.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// RowNumbers (detail/rows/array_rows.hpp) of a row and an array.
struct ArrayNumbers {
  float range;
  std::uint32_t squares;
};

/// A row's DAC at an array, and its range r.
struct RowInput {
  UniformQuantizer dac;
  float range;
};

/// One DAC for all rows.
struct DeviceInput {
  static constexpr bool noisy = false, stochastic = false;

  RowInput same;

  template <class X>
  __device__ __forceinline__ RowInput of_row(const X*, int, int, std::size_t) const {
    return same;
  }
};

/// ManagedInput (detail/rows/array_input.hpp).
struct DeviceManagedInput {
  static constexpr bool noisy = false, stochastic = false;

  std::int32_t max_code;
  float given;
  bool abs_max;

  /// A warp's, of `size` inputs, doubled so often.
  __device__ __forceinline__ RowInput of_row(const float* x, int size, int lane,
                                             std::size_t doublings) const {
    float range = given;
    if (abs_max) {
      std::uint32_t largest = 0;
      for (int k = lane; k < size; k += 32) {
        const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(x[k]) & 0x7fffffffu;
        largest = largest < magnitude ? magnitude : largest;
      }
      largest = largest_of_warp(largest);
      constexpr std::uint32_t kInfinity = 0x7f800000;
      if (largest != 0 && largest < kInfinity) range = std::bit_cast<float>(largest);
    }
    // Where quantizers have steps, also doubled.
    range = range < 0x1p-100f ? 0x1p-100f : range > 0x1p+100f ? 0x1p+100f : range;
    for (std::size_t i = 0; i < doublings && range < 0x1p+120f; ++i) range *= 2.0f;
    return {UniformQuantizer::symmetric_with_valid_limit(max_code, range), range};
  }
};

/// RandomInput (detail/rows/random_input.hpp). `Base`: of those above.
template <class Base, bool Noisy, bool Stochastic>
struct DeviceRandomInput : Base {
  static constexpr bool noisy = Noisy, stochastic = Stochastic;

  NoiseKey key;
  float fine, deviation;

  /// The code, counted from the lowest one, of input `input` of a row.
  __device__ __forceinline__ std::uint32_t encode(float x, const UniformQuantizer& dac,
                                                  std::size_t row, std::size_t input,
                                                  std::size_t repetition) const {
    using Floats = Pair<float>;
    const Floats uniform(standard_uniform_at(key, row, input, 2 * repetition + 1));
    const Floats at = clamp_keeping_nan(
        quotient(Floats(x) - Floats(dac.offset()), Floats(dac.step())),
        Floats(static_cast<float>(dac.lowest())), Floats(static_cast<float>(dac.highest())));
    const Floats code = stochastic_code(select(at <= at, at, Floats(0.0f)), uniform);
    return static_cast<std::uint32_t>(static_cast<std::int32_t>(code.first) - dac.lowest());
  }
  /// A code with its noise, in fixed point, less FinePoint::kLowest: 16 bits.
  __device__ __forceinline__ std::uint32_t with_noise(std::uint32_t code,
                                                      const UniformQuantizer& dac, std::size_t row,
                                                      std::size_t input,
                                                      std::size_t repetition) const {
    constexpr auto kMost = static_cast<float>(FinePoint::kLargest);
    const float normal = standard_normal_at(key, row, input, 2 * repetition);
    const float ideal =
        multiply(static_cast<float>(static_cast<std::int32_t>(code) + dac.lowest()), fine);
    const float noisy_code = multiply_add(deviation, normal, ideal);
    const float above = noisy_code < -kMost ? -kMost : noisy_code;
    const float held = round_half_even(kMost < above ? kMost : above);
    return static_cast<std::uint32_t>(static_cast<std::int32_t>(held) - FinePoint::kLowest);
  }
};

/// Which time a call runs, of bound management: 0, for all rows; then, for those whose `rows` are
/// not 0, with r twice as large. `clipped`: becomes 1 for rows that an ADC has clipped, where
/// anybody asks.
struct Repetition {
  std::size_t number = 0;
  const std::uint8_t* rows = nullptr;
  std::uint8_t* clipped = nullptr;
};

template <class X>
struct ArrayInputs {
  const X* first;
  std::size_t stride;
  int rows;
  ArrayTiling tiling;
};

/// What the kernel makes: `numbers` [arrays, rows]; `codes` [planes, rows, row_bytes], arrays as
/// ArrayTiling has them, zeros behind their ends.
struct ArrayCodes {
  ArrayNumbers* numbers;
  std::byte* codes;
};

/// A warp makes a row of an array, four inputs a thread at a time. `Input`: of those above.
/// `SumsSquares`: ArrayNumbers::squares is made.
template <class X, class Input, class Planes, bool SumsSquares>
__global__ void __launch_bounds__(128)
    encode_for_arrays(const __grid_constant__ ArrayInputs<X> from,
                      const __grid_constant__ ArrayCodes to, const __grid_constant__ Input input,
                      const __grid_constant__ Repetition repetition) {
  struct alignas(4 * sizeof(X)) Four {
    X at[4];
  };
  constexpr bool kMagnitudes = Planes::has_input(PlaneForm::magnitudes);
  constexpr bool kSquares = Planes::has_input(PlaneForm::squares);
  constexpr bool kPositions = Planes::has_input(PlaneForm::positions);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::size_t warp = std::size_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32;
  const std::size_t arrays = from.tiling.count(), row = warp / arrays;
  const int array = static_cast<int>(warp % arrays);
  let_next_grid_start();
  // Which may make x, and read what was encoded before.
  wait_for_previous_grid();
  if (row >= static_cast<std::size_t>(from.rows)) return;
  if (repetition.clipped != nullptr && array == 0 && lane == 0) repetition.clipped[row] = 0;
  if (repetition.rows != nullptr && repetition.rows[row] == 0) return;

  const int size = from.tiling.size(array);
  const X* const x = from.first + row * from.stride + from.tiling.first_input(array);
  const bool in_fours = reinterpret_cast<std::uintptr_t>(x) % sizeof(Four) == 0;
  const RowInput own = input.of_row(x, size, lane, repetition.number);
  const InputPlanes planes(own.dac);
  const std::size_t row_bytes = from.tiling.row_bytes();
  const std::size_t plane_bytes = static_cast<std::size_t>(from.rows) * row_bytes;
  std::byte* const codes_of_row =
      to.codes + row * row_bytes + static_cast<std::size_t>(from.tiling.first_byte(array));
  std::uint32_t squares = 0;

  for (int k = 4 * lane; k < from.tiling.bytes(array); k += 128) {
    X inputs[4] = {};
    if (in_fours && k + 4 <= size) {
      const Four four = load_constant(reinterpret_cast<const Four*>(x + k));
#pragma unroll
      for (int i = 0; i < 4; ++i) inputs[i] = four.at[i];
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if (k + i < size) inputs[i] = x[k + i];
      }
    }
    std::uint32_t words[Planes::inputs] = {};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (k + i >= size) continue;
      std::uint32_t code;
      [[maybe_unused]] const std::size_t column =
          static_cast<std::size_t>(from.tiling.first_input(array) + k + i);
      if constexpr (Input::stochastic) {
        code = input.encode(inputs[i], own.dac, row, column, repetition.number);
      } else if constexpr (std::is_same_v<X, float>) {
        const std::array<Pair<float>, 1> value{Pair<float>(inputs[i])};
        code = static_cast<std::uint32_t>(own.dac.encode_lanes(value)[0].first);
      } else {
        code = inputs[i];
      }
      if constexpr (Input::noisy) {
        const std::uint32_t steps = input.with_noise(code, own.dac, row, column, repetition.number);
        words[0] |= (steps >> 8) << (8 * i);
        words[1] |= (steps & 0xffu) << (8 * i);
      } else {
        words[0] |= code << (8 * i);
      }
      if constexpr (kMagnitudes) {
        words[Planes::template plane_with<PlaneForm::magnitudes>] |= planes.magnitude(code)
                                                                     << (8 * i);
      }
      if constexpr (kSquares || SumsSquares) {
        const std::uint32_t square = planes.square(code);
        if constexpr (kSquares) {
          words[Planes::template plane_with<PlaneForm::squares>] |= square << (8 * i);
        }
        squares += square;
      }
      if constexpr (kPositions) {
        words[Planes::template plane_with<PlaneForm::positions>] |=
            planes.position(code, static_cast<std::size_t>(k + i), static_cast<std::size_t>(size))
            << (8 * i);
      }
    }
#pragma unroll
    for (int plane = 0; plane < Planes::inputs; ++plane) {
      *reinterpret_cast<std::uint32_t*>(
          codes_of_row + static_cast<std::size_t>(plane) * plane_bytes + k) = words[plane];
    }
  }
  if constexpr (SumsSquares) squares = sum_of_warp(squares);
  if (lane == 0) {
    to.numbers[static_cast<std::size_t>(array) * static_cast<std::size_t>(from.rows) + row] = {
        own.range, squares};
  }
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
