// Inputs of arrays that draw numbers: noise of a DAC's outputs, and its rounding (noisy_dac.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../noisy_dac.hpp"
#include "../../quantizer.hpp"
#include "../base/scalar_math.hpp"
#include "../isa/native.hpp"
#include "../kernels/sum_planes.hpp"
#include "../random/input_numbers.hpp"
#include "../random/noise_field.hpp"
#include "../simd/stochastic_code.hpp"
#include "array_input.hpp"
#include "input_planes.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Fixed point in which noisy codes are held: `steps` of them to a code, so that the largest code
/// lies in the middle of what 16 bits have room for with a sign.
struct FinePoint {
  static constexpr std::int32_t kLowest = -(std::int32_t{1} << 15);
  static constexpr std::int32_t kLargest = (std::int32_t{1} << 15) - 1;  ///< and −kLargest
  static constexpr std::int32_t kRoom = std::int32_t{1} << 14;

  /// A power of two.
  static constexpr std::int32_t steps_of(const UniformQuantizer& dac) {
    const std::int32_t largest = std::max(-dac.lowest(), dac.highest());
    return kRoom /
           static_cast<std::int32_t>(std::bit_ceil(static_cast<std::uint32_t>(largest) + 1));
  }
  /// x̂ = 1 in codes.
  static float codes_of_range(const UniformQuantizer& dac, float range) {
    return dac.is_symmetric() ? static_cast<float>(-dac.lowest()) : range / dac.step();
  }
};

/// In the place of those that nobody wants.
struct NoInputNumbers {
  NoInputNumbers(const NoiseField::Row&, std::size_t) {}
};

/// `Base`: FixedInput or ManagedInput. `Noisy`: codes have noise, and two planes (sum_planes.hpp)
/// for their high and low bytes; `Stochastic`: they are rounded at random.
template <class Base, bool Noisy, bool Stochastic>
class RandomInput {
 public:
  static constexpr unsigned planes = Noisy ? kLowByteSums : 0;

  RandomInput(const Base& base, float stddev, const NoiseKey& call)
      : base_(base), key_(input_key(call)), fine_(FinePoint::steps_of(base.dac())) {
    const float codes = FinePoint::codes_of_range(base.dac(), base.range());
    // Finite, so that no normal makes NaN of it.
    deviation_ = std::min(product(stddev, static_cast<float>(fine_) * codes),
                          std::numeric_limits<float>::max());
  }

  InputScale scale() const {
    InputScale scale = base_.scale();
    if (Noisy) {
      scale.unit = scale.unit / static_cast<float>(fine_);
      scale.lowest = FinePoint::kLowest;
    }
    return scale;
  }
  /// Of what inputs draw; a code in fixed point; the deviation of noise there.
  const NoiseKey& key() const { return key_; }
  float fine() const { return static_cast<float>(fine_); }
  float deviation() const { return deviation_; }
  std::size_t iterations() const { return base_.iterations(); }
  template <class X, class F>
  [[gnu::always_inline]] void with_dac(const X* x, std::size_t inputs, std::size_t iteration,
                                       const F& f) const {
    base_.with_dac(x, inputs, iteration, f);
  }

  /// What a row's inputs draw, from input number `first` on.
  class Row {
   public:
    static constexpr bool stochastic = Stochastic;

    Row(const RandomInput& input, std::size_t row, std::size_t first, std::size_t iteration)
        : normals_(of_draw(input, row, 2 * iteration), first),
          uniform_(of_draw(input, row, 2 * iteration + 1), first),
          fine_(static_cast<float>(input.fine_)),
          deviation_(input.deviation_) {}

    /// The codes of the next inputs, counted from the lowest one.
    void encode(const float* x, const UniformQuantizer& dac, ByteBlock& codes) {
      using Floats = Native::Batch<float>;
      float uniform[ByteBlock::size];
      uniform_.fill(uniform, ByteBlock::size);
      const Floats zero(0.0f), lowest(static_cast<float>(dac.lowest()));
      const Floats highest(static_cast<float>(dac.highest()));
      const rebind_t<Floats, std::int32_t> none(0);
      for (std::size_t i = 0; i < ByteBlock::size; i += 4 * Floats::size) {
        // (As std::array<…> nvcc writes this down so that the host's compiler cannot read it.)
        std::array own{none, none, none, none};
        for (std::size_t v = 0; v < own.size(); ++v) {
          const std::size_t first = i + v * Floats::size;
          const Floats at =
              clamp_keeping_nan(quotient(Floats::load_unaligned(x + first) - Floats(dac.offset()),
                                         Floats(dac.step())),
                                lowest, highest);
          const Floats number = select(at <= at, at, zero);
          own[v] = to_small_int(stochastic_code(number, Floats::load_unaligned(uniform + first)),
                                dac.lowest());
        }
        Native::store_code_bytes(own, codes.bytes() + i);
      }
    }

    /// The next inputs' codes with their noise, less FinePoint::kLowest: high and low bytes.
    void add_noise(const ByteBlock& codes, std::int32_t lowest, ByteBlock& high, ByteBlock& low) {
      float normals[ByteBlock::size];
      normals_.fill(normals, ByteBlock::size);
      constexpr auto kMost = static_cast<float>(FinePoint::kLargest);
      const float fine = fine_, deviation = deviation_;
      for (std::size_t i = 0; i < ByteBlock::size; ++i) {
        const float code = static_cast<float>(codes.bytes()[i] + lowest) * fine;
        const float noisy = fused_multiply_add(deviation, normals[i], code);
        const float above = noisy < -kMost ? -kMost : noisy;
        const float held = round_half_even(kMost < above ? kMost : above);
        const std::int32_t steps = static_cast<std::int32_t>(held) - FinePoint::kLowest;
        high.bytes()[i] = static_cast<std::uint8_t>(steps >> 8);
        low.bytes()[i] = static_cast<std::uint8_t>(steps & 0xff);
      }
    }

   private:
    static NoiseField::Row of_draw(const RandomInput& input, std::size_t row, std::size_t draw) {
      return NoiseField(input.key_, draw).row(input.key_.row_offset + row);
    }

    std::conditional_t<Noisy, InputNumbers<false>, NoInputNumbers> normals_;
    std::conditional_t<Stochastic, InputNumbers<true>, NoInputNumbers> uniform_;
    float fine_, deviation_;
  };

 private:
  Base base_;
  NoiseKey key_;
  std::int32_t fine_;
  float deviation_;
};

/// Inputs behind a DAC, in a call with this key.
inline FixedInput input_of(const UniformQuantizer& dac, const NoiseKey&) { return FixedInput(dac); }
inline ManagedInput input_of(const ManagedDac& dac, const NoiseKey&) { return ManagedInput(dac); }
template <RandomDac Dac>
auto input_of(const Dac& random, const NoiseKey& key) {
  const auto ideal = input_of(ideal_dac(random), key);
  float stddev = 0.0f;
  if constexpr (is_noisy_dac<Dac>) stddev = random.stddev;
  return RandomInput<std::remove_const_t<decltype(ideal)>, is_noisy_dac<Dac>,
                     rounds_at_random<Dac>>(ideal, stddev, key);
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
