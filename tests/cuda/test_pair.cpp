// Pair, the vector that stages see on a GPU, against the scalar architecture's vector, on the host:
// operations, stages, quantizers, formulas and normals have the same bits.
#include <lumina/cuda/detail/pair.hpp>
#include <lumina/lumina.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <lumina/detail/random/box_muller.hpp>
#include <lumina/detail/simd/portable_batch.hpp>

#include "support/catch.hpp"
#include "support/guarded_matrix.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace test;
using namespace lumina;

namespace {

using Floats = detail::gpu::Pair<float>;
using Reference = detail::PortableBatch<float>;
using Two = std::array<float, 2>;

/// Floats that reach every special case.
float input(Engine& engine) {
  constexpr std::array corners{0.0f,     -0.0f,           kInf,      -kInf,     kNaN,
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
Two two_inputs(Engine& engine) {
  const float first = input(engine);
  return {first, input(engine)};
}

template <class Vector>
Vector vector_of(const Two& values) {
  return detail::load_first<Vector>(values.data(), 2);
}
template <class Vector>
Two first_two(const Vector& values) {
  Two two;
  detail::store_first(values, two.data(), 2);
  return two;
}
bool same(const Two& a, const Two& b, std::size_t count = 2) {
  return same_bits(a[0], b[0]) && (count < 2 || same_bits(a[1], b[1]));
}

/// f(a, b, c) of Pairs equals that of the scalar architecture's vectors.
template <class F>
bool agree(F f) {
  Engine engine(1);
  for (int i = 0; i < 20000; ++i) {
    const Two a = two_inputs(engine), b = two_inputs(engine), c = two_inputs(engine);
    const auto of = [&]<class Vector>(Vector) {
      return first_two(Vector(f(vector_of<Vector>(a), vector_of<Vector>(b), vector_of<Vector>(c))));
    };
    if (!same(of(Floats()), of(Reference(0.0f)))) return false;
  }
  return true;
}

constexpr std::size_t kColumns = 133, kTiles = 3;

struct Element {
  Two values;
  std::array<Two, 8> normals;
  std::array<Two, 4> sums;  ///< of Facts, none negative
  RowFacts row;
  Coordinates at;
  ActiveLanes active;
};

template <class Vector, class Stage>
Two applied(const Stage& stage, const Element& element) {
  std::array<Vector, detail::normals_of<Stage>> normals;
  for (std::size_t i = 0; i < normals.size(); ++i) {
    normals[i] = vector_of<Vector>(element.normals[i]);
  }
  Facts<Vector> facts;
  facts.magnitudes = vector_of<Vector>(element.sums[0]);
  facts.squared_inputs = vector_of<Vector>(element.sums[1]);
  facts.squares = vector_of<Vector>(element.sums[2]);
  facts.positions = vector_of<Vector>(element.sums[3]);
  facts.row = element.row;
  return first_two(detail::apply_stage(stage, vector_of<Vector>(element.values), element.at,
                                       element.active, normals, facts));
}

/// "" where the stage gives the same over both kinds of vectors in each of the columns, the last of
/// which has no neighbour.
template <class Stage>
std::string stage_difference(const Stage& stage, std::size_t rounds = 40) {
  Engine engine(2);
  const auto magnitude = [&] { return std::abs(input(engine)); };
  for (std::size_t i = 0; i < rounds; ++i) {
    for (std::size_t column = 0; column < kColumns; column += 2) {
      Element element{.values = two_inputs(engine),
                      .normals = {},
                      .sums = {},
                      .row = {},
                      .at = {0, column, i, i % kTiles},
                      .active = {std::min<std::size_t>(2, kColumns - column)}};
      // An ADC takes uniform numbers for normals: all are in (0, 1].
      for (Two& n : element.normals) n = {uniform(engine, 0x1p-32f, 1.0f), 1.0f};
      for (Two& sum : element.sums) sum = {magnitude(), magnitude()};
      element.row = {1.0f, magnitude(), 37.0f};
      const Two actual = applied<Floats>(stage, element);
      const Two expected = applied<Reference>(stage, element);
      if (!same(actual, expected, element.active.count)) {
        return difference(actual, expected) + " for " + std::to_string(element.values[0]) + ", " +
               std::to_string(element.values[1]);
      }
    }
  }
  return "";
}

/// A user's, of plain operators.
struct Plain {
  template <class Vector, class Normals>
  constexpr Vector apply(const Vector& v, const Coordinates&, const ActiveLanes&,
                         const Normals&) const {
    const Vector two = v + v, product = v * two - v / Vector(3.0f);
    return select(v < two, min(-v, product), max(product, sqrt(abs(v))));
  }
};

struct Elementary {
  template <class Vector, class Normals>
  constexpr Vector apply(const Vector& v, const Coordinates&, const ActiveLanes&,
                         const Normals&) const {
    return lumina::exp(v) + lumina::log(v) + lumina::tanh(v) + lumina::sqrt(v);
  }
};

class Columns {
 public:
  Columns() {
    Engine engine(3);
    values_.fill([&] { return uniform(engine, -2.0f, 2.0f); });
  }
  std::span<const float> row() const { return {values_.view().row(kTiles - 1), kColumns}; }
  MatrixView<const float> tiles() const { return values_.constant(); }

 private:
  GuardedMatrix<float> values_{kTiles, kColumns};
};

}  // namespace

TEST_CASE("operations of a Pair equal those of the scalar architecture's vectors") {
  using namespace lumina::detail;
  CHECK(agree([](auto a, auto b, auto) { return a + b; }));
  CHECK(agree([](auto a, auto b, auto) { return a - b; }));
  CHECK(agree([](auto a, auto b, auto) { return a * b; }));
  CHECK(agree([](auto a, auto b, auto) { return quotient(a, b); }));
  CHECK(agree([](auto a, auto b, auto c) { return fused_multiply_add(a, b, c); }));
  CHECK(agree([](auto a, auto b, auto) { return product(a, b); }));
  CHECK(agree([](auto a, auto, auto) { return square_root(a); }));
  CHECK(agree([](auto a, auto b, auto) { return max_or_second(a, b); }));
  CHECK(agree([](auto a, auto b, auto) { return min_or_second(a, b); }));
  CHECK(agree([](auto a, auto b, auto) { return min(a, b); }));
  CHECK(agree([](auto a, auto b, auto) { return max(a, b); }));
  CHECK(agree([](auto a, auto, auto) { return -abs(a); }));
  CHECK(agree([](auto a, auto b, auto c) { return select(a <= b, a, c); }));
  CHECK(agree([](auto a, auto b, auto c) { return select((a >= b) & (b > c), a, c); }));
  CHECK(agree([](auto a, auto, auto) { return round_half_even(a); }));
  CHECK(agree([](auto a, auto b, auto) {
    return clamp_keeping_nan(a, decltype(a)(-1.0f), decltype(b)(2.0f));
  }));
  CHECK(agree(
      [](auto a, auto b, auto) { return keep_where(bits_of_mask<decltype(a)>(a < b) & 3u, a); }));
  CHECK(agree([](auto a, auto, auto) {
    const auto bits = bits_as<std::int32_t>(a);
    using Ints = std::remove_const_t<decltype(bits)>;
    return nearest_floats(((bits - Ints(77)) & Ints(-8)) + (bits << 3) - ((bits ^ bits) >> 2));
  }));
  CHECK(all(Floats(1.0f, 2.0f) < Floats(2.0f, 3.0f)));
  CHECK(!all(Floats(1.0f, 4.0f) < Floats(2.0f, 3.0f)));
}

TEST_CASE("stages and quantizers over Pairs equal those over the scalar architecture's vectors") {
  const Columns columns;
  const detail::KeptSpan<const float> row = columns.row();
  const ColumnVectors own{columns.tiles()};
  const Mismatch drawn{0.1f, NoiseKey{5}};
  const Quantizer<8> adc(-1.0f, 1.5f);
  CHECK(stage_difference(AddBias{row}) == "");
  CHECK(stage_difference(Relu{}) == "");
  CHECK(stage_difference(Attenuation{0.83f}) == "");
  CHECK(stage_difference(GaussianNoise{0.07f}) == "");
  CHECK(stage_difference(ShotNoise{0.07f}) == "");
  CHECK(stage_difference(ShotNoiseWithDerivative{0.07f}) == "");
  CHECK(stage_difference(adc) == "");
  CHECK(stage_difference(Quantizer<1>(0.0f, 1e-38f)) == "");
  CHECK(stage_difference(Quantizer<16>(-1e38f, 1e38f)) == "");
  CHECK(stage_difference(SymmetricQuantizer<4>(1.0f)) == "");
  CHECK(stage_difference(RuntimeQuantizer(6, 0.0f, 1.0f)) == "");
  CHECK(stage_difference(StochasticQuantizer{adc}) == "");
  CHECK(stage_difference(SarAdc{adc}) == "");
  CHECK(stage_difference(SarAdc<Mismatch>{Quantizer<3>(-1.0f, 1.0f), drawn}, 2) == "");
  std::vector<float> thresholds(255);
  REQUIRE(ramp_thresholds(adc, thresholds));
  CHECK(stage_difference(RampAdc{adc, thresholds}) == "");
  CHECK(stage_difference(ColumnGain{own}) == "");
  CHECK(stage_difference(ColumnOffset{own}) == "");
  CHECK(stage_difference(ColumnAsymmetry{own}) == "");
  CHECK(stage_difference(OutputNonlinearity{own, 0.0f, row}) == "");
  CHECK(stage_difference(ColumnGain{drawn}, 3) == "");
  CHECK(stage_difference(OutputNonlinearity{drawn, 1.0f}, 3) == "");
  CHECK(stage_difference(ReadNoise{0.1f}) == "");
  CHECK(stage_difference(ProportionalReadNoise{0.1f}) == "");
  CHECK(stage_difference(ConstantReadNoise{0.1f}) == "");
  CHECK(stage_difference(BalancedShotNoise{0.1f}) == "");
  CHECK(stage_difference(IntensityNoise{0.1f}) == "");
  CHECK(stage_difference(IrDrop{}) == "");
  CHECK(stage_difference(independent(GaussianNoise{0.1f}, ShotNoise{0.1f}, ReadNoise{0.1f})) == "");
  CHECK(stage_difference(WeightGate<4>{columns.tiles(), row}) == "");
  CHECK(stage_difference(MultiplicativeWeightNoise{0.1f}.gradient_stage()) == "");
  CHECK(stage_difference(DropConnect{0.1f}.gradient_stage()) == "");
  CHECK(stage_difference(Plain{}) == "");
  CHECK(stage_difference(Elementary{}, 400) == "");
  CHECK(stage_difference(
            epilogue(AddBias{row}, Attenuation{0.8f}, ShotNoise{0.1f}, GaussianNoise{0.1f}, adc),
            400) == "");
}

TEST_CASE("codes of Pairs are encode()'s") {
  Engine engine(4);
  const Quantizer<8> dac(-1.0f, 1.5f);
  const SymmetricQuantizer<5> with_signs(0.7f);
  for (int i = 0; i < 20000; ++i) {
    const Two values = two_inputs(engine);
    const auto codes = dac.encode_lanes(std::array{vector_of<Floats>(values)});
    const auto lifted = with_signs.encode_lanes(std::array{vector_of<Floats>(values)});
    const auto numbers = with_signs.codes_of_lanes(std::array{vector_of<Floats>(values)});
    for (std::size_t lane = 0; lane < 2; ++lane) {
      REQUIRE(static_cast<std::uint32_t>(codes[0].get(lane)) == dac.encode(values[lane]));
      REQUIRE(lifted[0].get(lane) == with_signs.encode(values[lane]) - with_signs.lowest());
      REQUIRE(numbers[0].get(lane) == static_cast<float>(with_signs.encode(values[lane])));
    }
  }
}

TEST_CASE("normals of Pairs of words are the definition's") {
  using Words = detail::gpu::Pair<std::uint32_t>;
  Engine engine(5);
  const auto word = [&] {
    constexpr std::array corners{0u, 1u, 0x7fffffffu, 0x80000000u, 0x80000001u, 0xffffffffu};
    return integer(engine, 0, 7) == 0 ? corners[integer(engine, 0, corners.size() - 1)]
                                      : static_cast<std::uint32_t>(engine());
  };
  for (int i = 0; i < 100000; ++i) {
    const std::array radii{word(), word()}, angles{word(), word()};
    const auto pairs = detail::box_muller(Words(radii[0], radii[1]), Words(angles[0], angles[1]));
    for (std::size_t lane = 0; lane < 2; ++lane) {
      const auto expected = detail::box_muller(radii[lane], angles[lane]);
      REQUIRE(same_bits(pairs.cosine.get(lane), expected.cosine));
      REQUIRE(same_bits(pairs.sine.get(lane), expected.sine));
    }
  }
}

TEST_CASE("columns 2l, 2l + 1 and 16 + 2l, 17 + 2l of a round are lane l's two pairs") {
  using Words = detail::gpu::Pair<std::uint32_t>;
  const NoiseKey key{.seed = 7, .stream = 3, .row_offset = 11};
  constexpr std::size_t kRow = 5, kBlock = 1;
  for (std::size_t lane = 0; lane < detail::kNoiseLanes; ++lane) {
    detail::SplitMix64 seeder{detail::NoiseField(key).row(key.row_offset + kRow).seed_of(kBlock) +
                              4 * lane * detail::SplitMix64::increment};
    std::uint64_t state[4];
    for (std::uint64_t& s : state) s = seeder();
    for (std::size_t first = 0; first < detail::kBlockColumns; first += detail::kNormalsPerRound) {
      const auto words = [&] {
        const auto both = detail::xoshiro256pp_next<detail::WordOperations>(state);
        return Words(static_cast<std::uint32_t>(both), static_cast<std::uint32_t>(both >> 32));
      };
      const Words radii = words();
      const auto normals = detail::box_muller(radii, words());
      const std::size_t column = kBlock * detail::kBlockColumns + first + 2 * lane;
      for (std::size_t i = 0; i < 2; ++i) {
        CHECK(normals.cosine.get(i) == standard_normal_at(key, kRow, column + i));
        CHECK(normals.sine.get(i) == standard_normal_at(key, kRow, column + 16 + i));
      }
    }
  }
}

TEST_CASE("Pairs can be used in constant expressions") {
  constexpr Floats sum = Floats(1.0f, 2.0f) * Floats(3.0f) + Floats(0.5f);
  static_assert(sum.first == 3.5f && sum.second == 6.5f);
  constexpr auto normals = detail::box_muller(detail::gpu::Pair<std::uint32_t>(0x12345678u),
                                              detail::gpu::Pair<std::uint32_t>(0x9abcdef0u));
  const auto at_run_time = detail::box_muller(0x12345678u, 0x9abcdef0u);
  CHECK(same_bits(normals.cosine.first, at_run_time.cosine));
  CHECK(same_bits(normals.sine.second, at_run_time.sine));
}
