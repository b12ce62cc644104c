// One epilogue that has every kind of stage, neutral where the input says so: a few types for the
// compiler, many epilogues for the fuzzer.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <lumina/epilogue.hpp>
#include <lumina/reference.hpp>

#include "check.hpp"
#include "input.hpp"
#include "support/random_matrix.hpp"

namespace fuzz {

/// A stage that may have something against an output, and says so or leaves it to the library.
struct Picky {
  bool content, silent;

  bool valid_for(std::size_t, std::size_t) const {
    if (!content && !silent) lumina::detail::report_error("lumina::Picky: not this one");
    return content;
  }
  template <class Floats, class Normals>
  Floats apply(const Floats& values, const lumina::Coordinates&, const lumina::ActiveLanes&,
               const Normals&) const {
    return values;
  }
  template <class Floats>
  Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

/// A strength of noise: mostly valid.
inline float strength(Input& input) {
  if (input.rarely(16)) return input.any_float();
  return static_cast<float>(input.byte() % 64) * 0x1p-6f;
}
inline bool strength_valid(float value) { return value >= 0.0f && value <= test::kLargest; }

/// A converter of 1 … 16 bits, or a symmetric one of 2 … 16, that nothing is wrong with.
inline lumina::RuntimeQuantizer converter(Input& input, int most_bits = 16) {
  const bool symmetric = input.rarely(4);
  const auto bits =
      static_cast<int>(input.integer(symmetric ? 2 : 1, static_cast<std::size_t>(most_bits)));
  const float lo = input.plain_float();
  const float range = static_cast<float>(input.byte() + 1) * 0x1p-4f;
  note("converter is symmetric", symmetric);
  note("converter's bits", bits);
  note("converter's lo", lo);
  note("converter's range", range);
  if (symmetric) return lumina::RuntimeQuantizer::symmetric(bits, range);
  return {bits, lo, lo + range};
}

/// The parameters of an epilogue for `out` columns, and whether it takes such an output.
struct StageParameters {
  test::TestMatrix bias;
  float factor, shot, gaussian;
  lumina::RuntimeQuantizer adc;
  Picky picky;
  bool valid;

  StageParameters(Input& input, std::size_t out)
      : bias(1, out + (input.rarely(32) ? 1 : 0)),
        factor(input.flag() ? input.any_float() : 1.0f),
        shot(strength(input)),
        gaussian(strength(input)),
        adc(converter(input)),
        picky{!input.rarely(64), input.flag()},
        valid(picky.content && strength_valid(shot) && strength_valid(gaussian) &&
              bias.view().cols() == out) {
    const float first = input.flag() ? input.plain_float() : 0.0f;
    const float step = input.flag() ? input.plain_float() : 0.0f;
    std::size_t column = 0;
    bias.fill([&] { return first + step * static_cast<float>(column++ % 7); });
    note("factor", factor);
    note("shot", shot);
    note("gaussian", gaussian);
    note("stages valid", valid);
  }

  std::span<const float> columns() { return {bias.view().data(), bias.view().cols()}; }
};

}  // namespace fuzz
