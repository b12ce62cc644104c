// Products of two activations against the oracle, bit for bit, and what may go wrong with them.
#include <lumina/analog_matmul.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <lumina/reference_analog.hpp>
#include <lumina/reference_backward.hpp>
#include <lumina/reference_matmul.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

struct Shape {
  std::size_t m, k, n;
};
constexpr std::array kShapes = {Shape{1, 1, 1},    Shape{5, 3, 2},   Shape{17, 64, 33},
                                Shape{8, 130, 31}, Shape{3, 1, 200}, Shape{40, 257, 65},
                                Shape{0, 5, 4},    Shape{4, 0, 5},   Shape{4, 5, 0}};

/// a [m, k], b [n, k] and [k, n], all with gaps between rows; a row of b is zeros, another one
/// denormal, another one huge.
struct Operands {
  TestMatrix a, b, turned;

  Operands(Engine& engine, const Shape& shape)
      : a(shape.m, shape.k, shape.k + 3),
        b(shape.n, shape.k, shape.k + 5),
        turned(shape.k, shape.n, shape.n + 1) {
    a.fill_uniform(engine, -1.2f, 1.2f);
    for (std::size_t row = 0; row < shape.n; ++row) {
      const float scale = row % 7 == 2 ? 0.0f : row % 7 == 4 ? 1e-40f : row % 7 == 6 ? 1e37f : 1.0f;
      for (std::size_t k = 0; k < shape.k; ++k) {
        b(row, k) = turned(k, row) = scale * uniform(engine, -1.0f, 1.0f);
      }
    }
  }
};

template <class Y>
Matrix<Y> filled(std::size_t rows, std::size_t cols) {
  Matrix<Y> result(rows, cols);
  for (Y& value : result.elements()) value = poison<Y>();
  return result;
}

const NoiseKey kKey{3, 4, 5};

template <int Bits, class A, class Dac, class Y, class Stages>
void check(MatrixView<const A> a, const Dac& dac, Operands& operands, WeightScale how,
           const Stages& stages, const NoiseKey& key) {
  const std::size_t n = operands.b.view().rows();
  auto y = filled<Y>(a.rows(), n), y_turned = y, expected = y;
  CodedOperand<Bits> codes(how);
  REQUIRE(analog_matmul(a, dac, operands.b, codes, y, stages, key));
  REQUIRE(analog_matmul(a, dac, transposed(operands.turned.constant()), codes, y_turned, stages,
                        key, ShuffledThreads{2}));
  reference::analog_matmul(a, dac, operands.b.constant(), Bits, how, expected.view(), stages, key);
  CHECK(difference(MatrixView<const Y>(y), MatrixView<const Y>(expected)) == "");
  CHECK(difference(MatrixView<const Y>(y_turned), MatrixView<const Y>(expected)) == "");
}

}  // namespace

TEST_CASE("A product of activations is the oracle's, bit for bit", "[analog_matmul]") {
  Engine engine(1);
  for (const Shape& shape : kShapes) {
    CAPTURE(shape.m, shape.k, shape.n);
    Operands operands(engine, shape);
    TestMatrixOf<std::uint8_t> a_codes(shape.m, shape.k, shape.k + 1);
    a_codes.fill([&] { return static_cast<std::uint8_t>(engine() & 63); });
    const auto stages = epilogue(GaussianNoise{0.1f}, Relu{}, Quantizer<6>(0.0f, 3.0f));
    check<8, float, SymmetricQuantizer<8>, float>(operands.a.constant(),
                                                  SymmetricQuantizer<8>(1.0f), operands,
                                                  WeightScale::per_output, stages, kKey);
    check<4, float, Quantizer<6>, std::uint8_t>(operands.a.constant(), Quantizer<6>(-1.0f, 1.0f),
                                                operands, WeightScale::per_matrix, stages, kKey);
    check<2, std::uint8_t, Quantizer<6>, std::uint16_t>(a_codes.constant(),
                                                        Quantizer<6>(0.0f, 1.0f), operands,
                                                        WeightScale::per_output, stages, kKey);
  }
}

TEST_CASE("An operand that lies transposed has the codes of its transpose", "[analog_matmul]") {
  Engine engine(2);
  for (const Shape& shape : kShapes) {
    CAPTURE(shape.k, shape.n);
    Operands operands(engine, shape);
    const TransposedView turned = transposed(operands.turned.constant());
    CodedWeights<4> by_columns;
    encode_weights(turned, by_columns);
    const CodedWeights<4> by_rows = encode_weights<4>(operands.b);
    CHECK(difference(by_columns.scales(), by_rows.scales()) == "");
    CHECK(difference(by_columns.codes(), by_rows.codes()) == "");

    for (const TileScale scale : {TileScale::per_column, TileScale::per_tile}) {
      const Mapping mapping{{48, 20}, scale, TileSplit::equal};
      TiledWeights<8> tiled_columns, tiled_rows;
      REQUIRE(encode_tiles(turned, mapping, tiled_columns));
      REQUIRE(encode_tiles(operands.b.constant(), mapping, tiled_rows));
      REQUIRE(tiled_columns.tiles() == tiled_rows.tiles());
      CHECK(difference(tiled_columns.decode(), tiled_rows.decode()) == "");
    }
  }
}

TEST_CASE("On arrays a product of activations is the oracle's", "[analog_matmul]") {
  Engine engine(3);
  const ManagedDac dac{.noise_management = NoiseManagement::abs_max, .bound_iterations = 2};
  const auto in_array = array(GaussianNoise{0.05f}, SymmetricQuantizer<8>(4.0f));
  for (const Shape& shape : kShapes) {
    CAPTURE(shape.m, shape.k, shape.n);
    Operands operands(engine, shape);
    const Mapping mapping{{48, 20}, TileScale::per_tile, TileSplit::maximal};
    TiledOperand<8> codes(mapping);
    auto y = filled<float>(shape.m, shape.n), y_turned = y, expected = y;
    const auto behind = digital(Relu{});
    REQUIRE(analog_matmul(operands.a, dac, operands.b, codes, in_array, behind, y, kKey));
    REQUIRE(analog_matmul(operands.a, dac, transposed(operands.turned.constant()), codes, in_array,
                          behind, y_turned, kKey));
    const auto weights = encode_tiles<8>(operands.b, mapping);
    reference::analog_gemm(operands.a.constant(), dac, weights, in_array, behind, expected.view(),
                           kKey);
    CHECK(difference(y, expected) == "");
    CHECK(difference(y_turned, expected) == "");
  }
}

TEST_CASE("Heads are views of one matrix, and share their codes' memory", "[analog_matmul]") {
  Engine engine(4);
  constexpr std::size_t kTokens = 21, kHeads = 3, kDepth = 16;
  TestMatrix q(kTokens, kHeads * kDepth), k(kTokens, kHeads * kDepth);
  q.fill_uniform(engine);
  k.fill_uniform(engine);
  const SymmetricQuantizer<8> dac(1.0f);
  const auto head = [](TestMatrix& m, std::size_t h) {
    return MatrixView<const float>(m.view().data() + h * kDepth, kTokens, kDepth, kHeads * kDepth);
  };
  CodedOperand<8> codes;
  for (std::size_t h = 0; h < kHeads; ++h) {
    Matrix<float> y(kTokens, kTokens), expected(kTokens, kTokens);
    REQUIRE(analog_matmul(head(q, h), dac, head(k, h), codes, y, epilogue()));
    reference::analog_matmul(head(q, h), dac, head(k, h), 8, WeightScale::per_output,
                             expected.view(), epilogue(), {});
    CHECK(difference(y, expected) == "");
  }
}

TEST_CASE("Behind a converter b is what it makes of b, with no gradient beyond its range",
          "[analog_matmul]") {
  Engine engine(10);
  const Shape shape{7, 45, 19};
  Operands operands(engine, shape);
  const SymmetricQuantizer<4> dac_of_b(0.75f);
  operands.b(0, 0) = operands.turned(0, 0) = 0.75f;  // the end of the range passes
  operands.b(0, 1) = operands.turned(1, 0) = std::nextafter(0.75f, 1.0f);
  TestMatrix grad_y(shape.m, shape.n);
  grad_y.fill_uniform(engine);
  const SymmetricQuantizer<8> dac(1.5f);
  Matrix<float> expected(shape.m, shape.n), y(shape.m, shape.n), y_tiles(shape.m, shape.n);
  reference::fused_gemm(operands.a.constant(), dac,
                        reference::OperandCodes(operands.b.constant(), 4, {}, 0.75f),
                        expected.view(), epilogue(), {});
  ForwardRecord record;
  BackwardWorkspace workspace;
  Matrix<float> by_b(shape.n, shape.k), by_turned(shape.k, shape.n), by_b_tiles(shape.n, shape.k);
  CodedOperand<4> codes(dac_of_b);
  const auto pass =
      matmul_pass(operands.a.constant(), dac, operands.b.constant(), codes, epilogue());
  REQUIRE(forward(pass, y, record));
  REQUIRE(backward(pass, grad_y, record, {.weights = by_b}, workspace));
  CHECK(difference(y, expected) == "");
  const auto turned = matmul_pass(operands.a.constant(), dac,
                                  transposed(operands.turned.constant()), codes, epilogue());
  REQUIRE(forward(turned, y, record));
  REQUIRE(backward(turned, grad_y, record, {.weights = by_turned}, workspace));
  CHECK(difference(y, expected) == "");

  TiledOperand<4> tiles(dac_of_b, Mapping{{64, 8}});
  const auto tiled =
      matmul_pass(operands.a.constant(), dac, operands.b.constant(), tiles, array(), digital());
  REQUIRE(forward(tiled, y_tiles, record));
  REQUIRE(backward(tiled, grad_y, record, {.weights = by_b_tiles}, workspace));
  for (std::size_t i = 0; i < y.elements().size(); ++i) {
    CHECK(y_tiles.elements()[i] == Approx(y.elements()[i]).epsilon(1e-5).margin(1e-6));
  }
  for (std::size_t n = 0; n < shape.n; ++n) {
    for (std::size_t k = 0; k < shape.k; ++k) {
      const bool clips = std::fabs(operands.b(n, k)) > 0.75f;
      float sum = 0.0f;
      for (std::size_t i = 0; i < shape.m; ++i) {
        sum = detail::chain_multiply_add(grad_y(i, n), dac(operands.a(i, k)), sum);
      }
      REQUIRE(same_bits(by_b(n, k), clips ? 0.0f : sum));
      REQUIRE(same_bits(by_turned(k, n), by_b(n, k)));
      REQUIRE(same_bits(by_b_tiles(n, k), by_b(n, k)));
    }
  }
  CHECK(by_b(0, 0) != 0.0f);
  CHECK(by_b(0, 1) == 0.0f);
}

namespace {

/// Gradients of both layouts equal the oracle's, whatever the codes held in between.
template <int Bits, class X>
void check_gradients(Engine& engine, const Shape& shape, MatrixView<const X> a) {
  Operands operands(engine, shape);
  for (std::size_t row = 6; row < shape.n; row += 7) {  // infinite gradients say little
    for (std::size_t k = 0; k < shape.k; ++k) operands.b(row, k) = operands.turned(k, row) = 1.0f;
  }
  TestMatrix grad_y(shape.m, shape.n, shape.n + 2), bias(1, shape.n);
  grad_y.fill_uniform(engine);
  bias.fill_uniform(engine);
  const float limit = 0.5f + 0.5f * std::sqrt(static_cast<float>(shape.k));
  const auto stages =
      epilogue(ShotNoiseWithDerivative{0.1f}, AddBias{{bias.view().data(), shape.n}}, Relu{},
               RuntimeQuantizer(7, 0.0f, limit));
  const Quantizer<6> dac(-1.0f, 1.0f);

  const auto weights = encode_weights<Bits>(operands.b);
  Matrix<float> y_expected(shape.m, shape.n), by_a_expected(shape.m, shape.k),
      by_b_expected(shape.n, shape.k);
  std::vector<float> by_bias_expected(shape.n);
  reference::forward_and_backward(forward_pass(a, dac, weights, stages, kKey), weights.decode(),
                                  grad_y, y_expected,
                                  {by_a_expected, by_b_expected, by_bias_expected});

  CodedOperand<Bits> codes;
  ForwardRecord record;
  BackwardWorkspace workspace;
  const auto step = [&](const auto& b, MatrixView<float> by_b) {
    TestMatrix y(shape.m, shape.n, shape.n + 1), by_a(shape.m, shape.k, shape.k + 1);
    std::vector<float> by_bias(shape.n);
    const auto pass = matmul_pass(a, dac, b, codes, stages, kKey);
    REQUIRE(forward(pass, y, record));
    const Matrix<float> other(2, 3);
    REQUIRE(codes.encode(MatrixView<const float>(other)));
    REQUIRE(backward(pass, grad_y, record, {by_a, by_b, by_bias}, workspace, ShuffledThreads{2}));
    CHECK(difference(y, y_expected) == "");
    CHECK(difference(by_a, by_a_expected) == "");
    CHECK(difference(by_bias, by_bias_expected) == "");
    CHECK(by_a.gaps_untouched());
    // Each alone.
    by_a.fill([] { return 0.0f; });
    REQUIRE(backward(pass, grad_y, record, {.input = by_a}, workspace));
    CHECK(difference(by_a, by_a_expected) == "");
    REQUIRE(backward(pass, grad_y, record, {.weights = by_b}, workspace));
  };
  TestMatrix by_b(shape.n, shape.k, shape.k + 4), by_turned(shape.k, shape.n, shape.n + 3);
  step(operands.b.constant(), by_b);
  const TransposedView turned = transposed(operands.turned.constant());
  step(turned, by_turned);
  CHECK(difference(by_b, by_b_expected) == "");
  const Matrix<float> turned_back = reference::copy_of_operand(transposed(by_turned.constant()));
  CHECK(difference(turned_back, by_b_expected) == "");
  CHECK(by_b.gaps_untouched());
  CHECK(by_turned.gaps_untouched());
}

}  // namespace

TEST_CASE("Gradients by both operands are the oracle's, bit for bit", "[analog_matmul]") {
  Engine engine(5);
  for (const Shape& shape : kShapes) {
    CAPTURE(shape.m, shape.k, shape.n);
    TestMatrix a(shape.m, shape.k, shape.k + 2);
    a.fill_uniform(engine, -1.2f, 1.2f);
    check_gradients<8>(engine, shape, a.constant());
    TestMatrixOf<std::uint8_t> codes(shape.m, shape.k);
    codes.fill([&] { return static_cast<std::uint8_t>(engine() & 63); });
    check_gradients<4>(engine, shape, codes.constant());
  }
}

TEST_CASE("On arrays gradients are those of weights with the same codes", "[analog_matmul]") {
  Engine engine(6);
  const Shape shape{13, 100, 37};
  Operands operands(engine, shape);
  TestMatrix grad_y(shape.m, shape.n), y(shape.m, shape.n);
  grad_y.fill_uniform(engine);
  const Mapping mapping{{30, 16}, TileScale::per_column, TileSplit::maximal};
  const SymmetricQuantizer<8> dac(1.0f);
  const auto in_array = array(GaussianNoise{0.1f}, SymmetricQuantizer<6>(2.0f));
  const auto behind = digital(Relu{});
  ForwardRecord record;
  BackwardWorkspace workspace;

  Matrix<float> y_expected(shape.m, shape.n), by_a_expected(shape.m, shape.k),
      by_b_expected(shape.n, shape.k), by_a(shape.m, shape.k), by_turned(shape.k, shape.n);
  const auto weights = encode_tiles<8>(operands.b, mapping);
  const auto layer = analog_pass(operands.a.constant(), dac, weights, in_array, behind, kKey);
  REQUIRE(forward(layer, y_expected, record));
  REQUIRE(backward(layer, grad_y, record, {.input = by_a_expected, .weights = by_b_expected},
                   workspace));

  TiledOperand<8> codes(mapping);
  const auto pass = matmul_pass(operands.a.constant(), dac, transposed(operands.turned.constant()),
                                codes, in_array, behind, kKey);
  REQUIRE(forward(pass, y, record));
  REQUIRE(backward(pass, grad_y, record, {.input = by_a, .weights = by_turned}, workspace));
  CHECK(difference(y, y_expected) == "");
  CHECK(difference(by_a, by_a_expected) == "");
  CHECK(difference(reference::copy_of_operand(transposed(by_turned)), by_b_expected) == "");
}

TEST_CASE("Straight-through gradients are those of the ideal product but for levels",
          "[analog_matmul]") {
  // L = Σ c·y; finite differences of the ideal y = a·bᵀ in double, where L is linear in each
  // operand, so that they are exact but for roundings.
  Engine engine(7);
  const Shape shape{9, 24, 11};
  TestMatrix a(shape.m, shape.k), b(shape.n, shape.k), c(shape.m, shape.n), y(shape.m, shape.n);
  for (TestMatrix* m : {&a, &b, &c}) m->fill_uniform(engine);
  Matrix<float> by_a(shape.m, shape.k), by_b(shape.n, shape.k);
  CodedOperand<8> codes;
  ForwardRecord record;
  BackwardWorkspace workspace;
  const auto pass = matmul_pass(a.constant(), SymmetricQuantizer<8>(1.0f), b.constant(), codes,
                                epilogue(RuntimeQuantizer(16, -30.0f, 30.0f)));
  REQUIRE(forward(pass, y, record));
  REQUIRE(backward(pass, c, record, {.input = by_a, .weights = by_b}, workspace));
  const auto loss = [&] {
    double sum = 0.0;
    for (std::size_t i = 0; i < shape.m; ++i) {
      for (std::size_t j = 0; j < shape.n; ++j) {
        double dot = 0.0;
        for (std::size_t k = 0; k < shape.k; ++k) dot += double{a(i, k)} * double{b(j, k)};
        sum += double{c(i, j)} * dot;
      }
    }
    return sum;
  };
  const auto slope = [&](float& at) {
    const float before = at, step = 0.125f;
    at = before + step;
    const double above = loss();
    at = before - step;
    const double below = loss();
    at = before;
    return (above - below) / 0.25;
  };
  // Half a level of the other operand, 1/254, in each term of the sum, |c| ≤ 1.
  for (std::size_t i = 0; i < shape.m; ++i) {
    CHECK(std::fabs(double{by_a(i, 5)} - slope(a(i, 5))) <= double(shape.n) / 254 + 1e-5);
  }
  for (std::size_t j = 0; j < shape.n; ++j) {
    CHECK(std::fabs(double{by_b(j, 7)} - slope(b(j, 7))) <= double(shape.m) / 254 + 1e-5);
  }
}

TEST_CASE("What is wrong with a product of activations is said, and nothing written",
          "[analog_matmul]") {
  Engine engine(8);
  TestMatrix a(4, 6), b(5, 6), y(4, 5), other(5, 7);
  a.fill_uniform(engine);
  b.fill_uniform(engine);
  other.fill_uniform(engine);
  CodedOperand<8> codes;
  const SymmetricQuantizer<8> dac(1.0f);
  expect_error([&] { analog_matmul(a, dac, other, codes, y, epilogue()); },
               {"analog_matmul", "a is [4, 6]", "b is [5, 7]", "y is [4, 5]", "6 inputs", "b 7"});
  expect_error([&] { analog_matmul(a, dac, transposed(b.constant()), codes, y, epilogue()); },
               {"b is [5, 6] transposed", "b 5"});
  expect_error([&] { analog_matmul(a, dac, b, codes, other, epilogue()); },
               {"y is [5, 7]", "y must be [4, 5]"});
  expect_error(
      [&] { analog_matmul(a, dac, MatrixView<const float>(nullptr, 5, 6), codes, y, epilogue()); },
      {"the data of b is missing"});
  const MatrixView<float> own(b.view().data(), 4, 5, 6);
  expect_error([&] { analog_matmul(a, dac, b, codes, own, epilogue()); }, {"b and y overlap"});
  expect_error([&] { analog_matmul(a, RuntimeQuantizer(9, -1.0f, 1.0f), b, codes, y, epilogue()); },
               {"9"});
  b(3, 2) = kNaN;
  expect_error([&] { analog_matmul(a, dac, b, codes, y, epilogue()); }, {"w(3, 2)"});
  expect_error(
      [&] {
        TiledOperand<8> tiles(Mapping{{3, 2}});
        analog_matmul(a, dac, b, tiles, array(), digital(), y);
      },
      {"w(3, 2)"});
  TestMatrix turned(6, 5);
  turned.fill_uniform(engine);
  turned(4, 1) = -kInf;
  expect_error([&] { analog_matmul(a, dac, transposed(turned.constant()), codes, y, epilogue()); },
               {"w is [5, 6]", "w(1, 4)"});
  CHECK(y.untouched());
}

TEST_CASE("What is wrong with gradients of such a product is said, and nothing written",
          "[analog_matmul]") {
  Engine engine(9);
  TestMatrix a(4, 6), b(6, 5), y(4, 5), grad_y(4, 5), by_b(6, 5), wrong(5, 6), by_a(4, 6);
  for (TestMatrix* m : {&a, &b, &grad_y}) m->fill_uniform(engine);
  CodedOperand<8> codes;
  ForwardRecord record;
  BackwardWorkspace workspace;
  const auto pass = matmul_pass(a.constant(), SymmetricQuantizer<8>(1.0f), transposed(b.constant()),
                                codes, epilogue(Relu{}));
  const auto gradients = [&](MatrixView<float> input, MatrixView<float> by) {
    return Gradients{.input = input, .weights = by};
  };
  const auto step = [&](const Gradients& to) {
    return [&, to] { backward(pass, grad_y, record, to, workspace); };
  };
  expect_error(step(gradients(by_a, by_b)), {"no forward pass"});
  REQUIRE(forward(pass, y, record));
  expect_error(step(gradients(by_a, wrong)), {"by b is [5, 6]", "must be [6, 5]"});
  expect_error(step(gradients(by_a, b)), {"overlaps b"});
  expect_error(step(gradients(by_a, {grad_y.view().data(), 4, 5})), {"by b is [4, 5]"});
  expect_error(step(gradients({by_b.view().data(), 4, 6}, by_b)), {"two of the gradients overlap"});
  expect_error(step(gradients({by_b.view().data(), 4, 5}, {})), {"by the input is [4, 5]"});
  CHECK(by_a.untouched());
  CHECK(by_b.untouched());

  b(0, 0) = kInf;  // a refused forward empties the record
  expect_error([&] { forward(pass, y, record); }, {"w(0, 0)"});
  CHECK_FALSE(record.filled());
}
