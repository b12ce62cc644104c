// The DAC on a device: rows of floats become codes, or the values that codes stand for, in rows
// that kernels can copy in words of 16 bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../quantizer.hpp"
#include "../platform/platform.hpp"
#include "pair.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Inputs that a thread makes.
inline constexpr int kEncodedAtOnce = 16;

/// What becomes of inputs.
struct ToCodes {
  using Input = float;
  using Element = std::uint8_t;
  UniformQuantizer dac;

  __device__ __forceinline__ Pair<std::uint8_t> operator()(const Pair<float>& values) const {
    const auto codes = dac.encode_lanes(std::array<Pair<float>, 1>{values})[0];
    return {static_cast<std::uint8_t>(codes.first), static_cast<std::uint8_t>(codes.second)};
  }
};
struct ToValues {
  using Input = float;
  using Element = float;
  UniformQuantizer dac;

  __device__ __forceinline__ Pair<float> operator()(const Pair<float>& values) const {
    return dac.quantize_lanes(values);
  }
};
/// Codes already, that do not lie as kernels read them.
struct CodesAsTheyAre {
  using Input = std::uint8_t;
  using Element = std::uint8_t;

  __device__ __forceinline__ Pair<std::uint8_t> operator()(const Pair<std::uint8_t>& codes) const {
    return codes;
  }
};

template <class T>
struct InputRows {
  const T* first;
  std::size_t stride;
  int rows, depth;
  bool in_words;  ///< rows begin at multiples of 16 bytes
};

/// to [rows, to_stride], a multiple of kEncodedAtOnce: 0 behind the last input.
template <class Map>
__global__ void __launch_bounds__(128)
    encode_inputs(const __grid_constant__ InputRows<typename Map::Input> from,
                  typename Map::Element* to, std::size_t to_stride,
                  const __grid_constant__ Map map) {
  using Input = typename Map::Input;
  using Element = typename Map::Element;
  struct alignas(16) Words {
    Input at[16 / sizeof(Input)];
  };
  struct alignas(16) Encoded {
    Element at[kEncodedAtOnce];
  };
  const std::size_t chunks = to_stride / kEncodedAtOnce;
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::size_t row = i / chunks, first = i % chunks * kEncodedAtOnce;
  let_next_grid_start();
  wait_for_previous_grid();  // which may make x, and still read what was encoded before
  if (row >= static_cast<std::size_t>(from.rows)) return;
  Input inputs[kEncodedAtOnce] = {};
  const Input* const own = from.first + row * from.stride + first;
  const std::size_t there = static_cast<std::size_t>(from.depth) - first;
  if (from.in_words && there >= kEncodedAtOnce) {
    constexpr int kInWord = 16 / sizeof(Input);
#pragma unroll
    for (int word = 0; word < kEncodedAtOnce / kInWord; ++word) {
      const Words words = load_constant(reinterpret_cast<const Words*>(own) + word);
#pragma unroll
      for (int j = 0; j < kInWord; ++j) inputs[word * kInWord + j] = words.at[j];
    }
  } else {
#pragma unroll
    for (int j = 0; j < kEncodedAtOnce; ++j) {
      if (static_cast<std::size_t>(j) < there) inputs[j] = own[j];
    }
  }
  Encoded encoded;
#pragma unroll
  for (int j = 0; j < kEncodedAtOnce; j += 2) {
    const auto two = map(Pair<Input>(inputs[j], inputs[j + 1]));
    const bool one = static_cast<std::size_t>(j) < there;
    const bool both = static_cast<std::size_t>(j) + 1 < there;
    encoded.at[j] = one ? two.first : Element{};
    encoded.at[j + 1] = both ? two.second : Element{};
  }
  *reinterpret_cast<Encoded*>(to + row * to_stride + first) = encoded;
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
