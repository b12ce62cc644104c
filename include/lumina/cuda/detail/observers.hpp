// Who looks on while a device's values pass through an epilogue (detail/epilogue/observer.hpp has
// the CPU's): round by round of 32 columns, of which a thread has some pairs.
//
//   typename Observer::template Seen<Threads> seen;      what a thread has seen of a round
//   observer.see(seen, index, stage, entering, pair, thread, active)
//   observer.store(seen, row, column, columns, thread, there)      by all threads of a warp
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <tuple>

#include "../../config.hpp"
#include "../../detail/epilogue/clip_recorder.hpp"
#include "../../detail/epilogue/stage_traits.hpp"
#include "../../epilogue.hpp"
#include "../forward_record.hpp"
#include "../platform/platform.hpp"
#include "noise_lanes.hpp"
#include "pair.hpp"
#include "rows_of_warps.hpp"
#include "warp_reductions.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Nobody.
struct Unobserved {};

/// Records which values pass the gates of an epilogue, and the largest magnitude of what enters the
/// last one; either may be nobody's wish.
template <class EpilogueT>
class PassObserver;
template <class... Stages>
class PassObserver<Epilogue<Stages...>> {
 public:
  using Chain = StageChain<Stages...>;
  static constexpr std::size_t gates = ClipRecorder<Epilogue<Stages...>>::gates;

  template <int Threads>
  struct Seen {
    std::array<std::uint32_t, gates> passed{};
    std::uint32_t largest = 0;  ///< magnitude's bits
  };

  /// `largest`: in the device's memory, not negative; it grows.
  PassObserver(const GateWords& record, float* largest)
      : record_(record), largest_(reinterpret_cast<std::uint32_t*>(largest)) {}

  template <int Threads, class Index, class Stage>
  __device__ __forceinline__ void see(Seen<Threads>& seen, Index, const Stage& stage,
                                      const Pair<float>& entering, int pair, int thread,
                                      const ActiveLanes& active) const {
    if constexpr (gates != 0 && is_gate<Stage, Pair<float>>) {
      seen.passed[Chain::gates_before(Index::value)] |=
          VectorOperations<Pair<float>>::bits_of_mask(stage.passes(entering))
          << column_of_pair<Threads>(thread, pair);
    }
    if constexpr (is_last_gate<Index::value, Stages...>()) {
      note(seen.largest, entering.first, active.count > 0);
      note(seen.largest, entering.second, active.count > 1);
    }
  }

  /// `column`: the round's first.
  template <int Threads>
  __device__ __forceinline__ void store(const Seen<Threads>& seen, int row, int column, int columns,
                                        int thread, bool there) const {
    if (record_.words != nullptr) {
      const int left = columns - column;
      const std::uint32_t exist = left >= 32 ? ~0u : left <= 0 ? 0u : (1u << left) - 1u;
#pragma unroll
      for (std::size_t gate = 0; gate < gates; ++gate) {
        std::uint32_t word = seen.passed[gate];
#pragma unroll
        for (int mask = 1; mask < Threads; mask *= 2) word |= shuffle_xor(word, mask);
        if (there && left > 0 && thread == static_cast<int>(gate) % Threads) {
          *record_.at(gate, static_cast<std::size_t>(row), static_cast<std::size_t>(column)) =
              word & exist;
        }
      }
    }
    if (largest_ != nullptr) {
      const std::uint32_t largest = largest_of_warp(there ? seen.largest : 0);
      if (threadIdx.x % 32 == 0 && largest != 0) atomic_largest(largest_, largest);
    }
  }

 private:
  /// NaN is passed over.
  __device__ __forceinline__ static void note(std::uint32_t& largest, float value, bool active) {
    const std::uint32_t bits = magnitude_bits(value);
    if (active && bits <= kInfinityBits && bits > largest) largest = bits;
  }

  GateWords record_;
  std::uint32_t* largest_;
};

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
