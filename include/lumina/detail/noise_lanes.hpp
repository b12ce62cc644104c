// noise.hpp in vectors: eight lanes of Xoshiro256++, 32 normals for every two steps, equal to
// standard_normal_at bit for bit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../config.hpp"
#include "../noise.hpp"
#include "normal_constants.hpp"
#include "simd.hpp"
#include "unroll.hpp"
#include "xoshiro.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Vectors of Batch::size normals each.
template <class Floats>
struct NormalVectors {
  Floats cosine, sine;
};

/// detail::polynomial in every lane.
template <class Floats, std::size_t Count>
[[gnu::always_inline]] inline Floats polynomial(const float (&coefficients)[Count],
                                                const Floats& x) {
  Floats sum(coefficients[Count - 1]);
  unroll<Count - 1>([&](auto i) __attribute__((always_inline)) {
    sum = fused_multiply_add(sum, x, Floats(coefficients[Count - 2 - i]));
  });
  return sum;
}

/// detail::box_muller in every lane. Largest errors, over all words (tests/unit/test_math.cpp
/// enforces them): −2·ln u 20 ulp, sin(π·x) 20 ulp, cos(π·x) 2e-7 absolute.
template <class Words32>
[[gnu::always_inline]] inline NormalVectors<rebind_t<Words32, float>> box_muller(
    const Words32& radius_words, const Words32& angle_words) {
  using Floats = rebind_t<Words32, float>;
  using Ints = rebind_t<Words32, std::int32_t>;

  // The radius word as a signed integer: its magnitude is the radius, its sign turns the angle.
  const Words32 signed_steps =
      bits_as<std::uint32_t>(to_float(bits_as<std::int32_t>(radius_words)));
  const Words32 sign_bit(0x80000000u);
  const Floats steps = bits_as<float>(signed_steps & Words32(0x7fffffffu));
  const Floats u = fused_multiply_add(steps, Floats(0x1p-31f), Floats(0x1p-32f));

  const Ints bits = bits_as<std::int32_t>(u);
  const Ints exponent = (bits - Ints(kLogPivotBits)) & Ints(kExponentMask);
  const Floats f = bits_as<float>(bits - exponent) - Floats(1.0f);
  const Floats log_ratio = polynomial(kLogCoefficients, f);
  const Floats radius = square_root(
      fused_multiply_add(to_float(exponent), Floats(kMinusTwoLn2), product(log_ratio, f)));
  const Floats signed_radius =
      bits_as<float>(bits_as<std::uint32_t>(radius) ^ (signed_steps & sign_bit));

  const Floats x = to_float(bits_as<std::int32_t>(angle_words)) * Floats(0x1p-32f);
  const Floats x2 = product(x, x);
  const Floats cosine = polynomial(kCosineCoefficients, x2);
  const Floats sine = product(x, polynomial(kSineCoefficients, x2));
  return {product(signed_radius, cosine), product(signed_radius, sine)};
}

/// The generator of one (row, panel): walk through its blocks of 32 columns in order.
template <class Arch>
class NoiseLanes {
 public:
  using Floats = typename Arch::template Batch<float>;
  using Words = typename Arch::template Batch<std::uint64_t>;

  /// Vectors in a block of 32 columns.
  static constexpr std::size_t block_vectors = kNoiseBlockColumns / Floats::size;
  using Block = std::array<Floats, block_vectors>;

  /// The lanes' states, as memory: [word of the state][lane].
  using State = std::array<std::array<std::uint64_t, kNoiseLanes>, 4>;

  NoiseLanes() = default;

  /// Goes on where state() was taken.
  explicit NoiseLanes(const State& state) {
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

  /// Seeds all lanes with the outputs of the SplitMix64 that starts at `panel_state`.
  explicit NoiseLanes(std::uint64_t panel_state) {
    repeat<Arch, registers>([&](auto r) {
      repeat<Arch, 4>([&](auto word) {
        Words z = Words(panel_state) + Words::load_aligned(&kSeedSteps[word][r * Words::size]);
        z = Arch::multiply_low(z ^ (z >> 30), SplitMix64::multiplier_1);
        z = Arch::multiply_low(z ^ (z >> 27), SplitMix64::multiplier_2);
        state_[r][word] = z ^ (z >> 31);
      });
    });
  }

  /// The normals of the next 32 columns.
  [[gnu::always_inline]] Block next_block() {
    Block block;
    repeat<Arch, registers>([&](auto r) {
      const Words radii = xoshiro256pp_next<Arch>(state_[r]);
      const Words angles = xoshiro256pp_next<Arch>(state_[r]);
      const auto normals =
          box_muller(bits_as<std::uint32_t>(radii), bits_as<std::uint32_t>(angles));
      block[r] = normals.cosine;
      block[r + registers] = normals.sine;
    });
    return block;
  }

  /// A block's 32 normals to memory.
  static void store(const Block& block, float* to) {
    repeat<Arch, block_vectors>([&](auto i) { block[i].store_unaligned(to + i * Floats::size); });
  }

 private:
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
