// Quantizers of every kind and number of bits: what they refuse, and that constant expressions,
// scalar and vector code and the oracle have the same bits for any float.
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <lumina/quantizer.hpp>
#include <lumina/reference.hpp>

#include "support/check.hpp"
#include "support/input.hpp"
#include "support/random_matrix.hpp"

namespace {

using fuzz::Input;
using fuzz::require;
using test::same_bits;

/// f(std::integral_constant<int, bits>) for one of First … First + Count − 1.
template <int First, int Count, class F>
void with_bits(int bits, F f) {
  [&]<int... I>(std::integer_sequence<int, I...>) {
    (void)((bits == First + I && (f(std::integral_constant<int, First + I>()), true)) || ...);
  }
  (std::make_integer_sequence<int, Count>());
}

/// Values of the input, and around a tie for each of them.
template <class Tie>
std::vector<float> values_for(Input& input, std::size_t codes, const Tie& tie) {
  std::vector<float> values;
  while (!input.empty() && values.size() < 100) {
    if (input.flag()) {
      values.push_back(input.any_float());
    } else {
      const auto at = static_cast<float>(tie(input.integer(0, codes)));
      values.insert(values.end(),
                    {at, std::nextafter(at, -test::kInf), std::nextafter(at, test::kInf)});
    }
  }
  return values;
}

/// apply() on `values` from their first, second … element on: all alignments and tails.
template <class Quantizer>
void check_vectors(const Quantizer& quantizer, const std::vector<float>& values, std::size_t skip) {
  const std::size_t count = values.size() - std::min(skip, values.size());
  test::TestMatrix vectors(1, count), one_by_one(1, count);
  for (std::size_t i = 0; i < count; ++i) {
    vectors(0, i) = values[values.size() - count + i];
    one_by_one(0, i) = quantizer(vectors(0, i));
  }
  quantizer.apply(std::span<float>(vectors.view().data(), count));
  fuzz::require_same(test::difference(vectors, one_by_one), "apply() is operator() in every lane");
}

bool uniform_range_valid(float lo, float hi, int bits) {
  const double range = static_cast<double>(hi) - static_cast<double>(lo);
  return bits >= 1 && bits <= 16 && lo < hi && range <= static_cast<double>(test::kLargest) &&
         lumina::reference::step(lo, hi, bits) > 0.0f;
}

/// What the branch for constant expressions computes, which a compiler alone takes.
std::uint32_t constant_encode(const lumina::RuntimeQuantizer& quantizer, float v) {
  if (!(v > quantizer.lo())) return 0;
  const double top = quantizer.max_code();
  if (static_cast<double>(v) - quantizer.lo() > 2.0 * top * quantizer.step()) {
    return quantizer.max_code();
  }
  return quantizer.encode(v);
}

void check_uniform(Input& input) {
  const int bits = static_cast<int>(input.byte() % 20) - 1;
  const float lo = input.any_float(), hi = input.any_float();
  fuzz::note("bits", bits);
  fuzz::note("lo", lo);
  fuzz::note("hi", hi);
  const bool valid = uniform_range_valid(lo, hi, bits);
  for (const fuzz::OnError how : {fuzz::OnError::returns, fuzz::OnError::throws}) {
    const std::size_t reports = fuzz::reports_of(
        how,
        [&] {
          const lumina::RuntimeQuantizer quantizer(bits, lo, hi);
          require(valid || (quantizer.step() > 0.0f && quantizer.lo() < quantizer.hi()),
                  "a refused quantizer, where the handler returns, is one with some range");
        },
        2);
    require((reports != 0) == !valid, "what cannot be a quantizer, and only that, is refused");
  }
  if (!valid) return;

  const lumina::RuntimeQuantizer quantizer(bits, lo, hi);
  require(same_bits(quantizer.step(), lumina::reference::step(lo, hi, bits)), "step");
  require(quantizer.bits() == bits && quantizer.max_code() == (1u << bits) - 1, "bits");
  require(std::isfinite(quantizer.decode(quantizer.max_code())), "levels are finite");
  const std::vector<float> values = values_for(input, quantizer.max_code(), [&](std::size_t code) {
    return lo + (static_cast<double>(code) + 0.5) * static_cast<double>(quantizer.step());
  });
  for (const float v : values) {
    fuzz::note("v", v);
    const std::uint32_t code = quantizer.encode(v);
    require(code == lumina::reference::encode(v, lo, hi, bits), "encode() is the oracle's");
    require(code == constant_encode(quantizer, v), "encode() as in a constant expression");
    const float level = quantizer.decode(code);
    require(same_bits(level, lumina::reference::decode(code, quantizer.lo(), hi, bits)),
            "decode() is the oracle's");
    require(same_bits(level, lumina::detail::fused_multiply_add_exact(
                                 static_cast<float>(code), quantizer.step(), quantizer.lo())),
            "decode() as in a constant expression");
    require(same_bits(quantizer(v), v != v ? v : level), "operator() is decode(encode())");
    require(std::isfinite(level), "levels are finite");
    fuzz::notes.pop_back();
  }
  check_vectors(quantizer, values, input.byte() % 9);
  with_bits<1, 16>(bits, [&](auto constant) {
    const lumina::Quantizer<constant> same(lo, hi);
    require(same_bits(same.step(), quantizer.step()) && same_bits(same.lo(), quantizer.lo()) &&
                same_bits(same.hi(), quantizer.hi()),
            "bits at run time make the same quantizer");
    for (const float v : values) require(same.encode(v) == quantizer.encode(v), "the same codes");
  });
}

template <int Bits>
void check_symmetric(Input& input, float limit) {
  using Quantizer = lumina::SymmetricQuantizer<Bits>;
  const auto max_code = static_cast<double>(Quantizer::max_code);
  const auto rounded = static_cast<float>(limit / max_code);
  const bool valid = rounded > 0.0f && limit <= test::kLargest;
  for (const fuzz::OnError how : {fuzz::OnError::returns, fuzz::OnError::throws}) {
    const std::size_t reports = fuzz::reports_of(how, [&] {
      const Quantizer quantizer(limit);
      require(quantizer.step() > 0.0f, "a refused quantizer has some range");
    });
    require((reports != 0) == !valid, "what cannot be a quantizer, and only that, is refused");
  }
  if (!valid) return;

  const Quantizer quantizer(limit);
  const auto same = lumina::RuntimeQuantizer::symmetric(Bits, limit);
  const float step = quantizer.step();
  require(same.bits() == Bits && same_bits(same.step(), step) && same.is_symmetric(),
          "bits at run time make the same quantizer");
  const bool too_high = std::isinf(static_cast<float>(max_code) * rounded);
  require(step == (too_high ? std::nextafter(rounded, 0.0f) : rounded), "step");
  const std::vector<float> values = values_for(
      input, Quantizer::max_code, [&, sign = input.flag() ? -1.0 : 1.0](std::size_t code) {
        return sign * (static_cast<double>(code) + 0.5) * static_cast<double>(step);
      });
  for (const float v : values) {
    fuzz::note("v", v);
    const std::int32_t code = quantizer.encode(v);
    require(code == lumina::reference::encode_symmetric(v, step, Bits), "encode() is the oracle's");
    // As a constant expression has it.
    if (static_cast<double>(v) > 2.0 * max_code * step) {
      require(code == Quantizer::max_code, "beyond the range");
    }
    if (static_cast<double>(v) < -2.0 * max_code * step) {
      require(code == -Quantizer::max_code, "beyond the range");
    }
    const float level = quantizer.decode(code);
    require(same_bits(level, lumina::detail::fused_multiply_add_exact(static_cast<float>(code),
                                                                      step, 0.0f)),
            "decode() as in a constant expression");
    require(same_bits(quantizer(v), v != v ? v : level), "operator() is decode(encode())");
    require(std::isfinite(level), "levels are finite");
    require(same_bits(quantizer(-v), v != v ? v : 0.0f - quantizer(v)), "symmetric");
    const auto from_lowest = static_cast<std::uint32_t>(code + Quantizer::max_code);
    require(same.encode(v) == from_lowest && same_bits(same.decode(from_lowest), level) &&
                same_bits(same(v), quantizer(v)),
            "bits at run time make the same quantizer");
    fuzz::notes.pop_back();
  }
  check_vectors(quantizer, values, input.byte() % 9);
  check_vectors(same, values, input.byte() % 9);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::notes.clear();
  Input input(data, size);
  if (input.flag()) {
    check_uniform(input);
  } else {
    const int bits = 2 + static_cast<int>(input.byte() % 15);
    const float limit = input.any_float();
    fuzz::note("bits", bits);
    fuzz::note("limit", limit);
    with_bits<2, 15>(bits, [&](auto constant) { check_symmetric<constant>(input, limit); });
  }
  return 0;
}
