// Calls whose tasks have their arrays in a workspace of the caller's (SerialIn): the same numbers,
// no byte beyond it touched, nothing allocated (test_allocations.cpp), and what is refused.
#include <lumina/fused_gemm.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

/// `bytes` of workspace with guards on both sides.
class GuardedWorkspace {
 public:
  explicit GuardedWorkspace(std::size_t bytes) : memory_(1, kGuard + bytes + kGuard) {
    std::ranges::fill(memory_.elements(), kUntouched);
  }
  std::span<std::byte> bytes() {
    return {reinterpret_cast<std::byte*>(memory_.data()) + kGuard, memory_.cols() - 2 * kGuard};
  }
  bool guards_untouched() const {
    const auto untouched = [](std::uint8_t byte) { return byte == kUntouched; };
    const auto all = memory_.elements();
    return std::ranges::all_of(all.first(kGuard), untouched) &&
           std::ranges::all_of(all.last(kGuard), untouched);
  }

 private:
  static constexpr std::size_t kGuard = kWorkspaceAlignment;
  static constexpr std::uint8_t kUntouched = 0xa5;
  Matrix<std::uint8_t> memory_;
};

struct Shape {
  std::size_t batch, in, out;
};
// Tiles of all heights, several chunks and panels, and rows that do not fit at once.
constexpr Shape kShapes[] = {{1, 1, 1},     {1, 144, 12},  {3, 50, 33},   {4, 2048, 130},
                             {5, 600, 129}, {150, 70, 40}, {3, 9000, 20}, {2, 300000, 1}};

const Quantizer<8> dac(-0.9f, 0.8f), adc(-6.0f, 5.0f);
const auto stages = epilogue(GaussianNoise{0.3f}, adc);
const NoiseKey key{1, 2, 3};

/// call(executor, y) with the exact amount of memory must do what it does without.
template <class Call>
void check(const Shape& shape, std::size_t bytes, Call call) {
  TestMatrix y(shape.batch, shape.out), expected(shape.batch, shape.out);
  GuardedWorkspace workspace(bytes);
  CAPTURE(shape.batch, shape.in, shape.out, bytes);
  call(Serial(), expected);
  call(SerialIn(workspace.bytes()), y);
  CHECK(difference(y, expected) == "");
  CHECK(workspace.guards_untouched());
}

}  // namespace

TEST_CASE("Workspace: coded weights", "[workspace]") {
  Engine engine(1);
  for (const Shape& shape : kShapes) {
    if (shape.in > kMostCodedInputs) continue;
    TestMatrix x(shape.batch, shape.in), w(shape.out, shape.in);
    TestMatrixOf<std::uint8_t> codes(shape.batch, shape.in);
    x.fill_uniform(engine);
    codes.fill([&] { return static_cast<std::uint8_t>(engine()); });
    w.fill_uniform(engine);
    const auto eight = encode_weights<8>(w);
    const auto four = encode_weights<4>(w);
    const std::size_t bytes = coded_workspace_bytes(shape.batch, shape.in);
    check(shape, bytes, [&](const auto& executor, TestMatrix& y) {
      fused_gemm(x, dac, eight, y, stages, key, executor);
    });
    check(shape, bytes, [&](const auto& executor, TestMatrix& y) {
      fused_gemm_noise_quant(codes, dac, four.view(), y, 0.0f, adc, key, executor);
    });
  }
}

TEST_CASE("Workspace: weights of floats", "[workspace]") {
  Engine engine(2);
  for (const Shape& shape : kShapes) {
    TestMatrix x(shape.batch, shape.in), w(shape.out, shape.in);
    x.fill_uniform(engine);
    const PackedWeights packed = pack_weights(w.fill_uniform(engine));
    const std::size_t bytes = float_workspace_bytes(shape.batch, shape.in);
    check(shape, bytes, [&](const auto& executor, TestMatrix& y) {
      fused_gemm(x.view(), packed, y, stages, key, executor);
    });
    check(shape, bytes, [&](const auto& executor, TestMatrix& y) {
      fused_gemm(x.view(), dac, packed, y, stages, key, executor);
    });
    check(shape, bytes, [&](const auto& executor, TestMatrix& y) {
      fused_gemm(x.view(), w.view(), y, stages, key, executor);
    });
    check(shape, bytes, [&](const auto& executor, TestMatrix& y) {
      fused_gemm(x.view(), dac, w.view(), y, stages, key, executor);
    });
  }
}

TEST_CASE("Workspace: how much it is", "[workspace]") {
  STATIC_REQUIRE(coded_workspace_bytes(0, 100) == 0);
  STATIC_REQUIRE(coded_workspace_bytes(1, 100) < coded_workspace_bytes(2, 100));
  STATIC_REQUIRE(coded_workspace_bytes(1, 100) < coded_workspace_bytes(1, 1000));
  // It has a bound.
  STATIC_REQUIRE(coded_workspace_bytes(10000, 60000) <= detail::Native::row_scratch_bytes + 50000);
#if defined(LUMINA_ISA_SCALAR)
  STATIC_REQUIRE(coded_workspace_bytes(1, 144) == 192 + 512 + 1024 + 64);
  STATIC_REQUIRE(coded_workspace_bytes(10000, 60000) == 2048 + 2048 + 1024 + 64);
#endif
}

TEST_CASE("Workspace: what is refused", "[workspace]") {
  Engine engine(3);
  TestMatrix x(2, 70), w(33, 70), y(2, 33);
  x.fill_uniform(engine);
  const auto coded = encode_weights<4>(w.fill_uniform(engine));
  const PackedWeights packed = pack_weights(w);
  y.fill([] { return 77.0f; });
  const std::size_t needed = coded_workspace_bytes(2, 70);
  GuardedWorkspace workspace(needed + kWorkspaceAlignment);
  const auto call = [&](std::span<std::byte> memory) {
    fused_gemm(x, dac, coded, y, stages, key, SerialIn(memory));
  };
  const std::span<std::byte> bytes = workspace.bytes();

  SECTION("too small") {
    const std::string too_few = std::to_string(needed - 1) + " bytes";
    const std::string enough = "needs " + std::to_string(needed);
    expect_error([&] { call(bytes.first(needed - 1)); },
                 {"fused_gemm", "[2, 70]", "[2, 33]", too_few, enough});
    expect_error([&] { call({}); }, {"0 bytes"});
    expect_error([&] { fused_gemm(x.view(), packed, y, stages, key, SerialIn({})); }, {"0 bytes"});
  }
  SECTION("misaligned") {
    expect_error([&] { call(bytes.subspan(32)); }, {"[2, 70]", "multiple of 64 bytes"});
  }
  SECTION("overlapping x or y") {
    const auto memory_of = [](TestMatrix& matrix) {
      return std::as_writable_bytes(std::span(matrix.view().data(), matrix.view().cols()));
    };
    expect_error([&] { call(memory_of(y)); }, {"[2, 70]", "[2, 33]", "overlaps x or y"});
    expect_error([&] { call(memory_of(x)); }, {"overlaps x or y"});
  }
  TestMatrix untouched(2, 33);
  untouched.fill([] { return 77.0f; });
  CHECK(difference(y, untouched) == "");
  CHECK(errors_of([&] { call(bytes.first(needed)); }).empty());
  CHECK(y.view()(0, 0) != 77.0f);
}
