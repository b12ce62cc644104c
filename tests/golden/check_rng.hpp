// FastRng, and the noise field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

#include <lumina/fast_rng.hpp>
#include <lumina/noise.hpp>

#include "bits.hpp"
#include "noise_field.hpp"
#include "operands.hpp"
#include "rng_vectors.hpp"

namespace golden {

/// The run of calls that rng_vectors.py makes, for each seed.
template <class Report>
void check_fast_rng(Report&& report) {
  std::size_t words = 0, floats = 0;
  const auto word = [&](std::uint64_t actual) {
    report("FastRng word", words, kRngWords[words], actual);
    ++words;
  };
  const auto number = [&](float actual) {
    report("FastRng float", floats, kRngFloats[floats], bits_of(actual));
    ++floats;
  };
  for (const std::uint64_t seed : kRngSeeds) {
    lumina::FastRng rng(seed);
    for (int i = 0; i < 8; ++i) word(rng());
    for (int i = 0; i < 4; ++i) number(rng.uniform());
    for (int i = 0; i < 4; ++i) number(unit(rng()));
    for (int i = 0; i < 5; ++i) number(rng.normal());
    for (const std::uint32_t length : kRngFills) {
      float normals[128];
      rng.fill_normal(std::span(normals, length), kRngMean, kRngStddev);
      for (std::size_t i = 0; i < length; ++i) number(normals[i]);
    }
    for (int i = 0; i < 2; ++i) word(rng());
    rng.jump();
    for (int i = 0; i < 4; ++i) word(rng());
    rng.long_jump();
    for (int i = 0; i < 4; ++i) word(rng());
    for (int i = 0; i < 2; ++i) number(rng.normal());
  }
  report("FastRng: all words used", 0, std::size(kRngWords), words);
  report("FastRng: all floats used", 0, std::size(kRngFloats), floats);

  std::uint64_t state[4] = {1, 2, 3, 4};
  for (std::size_t i = 0; i < std::size(kXoshiroWords); ++i) {
    report("Xoshiro256++ word", i, kXoshiroWords[i],
           lumina::detail::xoshiro256pp_next<lumina::detail::WordOperations>(state));
  }
}

template <class Report>
void check_noise_field(Report&& report) {
  std::uint64_t index = 0;
  for (const NoiseValue& value : kNoiseField) {
    const lumina::NoiseKey key{value.seed, value.stream, value.row_offset};
    report("noise field", index++, value.bits,
           bits_of(lumina::standard_normal_at(key, value.row, value.col, value.draw)));
  }
  index = 0;
  for (const BoxMullerValue& value : kBoxMuller) {
    const auto [cosine, sine] = lumina::detail::box_muller(value.radius_word, value.angle_word);
    report("Box-Muller cosine", index, value.cosine_bits, bits_of(cosine));
    report("Box-Muller sine", index++, value.sine_bits, bits_of(sine));
  }
}

}  // namespace golden
