// fused_multiply_add, and quantizers: scalar and in vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <lumina/quantizer.hpp>

#include "bits.hpp"
#include "quantizer_vectors.hpp"

namespace golden {

template <class Report>
void check_multiply_add(Report&& report) {
  using Floats = lumina::detail::Native::Batch<float>;
  std::uint64_t index = 0;
  for (const MultiplyAdd& value : kMultiplyAdds) {
    // Volatile, for a compiler must not compute them itself.
    const volatile float a = float_of(value.a), b = float_of(value.b), c = float_of(value.c);
    report("multiply_add", index, value.result,
           bits_of(lumina::detail::fused_multiply_add(float{a}, float{b}, float{c})));
    alignas(64) float lanes[Floats::size];
    lumina::detail::fused_multiply_add(Floats(a), Floats(b), Floats(c)).store_aligned(lanes);
    for (const float lane : lanes) {
      report("multiply_add (vector)", index, value.result, bits_of(lane));
    }
    ++index;
  }
}

/// `first`: the number of the first of `expected`.
template <class Report, class Quantizer>
void check_quantized(Report&& report, const Quantizer& quantizer,
                     std::span<const Quantized> expected, std::uint64_t first) {
  // In vectors a piece at a time, of an odd length: with whole vectors and a tail.
  constexpr std::size_t kPiece = 19;
  for (std::size_t begin = 0; begin < expected.size(); begin += kPiece) {
    float values[kPiece];
    const std::size_t count = expected.size() - begin < kPiece ? expected.size() - begin : kPiece;
    for (std::size_t i = 0; i < count; ++i) values[i] = float_of(expected[begin + i].value);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t index = first + begin + i;
      const Quantized& one = expected[begin + i];
      report("quantizer code", index, static_cast<std::uint32_t>(one.code),
             static_cast<std::uint32_t>(quantizer.encode(values[i])));
      report("quantizer value", index, one.decoded, bits_of(quantizer(values[i])));
    }
    quantizer.apply({values, count});
    for (std::size_t i = 0; i < count; ++i) {
      report("quantizer value (vector)", first + begin + i, expected[begin + i].decoded,
             bits_of(values[i]));
    }
  }
}

/// f(SymmetricQuantizer<bits>(limit)): its bits are a template argument.
template <class F>
void with_symmetric_quantizer(int bits, float limit, F f) {
  const auto one = [&]<int Bits>(std::integral_constant<int, Bits>) {
    if (Bits == bits) f(lumina::SymmetricQuantizer<Bits>(limit));
  };
  [&]<int... I>(std::integer_sequence<int, I...>) {
    (one(std::integral_constant<int, I + 2>{}), ...);
  }
  (std::make_integer_sequence<int, 15>{});
}

template <class Report>
void check_quantizers(Report&& report) {
  const std::span<const Quantized> all(kQuantized);
  std::size_t first = 0;
  for (const UniformQuantizer& one : kUniformQuantizers) {
    const lumina::RuntimeQuantizer quantizer(one.bits, float_of(one.lo), float_of(one.hi));
    report("quantizer step", first, one.step, bits_of(quantizer.step()));
    check_quantized(report, quantizer, all.subspan(first, one.count), first);
    first += one.count;
  }
  for (const SymmetricQuantizer& one : kSymmetricQuantizers) {
    with_symmetric_quantizer(one.bits, float_of(one.limit), [&](const auto& quantizer) {
      report("symmetric step", first, one.step, bits_of(quantizer.step()));
      check_quantized(report, quantizer, all.subspan(first, one.count), first);
    });
    first += one.count;
  }
  report("quantizers: all values used", 0, all.size(), first);
}

}  // namespace golden
