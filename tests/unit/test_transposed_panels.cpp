#include <lumina/detail/training/transposed_panels.hpp>

#include <cstdint>
#include <string>

#include "support/catch.hpp"
#include "support/every_bits.hpp"
#include "support/guarded_matrix.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

using View = MatrixView<const float>;

/// "" where the panels hold m [depth, columns]: panel[row][column], filled up with zeros.
std::string panels_error(const PackedWeights& panels, View m) {
  if (panels.rows() != m.cols() || panels.cols() != m.rows()) return "another shape";
  Matrix<float> expected(m.rows(), 32);
  for (std::size_t panel = 0; panel * 32 < m.cols(); ++panel) {
    for (std::size_t row = 0; row < m.rows(); ++row) {
      for (std::size_t column = 0; column < 32; ++column) {
        const std::size_t col = panel * 32 + column;
        expected(row, column) = col < m.cols() ? m(row, col) : 0.0f;
      }
    }
    const View actual(panels.panel(panel), m.rows(), 32);
    if (const std::string error = difference(actual, expected); !error.empty()) {
      return "panel " + std::to_string(panel) + ": " + error;
    }
  }
  return "";
}

template <class F>
void for_every_shape(F f) {
  for (const std::size_t rows : {1u, 3u, 4u, 31u, 32u, 33u, 70u}) {
    for (const std::size_t cols : {1u, 2u, 5u, 15u, 16u, 31u, 32u, 33u, 63u, 64u, 101u}) {
      CAPTURE(rows, cols);
      f(rows, cols);
    }
  }
}

}  // namespace

TEST_CASE("Panels of the backward pass out of packed weights", "[pack_backward]") {
  Engine engine(1);
  PackedWeights backward;
  for_every_shape([&](std::size_t rows, std::size_t cols) {
    TestMatrix w(rows, cols);
    w.fill([&] { return any_float(engine); });
    detail::pack_for_backward(pack_weights(w), backward);
    REQUIRE(panels_error(backward, w) == "");
  });
}

TEST_CASE("Panels of the backward pass out of coded weights", "[pack_backward]") {
  Engine engine(2);
  PackedWeights backward;
  for_every_bits([&](auto bits) {
    for_every_shape([&](std::size_t rows, std::size_t cols) {
      TestMatrix w(rows, cols);
      w.fill_uniform(engine, -3.0f, 3.0f);
      for (std::size_t col = 0; col < cols; ++col) {
        w(0, col) *= 1e-42f;  // a scale that is a denormal
        if (rows > 2) w(2, col) = 0.0f;
      }
      const CodedWeights<bits> coded = encode_weights<bits>(w);
      detail::pack_for_backward(coded, backward);
      CAPTURE(bits.value);
      REQUIRE(panels_error(backward, coded.decode()) == "");
    });
  });
}

TEST_CASE("Rows of floats in panels, with a function of each", "[pack_backward]") {
  Engine engine(3);
  PackedWeights panels;
  const Quantizer<7> dac(-0.4f, 0.7f);
  for_every_shape([&](std::size_t rows, std::size_t cols) {
    TestMatrix m(rows, cols, cols + 3);
    m.fill_uniform(engine);
    m(rows - 1, cols - 1) = kInf;
    m(0, 0) = -kInf;
    Matrix<float> expected(rows, cols);
    const auto expect = [&](auto f) {
      for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t col = 0; col < cols; ++col) expected(row, col) = f(m(row, col));
      }
      return expected.view();
    };
    detail::pack_rows(m.constant(), panels, [](const auto& v) { return v; });
    REQUIRE(panels_error(panels, m) == "");
    // At 0 it is not 0, but what fills up the last panel is.
    detail::pack_rows(m.constant(), panels,
                      [](const auto& v) { return v + std::decay_t<decltype(v)>(1.0f); });
    REQUIRE(panels_error(panels, expect([](float v) { return v + 1.0f; })) == "");

    m(rows / 2, cols / 2) = kNaN;
    detail::pack_quantized_rows(m.constant(), dac, panels);
    REQUIRE(panels_error(panels, expect([&](float v) { return dac.decode(dac.encode(v)); })) == "");
    REQUIRE(m.gaps_untouched());
  });
}

TEST_CASE("Rows of codes in panels", "[pack_backward]") {
  Engine engine(4);
  PackedWeights panels;
  const RuntimeQuantizer dac(6, 0.1f, 0.9f);
  for_every_shape([&](std::size_t rows, std::size_t cols) {
    TestMatrixOf<std::uint8_t> codes(rows, cols, cols + 1);
    codes.fill([&] { return static_cast<std::uint8_t>(engine()); });
    Matrix<float> values(rows, cols);
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t col = 0; col < cols; ++col) values(row, col) = dac.decode(codes(row, col));
    }
    detail::pack_quantized_rows(codes.constant(), dac, panels);
    REQUIRE(panels_error(panels, values) == "");
  });
}

TEST_CASE("A smaller batch uses the memory of a larger one", "[pack_backward]") {
  Engine engine(5);
  TestMatrix large(64, 100), small(9, 100);
  large.fill_uniform(engine);
  small.fill_uniform(engine);
  PackedWeights panels;
  const auto same = [](const auto& v) { return v; };
  detail::pack_rows(large.constant(), panels, same);
  const float* const memory = panels.panel(0);
  detail::pack_rows(small.constant(), panels, same);
  CHECK(panels.panel(0) == memory);
  CHECK(panels_error(panels, small) == "");
  detail::pack_rows(large.constant(), panels, same);
  CHECK(panels.panel(0) == memory);
  detail::pack_for_backward(pack_weights(small), panels);
  CHECK(panels.panel(0) == memory);
  CHECK(panels_error(panels, small) == "");
}

TEST_CASE("Empty matrices in panels", "[pack_backward]") {
  PackedWeights panels;
  TestMatrix no_rows(0, 40), no_cols(40, 0);
  detail::pack_for_backward(pack_weights(no_rows), panels);
  CHECK(panels_error(panels, no_rows) == "");
  detail::pack_for_backward(encode_weights<2>(no_cols), panels);
  CHECK(panels_error(panels, no_cols) == "");
  detail::pack_quantized_rows(no_cols.constant(), Quantizer<8>(0.0f, 1.0f), panels);
  CHECK(panels_error(panels, no_cols) == "");
}

#if defined(__linux__)

TEST_CASE("Packing rows reads their elements only", "[pack_backward]") {
  const Quantizer<8> dac(0.0f, 1.0f);
  PackedWeights panels;
  for (const Edge edge : {Edge::end, Edge::begin}) {
    for (const std::size_t cols : {1u, 7u, 31u, 40u}) {
      const GuardedMatrix<float> x(edge, 9, cols, cols + 2);
      const GuardedMatrix<std::uint8_t> codes(edge, 9, cols, cols + 2);
      detail::pack_quantized_rows(x.constant(), dac, panels);
      CHECK(panels_error(panels, x.constant()) == "");
      detail::pack_quantized_rows(codes.constant(), dac, panels);
      CHECK(panels_error(panels, x.constant()) == "");
    }
  }
}

#endif
