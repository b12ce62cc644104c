// Layers on arrays of sliced weights against the oracle, bit for bit; where nothing is converted,
// and where converters lose nothing, against weights that nobody has sliced.
#include <lumina/analog_slices.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <lumina/read_noise.hpp>
#include <lumina/reference_slices.hpp>

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
const SymmetricQuantizer<5> kAdc(11.0f);

auto every_noise() {
  return array(ReadNoise(0.1f), ProportionalReadNoise(0.2f), IntensityNoise{0.05f},
               ConstantReadNoise(0.1f), BalancedShotNoise(0.1f), GaussianNoise{0.3f}, kAdc);
}

/// A layer of some shape with random operands.
template <int Bits>
struct Layer {
  TestMatrix x, w;
  std::vector<float> bias;
  SlicedWeights<Bits> weights;

  Layer(Engine& engine, const Shape& shape, const Mapping& mapping, const Slices& slices)
      : x(shape.batch, shape.in, shape.in + 3), w(shape.out, shape.in), bias(shape.out) {
    x.fill_uniform(engine, -2.5f, 2.5f);
    w.fill_uniform(engine);
    for (float& b : bias) b = uniform(engine, -1.0f, 1.0f);
    REQUIRE(encode_slices(w, mapping, slices, weights));
  }
};

template <int Bits, class Dac, class InArray>
void check(Engine& engine, const Shape& shape, const Mapping& mapping, const Slices& slices,
           const Dac& dac, const InArray& in_array) {
  Layer<Bits> layer(engine, shape, mapping, slices);
  const auto behind = digital(AddBias{layer.bias}, GaussianNoise{0.1f});
  TestMatrix y(shape.batch, shape.out, shape.out + 5), expected(shape.batch, shape.out);
  CAPTURE(Bits, shape.batch, shape.in, shape.out, mapping.tile.inputs, slices.cell_bits,
          slices.input_bits, static_cast<int>(slices.signs));
  REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, in_array, behind, y.view(), key));
  reference::analog_gemm(layer.x.constant(), dac, layer.weights, in_array, behind, expected.view(),
                         key);
  REQUIRE(difference(y, expected) == "");
  REQUIRE(y.gaps_untouched());
}

}  // namespace

TEST_CASE("Digits make the weights again", "[slices]") {
  Engine engine(1);
  for (int cell_bits = 1; cell_bits <= 7; ++cell_bits) {
    Layer<8> layer(engine, {1, 30, 40}, {{16, 16}}, {.cell_bits = cell_bits});
    const SlicedWeights<8>& w = layer.weights;
    REQUIRE(w.slices() == static_cast<std::size_t>((7 + cell_bits - 1) / cell_bits));
    bool same = true;
    for (std::size_t row = 0; row < 40; ++row) {
      for (std::size_t k = 0; k < 30; ++k) {
        std::int32_t sum = 0;
        for (std::size_t s = w.slices(); s-- > 0;) {
          const TiledWeights<8>& slice = w.each()[s];
          const float digit = static_cast<float>(slice.code(row, k)) * slice.code_value();
          same &= digit == static_cast<float>(w.digit(s, row, k));
          sum = (sum << cell_bits) + w.digit(s, row, k);
        }
        same &= sum == w.whole().code(row, k);
      }
    }
    CHECK(same);
  }
}

TEST_CASE("Sliced weights have the oracle's bits, with noise of every kind", "[slices]") {
  Engine engine(2);
  const Mapping mapping{{64, 48}};
  // Few types, for each is code to compile.
  const auto symmetric = RuntimeQuantizer::symmetric(8, 2.0f);
  const RuntimeQuantizer uniform_dac(8, -1.0f, 2.0f);
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{3, 100, 20}, Shape{9, 70, 140}}) {
    check<8>(engine, shape, mapping, {.cell_bits = 2, .input_bits = 1}, symmetric, every_noise());
    check<8>(engine, shape, mapping, {.cell_bits = 3, .input_bits = 3}, uniform_dac, every_noise());
    check<4>(engine, shape, mapping,
             {.cell_bits = 1, .input_bits = 2, .signs = InputSigns::two_passes}, symmetric,
             every_noise());
    check<8>(engine, shape, mapping, {.cell_bits = 4, .input_bits = 0},
             ManagedDac{6, 1.0f, NoiseManagement::abs_max, 3}, every_noise());
  }
  check<8>(engine, {4, 0, 33}, mapping, {}, symmetric, every_noise());
}

TEST_CASE("Nothing converted is one product, bit for bit", "[slices]") {
  Engine engine(3);
  for (const InputSigns signs : {InputSigns::pulses, InputSigns::two_passes}) {
    for (const int bits : {1, 2, 3, 0}) {
      Layer<8> layer(engine, {3, 70, 20}, {{64, 48}},
                     {.cell_bits = bits == 0 ? 7 : bits, .input_bits = bits, .signs = signs});
      const auto check_with = [&](const auto& dac) {
        TestMatrix y(3, 20), whole(3, 20), digits(3, 20);
        const auto behind = digital(AddBias{layer.bias});
        REQUIRE(
            analog_gemm(layer.x.constant(), dac, layer.weights, array(), behind, y.view(), key));
        REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights.whole(), array(), behind,
                            whole.view(), key));
        reference::analog_gemm(layer.x.constant(), dac, layer.weights, array(), behind,
                               digits.view(), key);  // Σ of digits times digits, in integers
        CHECK(difference(y, whole) == "");
        CHECK(difference(y, digits) == "");
        REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, array(StageList()), behind,
                            y.view(), key));
        CHECK(difference(y, whole) == "");
        // Nor are they where something stands between that changes nothing.
        const auto idle = array(Attenuation{1.0f});
        REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, idle, behind, y.view(), key));
        CHECK(difference(y, whole) == "");
      };
      check_with(RuntimeQuantizer::symmetric(8, 2.0f));
      check_with(RuntimeQuantizer(7, -1.0f, 2.0f));
    }
  }
}

TEST_CASE("An ADC with a level for each current loses nothing", "[slices]") {
  Engine engine(4);
  for (int cell_bits = 1; cell_bits <= 7; ++cell_bits) {
    for (const InputSigns signs : {InputSigns::pulses, InputSigns::two_passes}) {
      Layer<8> layer(engine, {5, 130, 40}, {{30, 48}},
                     {.cell_bits = cell_bits, .input_bits = 1, .signs = signs});
      const ManagedDac dac{8, 1.0f, NoiseManagement::abs_max};
      const float largest = largest_current(layer.weights, dac);
      REQUIRE(largest == static_cast<float>(30 * ((1 << cell_bits) - 1)));
      const int bits = 1 + static_cast<int>(std::ceil(std::log2(largest + 1.0f)));
      TestMatrix y(5, 40), whole(5, 40);
      const auto converted_with = [&](const RuntimeQuantizer& adc) {
        REQUIRE(
            analog_gemm(layer.x.constant(), dac, layer.weights, array(adc), digital(), y.view()));
        return difference(y, whole);
      };
      REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights.whole(), array(), digital(),
                          whole.view()));
      CAPTURE(cell_bits, bits);
      CHECK(converted_with(full_range_adc(bits, largest)) == "");
      CHECK(converted_with(granular_adc(bits, largest)) == "");
      // One bit less than that is one too few.
      CHECK(converted_with(full_range_adc(bits - 1, largest)) != "");
      CHECK(converted_with(granular_adc(bits - 2, largest)) != "");
    }
  }
}

TEST_CASE("Ranges of ADCs in steps", "[slices]") {
  CHECK(full_range_adc(8, 384.0f).hi() == 384.0f);
  CHECK(full_range_adc(8, 100.0f).step() == 1.0f);
  CHECK(full_range_adc(8, 127.0f).step() == 1.0f);
  CHECK(granular_adc(8, 127.0f).step() == 1.0f);
  CHECK(granular_adc(8, 127.5f).step() == 2.0f);
  CHECK(granular_adc(8, 384.0f).step() == 4.0f);
  CHECK(granular_adc(8, 384.0f).hi() == 508.0f);
  CHECK(granular_adc(2, 384.0f).step() == 512.0f);
  for (const float limit : {0.0f, -1.0f, kNaN, kInf}) {
    expect_error([&] { full_range_adc(8, limit); }, {"limit"});
    expect_error([&] { granular_adc(8, limit); }, {"limit"});
  }
  expect_error([&] { granular_adc(17, 2.0f); }, {"2..16"});
  expect_error([&] { full_range_adc(1, 2.0f); }, {"2..16"});
}

TEST_CASE("Each slice has an ADC of its own, whose range it was calibrated for", "[slices]") {
  Engine engine(5);
  Layer<8> layer(engine, {40, 130, 40}, {{64, 48}}, {.cell_bits = 2, .input_bits = 2});
  const SymmetricQuantizer<8> dac(2.0f);
  const auto behind = digital(AddBias{layer.bias});
  TestMatrix y(40, 40), expected(40, 40);
  AdcCalibration seen(4);
  const auto open = array(GaussianNoise{0.5f}, SymmetricQuantizer<8>(1000.0f));
  const auto pass = analog_pass(layer.x.view(), dac, layer.weights, open, behind, key);
  REQUIRE(calibrate_slices(pass, y.view(), seen));

  std::vector<decltype(array(GaussianNoise{}, full_range_adc(5, 1.0f)))> stages;
  std::vector<float> limits;
  for (std::size_t slice = 0; slice < 4; ++slice) {
    const MagnitudeHistogram histogram = seen.histogram(slice);
    CHECK(histogram.count() == 40 * 40 * 3 * 4);  // outputs, tiles, planes
    limits.push_back(histogram.quantile(0.99));
    stages.push_back(array(GaussianNoise{0.5f}, granular_adc(5, limits.back())));
  }
  CHECK(limits[3] < 0.6f * limits[0]);  // of the last digit only one bit is left
  const auto in_array = array_of_slices(std::span<const decltype(stages)::value_type>(stages));
  REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, in_array, behind, y.view(), key));
  reference::analog_gemm(layer.x.constant(), dac, layer.weights, in_array, behind, expected.view(),
                         key);
  CHECK(difference(y, expected) == "");

  stages.pop_back();
  expect_error(
      [&] {
        static_cast<void>(
            analog_gemm(layer.x.constant(), dac, layer.weights,
                        array_of_slices(std::span<const decltype(stages)::value_type>(stages)),
                        behind, y.view(), key));
      },
      {"[40, 130]", "4 slices", "3"});
}

TEST_CASE("Sliced weights are the same on any threads, in any part of a batch", "[slices]") {
  Engine engine(6);
  Layer<8> layer(engine, {45, 300, 300}, {{100, 512}}, {.cell_bits = 4, .input_bits = 3});
  const ManagedDac dac{8, 1.0f, NoiseManagement::abs_max, 2};
  const auto in_array = array(ReadNoise(0.1f), GaussianNoise{1.0f}, SymmetricQuantizer<6>(200.0f));
  const auto behind = digital(AddBias{layer.bias}, GaussianNoise{0.1f});
  TestMatrix expected(45, 300), y(45, 300);
  REQUIRE(
      analog_gemm(layer.x.constant(), dac, layer.weights, in_array, behind, expected.view(), key));
  REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, in_array, behind, y.view(), key,
                      ShuffledThreads{4}));
  CHECK(difference(y, expected) == "");
  const MatrixView<const float> x = layer.x.constant();
  TestMatrix parts(45, 300);
  for (std::size_t begin = 0, part = 1; begin < 45; begin += part, part = 2 * part + 1) {
    const std::size_t rows = std::min(part, 45 - begin);
    NoiseKey own = key;
    own.row_offset += begin;
    REQUIRE(analog_gemm(MatrixView<const float>(x.row(begin), rows, x.cols(), x.row_stride()), dac,
                        layer.weights, in_array, behind,
                        MatrixView<float>(&parts(begin, 0), rows, 300), own));
  }
  CHECK(difference(parts, expected) == "");
}

TEST_CASE("Sliced weights in the caller's memory, in parts where a row is long", "[slices]") {
  Engine engine(7);
  for (const Shape& shape : {Shape{1, 144, 12}, Shape{9, 700, 20}, Shape{2, 6000, 3}}) {
    Layer<8> layer(engine, shape, {{3000, 512}}, {.cell_bits = 4, .input_bits = 1});
    const SymmetricQuantizer<8> dac(2.0f);
    const auto in_array =
        array(ReadNoise(0.1f), ConstantReadNoise(0.1f), SymmetricQuantizer<9>(300.0f));
    const std::size_t bytes = analog_workspace_bytes(shape.batch, layer.weights, dac, in_array);
    Matrix<std::byte> memory(1, bytes + 64);
    memory(0, bytes) = std::byte{0x5a};
    TestMatrix y(shape.batch, shape.out), expected(shape.batch, shape.out);
    REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, in_array, digital(), y.view(), key,
                        SerialIn(memory.elements().first(bytes))));
    reference::analog_gemm(layer.x.constant(), dac, layer.weights, in_array, digital(),
                           expected.view(), key);
    CHECK(difference(y, expected) == "");
    CHECK(memory(0, bytes) == std::byte{0x5a});
    TestMatrix refused(shape.batch, shape.out);
    expect_error(
        [&] {
          analog_gemm(layer.x.constant(), dac, layer.weights, in_array, digital(), refused.view(),
                      key, SerialIn(memory.elements().first(bytes - 64)));
        },
        {"the workspace has"});
    CHECK(is_poison(refused(0, 0)));
  }
}

TEST_CASE("Codes go into sliced weights, and codes come out", "[slices]") {
  Engine engine(8);
  Layer<4> layer(engine, {20, 150, 50}, {{64, 64}}, {.cell_bits = 1, .input_bits = 2});
  TestMatrixOf<std::uint8_t> x(20, 150), y(20, 50), expected(20, 50);
  for (std::size_t row = 0; row < 20; ++row) {
    for (std::size_t k = 0; k < 150; ++k) x(row, k) = static_cast<std::uint8_t>(engine() % 255);
  }
  const SymmetricQuantizer<8> dac(2.0f);
  const auto in_array = array(GaussianNoise{0.3f}, kAdc);
  const auto behind = digital(AddBias{layer.bias}, Quantizer<8>(-9.0f, 9.0f));
  REQUIRE(analog_gemm(x.constant(), dac, layer.weights, in_array, behind, y.view(), key));
  reference::analog_gemm(x.constant(), dac, layer.weights, in_array, behind, expected.view(), key);
  REQUIRE(difference(y.constant(), expected.constant()) == "");
}

TEST_CASE("Lists of stages behind slices", "[slices]") {
  Engine engine(9);
  Layer<8> layer(engine, {20, 150, 50}, {{64, 64}}, {.cell_bits = 3, .input_bits = 4});
  const SymmetricQuantizer<8> dac(2.0f);
  const ReadNoise read(0.1f);
  const GaussianNoise additive{0.5f};
  StageList stages;
  stages.add(read);
  stages.add(additive);
  stages.add(kAdc);
  TestMatrix y(20, 50), expected(20, 50);
  REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, array<Sums::squared_inputs>(stages),
                      digital(StageList()), y.view(), key));
  REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, array(read, additive, kAdc),
                      digital(), expected.view(), key));
  CHECK(difference(y, expected) == "");
}

TEST_CASE("What slices cannot be is refused, and nothing is written", "[slices]") {
  Engine engine(10);
  TestMatrix w(5, 20), x(3, 20), y(3, 5);
  w.fill_uniform(engine);
  x.fill_uniform(engine);
  SlicedWeights<8> weights;
  REQUIRE(encode_slices(w, {{8, 8}}, {.cell_bits = 2, .count = 4}, weights));
  const auto refuses = [&](const Slices& slices, std::initializer_list<std::string_view> parts) {
    expect_error([&] { encode_slices(TestMatrix(7, 9), {{8, 8}}, slices, weights); }, parts);
    CHECK(weights.rows() == 5);
    CHECK(weights.slices() == 4);
    CHECK(weights.options().cell_bits == 2);
  };
  refuses({.cell_bits = 2, .count = 3},
          {"[7, 9]", "3 slices of 2 bits do not make the 7 bits", "it takes 4"});
  refuses({.cell_bits = 4, .count = 7}, {"7 slices of 4 bits", "it takes 2"});
  refuses({.cell_bits = 0}, {"cell_bits is 0", "1..7"});
  refuses({.cell_bits = 8}, {"cell_bits is 8", "1..7"});
  refuses({.cell_bits = 1, .input_bits = 9}, {"input_bits is 9", "0..8"});
  refuses({.cell_bits = 1, .input_bits = -1}, {"input_bits is -1", "0..8"});
  refuses({.cell_bits = 1, .count = -7}, {"-7 slices"});
  w(4, 19) = kNaN;
  expect_error([&] { encode_slices(w, {{8, 8}}, {}, weights); }, {"w(4, 19)"});
  expect_error([&] { encode_slices(w, {{0, 8}}, {}, weights); }, {"0 inputs"});
  CHECK(weights.slices() == 4);
  expect_error(
      [&] {
        static_cast<void>(analog_gemm(x.constant(), RuntimeQuantizer(9, 0.0f, 1.0f), weights,
                                      array(kAdc), digital(), y.view()));
      },
      {"9 bits", "8 at most"});
  expect_error(
      [&] {
        static_cast<void>(analog_gemm(TestMatrix(3, 19).constant(), SymmetricQuantizer<8>(1.0f),
                                      weights, array(kAdc), digital(), y.view()));
      },
      {"[3, 19]", "[5, 20]"});
  CHECK(is_poison(y(0, 0)));
}

TEST_CASE("Slices and planes on a matrix unit", "[slices]") {
  constexpr bool kCodesAreBytes = std::is_same_v<detail::Native::Codes::Input, std::uint8_t> &&
                                  detail::Native::Codes::input_bias == 0;
  if constexpr (kCodesAreBytes) {
    using namespace detail;
    Engine engine(12);
    const auto dac = RuntimeQuantizer::symmetric(8, 2.0f);
    const auto in_array = every_noise();
    using Stages = std::remove_cvref_t<decltype(in_array.stages)>;
    using Parts = SlicedParts<8, float, FixedInput, Stages>;
    using Outputs =
        ArrayFinish<Native, Epilogue<>, NoObserver, Epilogue<>, NoObserver, StoreFloats>;
    using Finish = SlicedFinish<Native, Stages, NoObserver, Outputs>;
    using Unit = MatrixUnitKernel<typename OnUnit<typename Parts::Kernel::Dot>::type, EmulatedUnit>;
    // As many rows of digits as a tile of the unit has are no multiple of 6 planes, or of 14.
    for (const Slices& slices :
         {Slices{.cell_bits = 2, .input_bits = 3, .signs = InputSigns::two_passes},
          Slices{.cell_bits = 4, .input_bits = 1, .signs = InputSigns::two_passes}}) {
      Layer<8> layer(engine, {33, 100, 40}, {{72, 64}}, slices);
      const auto problem = Parts::problem(layer.x.constant(), input_of(dac, key), layer.weights);
      const Finish finish{in_array.stages,
                          {},
                          Outputs{epilogue(), {}, epilogue(), {}, {}, key, layer.weights.tiles()},
                          key,
                          SlicedCall<SlicedWeights<8>>::conversions(layer.weights, dac)};
      TestMatrix y(33, 40), expected(33, 40);
      using Call = ArrayLoop<Unit, typename Parts::Problem, Finish>;
      REQUIRE(run_call<Call>(problem, y.view(), Serial(), finish));
      REQUIRE(analog_gemm(layer.x.constant(), dac, layer.weights, in_array, digital(),
                          expected.view(), key));
      CHECK(difference(y, expected) == "");
    }
  }
}
