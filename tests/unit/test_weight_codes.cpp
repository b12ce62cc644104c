#include <lumina/weight_codes.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

/// Codes from the smallest to the largest one, each several times.
template <int Bits>
Matrix<std::int8_t> some_codes(std::size_t rows, std::size_t cols) {
  constexpr std::int32_t kMax = CodedWeights<Bits>::max_code;
  Matrix<std::int8_t> codes(rows, cols);
  for (std::size_t i = 0; i < rows * cols; ++i) {
    codes.data()[i] =
        static_cast<std::int8_t>(static_cast<std::int32_t>(i * 7 % (2 * kMax + 1)) - kMax);
  }
  return codes;
}

/// All that `coded` says is what the codes and scales are; and what lies behind them is zeros.
template <int Bits>
void check(const CodedWeights<Bits>& coded, MatrixView<const std::int8_t> codes,
           std::span<const float> scales) {
  CAPTURE(Bits, codes.rows(), codes.cols());
  REQUIRE(coded.rows() == codes.rows());
  REQUIRE(coded.cols() == codes.cols());
  const detail::CodePanels panels = coded.panels();
  std::size_t wrong = 0;
  for (std::size_t row = 0; row < codes.rows(); ++row) {
    std::int32_t sum = 0;
    for (std::size_t col = 0; col < codes.cols(); ++col) {
      if (coded.code(row, col) != codes(row, col)) ++wrong;
      sum += codes(row, col);
    }
    if (coded.view().code_sums()[row] != sum) ++wrong;
    if (!same_bits(coded.scales()[row], scales[scales.size() == 1 ? 0 : row])) ++wrong;
  }
  for (std::size_t row = codes.rows(); row < padded_outputs(codes.rows()); ++row) {
    if (panels.scales[row] != 0.0f || panels.code_sums[row] != 0) ++wrong;
  }
  for (std::size_t i = 0; i < detail::kMaxWordsBehind; ++i) {
    if (panels.words[coded.view().words().size() + i] != 0) ++wrong;
  }
  CHECK(wrong == 0);
}

template <int Bits>
void check_shapes() {
  CodedWeights<Bits> coded;  // its memory is used again
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{33, 150},
                                   {1, 1},
                                   {32, 128},
                                   {5, 131},
                                   {130, 17},
                                   {3, 0},
                                   {0, 3}}) {
    const Matrix<std::int8_t> codes = some_codes<Bits>(rows, cols);
    std::vector<float> scales(rows);
    for (std::size_t i = 0; i < rows; ++i) scales[i] = 0.25f + static_cast<float>(i);
    coded_weights_of(codes, scales, coded);
    check<Bits>(coded, codes, scales);
    const float one[] = {0.5f};
    check<Bits>(coded_weights_of<Bits>(codes, one), codes, one);
  }
}

}  // namespace

TEST_CASE("coded_weights_of holds the codes that it is given", "[weight_codes]") {
  check_shapes<8>();
  check_shapes<5>();
  check_shapes<4>();
  check_shapes<2>();
}

TEST_CASE("coded_weights_of: what encode_weights has made, taken apart", "[weight_codes]") {
  Engine engine(1);
  TestMatrix w(40, 70);
  w.fill_uniform(engine);
  for (std::size_t col = 0; col < 70; ++col) w(3, col) = 0.0f;  // a scale of 0
  CodedWeights<4> coded = encode_weights<4>(w);
  const CodedWeights<4> before = coded;
  const CodedWeights<4> again = coded_weights_of<4>(coded.codes(), coded.scales());
  check<4>(again, before.codes(), before.scales());
  // Into itself: its own scales, all and some of them.
  coded_weights_of(before.codes(), coded.scales(), coded);
  check<4>(coded, before.codes(), before.scales());
  const Matrix<std::int8_t> codes = before.codes();
  const MatrixView<const std::int8_t> last(codes.view().row(4), 36, 70);
  coded_weights_of(last, coded.scales().subspan(4), coded);
  check<4>(coded, last, before.scales().subspan(4));
  coded_weights_of(codes, coded.scales().first(1), coded);
  check<4>(coded, codes, before.scales().subspan(4, 1));
}

TEST_CASE("coded_weights_of refuses what is no weight", "[weight_codes][errors]") {
  Matrix<std::int8_t> codes = some_codes<8>(3, 40);
  const std::vector<float> scales{1.0f, 2.0f, 3.0f};
  CodedWeights<8> coded = coded_weights_of<8>(codes, scales);
  CodedWeights<4> coded4;
  const CodedWeights<8> before = coded;
  const auto refused = [&](std::span<const float> given,
                           std::initializer_list<std::string_view> parts) {
    expect_error([&] { coded_weights_of(codes, given, coded); }, parts);
  };
  refused(std::span(scales).first(2), {"coded_weights_of", "[3, 40]", "2 scales"});
  refused({}, {"0 scales"});
  refused(std::vector{1.0f, -2.0f, 3.0f}, {"scales[1]"});
  refused(std::vector{1.0f, 2.0f, kInf}, {"scales[2]"});
  refused(std::vector{kNaN}, {"scales[0]"});
  refused(std::vector{0.0f}, {"scales[0]"});
  refused(std::vector{1.0f, 2.0f, 0.0f}, {"scales[2]"});
  expect_error([&] { coded_weights_of(codes, scales, coded4); }, {"codes(0, 0) is -127", "+-7"});
  codes(2, 39) = -128;
  refused(scales, {"[3, 40]", "codes(2, 39) is -128", "+-127"});
  expect_error(
      [&] { coded_weights_of(MatrixView<const std::int8_t>(nullptr, 2, 2), scales, coded); },
      {"[2, 2]", "missing"});
  codes(2, 39) = before.codes()(2, 39);
  check<8>(coded, codes, scales);
  CHECK(coded4.rows() == 0);
}
