// Weights on arrays across the border, on every instruction set: lists of stages in arrays and
// behind them against analog_gemm's stages known at compile time.
#include <lumina/dispatch.hpp>
#include <lumina/lumina.hpp>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/dispatch_views.hpp"
#include "support/same_bits.hpp"

namespace ld = lumina::dispatch;
using lumina::Matrix;
using lumina::MatrixView;
using test::difference;
using test::on_every_isa;
using test::random_matrix;
using test::view;
using S = ld::StageSpec;

namespace {

constexpr lumina::NoiseKey key{.seed = 3, .stream = 5, .row_offset = 7};
constexpr lumina::Mapping mapping{.tile = {24, 64}};

struct Layer {
  static constexpr std::size_t batch = 37, in = 70, out = 150;
  Matrix<float> x = random_matrix(batch, in, 1), w = random_matrix(out, in, 2);
  std::vector<float> bias = std::vector<float>(out, 0.25f);
};

/// The list's outputs on every instruction set, with one thread and in pieces.
template <int Bits, class Dac, class InArray, class Behind>
void check(const Layer& layer, const Dac& dac, const InArray& in_array, const Behind& behind,
           const ld::Call& options) {
  Matrix<float> expected(layer.batch, layer.out);
  REQUIRE(lumina::analog_gemm(layer.x, dac, lumina::encode_tiles<Bits>(layer.w, mapping), in_array,
                              behind, expected, key));
  on_every_isa([&](std::string_view) {
    const ld::Weights weights = ld::encode_tiles(view(layer.w), Bits, mapping);
    CHECK(weights.tiles() == 3);
    CHECK_FALSE(weights.coded());
    Matrix<float> y(layer.batch, layer.out);
    ld::Call call = options;
    call.x = view(layer.x);
    call.weights = &weights;
    call.y = view(y);
    call.key = key;
    CHECK(ld::run(call) == 0.0f);
    CHECK(difference(y.view(), expected.view()) == "");
  });
}

}  // namespace

TEST_CASE("array lists: the bits of stages known at compile time") {
  const Layer layer;
  const lumina::RuntimeQuantizer adc(6, -4.0f, 4.5f);
  ld::Call options{};
  const std::vector<S> noisy = {S::attenuation(0.9f), S::gaussian_noise(0.1f),
                                S::quantizer({6, -4.0f, 4.5f})},
                       behind = {S::bias(layer.bias), S::relu(), S::gaussian_noise(0.01f)};
  options.dac = {7, -1.0f, 1.2f};
  options.array_stages = noisy;
  options.digital_stages = behind;
  const auto array = lumina::array(lumina::Attenuation{0.9f}, lumina::GaussianNoise{0.1f}, adc);
  const auto digital =
      lumina::digital(lumina::AddBias{layer.bias}, lumina::Relu{}, lumina::GaussianNoise{0.01f});
  const lumina::RuntimeQuantizer dac(7, -1.0f, 1.2f);
  check<8>(layer, dac, array, digital, options);
  check<3>(layer, dac, array, digital, options);
  check<2>(layer, dac, array, digital, options);
  ld::Call bare{};
  bare.dac = options.dac;
  check<5>(layer, dac, lumina::array(), lumina::digital(), bare);
}

TEST_CASE("array lists: sums, facts of rows, noise and bound management") {
  const Layer layer;
  ld::Call options{};
  options.dac = {8, -0.5f, 0.5f, true};
  const lumina::SymmetricQuantizer<8> dac(0.5f), adc(3.0f);
  const S converter = S::quantizer({8, -3.0f, 3.0f, true});
  const auto with = [&](const std::vector<S>& stages, const auto& array) {
    options.array_stages = stages;
    check<8>(layer, dac, array, lumina::digital(), options);
    check<4>(layer, dac, array, lumina::digital(), options);
  };
  with({S::read_noise(0.1f), converter}, lumina::array(lumina::ReadNoise(0.1f), adc));
  with({S::proportional_read_noise(0.1f), converter},
       lumina::array(lumina::ProportionalReadNoise(0.1f), adc));
  with({S::constant_read_noise(0.1f), converter},
       lumina::array(lumina::ConstantReadNoise(0.1f), adc));
  with({S::balanced_shot_noise(0.1f), converter},
       lumina::array(lumina::BalancedShotNoise(0.1f), adc));
  with({S::intensity_noise(0.1f), S::read_noise(0.05f), S::balanced_shot_noise(0.1f), converter},
       lumina::array(lumina::IntensityNoise{0.1f}, lumina::ReadNoise(0.05f),
                     lumina::BalancedShotNoise(0.1f), adc));

  options.noise_management = ld::NoiseManagement::abs_max;
  options.bound_iterations = 2;
  const std::vector<S> stages = {S::read_noise(0.1f), S::quantizer({8, -1.5f, 1.5f, true})};
  options.array_stages = stages;
  check<8>(layer, lumina::ManagedDac{8, 0.5f, lumina::NoiseManagement::abs_max, 2},
           lumina::array(lumina::ReadNoise(0.1f), lumina::SymmetricQuantizer<8>(1.5f)),
           lumina::digital(), options);
}

TEST_CASE("array lists: columns of their own, merged noises") {
  const Layer layer;
  ld::Call options{};
  options.dac = {8, -1.0f, 1.0f, true};
  const lumina::SymmetricQuantizer<8> dac(1.0f), adc(3.0f);
  const Matrix<float> of_tiles = random_matrix(3, layer.out, 5);
  const float factors[] = {1.1f, 0.9f, 1.2f};
  const lumina::NoiseKey chip{.seed = 9};
  S nonlinearity = S::of_columns(S::Kind::output_nonlinearity, 0.05f, chip, 1);
  nonlinearity.mean = 0.1f;
  nonlinearity.factors = factors;
  const std::vector<S> stages = {nonlinearity,
                                 S::of_columns(S::Kind::column_gain, 0.1f, chip),
                                 S::of_columns(S::Kind::column_offset, of_tiles.elements()),
                                 S::of_columns(S::Kind::column_asymmetry, layer.bias),
                                 S::read_noise(0.1f, 0.05f),
                                 S::quantizer({8, -3.0f, 3.0f, true})};
  options.array_stages = stages;
  const MatrixView<const float> one_row(layer.bias.data(), 1, layer.out);
  check<8>(layer, dac,
           lumina::array(
               lumina::OutputNonlinearity(lumina::Mismatch{0.05f, chip, 1}, 0.1f, factors),
               lumina::ColumnGain(lumina::Mismatch{0.1f, chip}),
               lumina::ColumnOffset(lumina::ColumnVectors{of_tiles}),
               lumina::ColumnAsymmetry(lumina::ColumnVectors{one_row}),
               lumina::independent(lumina::ReadNoise(0.1f), lumina::GaussianNoise{0.05f}), adc),
           lumina::digital(), options);
}

TEST_CASE("array lists: records and gradients") {
  const Layer layer;
  const Matrix<float> grad_y = random_matrix(layer.batch, layer.out, 7);
  struct Gradients {
    Matrix<float> x{Layer::batch, Layer::in}, w{Layer::out, Layer::in}, bias{1, Layer::out};
  };
  const lumina::ManagedDac dac{8, 0.9f};
  const lumina::SymmetricQuantizer<8> adc(1.5f);
  Gradients expected;
  Matrix<float> expected_y(layer.batch, layer.out);
  const auto tiled = lumina::encode_tiles<8>(layer.w, mapping);
  const auto pass =
      lumina::analog_pass(layer.x, dac, tiled, lumina::array(lumina::ReadNoise(0.1f), adc),
                          lumina::digital(lumina::AddBias{layer.bias}, lumina::Relu{}), key);
  lumina::ForwardRecord expected_record;
  lumina::BackwardWorkspace expected_workspace;
  REQUIRE(lumina::forward(pass, expected_y, expected_record));
  REQUIRE(lumina::backward(pass, grad_y, expected_record,
                           {expected.x, expected.w, expected.bias.elements()}, expected_workspace,
                           lumina::IntegerSplitProducts<2>()));
  on_every_isa([&](std::string_view) {
    const ld::Weights weights = ld::encode_tiles(view(layer.w), 8, mapping);
    Matrix<float> y(layer.batch, layer.out);
    ld::Call call{.x = view(layer.x), .weights = &weights, .y = view(y)};
    const S in_array[] = {S::read_noise(0.1f), S::quantizer({8, -1.5f, 1.5f, true})},
            behind[] = {S::bias(layer.bias), S::relu()};
    call.dac = {8, -0.9f, 0.9f, true};
    call.array_stages = in_array;
    call.digital_stages = behind;
    call.key = key;
    call.gradient_products = ld::GradientProducts::int16;
    ld::Record record, restored;
    call.record = &record;
    ld::run(call);
    CHECK(difference(y.view(), expected_y.view()) == "");
    CHECK(record.gates() == 4);
    restored.restore(weights, record.bytes(), 4);
    ld::Workspace workspace;
    for (const ld::Record* const of : {&record, &restored}) {
      Gradients actual;
      ld::backward(call, view(grad_y), *of, {view(actual.x), view(actual.w), actual.bias.data()},
                   workspace);
      CHECK(difference(actual.x.view(), expected.x.view()) == "");
      CHECK(difference(actual.w.view(), expected.w.view()) == "");
      CHECK(difference(actual.bias.view(), expected.bias.view()) == "");
    }
  });
}

TEST_CASE("array lists: codes, scales, and what is wrong") {
  const Layer layer;
  const lumina::TiledWeights<4> tiled = lumina::encode_tiles<4>(layer.w, mapping);
  on_every_isa([&](std::string_view) {
    const ld::Weights weights = ld::encode_tiles(view(layer.w), 4, mapping);
    std::vector<std::int8_t> codes(layer.out * layer.in);
    std::vector<float> scales(3 * layer.out);
    weights.codes(codes.data());
    weights.scales(scales.data());
    for (std::size_t row = 0; row < layer.out; ++row) {
      for (std::size_t k = 0; k < layer.in; ++k) {
        REQUIRE(codes[row * layer.in + k] == tiled.code(row, k));
        REQUIRE(scales[tiled.tile_of(k) * layer.out + row] == tiled.scales(tiled.tile_of(k))[row]);
      }
    }

    Matrix<float> y(layer.batch, layer.out);
    ld::Record record;
    const auto refuses = [&](const std::string& part, const auto& change) {
      ld::Call call{.x = view(layer.x), .weights = &weights, .y = view(y)};
      call.dac = {8, -1.0f, 1.0f};
      std::string message;
      try {
        change(call);
        ld::run(call);
      } catch (const std::invalid_argument& error) {
        message = error.what();
      }
      CAPTURE(message, part);
      CHECK(message.find(part) != std::string::npos);
    };
    const S wrong[] = {S::relu(), S::read_noise(-1.0f)}, wants[] = {S::relu(), S::read_noise(0.1f)};
    refuses("array_stages[1]", [&](ld::Call& call) { call.array_stages = wrong; });
    refuses("digital_stages[1]", [&](ld::Call& call) { call.digital_stages = wrong; });
    refuses("stage 1 wants sums", [&](ld::Call& call) { call.digital_stages = wants; });
    refuses("need a DAC", [&](ld::Call& call) { call.dac = {}; });
    refuses("8 at most", [&](ld::Call& call) { call.dac.bits = 9; });
    refuses("symmetric", [&](ld::Call& call) { call.bound_iterations = 1; });
    refuses("track nothing", [&](ld::Call& call) { call.track = true; });
    const S of_values[] = {S::relu(), S::shot_noise_with_derivative(0.1f)};
    refuses("stage 1 has a derivative that depends on values", [&](ld::Call& call) {
      call.array_stages = of_values;
      call.record = &record;
    });
    CHECK_FALSE(record.filled());
    refuses("columns", [&](ld::Call& call) { call.x.cols -= 1; });
    CHECK_THROWS_WITH(ld::encode_tiles(view(layer.w), 4, {.tile = {0, 8}}),
                      Catch::Matchers::ContainsSubstring("tile"));
    CHECK_THROWS_WITH(ld::encode_tiles(view(layer.w), 9, mapping),
                      Catch::Matchers::ContainsSubstring("2..8"));
    CHECK(std::ranges::all_of(y.elements(), [](float v) { return v == 0.0f; }));
  });
}
