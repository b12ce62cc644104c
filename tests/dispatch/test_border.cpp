// What crosses the border is one type on both sides, and each side takes it as it is.
#include <lumina/border.hpp>
// First and alone: it needs no other header.
#include <lumina/dispatch.hpp>
#include <lumina/lumina.hpp>

#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"
#include "support/same_bits.hpp"

namespace ld = lumina::dispatch;
using lumina::MatrixMemory;
using lumina::MatrixView;
using lumina::RuntimeQuantizer;

static_assert(std::is_same_v<ld::NoiseKey, lumina::NoiseKey>);
static_assert(std::is_same_v<ld::Converter, lumina::Converter>);
static_assert(std::is_same_v<ld::Readout, lumina::Readout>);
static_assert(std::is_same_v<ld::MatrixMemory<float>, lumina::MatrixMemory<float>>);
// Older names.
static_assert(std::is_same_v<ld::Key, lumina::NoiseKey>);
static_assert(std::is_same_v<ld::View<const float>, lumina::MatrixMemory<const float>>);
// Bytes mean the same to every unit.
static_assert(std::is_trivially_copyable_v<lumina::NoiseKey> && sizeof(lumina::NoiseKey) == 24);
static_assert(std::is_trivially_copyable_v<lumina::Converter> && sizeof(lumina::Converter) == 16);
static_assert(std::is_trivially_copyable_v<lumina::Readout> && sizeof(lumina::Readout) == 16);

TEST_CASE("a converter is the quantizer of its numbers") {
  CHECK(RuntimeQuantizer::of({5, -1.0f, 2.0f})(0.3f) == RuntimeQuantizer(5, -1.0f, 2.0f)(0.3f));
  CHECK(RuntimeQuantizer::of({5, -2.0f, 2.0f, true})(0.3f) ==
        RuntimeQuantizer::symmetric(5, 2.0f)(0.3f));
  CHECK_THROWS_WITH(RuntimeQuantizer::of({5, -1.0f, 2.0f, true}),
                    Catch::Matchers::ContainsSubstring("[-hi, hi]"));
  CHECK_THROWS_AS(RuntimeQuantizer::of({}), std::invalid_argument);  // none
}

TEST_CASE("memory becomes a view, and is checked then") {
  std::vector<float> memory(40);
  const MatrixMemory<float> told{memory.data() + 1, 3, 4, 10};
  const MatrixView view(told);
  const MatrixView<const float> reads(told);
  CHECK(&view(2, 3) == memory.data() + 24);
  CHECK(&reads(2, 3) == memory.data() + 24);
  static_assert(!std::is_convertible_v<MatrixMemory<const float>, MatrixView<float>>);
  CHECK_THROWS_WITH(MatrixView(MatrixMemory<float>{memory.data(), 3, 4, 2}),
                    Catch::Matchers::ContainsSubstring("[3, 4]"));
}

TEST_CASE("a generator goes on from its bytes, and from none that are not its") {
  lumina::FastRng rng(3);
  for (int i = 0; i < 5; ++i) rng.normal();
  std::vector<std::byte> bytes(sizeof(rng));
  std::memcpy(bytes.data(), &rng, sizeof(rng));
  lumina::FastRng other(4);
  REQUIRE(other.restore(bytes));
  for (int i = 0; i < 70; ++i) REQUIRE(other.normal() == rng.normal());
  CHECK(other() == rng());

  const lumina::FastRng before = other;
  CHECK(!other.restore(std::span(bytes).first(bytes.size() - 1)));
  CHECK(!other.restore(std::vector<std::byte>(bytes.size())));  // 0 is no state
  std::memset(bytes.data(), 0xff, bytes.size());                // more normals than there are
  CHECK(!other.restore(bytes));
  lumina::FastRng same = before;
  CHECK(other() == same());
}

TEST_CASE("the values of packed weights") {
  lumina::Matrix<float> w(37, 5);
  for (std::size_t i = 0; i < w.elements().size(); ++i) w.elements()[i] = static_cast<float>(i);
  const lumina::PackedWeights packed = lumina::pack_weights(w);
  for (std::size_t row = 0; row < 37; ++row) {
    for (std::size_t col = 0; col < 5; ++col) REQUIRE(packed.value(row, col) == w(row, col));
  }
}

TEST_CASE("a matrix with NaN or infinity is not finite, whatever lies beside it") {
  std::vector<float> memory(30 * 40, 1.0f);
  const MatrixView<const float> view(memory.data(), 30, 37, 40);
  memory[38] = NAN;
  CHECK(lumina::all_finite(view));
  for (const float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
    memory[29 * 40 + 36] = bad;
    CHECK(!lumina::all_finite(view));
  }
  memory[29 * 40 + 36] = std::numeric_limits<float>::lowest();
  CHECK(lumina::all_finite(view));
  CHECK(lumina::all_finite({memory.data() + 38, 3, 0, 40}));
}
