// Shapes whose number of elements, or of bytes, is more than std::size_t: nothing is allocated too
// small for them.
#include <lumina/lumina.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/expect_error.hpp"

using namespace lumina;
using namespace test;

namespace {

constexpr std::size_t kMax = std::numeric_limits<std::size_t>::max();
constexpr int kBits = std::numeric_limits<std::size_t>::digits;
/// Half of the bits of a size.
constexpr std::size_t kHalf = std::size_t{1} << (kBits / 2);

/// Products that are 0, or small, modulo 2^kBits as elements or as bytes.
const std::vector<std::pair<std::size_t, std::size_t>> kTooLarge{
    {kHalf / 2, kHalf / 2}, {kHalf, kHalf},    {2 * kHalf, kHalf / 2 + 1},
    {kHalf, kHalf / 4 + 1}, {kMax / 4 + 1, 4}, {3, kMax / 2},
    {kMax, kMax},           {kMax, 2},         {kMax / 8, 4},
    {2, kMax / 2 + 2},      {1, kMax},         {kMax, 1}};

/// call() throws std::bad_alloc; without exceptions it is an error.
template <class F>
void expect_no_memory(F&& call) {
#if LUMINA_TEST_EXCEPTIONS
  CHECK_THROWS_AS(call(), std::bad_alloc);
#else
  CHECK(!errors_of(call).empty());
#endif
}

template <class T>
void check_matrix() {
  for (const auto& [rows, cols] : kTooLarge) {
    CAPTURE(rows, cols, sizeof(T));
    const std::size_t r = rows, c = cols;
    std::size_t kept = 0;
    expect_no_memory([&] { kept = Matrix<T>(r, c).rows(); });
    CHECK(kept == 0);
  }
}

}  // namespace

static_assert(detail::size_product(std::size_t{3}, std::size_t{4}, std::size_t{5}) == 60);
static_assert(detail::size_product(kMax, kMax) == detail::kTooMany);
static_assert(detail::size_product(kMax, kMax, std::size_t{0}) == 0);
static_assert(detail::size_product(std::size_t{0}, kMax) == 0);
static_assert(detail::size_product(kHalf, kHalf) == detail::kTooMany);
static_assert(detail::size_product(kHalf, kHalf, kMax) == detail::kTooMany);
static_assert(coded_word_count<8>(kMax, kMax) >= detail::kTooMany);
static_assert(padded_outputs(kMax) >= detail::kTooMany);
static_assert(coded_workspace_bytes(1, kMax) > 0 && float_workspace_bytes(kMax, kMax) > 0);

TEST_CASE("Matrices of more elements than memory has", "[matrix]") {
  check_matrix<float>();
  check_matrix<std::int8_t>();
  check_matrix<double>();
  const Matrix<float> no_columns(kMax, 0), no_rows(0, kMax);
  CHECK(no_columns.rows() == kMax);
  CHECK(no_rows.cols() == kMax);
  CHECK(no_columns.elements().empty());
}

TEST_CASE("Views of more elements than memory has", "[matrix][errors]") {
  float element = 7.0f;
  for (const auto& [rows, cols] : kTooLarge) {
    CAPTURE(rows, cols);
    const std::size_t r = rows, c = cols;
    std::size_t kept = 1;
    expect_error([&] { kept = MatrixView<float>(&element, r, c).rows(); },
                 {"MatrixView", "addresses"});
    CHECK((LUMINA_TEST_EXCEPTIONS || kept == 0));
    if (r > 1) {
      expect_error([&] { MatrixView<const float>(&element, r, 1, c < 2 ? kMax : c); },
                   {"addresses"});
    }
  }
  // Of one row the distance to the next one does not matter, and where there is nothing, nothing.
  CHECK(errors_of([&] {
          MatrixView<float>(&element, 1, 1, kMax);
          MatrixView<float>(nullptr, kMax, 0);
          MatrixView<float>(nullptr, 0, kMax);
        }).empty());
}

TEST_CASE("Weights of more elements than memory has", "[weights]") {
  // Views that there could be, whose packed form is larger: 31 rows of 32 are filled up.
  float element = 1.0f;
  const std::size_t cols = kMax / 8;
  const MatrixView<const float> row(&element, 1, cols);
  PackedWeights packed;
  expect_no_memory([&] { pack_weights(row, packed); });
  CHECK(packed.rows() == 0);
  std::vector<std::int32_t> words(64);
  std::vector<float> scales(128);
  expect_error([&] { CodedWeightsView<8>(kHalf, kHalf, words, scales, words); },
               {"CodedWeightsView", "64 words"});
}

TEST_CASE("Records, workspaces and layers of more elements than memory has", "[forward_record]") {
  ForwardRecord record;
  record.resize(3, 5, 1);
  record.mark_filled();
  for (const auto& [rows, cols] : kTooLarge) {
    const std::size_t r = rows, c = cols;
    if (r < kHalf / 4 || c < 64) continue;  // a bit for each output may be had
    expect_no_memory([&] { record.resize(r, c, 1); });
    CHECK(!record.filled());
    CHECK(record.rows() == 0);
  }
  AnalogLinearConfig config{4, 4};
  expect_no_memory([&] { AnalogLinear<8>(config, kMax / 2); });
}
