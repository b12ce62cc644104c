#include <lumina/coded_weights.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/every_bits.hpp"
#include "support/expect_error.hpp"
#include "support/guarded_matrix.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

using View = MatrixView<const float>;

/// What code 1 is worth where `largest` becomes the largest code.
float expected_scale(float largest, int bits) {
  const double max_code = (1 << (bits - 1)) - 1;
  auto scale = static_cast<float>(largest / max_code);
  if (std::isinf(scale * static_cast<float>(max_code))) scale = std::nextafter(scale, 0.0f);
  return largest > 0.0f && scale == 0.0f ? kDenormal : scale;
}

float largest_magnitude(View w, std::size_t row) {
  float largest = 0.0f;
  for (std::size_t col = 0; col < w.cols(); ++col) {
    largest = std::max(largest, std::fabs(w(row, col)));
  }
  return largest;
}

std::vector<float> scales_per_output(View w, int bits) {
  std::vector<float> scales(w.rows());
  for (std::size_t row = 0; row < w.rows(); ++row) {
    scales[row] = expected_scale(largest_magnitude(w, row), bits);
  }
  return scales;
}

/// "" where `coded` says and holds what w with these scales must give: scales, codes, weights, sums
/// of codes, and every bit of the panels as detail/packing/code_panels.hpp describes them.
template <int Bits>
std::string coding_error(const CodedWeights<Bits>& coded, View w, std::span<const float> scales) {
  std::ostringstream text;
  if (coded.rows() != w.rows() || coded.cols() != w.cols()) return "another shape";
  if (const std::string error = difference(coded.scales(), scales); !error.empty()) {
    return "scale " + error;
  }
  const Matrix<std::int8_t> codes = coded.codes();
  const Matrix<float> decoded = coded.decode();
  for (std::size_t row = 0; row < w.rows(); ++row) {
    std::int32_t code_sum = 0;
    for (std::size_t col = 0; col < w.cols(); ++col) {
      const std::int32_t code = reference::encode_symmetric(w(row, col), scales[row], Bits);
      code_sum += code;
      const float value = static_cast<float>(code) * scales[row];
      if (coded.code(row, col) == code && codes(row, col) == code &&
          same_bits(decoded(row, col), value)) {
        continue;
      }
      text << "(" << row << ", " << col << "): code " << coded.code(row, col) << ", in codes() "
           << +codes(row, col) << ", decoded " << decoded(row, col) << " instead of " << code
           << " and " << value;
      return text.str();
    }
    if (coded.panels().code_sums[row] == code_sum) continue;
    text << "sum of codes " << row << ": " << coded.panels().code_sums[row] << " instead of "
         << code_sum;
    return text.str();
  }
  for (std::size_t row = w.rows(); row < (w.rows() + 127) / 128 * 128; ++row) {
    if (coded.panels().scales[row] != 0.0f || coded.panels().code_sums[row] != 0) {
      return "something behind the last scale or sum";
    }
  }

  constexpr std::size_t stored = CodedWeights<Bits>::stored_bits;
  constexpr std::size_t per_word = 32 / stored;
  if (coded.steps() != (w.cols() + per_word - 1) / per_word) return "another number of steps";
  for (std::size_t panel = 0; panel * 32 < w.rows(); ++panel) {
    for (std::size_t step = 0; step < coded.steps(); ++step) {
      for (std::size_t column = 0; column < 32; ++column) {
        std::uint32_t word = 0;
        for (std::size_t i = 0; i < per_word; ++i) {
          const std::size_t row = panel * 32 + column, col = step * per_word + i;
          if (row >= w.rows() || col >= w.cols()) continue;
          const auto code = static_cast<std::uint32_t>(
              reference::encode_symmetric(w(row, col), scales[row], Bits));
          word |= (code & ((1u << stored) - 1)) << (i % 4 * 8 + i / 4 * stored);
        }
        const auto actual = static_cast<std::uint32_t>(coded.panel(panel)[step * 32 + column]);
        if (actual == word) continue;
        text << std::hex << "panel " << panel << ", step " << step << ", column " << column << ": "
             << actual << " instead of " << word;
        return text.str();
      }
    }
  }
  return "";
}

template <int Bits>
std::string coding_error(const CodedWeights<Bits>& coded, View w) {
  return coding_error(coded, w, scales_per_output(w, Bits));
}

/// Rows of very different magnitude.
void fill_rows(Engine& engine, TestMatrix& w) {
  const MatrixView<float> view = w;
  for (std::size_t row = 0; row < view.rows(); ++row) {
    const float limit = std::exp2(uniform(engine, -20.0f, 20.0f));
    for (std::size_t col = 0; col < view.cols(); ++col)
      w(row, col) = uniform(engine, -limit, limit);
  }
}

}  // namespace

TEST_CASE("encode_weights equals the reference: every number of bits, shapes and strides",
          "[coded_weights]") {
  Engine engine(1);
  for_every_bits([&](auto bits) {
    for (const std::size_t rows : {1u, 2u, 31u, 32u, 33u, 65u, 130u}) {
      for (const std::size_t cols : {1u, 3u, 4u, 5u, 8u, 15u, 16u, 17u, 63u, 64u, 65u, 130u}) {
        const std::size_t gap = integer(engine, 0, 2);
        TestMatrix w(rows, cols, cols + gap);
        fill_rows(engine, w);
        const CodedWeights<bits> coded = encode_weights<bits>(w);
        CAPTURE(bits.value, rows, cols, gap);
        REQUIRE(coding_error(coded, w) == "");
        REQUIRE(reinterpret_cast<std::uintptr_t>(coded.panel(0)) % 64 == 0);
        REQUIRE(w.gaps_untouched());
      }
    }
  });
}

TEST_CASE("Codes by hand", "[coded_weights]") {
  Matrix<float> w(3, 4);
  const float rows[3][4] = {{7.0f, -7.0f, 0.0f, 3.5f}, {-0.5f, 0.3f, 0.1f, 0.0f}, {}};
  for (std::size_t row = 0; row < 3; ++row) std::copy_n(rows[row], 4, &w(row, 0));

  // 4 bits: ±7. 3.5 is a tie, and goes to the even code.
  const auto four = encode_weights<4>(w);
  const std::int8_t codes[3][4] = {{7, -7, 0, 4}, {-7, 4, 1, 0}, {}};
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t col = 0; col < 4; ++col) CHECK(four.code(row, col) == codes[row][col]);
  }
  CHECK(four.scales()[0] == 1.0f);
  CHECK(four.scales()[1] == 0.5f / 7.0f);
  CHECK(four.scales()[2] == 0.0f);
  CHECK(four.decode()(0, 3) == 4.0f);
  CHECK(four.panels().code_sums[0] == 4);
  CHECK(four.panels().code_sums[1] == -2);

  // 2 bits: −1, 0 and 1; a half is a tie.
  const auto two = encode_weights<2>(w);
  CHECK(two.code(0, 0) == 1);
  CHECK(two.code(0, 1) == -1);
  CHECK(two.code(0, 3) == 0);
  CHECK(two.decode()(0, 1) == -7.0f);
}

TEST_CASE("Few bits are stored in few bits", "[coded_weights]") {
  TestMatrix w(40, 160);
  w.fill([] { return 1.0f; });
  for_every_bits([&](auto bits) {
    const CodedWeights<bits> coded = encode_weights<bits>(w);
    constexpr std::size_t stored = bits <= 2 ? 2 : bits <= 4 ? 4 : 8;
    STATIC_REQUIRE(coded.stored_bits == stored);
    STATIC_REQUIRE(coded.bits == bits);
    CHECK(coded.panel_size() * 32 == 32 * 160 * stored);  // bits of 32 outputs of 160 inputs
    CHECK(coded.panel(1) - coded.panel(0) == 160 * static_cast<std::ptrdiff_t>(stored));
    CHECK(coded.code(39, 159) == (1 << (bits - 1)) - 1);
  });
}

TEST_CASE("Fewer bits than the type has, chosen at run time", "[coded_weights]") {
  Engine engine(3);
  TestMatrix w(37, 70);
  fill_rows(engine, w);
  w(11, 5) = 46.0f * kDenormal;  // where a denormal scale is rounded down, codes must be clamped
  for (std::size_t col = 0; col < 70; ++col) {
    if (col != 5) w(11, col) = 0.0f;
  }
  for_every_bits([&](auto bits) {
    for (const WeightScale how : {WeightScale::per_output, WeightScale::per_matrix}) {
      const auto own_type = encode_weights<bits>(w, how);
      CodedWeights<8> coded;
      encode_weights(w, coded, bits, how);
      CAPTURE(bits.value);
      const Matrix<std::int8_t> codes = coded.codes(), own_codes = own_type.codes();
      CHECK(difference(codes.view(), own_codes.view()) == "");
      CHECK(difference(coded.scales(), own_type.scales()) == "");
    }
  });
  CodedWeights<4> narrow;
  expect_error([&] { encode_weights(w, narrow, 5); }, {"[37, 70]", "2..4"});
  expect_error([&] { encode_weights(w, narrow, 1); }, {"[37, 70]", "2..4"});
  CHECK(narrow.rows() == 0);
}

TEST_CASE("One scale for the whole matrix", "[coded_weights]") {
  Engine engine(2);
  for_every_bits([&](auto bits) {
    TestMatrix w(37, 21);
    w.fill_uniform(engine, -0.5f, 0.5f);
    for (std::size_t col = 0; col < 21; ++col) w(5, col) = 0.0f;
    w(36, 20) = -3.0f;
    const std::vector<float> scales(37, expected_scale(3.0f, bits));
    CAPTURE(bits.value);
    CHECK(coding_error(encode_weights<bits>(w, WeightScale::per_matrix), w, scales) == "");
    CHECK(coding_error(encode_weights<bits>(w, WeightScale::per_output), w) == "");
  });
}

TEST_CASE("Scales of the caller's, beyond which weights saturate", "[coded_weights]") {
  Engine engine(3);
  for_every_bits([&](auto bits) {
    TestMatrix w(70, 33, 35);
    w.fill_uniform(engine, -4.0f, 4.0f);
    std::vector<float> scales(70);
    for (float& scale : scales) scale = std::exp2(uniform(engine, -9.0f, 3.0f));
    scales[3] = kDenormal;
    scales[4] = kLargest;
    for (std::size_t col = 0; col < 33; ++col) w(5, col) = 0.0f;
    CAPTURE(bits.value);
    CHECK(coding_error(encode_weights<bits>(w, scales), w, scales) == "");
  });
}

TEST_CASE("Weights at ties between codes, and some floats beside them", "[coded_weights]") {
  Engine engine(12);
  for_every_bits([&](auto bits) {
    constexpr int top = CodedWeights<bits>::max_code;
    TestMatrix w(64, 192);
    std::vector<float> scales(64);
    for (std::size_t row = 0; row < 64; ++row) {
      // Up to both ends of the range in which the coder multiplies, and beyond.
      const float exponent = row < 4   ? -125.0f
                             : row < 8 ? 124.0f
                                       : std::floor(uniform(engine, -129.0f, 119.0f));
      scales[row] = std::exp2(exponent) * uniform(engine, 1.0f, 2.0f);
      for (std::size_t col = 0; col < 192; ++col) {
        const auto code = static_cast<float>(integer(engine, 0, 2 * top + 2)) - 0.5f;
        const float tie = (code - static_cast<float>(top)) * scales[row];
        const auto aside = static_cast<std::uint32_t>(integer(engine, 0, 6)) - 3u;
        const float weight = float_of(bits_of(tie) + aside);
        w(row, col) = std::isfinite(weight) ? weight : scales[row];
      }
    }
    CAPTURE(bits.value);
    CHECK(coding_error(encode_weights<bits>(w, scales), w, scales) == "");
  });
}

TEST_CASE("Scales that a matrix was encoded with can encode the next one", "[coded_weights]") {
  Engine engine(4);
  TestMatrix first(40, 20), second(40, 20);
  auto coded = encode_weights<8>(first.fill_uniform(engine));
  const std::vector<float> scales = scales_per_output(first, 8);
  second.fill_uniform(engine, -2.0f, 2.0f);
  // They lie in `coded` itself.
  encode_weights(second, coded, coded.scales());
  CHECK(coding_error(coded, second, scales) == "");
}

TEST_CASE("Rows of zeros have the scale 0 and the codes 0", "[coded_weights]") {
  for_every_bits([&](auto bits) {
    TestMatrix w(35, 9);
    w.fill([] { return -0.0f; });
    CHECK(coding_error(encode_weights<bits>(w), w, std::vector<float>(35, 0.0f)) == "");
    CHECK(coding_error(encode_weights<bits>(w, WeightScale::per_matrix), w,
                       std::vector<float>(35, 0.0f)) == "");
    w(33, 4) = 2.0f;
    const CodedWeights<bits> coded = encode_weights<bits>(w);
    CHECK(coding_error(coded, w) == "");
    CHECK(coded.scales()[32] == 0.0f);
    CHECK(coded.scales()[33] > 0.0f);
  });
}

TEST_CASE("Weights down to the smallest denormal and up to the largest float", "[coded_weights]") {
  Engine engine(5);
  for_every_bits([&](auto bits) {
    TestMatrix w(40, 50);
    const MatrixView<float> view = w;
    for (std::size_t row = 0; row < 40; ++row) {
      // Limits at both ends of float's range, one binade after the other.
      const bool small = row < 20;
      const float limit = small ? kDenormal * std::exp2(static_cast<float>(row))
                                : kLargest * std::exp2(-static_cast<float>(row - 20));
      for (std::size_t col = 0; col < 50; ++col) {
        const float places = uniform(engine, -1.0f, 1.0f);
        view(row, col) = col == 0 ? limit : col == 1 ? -limit : places * limit;
      }
    }
    const CodedWeights<bits> coded = encode_weights<bits>(w);
    CAPTURE(bits.value);
    CHECK(coding_error(coded, w) == "");
    const Matrix<float> decoded = coded.decode();
    for (std::size_t row = 0; row < 40; ++row) {
      CAPTURE(row);
      CHECK(coded.scales()[row] > 0.0f);
      CHECK(std::isfinite(decoded(row, 0)));
      CHECK(decoded(row, 0) == -decoded(row, 1));
      // Half a code at most; where the scale is a denormal, its own rounding besides.
      const float scale = coded.scales()[row];
      CHECK(std::fabs(w(row, 0) / 2 - decoded(row, 0) / 2) <= 0.25f * scale + 64.0f * kDenormal);
    }
    // Where codes are finer than the smallest float, weights are represented exactly.
    CHECK(decoded(0, 0) == kDenormal);
  });
}

TEST_CASE("A symmetric quantizer of the row's limit makes the same codes", "[coded_weights]") {
  Engine engine(6);
  TestMatrix w(20, 31);
  fill_rows(engine, w);
  const auto coded = encode_weights<8>(w);
  for (std::size_t row = 0; row < 20; ++row) {
    const SymmetricQuantizer<8> quantizer(largest_magnitude(w, row));
    CHECK(quantizer.step() == coded.scales()[row]);
    for (std::size_t col = 0; col < 31; ++col) {
      if (quantizer.encode(w(row, col)) != coded.code(row, col)) {
        CHECK(quantizer.encode(w(row, col)) == coded.code(row, col));
      }
    }
  }
}

TEST_CASE("Encoding again uses the same memory where it is large enough", "[coded_weights]") {
  Engine engine(7);
  for_every_bits([&](auto bits) {
    TestMatrix first(40, 20), second(40, 20), fewer(33, 20), larger(150, 21), none(0, 0);
    CodedWeights<bits> coded = encode_weights<bits>(first.fill_uniform(engine));
    const std::int32_t* const memory = coded.panel(0);
    const float* const scales = coded.panels().scales;
    encode_weights(second.fill_uniform(engine), coded);
    CHECK(coded.panel(0) == memory);
    CHECK(coded.panels().scales == scales);
    CHECK(coding_error(coded, second) == "");

    // Fewer outputs in as many panels: the places that are free now hold zeros again.
    encode_weights(fewer.fill_uniform(engine), coded);
    CHECK(coded.panel(0) == memory);
    CHECK(coding_error(coded, fewer) == "");
    encode_weights(larger.fill_uniform(engine), coded);
    CHECK(coding_error(coded, larger) == "");
    const std::int32_t* const more_memory = coded.panel(0);
    encode_weights(first, coded);
    CHECK(coding_error(coded, first) == "");
    CHECK(coded.panel(0) == more_memory);
    // What AMX reads behind the last panel.
    for (std::size_t i = 0; i < 15 * 32; ++i) REQUIRE(coded.panel(2)[i] == 0);

    // A row of zeros where there were codes.
    for (std::size_t col = 0; col < 20; ++col) first(17, col) = 0.0f;
    encode_weights(first, coded, WeightScale::per_output);
    CHECK(coding_error(coded, first) == "");
    encode_weights(none, coded);
    CHECK(coded.rows() == 0);
  });
}

TEST_CASE("No coded weights, and coded weights that were moved from", "[coded_weights]") {
  const CodedWeights<4> nothing;
  CHECK(nothing.rows() == 0);
  CHECK(nothing.cols() == 0);
  CHECK(nothing.scales().empty());
  CHECK(nothing.codes().rows() == 0);
  CHECK(encode_weights<4>(View()).rows() == 0);
  TestMatrix no_inputs(3, 0);
  const auto empty_rows = encode_weights<4>(no_inputs);
  CHECK(empty_rows.rows() == 3);
  CHECK(empty_rows.cols() == 0);
  CHECK(coding_error(empty_rows, no_inputs, std::vector<float>(3, 0.0f)) == "");
  TestMatrix no_outputs(0, 3);
  CHECK(encode_weights<4>(no_outputs).rows() == 0);
  CHECK(encode_weights<4>(no_outputs).cols() == 3);

  Engine engine(8);
  TestMatrix w(5, 7);
  CodedWeights<4> coded = encode_weights<4>(w.fill_uniform(engine));
  const std::int32_t* const memory = coded.panel(0);
  CodedWeights<4> moved = std::move(coded);
  CHECK(moved.panel(0) == memory);
  CHECK(coding_error(moved, w) == "");
  // What is left has no memory, so it must not claim a shape.
  CHECK(coded.rows() == 0);  // NOLINT(bugprone-use-after-move): that is the test
  CHECK(coded.cols() == 0);
  CHECK(coded.scales().empty());
  coded = std::move(moved);
  CHECK(coding_error(coded, w) == "");
}

TEST_CASE("Weights that cannot be encoded", "[coded_weights]") {
  Engine engine(9);
  TestMatrix before(20, 30), w(20, 30);
  before.fill_uniform(engine);
  w.fill_uniform(engine);
  CodedWeights<8> coded = encode_weights<8>(before);
  const std::int32_t* const memory = coded.panel(0);
  const auto refuses = [&](View weights, std::initializer_list<std::string_view> parts) {
    expect_error([&] { encode_weights(weights, coded); }, parts);
    expect_error([&] { encode_weights(weights, coded, WeightScale::per_matrix); }, parts);
    const std::vector<float> scales(weights.rows(), 1.0f);
    expect_error([&] { encode_weights(weights, coded, scales); }, parts);
    CHECK(errors_of([&] { CHECK(encode_weights<2>(weights).rows() == 0); }).size() == 1);
  };

  SECTION("infinite or NaN: at every place of a vector") {
    for (const float value : {kInf, -kInf, kNaN, -kNaN}) {
      for (const std::size_t col : {0u, 1u, 7u, 15u, 16u, 17u, 28u, 29u}) {
        const std::size_t row = col % 20;
        const float finite = std::exchange(w(row, col), value);
        refuses(w, {"lumina::encode_weights", "[20, 30]",
                    "w(" + std::to_string(row) + ", " + std::to_string(col) + ")"});
        w(row, col) = finite;
      }
    }
  }
  SECTION("the first one is named") {
    w(19, 29) = w(7, 9) = w(7, 22) = kNaN;
    refuses(w, {"w(7, 9)"});
  }
  SECTION("missing data") { refuses(View(nullptr, 20, 30), {"missing", "[20, 30]"}); }
  SECTION("a wrong number of scales") {
    for (const std::size_t count : {0u, 1u, 19u, 21u}) {
      const std::vector<float> scales(count, 1.0f);
      expect_error([&] { encode_weights(w, coded, scales); },
                   {"lumina::encode_weights", "[20, 30]", std::to_string(count) + " scales"});
    }
  }
  SECTION("scales that are not positive and finite") {
    for (const float scale : {0.0f, -0.0f, -1.0f, -kDenormal, kNaN, kInf, -kInf}) {
      std::vector<float> scales(20, 1.0f);
      scales[11] = scale;
      expect_error([&] { encode_weights(w, coded, scales); },
                   {"lumina::encode_weights", "[20, 30]", "scales[11]"});
    }
  }
  // Whatever was wrong: the weights are those from before, at the same place.
  CHECK(coded.panel(0) == memory);
  CHECK(coding_error(coded, before) == "");
}

TEST_CASE("Gaps between the rows are not looked at", "[coded_weights]") {
  Engine engine(10);
  TestMatrix w(6, 30, 37);  // the gaps are NaN
  w.fill_uniform(engine);
  CHECK(errors_of([&] { encode_weights<8>(w); }).empty());
}

TEST_CASE("CodedWeights: a copy has its own memory", "[coded_weights]") {
  Engine engine(12);
  TestMatrix w(40, 70), other(3, 3);
  auto coded = encode_weights<4>(w.fill_uniform(engine));
  CodedWeights<4> copied = coded;
  CHECK(copied.panel(0) != coded.panel(0));
  encode_weights(other.fill_uniform(engine), coded);
  CHECK(coding_error(copied, w) == "");
  copied = coded;
  CHECK(copied.rows() == 3);
  CHECK(coding_error(copied, other) == "");
  encode_weights(w, copied);  // into the memory of a copy
  CHECK(coding_error(copied, w) == "");
  const CodedWeights<4> nothing, still_nothing = nothing;
  CHECK(still_nothing.rows() == 0);
}

#if defined(__linux__)

TEST_CASE("encode_weights reads w and the scales only", "[coded_weights]") {
  Engine engine(11);
  for (const Edge edge : {Edge::end, Edge::begin}) {
    for (const std::size_t cols : {1u, 3u, 7u, 16u, 31u, 64u, 65u, 127u}) {
      const GuardedMatrix<float> w(edge, 33, cols, cols + 2), scales(edge, 1, 33, 33);
      w.fill([&] { return uniform(engine, -1.0f, 1.0f); });
      scales.fill([&] { return uniform(engine, 0.1f, 1.0f); });
      const std::span<const float> given(scales.view().data(), 33);
      CHECK(coding_error(encode_weights<8>(w.constant()), w.constant()) == "");
      CHECK(coding_error(encode_weights<2>(w.constant()), w.constant()) == "");
      CHECK(coding_error(encode_weights<4>(w.constant(), given), w.constant(), given) == "");
    }
  }
}

#endif
