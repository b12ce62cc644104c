// Compiled with flags that take liberties with floats: the library refuses them, or its numbers are
// right nonetheless.
#include <lumina/coded_weights.hpp>
#include <lumina/noise.hpp>
#include <lumina/quantizer.hpp>

#include <bit>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

int mistakes = 0, reported = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::printf("not so: %s\n", what);
  ++mistakes;
}
std::uint32_t bits(float value) { return std::bit_cast<std::uint32_t>(value); }

// Not known to the compiler.
volatile std::uint32_t nan_bits = 0x7fc00000u, one_and_three_quarters = 0x3fe00000u;
float read(const volatile std::uint32_t& from) {
  const std::uint32_t word = from;
  return std::bit_cast<float>(word);
}

}  // namespace

int main() {
  lumina::set_error_handler([](const char*) { ++reported; });
  const float nan = read(nan_bits), value = read(one_and_three_quarters);

  const lumina::Quantizer<2> adc(0.0f, 3.0f);
  std::vector<float> values(67, value);
  adc.apply(values);
  expect(values[3] == 2.0f && values[66] == 2.0f, "1.75 becomes 2 in vectors");
  expect(adc.encode(value) == 2 && adc.encode(value + 0.75f) == 2,
         "the nearest code, ties to even");
  expect(lumina::SymmetricQuantizer<8>(127.0f).encode(-value) == -2, "the nearest symmetric code");
  expect(adc.encode(nan) == 0 && (bits(adc(nan)) & 0x7fffffffu) > 0x7f800000u, "NaN stays NaN");

  lumina::Matrix<float> w(3, 40);
  w(1, 17) = nan;
  lumina::encode_weights<8>(w);
  expect(reported == 1, "a weight that is NaN is an error");
  const lumina::Quantizer<8> no_range(nan, 1.0f);
  expect(reported == 2 && no_range.hi() == 1.0f, "a bound that is NaN is an error");

  std::uint32_t hash = 0;
  for (std::size_t column = 0; column < 200; ++column) {
    hash = hash * 31 + bits(lumina::standard_normal_at({.seed = 7, .stream = 1}, 5, column));
  }
  expect(hash == 0xf1517ff0u, "normals have their bits");
  return mistakes;
}
