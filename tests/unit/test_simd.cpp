// Each vector operation against its scalar twin, in every lane, for the native vectors and for
// PortableBatch.
#include <lumina/detail/simd/vectors.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include <lumina/detail/base/scalar_math.hpp>
#include <lumina/detail/isa/native.hpp>
#include <lumina/detail/random/xoshiro.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina::detail;
using namespace test;

namespace {

template <class Batch>
using Lanes = std::array<typename Batch::value_type, Batch::size>;

template <class Batch>
Lanes<Batch> lanes_of(const Batch& batch) {
  Lanes<Batch> lanes;
  batch.store_unaligned(lanes.data());
  return lanes;
}

template <class Batch>
Batch batch_of(const Lanes<Batch>& lanes) {
  return Batch::load_unaligned(lanes.data());
}

/// Floats that reach every special case.
float input(Engine& engine) {
  static const std::vector<float> corners = {0.0f,     -0.0f,           kInf,      -kInf,     kNaN,
                                             kLargest, kSmallestNormal, kDenormal, -kDenormal};
  switch (integer(engine, 0, 3)) {
    case 0:
      return corners[integer(engine, 0, corners.size() - 1)];
    case 1:
      return any_float(engine);
    default:
      return uniform(engine, -3.0f, 3.0f);
  }
}

/// vector(a, b, c) equals scalar(a, b, c) in every lane.
template <class Floats, class Vector, class Scalar>
bool agree(Vector vector, Scalar scalar, float (*draw)(Engine&) = &input) {
  Engine engine(1);
  for (int i = 0; i < 20000; ++i) {
    Lanes<Floats> a, b, c;
    for (std::size_t lane = 0; lane < Floats::size; ++lane) {
      a[lane] = draw(engine);
      b[lane] = draw(engine);
      c[lane] = draw(engine);
    }
    const auto result =
        lanes_of<Floats>(vector(batch_of<Floats>(a), batch_of<Floats>(b), batch_of<Floats>(c)));
    for (std::size_t lane = 0; lane < Floats::size; ++lane) {
      if (!same_bits(result[lane], scalar(a[lane], b[lane], c[lane]))) {
        CAPTURE(lane, a[lane], b[lane], c[lane], result[lane], scalar(a[lane], b[lane], c[lane]));
        CHECK(false);
        return false;
      }
    }
  }
  return true;
}

template <class Arch>
void check_floats() {
  using Floats = typename Arch::template Batch<float>;
  using V = const Floats&;

  CHECK(agree<Floats>([](V a, V b, V c) { return fused_multiply_add(a, b, c); },
                      [](float a, float b, float c) { return std::fma(a, b, c); }));
  CHECK(agree<Floats>([](V a, V b, V c) { return chain_multiply_add(a, b, c); },
                      [](float a, float b, float c) { return chain_multiply_add(a, b, c); }));
  // A sum behind a product is not fused with it.
  CHECK(agree<Floats>([](V a, V b, V c) { return product(a, b) + c; },
                      [](float a, float b, float c) {
                        const volatile float rounded = a * b;
                        return rounded + c;
                      }));
  CHECK(agree<Floats>([](V a, V b, V) { return quotient(a, b); },
                      [](float a, float b, float) { return a / b; }));
  CHECK(agree<Floats>([](V a, V, V) { return square_root(a); },
                      [](float a, float, float) { return std::sqrt(a); }));
  CHECK(agree<Floats>([](V a, V b, V) { return max_or_second(a, b); },
                      [](float a, float b, float) { return a > b ? a : b; }));
  CHECK(agree<Floats>([](V a, V b, V) { return min_or_second(a, b); },
                      [](float a, float b, float) { return a < b ? a : b; }));
  CHECK(agree<Floats>([](V a, V, V) { return clamp_keeping_nan(a, Floats(0.0f), Floats(2.0f)); },
                      [](float a, float, float) {
                        return a != a ? a : a > 0.0f ? (a < 2.0f ? a : 2.0f) : 0.0f;
                      },
                      [](Engine& engine) {
                        const float v = input(engine);
                        return v == 0.0f ? 0.0f : v;  // either zero may come out for −0
                      }));
  CHECK(agree<Floats>([](V a, V, V) { return round_half_even(a); },
                      [](float a, float, float) { return round_half_even(a); },
                      [](Engine& engine) {
                        const float v = uniform(engine, -70000.0f, 70000.0f);
                        return integer(engine, 0, 1) == 0 ? v : std::floor(v) + 0.5f;
                      }));
  CHECK(agree<Floats>([](V a, V b, V c) { return select(a < b, b, c); },
                      [](float a, float b, float c) { return a < b ? b : c; }));
  CHECK(agree<Floats>([](V a, V, V) { return abs(a); },
                      [](float a, float, float) { return std::fabs(a); }));
  // The sign of −0 is left open: xsimd 8 computes 0 − a on AVX-512.
  CHECK(agree<Floats>([](V a, V, V) { return -a + Floats(0.0f); },
                      [](float a, float, float) { return -a + 0.0f; }));
}

template <class Arch>
void check_words() {
  using Floats = typename Arch::template Batch<float>;
  using Words = typename Arch::template Batch<std::uint64_t>;
  using Words32 = rebind_t<Floats, std::uint32_t>;
  using Ints = rebind_t<Floats, std::int32_t>;
  static_assert(Words32::size == Floats::size && Ints::size == Floats::size);
  static_assert(rebind_t<Words, std::uint32_t>::size == 2 * Words::size);

  Engine engine(2);
  bool words_right = true;
  bool floats_right = true;
  for (int i = 0; i < 20000; ++i) {
    Lanes<Words> a, b;
    for (std::uint64_t& lane : a) lane = engine();
    for (std::uint64_t& lane : b) lane = engine();
    const auto rotated = lanes_of<Words>(Arch::template rotate_left<23>(batch_of<Words>(a)));
    const auto rotated_far = lanes_of<Words>(Arch::template rotate_left<45>(batch_of<Words>(a)));
    const auto multiplied =
        lanes_of<Words>(Arch::multiply_low(batch_of<Words>(a), SplitMix64::multiplier_1));
    const auto shifted = lanes_of<Words>((batch_of<Words>(a) >> 31) ^ (batch_of<Words>(b) << 17));
    const auto halves = lanes_of<Words32>(bits_as<std::uint32_t>(batch_of<Words>(a)));
    for (std::size_t lane = 0; lane < Words::size; ++lane) {
      words_right &= rotated[lane] == std::rotl(a[lane], 23);
      words_right &= rotated_far[lane] == std::rotl(a[lane], 45);
      words_right &= multiplied[lane] == a[lane] * SplitMix64::multiplier_1;
      words_right &= shifted[lane] == ((a[lane] >> 31) ^ (b[lane] << 17));
      // Lane 2·l is the lower half of word l: the noise stream's columns depend on it.
      words_right &= halves[2 * lane] == static_cast<std::uint32_t>(a[lane]);
      words_right &= halves[2 * lane + 1] == static_cast<std::uint32_t>(a[lane] >> 32);
    }

    Lanes<Ints> ints;
    for (std::int32_t& lane : ints) lane = static_cast<std::int32_t>(engine());
    const auto floats = lanes_of<Floats>(nearest_floats(batch_of<Ints>(ints)));
    const auto shifted_ints = lanes_of<Ints>(batch_of<Ints>(ints) >> 23);
    const auto seen_as_floats = lanes_of<Floats>(bits_as<float>(batch_of<Ints>(ints)));
    for (std::size_t lane = 0; lane < Floats::size; ++lane) {
      floats_right &= floats[lane] == static_cast<float>(ints[lane]);
      floats_right &= shifted_ints[lane] == ints[lane] >> 23;  // of negative numbers, too
      floats_right &= bits_of(seen_as_floats[lane]) == static_cast<std::uint32_t>(ints[lane]);
    }
  }
  CHECK(words_right);
  CHECK(floats_right);
}

template <class Arch>
void check_partial_vectors() {
  using Floats = typename Arch::template Batch<float>;
  for (std::size_t count = 0; count <= Floats::size; ++count) {
    // Exactly so many floats: a sanitizer sees an access behind them.
    const std::unique_ptr<float[]> from(new float[count]);
    for (std::size_t i = 0; i < count; ++i) from[i] = static_cast<float>(i + 1);
    const Floats loaded = load_first<Floats>(from.get(), count);
    const auto lanes = lanes_of<Floats>(loaded);
    const auto lanes_behind = lanes_of<Floats>(load_first<Floats>(from.get(), count, -kInf));
    float to[Floats::size];
    std::fill_n(to, Floats::size, -7.0f);
    store_first(loaded, to, count);
    for (std::size_t i = 0; i < Floats::size; ++i) {
      CHECK(lanes[i] == (i < count ? static_cast<float>(i + 1) : 0.0f));
      CHECK(lanes_behind[i] == (i < count ? static_cast<float>(i + 1) : -kInf));
      CHECK(to[i] == (i < count ? static_cast<float>(i + 1) : -7.0f));
    }
    const std::unique_ptr<float[]> exact(new float[count]);
    store_first(loaded, exact.get(), count);
    for (std::size_t i = 0; i < count; ++i) CHECK(exact[i] == from[i]);
  }
}

/// Masks as bits, and bits as masks.
template <class Arch>
void check_masks() {
  using Floats = typename Arch::template Batch<float>;
  Engine engine(3);
  bool bits_right = true, kept_right = true, both_right = true;
  for (int i = 0; i < 2000; ++i) {
    Lanes<Floats> a, b;
    for (std::size_t lane = 0; lane < Floats::size; ++lane) {
      a[lane] = input(engine);
      b[lane] = input(engine);
    }
    const Floats va = batch_of<Floats>(a), vb = batch_of<Floats>(b);
    const std::uint32_t bits = bits_of_mask<Floats>(va < vb);
    const std::uint32_t both = bits_of_mask<Floats>((va < vb) & (va > Floats(0.0f)));
    const auto kept = lanes_of<Floats>(keep_where(bits, va));
    for (std::size_t lane = 0; lane < Floats::size; ++lane) {
      const bool less = a[lane] < b[lane];
      bits_right &= (bits >> lane & 1u) == (less ? 1u : 0u);
      both_right &= (both >> lane & 1u) == (less && a[lane] > 0.0f ? 1u : 0u);
      kept_right &= same_bits(kept[lane], less ? a[lane] : 0.0f);
    }
    bits_right &= std::uint64_t{bits} >> Floats::size == 0;  // nothing behind the last lane
  }
  CHECK(bits_right);
  CHECK(both_right);
  CHECK(kept_right);
  // Of bits behind the last lane nobody knows.
  for (const float lane : lanes_of<Floats>(keep_where(~0u, Floats(2.0f)))) CHECK(lane == 2.0f);
  for (const float lane : lanes_of<Floats>(keep_where(0u, Floats(kNaN)))) {
    CHECK(bits_of(lane) == 0u);
  }
}

}  // namespace

TEST_CASE("Float operations of the native vectors", "[simd]") { check_floats<Native>(); }
TEST_CASE("Float operations of PortableBatch", "[simd]") { check_floats<Scalar>(); }
TEST_CASE("Integer operations of the native vectors", "[simd]") { check_words<Native>(); }
TEST_CASE("Integer operations of PortableBatch", "[simd]") { check_words<Scalar>(); }
TEST_CASE("Partial native vectors touch no other memory", "[simd]") {
  check_partial_vectors<Native>();
}
TEST_CASE("Partial PortableBatches touch no other memory", "[simd]") {
  check_partial_vectors<Scalar>();
}
TEST_CASE("Masks of the native vectors", "[simd]") { check_masks<Native>(); }
