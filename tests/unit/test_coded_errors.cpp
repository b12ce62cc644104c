// Wrong arguments of calls with coded weights: the messages, and that nothing is written before the
// check. Weights that cannot be encoded: test_coded_weights.cpp.
#include <lumina/fused_gemm.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

using Bytes = TestMatrixOf<std::uint8_t>;

const Quantizer<8> dac(-1.0f, 1.0f);
const Quantizer<8> adc(-9.0f, 9.0f);

CodedWeights<4> ones(std::size_t rows, std::size_t cols) {
  TestMatrix w(rows, cols);
  return encode_weights<4>(w.fill([] { return 1.0f; }));
}

/// Both calls of the engine must refuse these operands, with all of `parts` in the message.
template <class X, class Y>
void expect_refusal(MatrixView<X> x, const CodedWeights<4>& w, MatrixView<Y> y,
                    std::initializer_list<std::string_view> parts) {
  expect_error([&] { fused_gemm(x, dac, w, y, epilogue(adc)); }, parts);
  expect_error([&] { fused_gemm_noise_quant(x, dac, w, y, 0.0f, adc, {}); }, parts);
  expect_error([&] { fused_gemm_noise_quant(x, dac, w, y, 0.1f, adc, {}); }, parts);
}

/// Nothing wrong: the call works.
template <class X, class Y>
void expect_success(MatrixView<X> x, const CodedWeights<4>& w, MatrixView<Y> y) {
  CHECK(errors_of([&] { fused_gemm(x, dac, w, y, epilogue(adc)); }).empty());
}

}  // namespace

TEST_CASE("Coded: shapes that do not fit", "[coded_errors]") {
  TestMatrix x(2, 3), y(2, 4);
  Bytes codes(2, 3), y_codes(2, 4);
  x.fill([] { return 1.0f; });
  codes.fill([] { return std::uint8_t{1}; });
  const CodedWeights<4> w = ones(4, 3);
  SECTION("x and w") {
    const auto parts = {std::string_view("[2, 3]"), std::string_view("[4, 5]"),
                        std::string_view("[2, 4]"), std::string_view("columns")};
    expect_refusal(x.view(), ones(4, 5), y.view(), parts);
    expect_refusal(codes.view(), ones(4, 5), y.view(), parts);
    expect_refusal(codes.view(), ones(4, 5), y_codes.view(), parts);
  }
  SECTION("rows of y") {
    for (const std::size_t rows : {0u, 1u, 3u}) {
      TestMatrix wrong(rows, 4);
      const std::string shape = "[" + std::to_string(rows) + ", 4]";
      expect_refusal(x.view(), w, wrong.view(), {"[2, 3]", "[4, 3]", shape, "rows"});
      CHECK(wrong.untouched());
    }
  }
  SECTION("columns of y") {
    for (const std::size_t cols : {1u, 3u, 5u}) {
      Bytes wrong(2, cols);
      const std::string shape = "[2, " + std::to_string(cols) + "]";
      expect_refusal(x.view(), w, wrong.view(), {"[2, 3]", "[4, 3]", shape, "columns"});
      CHECK(wrong.untouched());
    }
  }
  SECTION("no weights at all") {
    expect_refusal(x.view(), CodedWeights<4>(), y.view(), {"[0, 0]"});
  }
  CHECK(y.untouched());
  CHECK(y_codes.untouched());
}

TEST_CASE("Coded: missing data", "[coded_errors]") {
  TestMatrix x(2, 3), y(2, 4);
  x.fill([] { return 1.0f; });
  const CodedWeights<4> w = ones(4, 3);
  expect_refusal(MatrixView<const float>(nullptr, 2, 3), w, y.view(), {"missing", "x", "[2, 3]"});
  expect_refusal(MatrixView<const std::uint8_t>(nullptr, 2, 3), w, y.view(), {"missing", "x"});
  expect_refusal(x.view(), w, MatrixView<float>(nullptr, 2, 4), {"missing", "y", "[2, 4]"});
  expect_refusal(x.view(), w, MatrixView<std::uint8_t>(nullptr, 2, 4), {"missing", "y"});
  expect_refusal(x.view(), w, MatrixView<std::uint16_t>(nullptr, 2, 4), {"missing", "y"});
  CHECK(y.untouched());
}

TEST_CASE("Coded: y may not overlap x, whatever their elements are", "[coded_errors]") {
  std::vector<float> memory(64, 0.5f);
  const std::vector<float> before = memory;
  float* const floats = memory.data();
  auto* const bytes = reinterpret_cast<std::uint8_t*>(floats);
  const CodedWeights<4> w = ones(4, 4);

  SECTION("floats and floats") {
    expect_refusal(MatrixView<float>(floats, 4, 4), w, MatrixView<float>(floats + 15, 4, 4),
                   {"overlap", "x", "y", "[4, 4]"});
  }
  SECTION("codes and codes") {
    for (const std::size_t shift : {0u, 1u, 4u, 15u}) {
      expect_refusal(MatrixView<std::uint8_t>(bytes, 4, 4), w,
                     MatrixView<std::uint8_t>(bytes + shift, 4, 4), {"overlap"});
      expect_refusal(MatrixView<std::uint8_t>(bytes + shift, 4, 4), w,
                     MatrixView<std::uint8_t>(bytes, 4, 4), {"overlap"});
    }
    expect_refusal(MatrixView<std::uint8_t>(bytes, 4, 4, 10), w,
                   MatrixView<std::uint8_t>(bytes + 3, 4, 4, 10), {"overlap"});
  }
  SECTION("floats, and codes in the same bytes") {
    // 4 × 4 floats are 64 bytes.
    for (const std::size_t shift : {0u, 1u, 17u, 63u}) {
      expect_refusal(MatrixView<float>(floats, 4, 4), w,
                     MatrixView<std::uint8_t>(bytes + shift, 4, 4), {"overlap", "[4, 4]"});
      expect_refusal(MatrixView<std::uint8_t>(bytes + shift, 4, 4), w,
                     MatrixView<float>(floats, 4, 4), {"overlap", "[4, 4]"});
    }
    expect_refusal(MatrixView<std::uint8_t>(bytes + 2, 4, 4), w,
                   MatrixView<std::uint16_t>(reinterpret_cast<std::uint16_t*>(floats), 4, 4),
                   {"overlap"});
  }
  SECTION("one after the other") {
    expect_success(MatrixView<float>(floats, 4, 4), w, MatrixView<std::uint8_t>(bytes + 64, 4, 4));
    expect_success(MatrixView<std::uint8_t>(bytes, 4, 4), w, MatrixView<float>(floats + 4, 4, 4));
    expect_success(MatrixView<std::uint8_t>(bytes + 80, 4, 4), w, MatrixView<float>(floats, 4, 4));
    return;
  }
  SECTION("columns of one matrix of codes") {
    const Quantizer<8> unit(-127.0f, 128.0f);  // its codes are the values + 127
    for (std::size_t i = 0; i < 40; ++i) bytes[i] = 127;
    CHECK(errors_of([&] {
            fused_gemm(MatrixView<std::uint8_t>(bytes, 4, 4, 10), unit, w,
                       MatrixView<std::uint8_t>(bytes + 4, 4, 4, 10), epilogue(AddBias{}, unit));
          }).size() == 1);  // a bias of no elements; the views are fine
    CHECK(errors_of([&] {
            fused_gemm(MatrixView<std::uint8_t>(bytes + 4, 4, 4, 10), unit, w,
                       MatrixView<std::uint8_t>(bytes, 4, 4, 10),
                       epilogue(Quantizer<8>(-127.0f, 128.0f)));
          }).empty());
    CHECK(+bytes[0] == 127);
    expect_success(MatrixView<std::uint8_t>(bytes, 4, 4, 10), w,
                   MatrixView<std::uint8_t>(bytes + 4, 4, 4, 10));
    CHECK(+bytes[8] == 127);
    return;
  }
  CHECK(memory == before);
}

TEST_CASE("Coded: a DAC whose codes do not fit into 8 bits", "[coded_errors]") {
  TestMatrix x(2, 3), y(2, 4);
  Bytes codes(2, 3);
  x.fill([] { return 1.0f; });
  codes.fill([] { return std::uint8_t{1}; });
  const CodedWeights<4> w = ones(4, 3);
  for (const int bits : {9, 10, 16}) {
    const RuntimeQuantizer wide(bits, -1.0f, 1.0f);
    const std::string count = std::to_string(bits) + " bits";
    expect_error([&] { fused_gemm(x, wide, w, y, epilogue()); },
                 {"lumina::fused_gemm", "DAC", count, "8"});
    expect_error([&] { fused_gemm(codes, wide, w, y, epilogue()); }, {"DAC", count});
    expect_error([&] { fused_gemm_noise_quant(x, wide, w, y, 0.5f, adc, {}); }, {"DAC", count});
  }
  expect_error([&] { fused_gemm(x, Quantizer<9>(-1.0f, 1.0f), w, y, epilogue()); },
               {"DAC", "9 bits"});
  CHECK(y.untouched());
  fused_gemm(x, RuntimeQuantizer(8, -1.0f, 1.0f), w, y, epilogue());
  CHECK_FALSE(y.untouched());
}

TEST_CASE("Coded: an ADC whose codes do not fit into y", "[coded_errors]") {
  TestMatrix x(2, 3);
  Bytes bytes(2, 4);
  TestMatrixOf<std::uint16_t> words(2, 4);
  x.fill([] { return 1.0f; });
  const CodedWeights<4> w = ones(4, 3);
  for (const int bits : {9, 12, 16}) {
    const RuntimeQuantizer wide(bits, -1.0f, 2.0f);
    const std::string count = std::to_string(bits) + " bits";
    const auto parts = {std::string_view("lumina::fused_gemm"), std::string_view("ADC"),
                        std::string_view(count), std::string_view("8")};
    expect_error([&] { fused_gemm(x, dac, w, bytes, epilogue(wide)); }, parts);
    expect_error([&] { fused_gemm_noise_quant(x, dac, w, bytes, 0.5f, wide, {}); }, parts);
    CHECK(errors_of([&] { fused_gemm(x, dac, w, words, epilogue(wide)); }).empty());
    CHECK(words(1, 3) == (1 << bits) - 1);
  }
  expect_error([&] { fused_gemm(x, dac, w, bytes, epilogue(Quantizer<12>(-1.0f, 1.0f))); },
               {"ADC", "12 bits"});
  CHECK(bytes.untouched());
  // Only the last stage's codes are stored.
  fused_gemm(x, dac, w, bytes, epilogue(RuntimeQuantizer(12, -1.0f, 3.0f), adc));
  CHECK(+bytes(1, 3) == static_cast<int>(adc.encode(3.0f)));
}

TEST_CASE("Coded: more inputs than the sums hold", "[coded_errors]") {
  const std::size_t in = kMostCodedInputs + 1;
  TestMatrix x(2, in), y(2, 3);
  Bytes codes(2, in);
  x.fill([] { return 0.5f; });
  codes.fill([] { return std::uint8_t{1}; });
  const CodedWeights<4> w = ones(3, in);
  const auto parts = {std::string_view("lumina::fused_gemm"), std::string_view("[2, 66312]"),
                      std::string_view("[3, 66312]"), std::string_view("66311")};
  expect_refusal(x.view(), w, y.view(), parts);
  expect_refusal(codes.view(), w, y.view(), parts);
  CHECK(y.untouched());
}

TEST_CASE("Coded: stages that do not fit the output", "[coded_errors]") {
  TestMatrix x(2, 3), y(2, 4);
  Bytes codes(2, 4);
  x.fill([] { return 1.0f; });
  const CodedWeights<4> w = ones(4, 3);
  const std::vector<float> numbers(3);
  expect_error([&] { fused_gemm(x, dac, w, y, epilogue(AddBias{numbers})); },
               {"lumina::AddBias", "3", "[2, 4]"});
  expect_error([&] { fused_gemm(x, dac, w, codes, epilogue(AddBias{numbers}, adc)); },
               {"lumina::AddBias", "3", "[2, 4]"});
  for (const float strength : {-1.0f, kNaN, kInf}) {
    expect_error([&] { fused_gemm(x, dac, w, y, epilogue(ShotNoise{strength})); },
                 {"lumina::ShotNoise", "strength"});
    expect_error([&] { fused_gemm_noise_quant(x, dac, w, codes, strength, adc, {}); },
                 {"lumina::GaussianNoise", "stddev"});
  }
  CHECK(y.untouched());
  CHECK(codes.untouched());
}

TEST_CASE("Coded: only the first error is reported", "[coded_errors]") {
  TestMatrix x(2, 3), y(9, 9);
  x.fill([] { return 1.0f; });
  const auto errors = errors_of([&] {
    fused_gemm(x, RuntimeQuantizer(12, -1.0f, 1.0f), ones(4, 5), y,
               epilogue(AddBias{}, GaussianNoise{-1.0f}));
  });
  CHECK(errors.size() == 1);
  CHECK(y.untouched());
}
