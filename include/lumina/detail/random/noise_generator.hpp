// noise.hpp in vectors: eight lanes of Xoshiro256++, 32 normals for every two steps, equal to
// standard_normal_at bit for bit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/unroll.hpp"
#include "../simd/vectors.hpp"
#include "box_muller.hpp"
#include "noise_field.hpp"
#include "xoshiro.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The generator of one row and column block: walk through its rounds of 32 columns in order.
template <class Arch>
class NoiseGenerator {
 public:
  using Floats = typename Arch::template Batch<float>;
  using Words = typename Arch::template Batch<std::uint64_t>;

  /// Vectors in a round of 32 columns.
  static constexpr std::size_t round_vectors = kNormalsPerRound / Floats::size;
  using Round = std::array<Floats, round_vectors>;

  /// The lanes' states, as memory: [word of the state][lane].
  using State = std::array<std::array<std::uint64_t, kNoiseLanes>, 4>;

  NoiseGenerator() = default;

  /// Goes on where state() was taken.
  explicit NoiseGenerator(const State& state) {
    repeat<Arch, registers>([&](auto r) {
      repeat<Arch, 4>([&](auto word) {
        state_[r][word] = Words::load_unaligned(&state[word][r * Words::size]);
      });
    });
  }
  State state() const {
    State state;
    repeat<Arch, registers>([&](auto r) {
      repeat<Arch, 4>(
          [&](auto word) { state_[r][word].store_unaligned(&state[word][r * Words::size]); });
    });
    return state;
  }

  /// Seeds all lanes with the outputs of the SplitMix64 that starts at `seed` (NoiseField).
  explicit NoiseGenerator(std::uint64_t seed) {
    repeat<Arch, registers>([&](auto r) {
      repeat<Arch, 4>([&](auto word) {
        Words z = Words(seed) + Words::load_aligned(&kSeedSteps[word][r * Words::size]);
        z = Arch::multiply_low(z ^ (z >> 30), SplitMix64::multiplier_1);
        z = Arch::multiply_low(z ^ (z >> 27), SplitMix64::multiplier_2);
        state_[r][word] = z ^ (z >> 31);
      });
    });
  }

  /// The normals of the next 32 columns.
  [[gnu::always_inline]] Round next_round() {
    Round round;
    repeat<Arch, registers>([&](auto r) __attribute__((always_inline)) {
      if constexpr (Arch::unrolls_vectors) {
        step(r, round);
      } else {
        step_apart(r, round);
      }
    });
    return round;
  }

  /// standard_uniform_at of the next 32 columns, instead of normals.
  [[gnu::always_inline]] Round next_uniform_round() {
    Round round;
    repeat<Arch, registers>([&](auto r) {
      round[r] = uniform_of_words(bits_as<std::uint32_t>(xoshiro256pp_next<Arch>(state_[r])));
      round[r + registers] =
          uniform_of_words(bits_as<std::uint32_t>(xoshiro256pp_next<Arch>(state_[r])));
    });
    return round;
  }

  /// A round's 32 numbers to memory.
  static void store(const Round& round, float* to) {
    repeat<Arch, round_vectors>([&](auto i) { round[i].store_unaligned(to + i * Floats::size); });
  }

 private:
  /// The normals of one register of words. Inlined, so that several rows' chains of operations run
  /// side by side; where code must be small, once for all.
  [[gnu::always_inline]] void step(std::size_t r, Round& round) {
    const Words radii = xoshiro256pp_next<Arch>(state_[r]);
    const Words angles = xoshiro256pp_next<Arch>(state_[r]);
    const auto normals = box_muller(bits_as<std::uint32_t>(radii), bits_as<std::uint32_t>(angles));
    round[r] = normals.cosine;
    round[r + registers] = normals.sine;
  }
  [[gnu::noinline]] void step_apart(std::size_t r, Round& round) { step(r, round); }

  static constexpr std::size_t registers = kNoiseLanes / Words::size;

  /// Multiples of SplitMix64's increment: [word of the state][lane].
  alignas(64) static constexpr State kSeedSteps = [] {
    State steps{};
    for (std::size_t word = 0; word < 4; ++word) {
      for (std::size_t lane = 0; lane < kNoiseLanes; ++lane) {
        steps[word][lane] = (4 * lane + word + 1) * SplitMix64::increment;
      }
    }
    return steps;
  }();

  Words state_[registers][4];
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
