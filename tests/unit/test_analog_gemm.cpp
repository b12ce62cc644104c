// Layers on arrays against the oracle, bit for bit, and against each other: tiles, noises, DACs,
// splits of the batch, threads, other people's memory.
#include <lumina/analog_gemm.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <lumina/fused_gemm.hpp>
#include <lumina/read_noise.hpp>
#include <lumina/reference_analog.hpp>

#include "support/catch.hpp"
#include "support/emulated_matrix_unit.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

struct Shape {
  std::size_t batch, in, out;
};

const NoiseKey key{11, 22, 33};
const SymmetricQuantizer<8> kAdc(3.0f);

/// Noise of every kind, one after the other: so most tests share the code of one composition.
auto every_noise(float read = 0.1f, float constant = 0.1f, float additive = 0.04f) {
  return array(ReadNoise(read), ProportionalReadNoise(2.0f * read), IntensityNoise{0.05f},
               ConstantReadNoise(constant), BalancedShotNoise(0.1f), GaussianNoise{additive}, kAdc);
}

/// A layer of some shape with random operands.
template <int Bits>
struct Layer {
  TestMatrix x, w;
  std::vector<float> bias;
  TiledWeights<Bits> weights;

  Layer(Engine& engine, const Shape& shape, const Mapping& mapping)
      : x(shape.batch, shape.in, shape.in + 3), w(shape.out, shape.in), bias(shape.out) {
    x.fill_uniform(engine, -2.5f, 2.5f);
    w.fill_uniform(engine);
    for (float& b : bias) b = uniform(engine, -1.0f, 1.0f);
    REQUIRE(encode_tiles(w, mapping, weights));
  }
};

template <int Bits, class Dac, class InArray>
void check(Engine& engine, const Shape& shape, const Mapping& mapping, const Dac& dac,
           const InArray& in_array) {
  Layer<Bits> layer(engine, shape, mapping);
  const auto behind = digital(AddBias{layer.bias}, GaussianNoise{0.1f});
  TestMatrix y(shape.batch, shape.out, shape.out + 5), expected(shape.batch, shape.out);
  CAPTURE(Bits, shape.batch, shape.in, shape.out, mapping.tile.inputs, mapping.tile.outputs);
  REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, in_array, behind, y.view(), key));
  reference::analog_gemm(layer.x.constant(), dac, layer.weights, in_array, behind, expected.view(),
                         key);
  REQUIRE(difference(y, expected) == "");
  REQUIRE(y.gaps_untouched());
}

Mapping mapping_of(std::size_t inputs, std::size_t outputs, TileSplit split, TileScale scale) {
  return {{inputs, outputs}, scale, split};
}

}  // namespace

TEST_CASE("Layers on arrays have the oracle's bits, with noise of every kind", "[analog_gemm]") {
  Engine engine(1);
  const Quantizer<8> dac(-1.0f, 2.0f);
  const Shape shapes[] = {{1, 1, 1}, {5, 100, 70}, {26, 300, 140}, {49, 64, 33}, {3, 2500, 20}};
  for (const Shape& shape : shapes) {
    for (const std::size_t inputs : {7u, 64u, 512u}) {
      const bool equal = inputs == 64;
      check<8>(engine, shape,
               mapping_of(inputs, 48, equal ? TileSplit::equal : TileSplit::maximal,
                          equal ? TileScale::per_tile : TileScale::per_column),
               dac, every_noise());
    }
  }
  check<8>(engine, {4, 0, 33}, mapping_of(10, 10, TileSplit::equal, TileScale::per_tile), dac,
           every_noise());
}

TEST_CASE("Weights of fewer bits on arrays, and rows that choose their range", "[analog_gemm]") {
  Engine engine(2);
  const ManagedDac managed{7, 1.5f, NoiseManagement::abs_max, 3};
  const ManagedDac fixed{8, 1.5f, NoiseManagement::none, 2};
  for (const Shape& shape : {Shape{1, 30, 40}, Shape{50, 300, 140}}) {
    check<4>(engine, shape, mapping_of(77, 64, TileSplit::maximal, TileScale::per_column), managed,
             every_noise());
    check<4>(engine, shape, mapping_of(50, 30, TileSplit::equal, TileScale::per_tile), fixed,
             every_noise());
    check<2>(engine, shape, mapping_of(50, 30, TileSplit::equal, TileScale::per_tile),
             SymmetricQuantizer<8>(1.5f), every_noise());
  }
}

TEST_CASE("Rows with zeros, infinities and NaN choose a range too", "[analog_gemm]") {
  TestMatrix x(6, 20), w(5, 20), y(6, 5), expected(6, 5);
  Engine engine(3);
  w.fill_uniform(engine);
  x.fill_uniform(engine);
  for (std::size_t k = 0; k < 20; ++k) x(0, k) = 0.0f;
  x(1, 3) = kInf;
  x(2, 4) = -kInf;
  x(3, 5) = kNaN;
  x(4, 6) = kLargest;
  for (std::size_t k = 0; k < 20; ++k) x(5, k) = kDenormal;
  const auto weights = encode_tiles<4>(w, {{8, 8}});
  const ManagedDac dac{8, 2.0f, NoiseManagement::abs_max, 2};
  const auto in_array = every_noise();
  REQUIRE(analog_gemm(x.constant(), dac, weights, in_array, digital(), y.view(), key));
  reference::analog_gemm(x.constant(), dac, weights, in_array, digital(), expected.view(), key);
  REQUIRE(difference(y, expected) == "");
}

TEST_CASE("Arrays whose weights are floats", "[analog_gemm]") {
  Engine engine(12);
  const auto in_array = array(GaussianNoise{0.1f}, ShotNoise{0.1f}, kAdc);
  for (const Shape& shape : {Shape{1, 30, 40}, Shape{50, 300, 140}, Shape{3, 0, 5}}) {
    TestMatrix x(shape.batch, shape.in), w(shape.out, shape.in);
    TestMatrix y(shape.batch, shape.out), expected(shape.batch, shape.out);
    x.fill_uniform(engine, -2.5f, 2.5f);
    w.fill_uniform(engine);
    for (std::size_t k = 0; k < shape.in; ++k) w(1, k) = 0.0f;
    for (const int bits : {0, 4, 12}) {
      TiledFloats weights;
      REQUIRE(pack_tiles(w, mapping_of(77, 64, TileSplit::equal, TileScale::per_column), weights,
                         bits));
      const auto check_with = [&](const auto& dac) {
        CAPTURE(bits, shape.batch);
        REQUIRE(analog_gemm(x.constant(), dac, weights, in_array, digital(), y.view(), key));
        reference::analog_gemm(x.constant(), dac, weights, in_array, digital(), expected.view(),
                               key);
        CHECK(difference(y, expected) == "");
      };
      check_with(RuntimeQuantizer(12, -1.0f, 2.0f));
      check_with(ManagedDac{11, 1.0f, NoiseManagement::abs_max, 3});
    }
  }
  TiledFloats weights;
  expect_error([&] { pack_tiles(TestMatrix(2, 2), {{0, 1}}, weights); }, {"0 inputs"});
  expect_error([&] { pack_tiles(TestMatrix(2, 2), {{1, 1}}, weights, 17); }, {"[2, 2]", "2..16"});
}

TEST_CASE("Codes go into arrays, and codes come out", "[analog_gemm]") {
  Engine engine(4);
  Layer<8> layer(engine, {20, 150, 50}, {{64, 64}});
  TestMatrixOf<std::uint8_t> x(20, 150), y(20, 50), expected(20, 50);
  for (std::size_t row = 0; row < 20; ++row) {
    for (std::size_t k = 0; k < 150; ++k) x(row, k) = static_cast<std::uint8_t>(engine() % 255);
  }
  const SymmetricQuantizer<8> dac(2.0f);
  const auto in_array = every_noise();
  const auto behind = digital(AddBias{layer.bias}, Quantizer<8>(-9.0f, 9.0f));
  REQUIRE(analog_gemm(x.constant(), dac, layer.weights, in_array, behind, y.view(), key));
  reference::analog_gemm(x.constant(), dac, layer.weights, in_array, behind, expected.view(), key);
  REQUIRE(difference(y.constant(), expected.constant()) == "");
}

TEST_CASE("A layer on arrays is the same on any threads, in any part of its batch",
          "[analog_gemm]") {
  Engine engine(5);
  Layer<4> layer(engine, {130, 300, 300}, {{100, 512}});
  const ManagedDac dac{8, 1.0f, NoiseManagement::abs_max, 4};
  const auto in_array = every_noise(0.3f, 0.2f, 0.3f);
  const auto behind = digital(AddBias{layer.bias}, GaussianNoise{0.1f});
  TestMatrix expected(130, 300);
  REQUIRE(
      analog_gemm(layer.x.constant(), dac, layer.weights, in_array, behind, expected.view(), key));
  for_each_executor_type([&](const auto& executor, const char* name) {
    CAPTURE(name);
    TestMatrix y(130, 300);
    REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, in_array, behind, y.view(), key,
                        executor));
    CHECK(difference(y, expected) == "");
  });
  TestMatrix y(130, 300);
  const MatrixView<const float> x = layer.x.constant();
  for (std::size_t begin = 0, part = 1; begin < 130; begin += part, part = 2 * part + 1) {
    const std::size_t rows = std::min(part, 130 - begin);
    NoiseKey own = key;
    own.row_offset += begin;
    REQUIRE(analog_gemm(MatrixView<const float>(x.row(begin), rows, x.cols(), x.row_stride()), dac,
                        layer.weights, in_array, behind, MatrixView<float>(&y(begin, 0), rows, 300),
                        own));
  }
  CHECK(difference(y, expected) == "");
}

TEST_CASE("Arrays without noise and ADC multiply as one", "[analog_gemm]") {
  Engine engine(6);
  // Scales and steps are powers of two: what the codes stand for is exact then.
  TestMatrix x(9, 200), w(40, 200), y(9, 40), expected(9, 40);
  x.fill_uniform(engine, -2.0f, 2.0f);
  w.fill_uniform(engine, -2.0f, 2.0f);
  const SymmetricQuantizer<8> dac(127.0f / 64.0f);
  const std::vector<float> scales(40, 1.0f / 64.0f);
  const auto whole = encode_weights<8>(w, scales);
  REQUIRE(fused_gemm(x.constant(), dac, whole, y.view(), epilogue()));
  for (const std::size_t inputs : {13u, 64u, 200u}) {
    TiledWeights<8> tiles;
    const std::size_t count = (200 + inputs - 1) / inputs;
    Matrix<float> full(count, 40);
    for (float& s : full.elements()) s = 127.0f / 64.0f;
    REQUIRE(encode_tiles(w, {{inputs, 16}}, tiles, full));
    REQUIRE(tiles.tiles() == count);
    bool same = true;
    for (std::size_t row = 0; row < 40; ++row) {
      for (std::size_t k = 0; k < 200; ++k) same &= tiles.code(row, k) == whole.code(row, k);
    }
    CHECK(same);
    REQUIRE(analog_gemm(x.constant(), dac, tiles, array(), digital(), expected.view()));
    // The sums are exact integers; 1/127 twice is not: they agree to some roundings.
    double worst = 0.0;
    for (std::size_t row = 0; row < 9; ++row) {
      for (std::size_t column = 0; column < 40; ++column) {
        worst = std::fmax(worst, std::fabs(static_cast<double>(y(row, column)) -
                                           static_cast<double>(expected(row, column))));
      }
    }
    CHECK(worst < 2e-5);
  }
}

TEST_CASE("A row of zeros behind arrays is bias and noise", "[analog_gemm]") {
  Engine engine(7);
  Layer<8> layer(engine, {3, 70, 20}, {{32, 32}, TileScale::per_tile});
  TestMatrix zeros(3, 70), y(3, 20);
  zeros.fill_uniform(engine, 0.0f, 0.0f);
  const SymmetricQuantizer<8> dac(2.0f);
  REQUIRE(analog_gemm(zeros.constant(), dac, layer.weights, every_noise(1.0f, 1.0f, 0.0f),
                      digital(AddBias{layer.bias}), y.view(), key));
  for (std::size_t column = 0; column < 20; ++column) CHECK(y(1, column) == layer.bias[column]);
  REQUIRE(analog_gemm(zeros.constant(), dac, layer.weights, array(GaussianNoise{0.5f}),
                      digital(AddBias{layer.bias}), y.view(), key));
  float sum = 0.0f;
  for (std::size_t tile = 0; tile < 3; ++tile) {
    const float noise = 0.5f * standard_normal_at(key, 2, 7, tile);
    sum = std::fma(noise, detail::product(layer.weights.scales(tile)[7], 2.0f), sum);
  }
  CHECK(y(2, 7) == sum + layer.bias[7]);
}

TEST_CASE("A call on arrays in the caller's memory", "[analog_gemm]") {
  Engine engine(8);
  for (const Shape& shape : {Shape{1, 144, 12}, Shape{60, 700, 130}, Shape{4, 9000, 20}}) {
    Layer<2> layer(engine, shape, {{256, 512}});
    const SymmetricQuantizer<8> dac(2.0f);
    const auto in_array = every_noise();
    const std::size_t bytes = analog_workspace_bytes(shape.batch, layer.weights, dac, in_array);
    Matrix<std::byte> memory(1, bytes + 64);
    memory(0, bytes) = std::byte{0x5a};
    TestMatrix y(shape.batch, shape.out), expected(shape.batch, shape.out);
    REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, in_array, digital(), y.view(), key,
                        SerialIn(memory.elements().first(bytes))));
    REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, in_array, digital(),
                        expected.view(), key));
    CHECK(difference(y, expected) == "");
    CHECK(memory(0, bytes) == std::byte{0x5a});
    expect_error(
        [&] {
          analog_gemm(layer.x.constant(), dac, layer.weights, in_array, digital(), y.view(), key,
                      SerialIn(memory.elements().first(bytes - 64)));
        },
        {"the workspace has"});
  }
}

TEST_CASE("What arrays cannot be is refused before anything is written", "[analog_gemm]") {
  Engine engine(9);
  TestMatrix w(5, 20), x(3, 20), y(3, 5);
  w.fill_uniform(engine);
  x.fill_uniform(engine);
  TiledWeights<4> weights;
  expect_error([&] { encode_tiles(w, {{0, 16}}, weights); }, {"w is [5, 20]", "0 inputs"});
  expect_error([&] { encode_tiles(w, {{16, 0}}, weights); }, {"16 inputs", "0 outputs"});
  CHECK(weights.rows() == 0);
  REQUIRE(encode_tiles(w, {{8, 8}}, weights));
  Matrix<float> scales(2, 5);
  expect_error([&] { encode_tiles(w, {{8, 8}}, weights, scales); }, {"[2, 5]", "[3, 5]"});
  w(4, 19) = kNaN;
  expect_error([&] { encode_tiles(w, {{8, 8}}, weights); }, {"w(4, 19)"});
  CHECK(weights.rows() == 5);

  const SymmetricQuantizer<8> dac(1.0f);
  const auto refuses = [&](const auto& own_dac, const auto& in_array,
                           std::initializer_list<std::string_view> parts) {
    expect_error(
        [&] {
          static_cast<void>(
              analog_gemm(x.constant(), own_dac, weights, in_array, digital(), y.view(), key));
        },
        parts);
    CHECK(is_poison(y(0, 0)));
  };
  const auto good = every_noise();
  refuses(RuntimeQuantizer(9, 0.0f, 1.0f), good, {"9 bits", "8 at most"});
  refuses(ManagedDac{1, 1.0f}, good, {"1 bits", "2..8"});
  refuses(ManagedDac{8, 0.0f}, good, {"range is 0"});
  refuses(ManagedDac{8, -2.5f}, good, {"range is -2.5"});
  refuses(ManagedDac{8, kNaN}, good, {"range is NaN"});
  refuses(ManagedDac{8, 1.0f, NoiseManagement::none, -1}, good, {"bound_iterations"});
  refuses(dac, every_noise(-1.0f), {"ReadNoise", "negative"});
  refuses(dac, every_noise(0.1f, kNaN), {"ConstantReadNoise"});
  TestMatrix narrow(3, 19);
  expect_error(
      [&] {
        static_cast<void>(analog_gemm(narrow.constant(), dac, weights, good, digital(), y.view()));
      },
      {"[3, 19]", "[5, 20]"});
}

TEST_CASE("Arrays on a matrix unit", "[analog_gemm]") {
  constexpr bool kCodesAreBytes = std::is_same_v<detail::Native::Codes::Input, std::uint8_t> &&
                                  detail::Native::Codes::input_bias == 0;
  if constexpr (kCodesAreBytes) {
    using namespace detail;
    Engine engine(10);
    for (const auto& shape : {::Shape{5, 100, 40}, ::Shape{33, 300, 130}}) {
      Layer<2> layer(engine, shape, {{72, 64}});
      const SymmetricQuantizer<8> dac(2.0f);
      const auto in_array = every_noise();
      using Stages = std::remove_cvref_t<decltype(in_array.stages)>;
      using Parts = ArrayParts<TiledWeights<2>, float, FixedInput, Stages>;
      const auto problem = Parts::problem(layer.x.constant(), input_of(dac, key), layer.weights);
      const ArrayFinish<Native, Stages, NoObserver, Epilogue<>, NoObserver, StoreFloats> finish{
          in_array.stages, {}, epilogue(), {}, {}, key, layer.weights.tiles()};
      using Unit =
          MatrixUnitKernel<typename OnUnit<typename Parts::Kernel::Dot>::type, EmulatedUnit>;
      TestMatrix y(shape.batch, shape.out), expected(shape.batch, shape.out);
      using Call = ArrayLoop<Unit, typename Parts::Problem, std::remove_const_t<decltype(finish)>>;
      REQUIRE(run_call<Call>(problem, y.view(), Serial(), finish));
      REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, in_array, digital(),
                          expected.view(), key));
      CHECK(difference(y, expected) == "");
    }
  }
}
