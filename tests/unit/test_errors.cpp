// Wrong arguments: the messages, and that nothing is written before the check.
#include <lumina/lumina.hpp>

#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

using View = MatrixView<const float>;

/// Both calls of the engine must refuse these operands, with all of `parts` in the message.
void expect_refusal(View x, View w, MatrixView<float> y,
                    std::initializer_list<std::string_view> parts) {
  const Quantizer<8> adc(-1.0f, 1.0f);
  const PackedWeights packed = w.data() != nullptr ? pack_weights(w) : PackedWeights();
  if (w.data() != nullptr) {
    expect_error([&] { fused_gemm(x, packed, y, epilogue(adc), {}); }, parts);
    expect_error([&] { fused_gemm_noise_quant(x, packed, y, 0.0f, adc, {}); }, parts);
    expect_error([&] { fused_gemm_noise_quant(x, packed, y, 0.1f, adc, {}); }, parts);
  }
  expect_error([&] { fused_gemm(x, w, y, epilogue(adc), {}); }, parts);
  expect_error([&] { fused_gemm_noise_quant(x, w, y, 0.1f, adc, {}); }, parts);
}

/// Refused in the same way, and y still holds its poison.
void expect_refusal(View x, View w, TestMatrix& y, std::initializer_list<std::string_view> parts) {
  expect_refusal(x, w, y.view(), parts);
  CHECK(y.untouched());
}

/// Nothing wrong: both calls work.
void expect_success(View x, View w, MatrixView<float> y) {
  CHECK(errors_of([&] { fused_gemm(x, pack_weights(w), y, epilogue(), {}); }).empty());
}

}  // namespace

TEST_CASE("Shapes that do not fit", "[errors]") {
  TestMatrix x(2, 3), w(4, 3), y(2, 4);
  x.fill([] { return 1.0f; });
  w.fill([] { return 1.0f; });
  SECTION("x and w") {
    TestMatrix wrong(4, 5);
    wrong.fill([] { return 1.0f; });
    expect_refusal(x, wrong, y, {"[2, 3]", "[4, 5]", "[2, 4]", "x", "w", "columns"});
    expect_refusal(wrong, w, y, {"[4, 5]", "[4, 3]"});
  }
  SECTION("rows of y") {
    for (const std::size_t rows : {0u, 1u, 3u}) {
      TestMatrix wrong(rows, 4);
      expect_refusal(x, w, wrong,
                     {"[2, 3]", "[4, 3]", "[" + std::to_string(rows) + ", 4]", "rows"});
    }
  }
  SECTION("columns of y") {
    for (const std::size_t cols : {1u, 3u, 5u}) {
      TestMatrix wrong(2, cols);
      expect_refusal(x, w, wrong,
                     {"[2, 3]", "[4, 3]", "[2, " + std::to_string(cols) + "]", "columns"});
    }
  }
  SECTION("no weights at all") {
    expect_error([&] { fused_gemm(x.view(), PackedWeights(), y, epilogue(), {}); }, {"[0, 0]"});
    CHECK(y.untouched());
  }
  SECTION("huge sizes are printed in full") {
    constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max() / (2 * sizeof(float));
    const View wrong(x.view().data(), 1, kMost);
    expect_error([&] { fused_gemm(wrong, pack_weights(w), y, epilogue(), {}); },
                 {"[1, " + std::to_string(kMost) + "]"});
  }
}

TEST_CASE("Missing data", "[errors]") {
  TestMatrix x(2, 3), w(4, 3), y(2, 4);
  x.fill([] { return 1.0f; });
  w.fill([] { return 1.0f; });
  expect_refusal(View(nullptr, 2, 3), w, y, {"missing", "x", "[2, 3]"});
  expect_refusal(x, w, MatrixView<float>(nullptr, 2, 4), {"missing", "y", "[2, 4]"});
  expect_refusal(x, View(nullptr, 4, 3), y, {"missing", "w", "[4, 3]"});
}

TEST_CASE("y may not overlap what is read", "[errors]") {
  std::vector<float> memory(400, 0.5f);
  const std::vector<float> before = memory;
  TestMatrix w(4, 4), other(4, 4);
  w.fill([] { return 1.0f; });
  other.fill([] { return 1.0f; });
  float* const m = memory.data();

  SECTION("x: the same matrix") {
    expect_refusal(View(m, 4, 4), w, MatrixView<float>(m, 4, 4), {"overlap", "x", "y", "[4, 4]"});
  }
  SECTION("x: parts of it") {
    for (const std::size_t shift : {1u, 3u, 4u, 8u, 15u}) {
      expect_refusal(View(m, 4, 4), w, MatrixView<float>(m + shift, 4, 4), {"overlap"});
      expect_refusal(View(m + shift, 4, 4), w, MatrixView<float>(m, 4, 4), {"overlap"});
    }
    CHECK(memory == before);
    expect_success(View(m, 4, 4), w, MatrixView<float>(m + 16, 4, 4));
    expect_success(View(m + 16, 4, 4), w, MatrixView<float>(m, 4, 4));
    return;
  }
  SECTION("x: one element in the corner") {
    expect_refusal(View(m, 4, 4, 10), w, MatrixView<float>(m + 33, 4, 4), {"overlap"});
    expect_refusal(View(m + 33, 4, 4), w, MatrixView<float>(m, 4, 4, 10), {"overlap"});
  }
  SECTION("x: columns of one matrix that cut each other") {
    expect_refusal(View(m, 4, 4, 10), w, MatrixView<float>(m + 3, 4, 4, 10), {"overlap"});
    expect_refusal(View(m + 3, 4, 4, 10), w, MatrixView<float>(m, 4, 4, 10), {"overlap"});
    expect_refusal(View(m + 13, 4, 4, 10), w, MatrixView<float>(m, 4, 4, 10), {"overlap"});
    // y reaches round the end of x's rows into the next ones.
    expect_refusal(View(m, 4, 4, 10), w, MatrixView<float>(m + 7, 4, 4, 10), {"overlap"});
  }
  SECTION("x: rows without a stride") {
    expect_refusal(View(m, 1, 4, 0), w, MatrixView<float>(m, 1, 4, 0), {"overlap"});
    expect_refusal(View(m, 1, 4, 0), w, MatrixView<float>(m + 3, 1, 4, 0), {"overlap"});
  }
  SECTION("w") {
    expect_error(
        [&] {
          fused_gemm(other.view(), View(m, 4, 4), MatrixView<float>(m + 5, 4, 4), epilogue(), {});
        },
        {"overlap", "w", "y", "[4, 4]"});
  }
  CHECK(memory == before);
}

TEST_CASE("Columns of one matrix beside each other do not overlap", "[errors]") {
  std::vector<float> memory(100, 0.5f);
  TestMatrix w(4, 4);
  w.fill([] { return 1.0f; });
  float* const m = memory.data();
  expect_success(View(m, 4, 4, 10), w, MatrixView<float>(m + 4, 4, 4, 10));
  CHECK(memory[0] == 0.5f);
  CHECK(memory[4] == 2.0f);
  CHECK(memory[8] == 0.5f);
  CHECK(memory[37] == 2.0f);
  expect_success(View(m + 4, 4, 4, 10), w, MatrixView<float>(m, 4, 4, 10));
  CHECK(memory[0] == 8.0f);
  expect_success(View(m + 6, 4, 4, 10), w, MatrixView<float>(m + 2, 4, 4, 10));
  expect_success(View(m + 14, 4, 4, 10), w, MatrixView<float>(m, 4, 4, 10));
}

TEST_CASE("Inputs may overlap each other", "[errors]") {
  std::vector<float> memory(16, 0.5f), y(16);
  expect_success(View(memory.data(), 4, 4), View(memory.data(), 4, 4),
                 MatrixView<float>(y.data(), 4, 4));
  CHECK(y[15] == 1.0f);
}

TEST_CASE("Stages that do not fit the output", "[errors]") {
  TestMatrix x(2, 3), w(4, 3), y(2, 4);
  x.fill([] { return 1.0f; });
  w.fill([] { return 1.0f; });
  const PackedWeights packed = pack_weights(w);
  const std::vector<float> numbers(8);

  for (const std::size_t length : {0u, 1u, 3u, 5u, 8u}) {
    const AddBias bias{std::span(numbers).first(length)};
    const std::string count = std::to_string(length);
    expect_error([&] { fused_gemm(x.view(), packed, y, epilogue(bias), {}); },
                 {"lumina::AddBias", count, "[2, 4]"});
    expect_error([&] { fused_gemm(x.view(), packed, y, epilogue(Relu{}, epilogue(bias)), {}); },
                 {"lumina::AddBias", count, "[2, 4]"});
  }
  for (const float strength : {-1.0f, -kDenormal, kNaN, kInf, -kInf}) {
    expect_error([&] { fused_gemm(x.view(), packed, y, epilogue(GaussianNoise{strength}), {}); },
                 {"lumina::GaussianNoise", "stddev"});
    expect_error([&] { fused_gemm(x.view(), packed, y, epilogue(ShotNoise{strength}), {}); },
                 {"lumina::ShotNoise", "strength"});
    const Quantizer<8> adc(0.0f, 1.0f);
    expect_error([&] { fused_gemm_noise_quant(x, packed, y, strength, adc, {}); }, {"stddev"});
    expect_error([&] { fused_gemm_noise_quant(x, w.view(), y, strength, adc, {}); }, {"stddev"});
  }
  CHECK(y.untouched());
}

TEST_CASE("Only the first error is reported", "[errors]") {
  TestMatrix x(2, 3), w(4, 5), y(9, 9);
  x.fill([] { return 1.0f; });
  w.fill([] { return 1.0f; });
  const auto errors = errors_of([&] {
    fused_gemm(x.view(), pack_weights(w), y, epilogue(AddBias{}, GaussianNoise{-1.0f}), {});
  });
  CHECK(errors.size() == 1);
  CHECK(y.untouched());
}

namespace {

int calls_of_first = 0;
int calls_of_second = 0;
void first_handler(const char*) { ++calls_of_first; }
void second_handler(const char*) { ++calls_of_second; }

}  // namespace

TEST_CASE("set_error_handler installs a handler and returns the one before", "[errors]") {
  const ErrorHandler original = set_error_handler(&first_handler);
  CHECK(original != nullptr);
  Quantizer<8>(1.0f, 0.0f);
  CHECK(calls_of_first == 1);
  CHECK(set_error_handler(&second_handler) == &first_handler);
  Quantizer<8>(1.0f, 0.0f);
  CHECK(calls_of_first == 1);
  CHECK(calls_of_second == 1);
  // nullptr stands for the default one.
  CHECK(set_error_handler(nullptr) == &second_handler);
  CHECK(set_error_handler(original) == original);
}

#if LUMINA_TEST_EXCEPTIONS

TEST_CASE("The default handler throws std::invalid_argument", "[errors]") {
  const ErrorHandler before = set_error_handler(nullptr);
  std::string message;
  try {
    Quantizer<8>(1.0f, 0.0f);
  } catch (const std::invalid_argument& error) {
    message = error.what();
  }
  CHECK(message.find("lumina::Quantizer") != std::string::npos);
  set_error_handler(before);
}

TEST_CASE("A handler may throw something else", "[errors]") {
  struct Mine {};
  const ErrorHandler before = set_error_handler([](const char*) { throw Mine{}; });
  bool caught = false;
  TestMatrix x(2, 3), w(4, 5), y(2, 4);
  try {
    fused_gemm(x.view(), pack_weights(w), y, epilogue(), {});
  } catch (const Mine&) {
    caught = true;
  }
  set_error_handler(before);
  CHECK(caught);
  CHECK(y.untouched());
}

#endif
