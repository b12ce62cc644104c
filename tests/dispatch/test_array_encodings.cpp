// Cells, noise of training and convolutions across the border, on every instruction set: against
// the library's own types, which the oracle is compared with elsewhere.
#include <lumina/dispatch.hpp>
#include <lumina/lumina.hpp>

#include <cmath>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/dispatch_views.hpp"
#include "support/same_bits.hpp"

namespace ld = lumina::dispatch;
using lumina::Matrix;
using lumina::MatrixView;
using lumina::NoiseKey;
using lumina::TiledWeights;
using test::difference;
using test::on_every_isa;
using test::random_matrix;
using test::view;
using Kind = ld::WeightNoiseSpec::Kind;

namespace {

constexpr NoiseKey chip{.seed = 9, .stream = 4};
constexpr lumina::Mapping mapping{.tile = {24, 64}};

std::vector<std::int8_t> codes_of(const TiledWeights<8>& weights) {
  std::vector<std::int8_t> codes;
  for (std::size_t row = 0; row < weights.rows(); ++row) {
    for (std::size_t col = 0; col < weights.cols(); ++col) {
      codes.push_back(static_cast<std::int8_t>(weights.code(row, col)));
    }
  }
  return codes;
}

/// On every instruction set w is held as `expected` has it.
void check(const Matrix<float>& w, const ld::ArrayEncoding& encoding,
           const TiledWeights<8>& expected) {
  const std::vector<std::int8_t> codes = codes_of(expected);
  on_every_isa([&](std::string_view) {
    const ld::Weights held = ld::encode_arrays(view(w), encoding);
    REQUIRE(held.code_count() == codes.size());
    REQUIRE(held.tiles() == expected.tiles());
    CHECK(held.code_value() == expected.code_value());
    std::vector<std::int8_t> own(codes.size());
    held.codes(own.data());
    CHECK(own == codes);
    Matrix<float> scales(held.tiles(), held.rows());
    held.scales(scales.data());
    for (std::size_t tile = 0; tile < held.tiles(); ++tile) {
      for (std::size_t row = 0; row < held.rows(); ++row) {
        CHECK(scales(tile, row) == expected.scales(tile)[row]);
      }
    }
  });
}

template <class Cell>
void check_cell(const Cell& cell, const ld::CellSpec& spec) {
  const Matrix<float> w = random_matrix(70, 50, 3);
  for (const std::optional<double> seconds : {std::optional<double>(), std::optional(3600.0)}) {
    for (const lumina::Pair pair : {lumina::Pair::differential, lumina::Pair::offset}) {
      TiledWeights<8> expected;
      const lumina::Cells cells{pair, 0.5f};
      const lumina::Wires wires{0.0f, pair == lumina::Pair::offset ? 0.5f : 0.0f};
      REQUIRE(lumina::Programmed(w, cell, chip, mapping, cells, 4, wires).at(seconds, expected));
      check(w,
            {.mapping = mapping,
             .bits = 4,
             .cell = &spec,
             .cells = cells,
             .wires = wires,
             .chip = chip,
             .at_time = seconds.has_value(),
             .seconds = seconds.value_or(0.0)},
            expected);
    }
  }
  const std::vector<float> targets = {0.0f, 0.25f, 3.0f, 7.0f, 20.0f};
  std::vector<float> expected(targets.size()), result(targets.size());
  const double day = 86400.0;
  REQUIRE(lumina::conductances(cell, targets, expected, day, chip));
  on_every_isa([&](std::string_view) {
    ld::conductances(spec, targets.data(), result.data(), targets.size(), &day, chip);
    CHECK(result == expected);
  });
}

}  // namespace

TEST_CASE("array encodings: cells") {
  using C = ld::CellSpec::Kind;
  check_cell(lumina::Pcm{}, {.kind = C::pcm});
  check_cell(lumina::PcmJoshi2020{}, {.kind = C::pcm_joshi2020});
  check_cell(lumina::ReRamWan2022{},
             {C::polynomial, 40.0f, {1.053f, 0.2374f, -1.167e-2f, 1.536e-4f, 0.0f}});
  check_cell(lumina::StuckAt<lumina::Pcm>{{}, 0.1f, 0.05f},
             {.kind = C::pcm, .p_off = 0.1f, .p_on = 0.05f, .stuck_off = 0.0f, .stuck_on = 25.0f});
}

TEST_CASE("array encodings: noise of training, and its gradient") {
  const Matrix<float> w = random_matrix(70, 50, 3);
  const auto check_noise = [&](const auto& noise, const ld::WeightNoiseSpec& spec) {
    TiledWeights<8> expected;
    REQUIRE(lumina::encode_tiles(w, mapping, expected, 5, noise, chip));
    const ld::ArrayEncoding encoding{
        .mapping = mapping, .bits = 5, .noise = spec, .noise_key = chip};
    check(w, encoding, expected);

    // The gradient by the weights of a call with them.
    const Matrix<float> x = random_matrix(9, 50, 5), grad_y = random_matrix(9, 70, 6);
    const lumina::SymmetricQuantizer<8> dac(2.0f);
    const auto pass =
        lumina::analog_pass(x, dac, expected, lumina::array(), lumina::digital(), chip);
    Matrix<float> y(9, 70), through(70, 50), straight(70, 50);
    lumina::ForwardRecord record;
    lumina::BackwardWorkspace workspace;
    REQUIRE(lumina::forward(pass, y, record));
    REQUIRE(lumina::backward(pass, grad_y, record, {.weights = through}, workspace, noise, chip));
    REQUIRE(lumina::backward(pass, grad_y, record, {.weights = straight}, workspace));
    on_every_isa([&](std::string_view) {
      Matrix<float> gradient = straight;
      ld::perturb_gradient(view(gradient), encoding);
      CHECK(difference(gradient.view(), through.view()) == "");
    });
  };
  using lumina::both;
  const lumina::DropConnect drop{0.2f};
  check_noise(drop, {.drop_probability = 0.2f});
  check_noise(lumina::AdditiveWeightNoise{0.05f}, {Kind::additive, 0.05f});
  check_noise(lumina::MultiplicativeWeightNoise{0.1f}, {Kind::multiplicative, 0.1f});
  check_noise(lumina::PolynomialWeightNoise{0.1f, {0.3f, 0.2f}},
              {Kind::polynomial, 0.1f, {0.3f, 0.2f}});
  check_noise(lumina::ProgrammingWeightNoise{},
              {Kind::programming, 1.0f, {0.26348f, 1.9650f, -1.1731f}, 25.0f});
  check_noise(both(lumina::AdditiveWeightNoise{0.05f}, drop),
              {.kind = Kind::additive, .strength = 0.05f, .drop_probability = 0.2f});
  check_noise(both(lumina::MultiplicativeWeightNoise{0.1f}, drop),
              {.kind = Kind::multiplicative, .strength = 0.1f, .drop_probability = 0.2f});
}

TEST_CASE("array encodings: convolutions, their outputs and gradients") {
  const bool last = GENERATE(false, true);
  const std::size_t groups = GENERATE(1, 2);
  const bool row_ranges = GENERATE(false, true);
  const lumina::Convolution shape{6, 130, {1, 3, 2}, {1, 2, 1}, {0, 1, 0}, {1, 1, 2}, groups};
  const ld::ConvolutionShape plain{6, 130, {1, 3, 2}, {1, 2, 1}, {0, 1, 0}, {1, 1, 2}, groups};
  const lumina::Size3 size{1, 7, 8}, result = shape.output_size(size);
  const std::size_t batch = 3, pixels = result[1] * result[2];
  const Matrix<float> x = random_matrix(batch, 6 * 56, 1),
                      filters = random_matrix(130, shape.filter_size(), 2),
                      grad_y = random_matrix(batch, 130 * pixels, 3);
  const std::vector<float> bias(130, 0.25f);

  std::vector<TiledWeights<8>> weights = lumina::convolution_weights(
      filters, shape, [&](MatrixView<const float> w, std::size_t first_output) {
        TiledWeights<8> held;
        lumina::Programmed(w, lumina::Pcm{}, NoiseKey{9, 4, first_output}, mapping, {}, 8)
            .at(60.0, held);
        return held;
      });
  const lumina::SymmetricQuantizer<8> adc(2.0f);
  const auto in_array = lumina::array(
      lumina::independent(lumina::ReadNoise(0.02f), lumina::GaussianNoise{0.05f}), adc);
  const auto behind = lumina::digital(lumina::AddBias{bias});
  const auto layout =
      last ? lumina::ImageLayout::channels_last : lumina::ImageLayout::channels_first;
  const lumina::ImageView<const float> images{x.data(), batch, 6, size, layout};
  const lumina::ImageView<const float> gradient{grad_y.data(), batch, 130, result, layout};
  Matrix<float> y(batch, 130 * pixels), grad_x(batch, 6 * 56), grad_filters(130, filters.cols());
  std::vector<float> grad_bias(130);
  const auto expect = [&](const auto& dac) {
    const auto pass = lumina::convolution_pass(images, dac, weights, shape, in_array, behind, chip);
    lumina::ForwardRecord record;
    lumina::ConvolutionBackwardWorkspace workspace;
    const lumina::ImageView<float> to{y.data(), batch, 130, result, layout};
    REQUIRE(lumina::forward(pass, to, record));
    REQUIRE(lumina::backward(pass, gradient, record,
                             {{grad_x.data(), batch, 6, size, layout}, grad_filters, grad_bias},
                             workspace, lumina::IntegerSplitProducts<2>()));
  };
  if (row_ranges) {
    expect(lumina::ManagedDac{8, 1.5f, lumina::NoiseManagement::abs_max});
  } else {
    expect(lumina::RuntimeQuantizer::symmetric(8, 1.5f));
  }

  const ld::CellSpec cell{};
  on_every_isa([&](std::string_view) {
    const ld::Weights held =
        ld::encode_arrays(view(filters), {mapping, 8, &cell, {}, {}, chip, true, 60.0}, plain);
    using S = ld::StageSpec;
    const S stages[] = {S::read_noise(0.02f, 0.05f), S::quantizer({8, -2.0f, 2.0f, true})};
    const S digital[] = {S::bias(bias)};
    ld::Call call{.x = {}, .weights = &held, .y = {}};
    call.dac = {8, -1.5f, 1.5f, true};
    call.array_stages = stages;
    call.digital_stages = digital;
    call.key = chip;
    if (row_ranges) call.noise_management = lumina::NoiseManagement::abs_max;
    call.gradient_products = ld::GradientProducts::int16;
    ld::Record record;
    call.record = &record;
    Matrix<float> own(batch, 130 * pixels), own_x(batch, 6 * 56), own_filters(130, filters.cols());
    std::vector<float> own_bias(130);
    const ld::ConvolutionCall convolution{
        {x.data(), batch, 6, size, last}, {own.data(), batch, 130, result, last}, plain, call};
    ld::run(convolution);
    CHECK(difference(own.view(), y.view()) == "");
    ld::Workspace workspace;
    ld::backward(convolution, {grad_y.data(), batch, 130, result, last}, record,
                 {{own_x.data(), batch, 6, size, last}, view(own_filters), own_bias.data()},
                 workspace);
    CHECK(difference(own_x.view(), grad_x.view()) == "");
    CHECK(difference(own_filters.view(), grad_filters.view()) == "");
    CHECK(own_bias == grad_bias);
  });
}

TEST_CASE("array encodings: what leaves the arrays, and scales that are corrected") {
  const Matrix<float> x = random_matrix(5, 50, 1), w = random_matrix(70, 50, 2);
  TiledWeights<8> weights = lumina::encode_tiles<8>(w, mapping);
  const lumina::SymmetricQuantizer<8> dac(1.0f);
  Matrix<float> y(5, 70), doubled(5, 70);
  REQUIRE(lumina::analog_gemm(x, dac, weights, lumina::array(), lumina::digital(), y));
  for (std::size_t tile = 0; tile < weights.tiles(); ++tile) {
    for (std::size_t row = 0; row < 70; ++row) weights.multiply_scale(tile, row, 1.5f);
  }
  REQUIRE(lumina::analog_gemm(x, dac, weights, lumina::array(), lumina::digital(), doubled));
  on_every_isa([&](std::string_view) {
    ld::Weights held = ld::encode_arrays(view(w), {.mapping = mapping});
    std::vector<float> scales(held.tiles() * 70), seen(5 * held.tiles() * 70, -1.0f);
    held.scales(scales.data());
    Matrix<float> own(5, 70);
    ld::Call call{.x = view(x), .weights = &held, .y = view(own)};
    call.dac = {8, -1.0f, 1.0f, true};
    call.array_outputs = seen.data();
    ld::run(call);
    CHECK(difference(own.view(), y.view()) == "");
    for (std::size_t row = 0; row < 5; ++row) {
      for (std::size_t column = 0; column < 70; ++column) {
        float sum = 0.0f;
        for (std::size_t tile = 0; tile < held.tiles(); ++tile) {
          sum = std::fma(seen[(row * held.tiles() + tile) * 70 + column],
                         scales[tile * 70 + column], sum);
        }
        CHECK(sum == own(row, column));
      }
    }
    const std::vector<float> factors(scales.size(), 1.5f);
    held.multiply_scales(factors.data());
    ld::run(call);
    CHECK(difference(own.view(), doubled.view()) == "");
  });
}

TEST_CASE("array encodings that are refused") {
  const Matrix<float> w = random_matrix(70, 54, 2), x = random_matrix(2, 54, 1);
  const ld::CellSpec cell{.g_max = -1.0f};
  CHECK_THROWS_AS(ld::encode_arrays(view(w), {.cell = &cell}), std::invalid_argument);
  CHECK_THROWS_AS(ld::encode_arrays(view(w), {.bits = 9}), std::invalid_argument);
  CHECK_THROWS_AS(ld::encode_arrays(view(w), {}, {.channels = 5, .outputs = 70}),
                  std::invalid_argument);
  // A convolution with weights of none, or behind a DAC that is not symmetric.
  const ld::ConvolutionShape shape{.channels = 6, .outputs = 70, .kernel = {1, 3, 3}};
  Matrix<float> y(2, 70);
  const ld::Weights plain = ld::encode_weights(view(w), 8),
                    filters = ld::encode_arrays(view(w), {}, shape);
  ld::Call call{.x = {}, .weights = &plain, .y = {}};
  call.dac = {8, -1.0f, 1.0f, true};
  const ld::ConvolutionCall convolution{
      {x.data(), 2, 6, {1, 3, 3}}, {y.data(), 2, 70, {1, 1, 1}}, shape, call};
  CHECK_THROWS_AS(ld::run(convolution), std::invalid_argument);
  call.weights = &filters;
  ld::run(convolution);
  call.dac = {8, 0.0f, 1.0f};
  CHECK_THROWS_AS(ld::run(convolution), std::invalid_argument);
  CHECK_THROWS_AS(plain.code_count(), std::invalid_argument);
  call.dac = {8, -1.0f, 1.0f, true};
  call.gradient_products = ld::GradientProducts::int8;
  ld::Record record;
  call.record = &record;
  ld::run(convolution);
  ld::Workspace workspace;
  Matrix<float> gradient(70, 54);
  CHECK_THROWS_AS(ld::backward(convolution, {y.data(), 2, 70, {1, 1, 1}}, record,
                               {.filters = view(gradient)}, workspace),
                  std::invalid_argument);
}
