// The noise of a row as a few neighbouring threads draw it: noise.hpp's generators, without a word
// changing threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../detail/random/box_muller.hpp"
#include "../../detail/random/noise_field.hpp"
#include "../../detail/random/xoshiro.hpp"
#include "pair.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Pairs of neighbouring columns that one of `Threads` threads has of 32.
template <int Threads>
inline constexpr int kPairs = 16 / Threads;

/// The first column, of 32, of a thread's pair number `pair`.
template <int Threads>
__device__ constexpr int column_of_pair(int thread, int pair) {
  return 2 * (Threads * pair + thread);
}

/// What one of `Threads` threads (4: a quad of an mma accumulator; 8) draws of a row and a column
/// block: the lanes t, t + Threads … of the generator. Lane l's words are those of columns 2l and
/// 2l + 1, and of 16 + 2l and 17 + 2l.
template <int Threads>
class NoiseLanes {
 public:
  using Round = std::array<Pair<float>, kPairs<Threads>>;

  NoiseLanes() = default;
  /// `seed`: NoiseField::Row::seed_of(block).
  __device__ __forceinline__ NoiseLanes(std::uint64_t seed, int thread) {
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      const auto lane = static_cast<std::uint64_t>(thread + Threads * i);
#pragma unroll
      for (int word = 0; word < 4; ++word) {
        state_[i][word] = SplitMix64::mix(seed + (4 * lane + static_cast<std::uint64_t>(word) + 1) *
                                                     SplitMix64::increment);
      }
    }
  }

  /// Goes on to the next 32 columns, `rounds` times.
  __device__ __forceinline__ void skip(int rounds) {
    for (; rounds > 0; --rounds) {
#pragma unroll
      for (int i = 0; i < kLanes; ++i) next(i), next(i);
    }
  }

  /// The normals of the next 32 columns.
  __device__ __forceinline__ Round next_round() {
    Round round;
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      const Pair<std::uint32_t> radii = next(i), angles = next(i);
      const auto normals = box_muller(radii, angles);
      round[i] = normals.cosine;
      round[kLanes + i] = normals.sine;
    }
    return round;
  }
  /// Uniform numbers instead.
  __device__ __forceinline__ Round next_uniform_round() {
    Round round;
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      round[i] = uniform_of_words(next(i));
      round[kLanes + i] = uniform_of_words(next(i));
    }
    return round;
  }

 private:
  static constexpr int kLanes = static_cast<int>(kNoiseLanes) / Threads;

  __device__ __forceinline__ Pair<std::uint32_t> next(int i) {
    const std::uint64_t words = xoshiro256pp_next<WordOperations>(state_[i]);
    return {static_cast<std::uint32_t>(words), static_cast<std::uint32_t>(words >> 32)};
  }

  std::uint64_t state_[kLanes][4];
};

/// A row's only number of a draw: that of its first column.
__device__ __forceinline__ Pair<float> number_of_row(const NoiseField::Row& row, bool uniform) {
  NoiseLanes<8> first(row.seed_of(0), 0);
  return Pair<float>((uniform ? first.next_uniform_round() : first.next_round())[0].first);
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
