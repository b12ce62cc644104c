// The sums that a stage may want beside Σ w·x, in plain loops: the twin of what kernels make of the
// planes in detail/kernels/sum_planes.hpp.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "config.hpp"
#include "detail/base/scalar_math.hpp"
#include "quantizer.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// Of weights ŵ and inputs x̂ in [−1, 1]: Σ|ŵ||x̂|, Σ|ŵ|x̂², Σŵ²x̂², Σŵx̂·(1 − (1 − k/n)²).
struct ExtraSums {
  float magnitudes, squared_inputs, squares, positions;
};

/// factor·x̂ of a DAC's code, counted from the lowest one: x̂ = x / max(|lo|, |hi|).
inline float scaled_position(const detail::UniformQuantizer& dac, std::uint32_t code,
                             double factor) {
  const double range =
      std::fmax(std::abs(static_cast<double>(dac.lo())), std::abs(static_cast<double>(dac.hi())));
  const double step = static_cast<double>(dac.step());
  const double first = static_cast<double>(dac.offset()) + dac.lowest() * step;
  return std::fma(static_cast<float>(code), static_cast<float>(factor * (step / range)),
                  static_cast<float>(factor * (first / range)));
}
/// |x̂| and x̂² in 8 bits, 0 … 255. (The square of a float is exact in double.)
inline std::int64_t magnitude_of_code(const detail::UniformQuantizer& dac, std::uint32_t code) {
  return std::lrint(std::abs(scaled_position(dac, code, 255.0)));
}
inline std::int64_t square_of_code(const detail::UniformQuantizer& dac, std::uint32_t code) {
  const auto root = static_cast<double>(scaled_position(dac, code, 15.968719422671311));  // √255
  return std::lrint(root * root);
}

/// x̂·(1 − (1 − k/n)²) in 8 bits with a sign, of input k of n.
inline std::int64_t position_of_code(const detail::UniformQuantizer& dac, std::uint32_t code,
                                     std::size_t k, std::size_t n) {
  const float far = std::fma(static_cast<float>(k), -1.0f / static_cast<float>(n), 1.0f);
  return std::lrint(detail::product(scaled_position(dac, code, 127.0), std::fma(-far, far, 1.0f)));
}

/// Of `count` inputs, codes of the DAC, and the codes of weights that are stored in 8, 4 or 2 bits,
/// of which 1 stands for `code_value` in ŵ. ŵ² is rounded to 7 bits, with codes of 4 and 2 bits
/// exact.
inline ExtraSums extra_sums(const std::uint8_t* x, const std::int32_t* w, std::size_t count,
                            const detail::UniformQuantizer& dac, float code_value,
                            int stored_bits) {
  std::int64_t magnitudes = 0, squared_inputs = 0, squares = 0, positions = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const std::int64_t byte = std::int64_t{w[k]} << (8 - stored_bits);
    magnitudes += std::abs(w[k]) * magnitude_of_code(dac, x[k]);
    squared_inputs += std::abs(w[k]) * square_of_code(dac, x[k]);
    squares += (byte * byte + 64) / 128 * square_of_code(dac, x[k]);
    positions += w[k] * position_of_code(dac, x[k], k, count);
  }
  const float codes = stored_bits == 8 ? 128.0f : stored_bits == 4 ? 0.5f : 0.03125f;
  const float square_unit = code_value * code_value * codes / 255.0f;
  return {detail::product(static_cast<float>(magnitudes), code_value / 255.0f),
          detail::product(static_cast<float>(squared_inputs), code_value / 255.0f),
          detail::product(static_cast<float>(squares), square_unit),
          detail::product(static_cast<float>(positions), code_value / 127.0f)};
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
