// What the coded engine computes. Whatever the shapes: test_coded_shapes.cpp; the sums:
// test_coded_sums.cpp.
#include <lumina/fused_gemm.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/coded_problem.hpp"
#include "support/every_bits.hpp"
#include "support/executors.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

/// Whose codes are their own values, so that outputs are the sums.
const Quantizer<8> integers(0.0f, 255.0f);

/// Weights that are these codes: every scale is 1.
CodedWeights<8> weights_of_codes(TestMatrix& codes) {
  const std::vector<float> ones(codes.view().rows(), 1.0f);
  return encode_weights<8>(codes, ones);
}

/// A stage of a user's: a gain for each column, and a normal of its own.
struct NoisyGain {
  std::span<const float> gains;
  static constexpr std::size_t normals_per_element = 1;
  template <class Floats>
  Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
               const std::array<Floats, 1>& normals) const {
    return fused_multiply_add(load_columns<Floats>(gains, at, active), normals[0], values);
  }
};

}  // namespace

TEST_CASE("Coded: every number of bits behind every DAC", "[coded_gemm]") {
  Engine engine(2);
  for_every_bits([&](auto bits) {
    for (int dac_bits = 1; dac_bits <= 8; ++dac_bits) {
      const CodedShape shape{5, integer(engine, 20, 90), 37};
      check_coded<bits, float, float>(engine, shape, draw_dac(engine, dac_bits));
      check_coded<bits, std::uint8_t, std::uint16_t>(engine, shape, draw_dac(engine, dac_bits));
    }
  });
}

TEST_CASE("Coded: a quantizer with its bits in the type, or chosen at run time", "[coded_gemm]") {
  Engine engine(3);
  TestMatrix x(4, 30), w(20, 30), y(4, 20), expected(4, 20);
  x.fill_uniform(engine, -2.0f, 2.0f);
  const auto coded = encode_weights<8>(w.fill_uniform(engine));
  const auto check = [&](const auto& dac) {
    const RuntimeQuantizer same(dac.bits, dac.lo(), dac.hi());
    fused_gemm(x, same, coded, expected, epilogue());
    fused_gemm(x, dac, coded, y, epilogue());
    CHECK(difference(y, expected) == "");
    reference::fused_gemm(x.constant(), dac, coded, expected.view(), epilogue(), {});
    CHECK(difference(y, expected) == "");
  };
  check(Quantizer<1>(-1.0f, 1.0f));
  check(Quantizer<4>(0.0f, 1.0f));
  check(Quantizer<7>(-3.0f, 0.5f));
  check(Quantizer<8>(-1.5f, 1.0f));
}

TEST_CASE("Coded: infinities, NaN and huge inputs go through the DAC", "[coded_gemm]") {
  Engine engine(4);
  const RuntimeQuantizer dac(8, -1.0f, 2.0f);
  for (const std::size_t in : {9u, 70u, 131u}) {
    TestMatrix x(13, in), w(37, in), y(13, 37), expected(13, 37);
    x.fill([&] {
      return integer(engine, 0, 1) == 0 ? any_float(engine) : uniform(engine, -1.0f, 2.0f);
    });
    const auto coded = encode_weights<8>(w.fill_uniform(engine));
    fused_gemm(x, dac, coded, y, epilogue());
    reference::fused_gemm(x.constant(), dac, coded, expected.view(), epilogue(), {});
    CHECK(difference(y, expected) == "");
  }

  // NaN is the code 0, infinities are the codes at the ends.
  TestMatrix x(1, 3), w(1, 3), y(1, 1);
  x(0, 0) = kNaN;
  x(0, 1) = kInf;
  x(0, 2) = -kInf;
  w(0, 0) = 1.0f;
  w(0, 1) = 10.0f;
  w(0, 2) = 100.0f;
  fused_gemm(x, Quantizer<8>(-255.0f, 0.0f), weights_of_codes(w), y, epilogue());
  CHECK(y(0, 0) == -255.0f * 101.0f);
}

TEST_CASE("Coded: ranges and scales at the ends of float", "[coded_gemm]") {
  Engine engine(5);
  TestMatrix x(3, 20), w(20, 20), y(3, 20), expected(3, 20);
  std::vector<float> scales(20);
  const auto check = [&](const RuntimeQuantizer& dac) {
    x.fill([&] { return draw_input(engine, dac, float{}); });
    const auto coded = encode_weights<5>(w, scales);
    fused_gemm(x, dac, coded, y, epilogue());
    reference::fused_gemm(x.constant(), dac, coded, expected.view(), epilogue(), {});
    CAPTURE(dac.lo(), dac.hi());
    CHECK(difference(y, expected) == "");
  };
  for (std::size_t row = 0; row < 20; ++row) {
    const bool zeros = row % 5 == 0;
    scales[row] = std::exp2(14.0f * static_cast<float>(row) - 149.0f);
    for (std::size_t k = 0; k < 20; ++k) {
      w(row, k) = zeros ? 0.0f : scales[row] * uniform(engine, -16.0f, 16.0f);
      if (!std::isfinite(w(row, k))) w(row, k) = kLargest;
    }
  }
  check({8, -1.0f, 1.0f});
  check({8, -1e38f, 2e38f});
  check({3, 1e38f, 3e38f});
  check({8, 1e-38f, 2e-38f});
  check({1, -kSmallestNormal, 0.0f});
  check({8, 1000.0f, 1000.5f});
}

TEST_CASE("Coded: all kinds of stages", "[coded_gemm]") {
  Engine engine(6);
  const RuntimeQuantizer dac(6, -1.0f, 1.0f);
  for (const std::size_t out : {7u, 150u}) {
    // Exactly as many parameters as columns: a sanitizer sees an access behind them.
    TestMatrix bias(1, out);
    bias.fill_uniform(engine);
    const std::span<const float> columns(bias.view().data(), out);
    const auto stages = epilogue(AddBias{columns}, Relu{}, NoisyGain{columns}, ShotNoise{0.2f},
                                 epilogue(Attenuation{0.3f}, GaussianNoise{0.1f}),
                                 GaussianNoise{0.01f}, SymmetricQuantizer<8>(2.0f));
    TestMatrix x(9, 13), w(out, 13), y(9, out), expected(9, out);
    x.fill_uniform(engine);
    const auto coded = encode_weights<6>(w.fill_uniform(engine));
    const NoiseKey key{3, 2, 1};
    fused_gemm(x, dac, coded, y, stages, key);
    reference::fused_gemm(x.constant(), dac, coded, expected.view(), stages, key);
    CHECK(difference(y, expected) == "");

    // And before an ADC whose codes are stored.
    TestMatrixOf<std::uint8_t> codes(9, out), expected_codes(9, out);
    const auto ending = epilogue(ShotNoise{0.2f}, NoisyGain{columns}, Quantizer<5>(-1.0f, 1.0f));
    fused_gemm(x, dac, coded, codes, ending, key);
    reference::fused_gemm(x.constant(), dac, coded, expected_codes.view(), ending, key);
    CHECK(difference(codes, expected_codes) == "");
  }
}

TEST_CASE("Coded: outputs as codes stand for outputs as floats", "[coded_gemm]") {
  Engine engine(7);
  const Quantizer<8> dac(-1.0f, 1.0f);
  const NoiseKey key{1, 2, 3};
  TestMatrix x(12, 40), w(50, 40), values(12, 50);
  x.fill_uniform(engine);
  const auto coded = encode_weights<8>(w.fill_uniform(engine));
  for (int bits = 1; bits <= 16; ++bits) {
    const RuntimeQuantizer adc(bits, -4.0f, 5.0f);
    const auto stages = epilogue(GaussianNoise{0.3f}, adc);
    fused_gemm(x, dac, coded, values, stages, key);
    TestMatrixOf<std::uint16_t> wide(12, 50), expected_wide(12, 50);
    TestMatrixOf<std::uint8_t> narrow(12, 50), expected_narrow(12, 50);
    for (std::size_t row = 0; row < 12; ++row) {
      for (std::size_t col = 0; col < 50; ++col) {
        const std::uint32_t code = adc.encode(values(row, col));
        expected_wide(row, col) = static_cast<std::uint16_t>(code);
        expected_narrow(row, col) = static_cast<std::uint8_t>(code);
      }
    }
    CAPTURE(bits);
    fused_gemm(x, dac, coded, wide, stages, key);
    CHECK(difference(wide, expected_wide) == "");
    if (bits > 8) continue;
    fused_gemm(x, dac, coded, narrow, stages, key);
    CHECK(difference(narrow, expected_narrow) == "");
  }
}

TEST_CASE("Coded: NaN and infinities in front of an ADC whose codes are stored", "[coded_gemm]") {
  TestMatrix x(1, 1), w(3, 1);
  TestMatrixOf<std::uint8_t> y(1, 3);
  x(0, 0) = 1.0f;
  w(0, 0) = w(1, 0) = w(2, 0) = 1.0f;
  const std::vector<float> bias = {kNaN, kInf, -kInf};
  fused_gemm(x, integers, weights_of_codes(w), y,
             epilogue(AddBias{bias}, Quantizer<7>(-1.0f, 1.0f)));
  CHECK(+y(0, 0) == 0);
  CHECK(+y(0, 1) == 127);
  CHECK(+y(0, 2) == 0);
}

TEST_CASE("Coded: fused_gemm_noise_quant is noise and an ADC", "[coded_gemm]") {
  Engine engine(8);
  const Quantizer<8> dac(0.0f, 1.0f);
  TestMatrix x(11, 30), w(47, 30), y(11, 47), expected(11, 47);
  TestMatrixOf<std::uint8_t> x_codes(11, 30), codes(11, 47), expected_codes(11, 47);
  x.fill_uniform(engine, 0.0f, 1.0f);
  x_codes.fill([&] { return static_cast<std::uint8_t>(engine()); });
  const auto coded = encode_weights<4>(w.fill_uniform(engine));
  const NoiseKey key{engine(), engine(), 0};
  const auto check = [&](const auto& adc, float stddev) {
    CAPTURE(stddev);
    fused_gemm_noise_quant(x, dac, coded, y, stddev, adc, key);
    fused_gemm_noise_quant(x_codes, dac, coded, codes, stddev, adc, key);
    const auto expect = [&](const auto& stages) {
      reference::fused_gemm(x.constant(), dac, coded, expected.view(), stages, key);
      reference::fused_gemm(x_codes.constant(), dac, coded, expected_codes.view(), stages, key);
    };
    if (stddev == 0.0f) {
      expect(epilogue(adc));
    } else {
      expect(epilogue(GaussianNoise{stddev}, adc));
    }
    CHECK(difference(y, expected) == "");
    CHECK(difference(codes, expected_codes) == "");
  };
  for (const float stddev : {0.0f, -0.0f, 0.3f, 1e-20f, 1e30f}) {
    check(Quantizer<8>(-6.0f, 6.0f), stddev);
    check(RuntimeQuantizer(3, -3.0f, 5.0f), stddev);
  }
}

TEST_CASE("Coded: the noise is that of every engine", "[coded_gemm]") {
  // Weights of zeros leave nothing else.
  TestMatrix x(20, 9), w(300, 9), y(20, 300);
  x.fill([] { return 0.25f; });
  w.fill([] { return 0.0f; });
  const NoiseKey key{4, 5, 6};
  fused_gemm(x, Quantizer<8>(-1.0f, 1.0f), encode_weights<8>(w), y, epilogue(GaussianNoise{2.0f}),
             key);
  TestMatrix expected(20, 300);
  for (std::size_t row = 0; row < 20; ++row) {
    for (std::size_t col = 0; col < 300; ++col) {
      expected(row, col) = 2.0f * standard_normal_at(key, row, col);
    }
  }
  CHECK(difference(y, expected) == "");
}

TEST_CASE("Coded: layers chained through codes", "[coded_gemm]") {
  Engine engine(9);
  const Quantizer<8> input(-1.0f, 1.0f);
  const RuntimeQuantizer hidden(8, 0.0f, 6.0f), output(12, -8.0f, 8.0f);
  TestMatrix x(21, 50), w1(70, 50), w2(33, 70);
  x.fill_uniform(engine);
  const auto layer1 = encode_weights<8>(w1.fill_uniform(engine));
  const auto layer2 = encode_weights<4>(w2.fill_uniform(engine));
  const auto stages1 = epilogue(GaussianNoise{0.1f}, hidden);
  const auto stages2 = epilogue(GaussianNoise{0.1f}, output);
  const NoiseKey key1{7, 1, 0}, key2{7, 2, 0};

  TestMatrixOf<std::uint8_t> between(21, 70), expected_between(21, 70);
  TestMatrixOf<std::uint16_t> y(21, 33), expected(21, 33);
  fused_gemm(x, input, layer1, between, stages1, key1);
  fused_gemm(between, hidden, layer2, y, stages2, key2);
  reference::fused_gemm(x.constant(), input, layer1, expected_between.view(), stages1, key1);
  reference::fused_gemm(expected_between.constant(), hidden, layer2, expected.view(), stages2,
                        key2);
  CHECK(difference(between, expected_between) == "");
  CHECK(difference(y, expected) == "");

  // Through floats it is the same: the DAC finds the ADC's codes again.
  TestMatrix floats(21, 70);
  TestMatrixOf<std::uint16_t> through_floats(21, 33);
  fused_gemm(x, input, layer1, floats, stages1, key1);
  fused_gemm(floats, hidden, layer2, through_floats, stages2, key2);
  CHECK(difference(through_floats, expected) == "");
}

TEST_CASE("Coded: a batch in shards, each with its row offset, equals the whole", "[coded_gemm]") {
  Engine engine(10);
  TestMatrix x(90, 70), w(140, 70), whole(90, 140), shards(90, 140);
  x.fill_uniform(engine);
  const auto coded = encode_weights<4>(w.fill_uniform(engine));
  const Quantizer<8> dac(-1.0f, 1.0f), adc(-8.0f, 8.0f);
  const std::uint64_t first = ~std::uint64_t{0} - 40;  // the rows' numbers wrap around in the batch
  fused_gemm_noise_quant(x, dac, coded, whole, 0.5f, adc, {1, 2, first});
  const auto part = [](TestMatrix& m, std::size_t row, std::size_t rows) {
    const MatrixView<float> all = m;
    return MatrixView<float>(all.row(row), rows, all.cols());
  };
  for (std::size_t cut = 0; cut <= 90; cut += 13) {
    shards.fill([] { return kNaN; });
    fused_gemm_noise_quant(part(x, 0, cut), dac, coded, part(shards, 0, cut), 0.5f, adc,
                           {1, 2, first});
    fused_gemm_noise_quant(part(x, cut, 90 - cut), dac, coded, part(shards, cut, 90 - cut), 0.5f,
                           adc, {1, 2, first + cut});
    CAPTURE(cut);
    CHECK(difference(shards, whole) == "");
  }
}

TEST_CASE("Coded: results do not depend on the executor", "[coded_gemm]") {
  Engine engine(11);
  const RuntimeQuantizer dac(7, -1.0f, 1.0f);
  const auto stages = epilogue(GaussianNoise{0.5f}, Quantizer<8>(-9.0f, 9.0f));
  const NoiseKey key{1, 2, 3};
  // Each has enough work for several threads: in the rows, in the columns, in the depth.
  for (const CodedShape& shape :
       {CodedShape{300, 80, 200}, CodedShape{2, 5500, 390}, CodedShape{520, 500, 17}}) {
    const auto [batch, in, out, gap] = shape;
    TestMatrix w(out, in);
    TestMatrixOf<std::uint8_t> x(batch, in), y(batch, out, out + 5), expected(batch, out);
    x.fill([&] { return draw_input(engine, dac, std::uint8_t{}); });
    const auto coded = encode_weights<3>(w.fill_uniform(engine));
    reference::fused_gemm(x.constant(), dac, coded, expected.view(), stages, key);
    std::size_t most_tasks = 0;
    fused_gemm(x, dac, coded, y, stages, key, [&](std::size_t tasks, const auto& body) {
      most_tasks = tasks;
      Serial{}(tasks, body);
    });
    REQUIRE(most_tasks > 1);
    for_each_executor([&](const auto& executor, const char* name) {
      y.fill([] { return std::uint8_t{0xee}; });
      fused_gemm(x, dac, coded, y, stages, key, executor);
      CAPTURE(name, shape.batch);
      CHECK(difference(y, expected) == "");
      CHECK(y.gaps_untouched());
    });
  }
}

TEST_CASE("Coded: large problems reach the executor, small ones do not", "[coded_gemm]") {
  Engine engine(12);
  const Quantizer<8> dac(-1.0f, 1.0f), adc(-3.0f, 3.0f);
  TestMatrix x(300, 90), w(200, 90), y(300, 200), expected(300, 200);
  x.fill_uniform(engine);
  const auto coded = encode_weights<4>(w.fill_uniform(engine));
  for (const float stddev : {0.0f, 0.5f}) {
    std::size_t calls = 0, most_tasks = 0;
    const auto executor = [&](std::size_t tasks, const auto& body) {
      ++calls;
      most_tasks = tasks;
      Serial{}(tasks, body);
    };
    fused_gemm_noise_quant(x, dac, coded, expected, stddev, adc, {1, 2, 3});
    fused_gemm_noise_quant(x, dac, coded, y, stddev, adc, {1, 2, 3}, executor);
    CHECK(calls == 1);
    CHECK(most_tasks > 1);
    CHECK(difference(y, expected) == "");
    const MatrixView<float> few_x(x.view().data(), 3, 90), few_y(y.view().data(), 3, 200);
    fused_gemm_noise_quant(few_x, dac, coded, few_y, stddev, adc, {1, 2, 3}, executor);
    CHECK(calls == 1);
  }
}

TEST_CASE("Coded: matrices and views of either constness", "[coded_gemm]") {
  Engine engine(13);
  const Quantizer<8> dac(-1.0f, 1.0f), adc(-3.0f, 3.0f);
  Matrix<float> x(4, 6), w(5, 6), y(4, 5);
  for (float& value : x.elements()) value = uniform(engine, -1.0f, 1.0f);
  for (float& value : w.elements()) value = uniform(engine, -1.0f, 1.0f);
  const auto coded = encode_weights<4>(w);
  const Matrix<float>& constant_x = x;
  const MatrixView<float> y_view = y;
  Matrix<float> expected(4, 5);
  reference::fused_gemm(constant_x.view(), dac, coded, expected.view(), epilogue(adc), {});
  const auto check = [&] {
    CHECK(difference(y, expected) == "");
    std::ranges::fill(y.elements(), kNaN);
  };
  fused_gemm(x, dac, coded, y, epilogue(adc));
  check();
  fused_gemm(constant_x, dac, coded, y_view, epilogue(adc));
  check();
  fused_gemm(x.view(), dac, coded, y.view(), epilogue(adc));
  check();
  fused_gemm_noise_quant(constant_x.view(), dac, coded, y, 0.0f, adc, {});
  check();
  fused_gemm_noise_quant(x, dac, coded, y_view, 0.0f, adc, {});
  check();
}
