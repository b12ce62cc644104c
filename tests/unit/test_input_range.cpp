#include <lumina/input_range.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include <lumina/backward.hpp>
#include <lumina/reference_backward.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

const NoiseKey kKey{1, 2, 3};

bool same(const InputRangeSums& a, const InputRangeSums& b) {
  CAPTURE(a.gradient, b.gradient, a.inside, b.inside);
  CHECK(same_bits(a.gradient, b.gradient));
  CHECK(a.inside == b.inside);
  CHECK(a.count == b.count);
  return true;
}

}  // namespace

TEST_CASE("The sums for a learned range equal the oracle at any number of threads",
          "[input_range]") {
  Engine engine(1);
  ForwardRecord record;
  BackwardWorkspace workspace;
  for (const std::size_t in : {1u, 5u, 16u, 37u, 128u, 150u, 301u}) {
    const std::size_t batch = 19, out = 9;
    TestMatrix x(batch, in, in + 2), w(out, in), grad_y(batch, out), y(batch, out);
    TestMatrix by_x(batch, in), expected_x(batch, in), expected_y(batch, out);
    x.fill_uniform(engine, -1.5f, 1.5f);
    x(3, in / 2) = 1.0f;  // exactly at the ends
    x(4, in - 1) = -1.0f;
    x(5, 0) = kNaN;
    w.fill_uniform(engine);
    grad_y.fill_uniform(engine);
    const CodedWeights<8> coded = encode_weights<8>(w);
    const auto check = [&](const auto& dac) {
      const auto pass = forward_pass(x, dac, coded, epilogue(GaussianNoise{0.1f}), kKey);
      InputRangeSums expected, alone;
      reference::forward_and_backward(pass, coded.decode(), grad_y, expected_y,
                                      {expected_x, {}, {}, &expected});
      REQUIRE(forward(pass, y, record));
      for_each_executor([&](const auto& executor, const char* name) {
        CAPTURE(in, name);
        InputRangeSums sums;
        backward(pass, grad_y, record, {by_x, {}, {}, &sums}, workspace, F32Products{}, executor);
        same(sums, expected);
        CHECK(difference(by_x, expected_x) == "");
      });
      backward(pass, grad_y, record, {{}, {}, {}, &alone}, workspace);
      same(alone, expected);
    };
    check(SymmetricQuantizer<8>(1.0f));
    check(Quantizer<6>(-1.0f, 1.0f));
    check(RuntimeQuantizer(8, 0.0f, 1.0f));
  }
}

TEST_CASE("The range's gradient is that of finite differences where it widens, both signs",
          "[input_range]") {
  // loss = Σ g·x̄·w, x̄ = x clipped to [−r, r]; each input alone.
  const float r = 1.0f, step = 0x1p-6f;
  for (const float value : {2.0f, 1.5f, -2.0f, -1.5f, 0.5f, -0.5f}) {
    for (const float d : {1.0f, -1.0f}) {
      TestMatrix x(1, 1), w(1, 1), y(1, 1), grad_y(1, 1);
      x(0, 0) = value;
      w(0, 0) = 1.0f;
      grad_y(0, 0) = d;
      const PackedWeights packed = pack_weights(w);
      ForwardRecord record;
      BackwardWorkspace workspace;
      InputRangeSums sums;
      const auto pass = forward_pass(x, SymmetricQuantizer<16>(r), packed, epilogue());
      REQUIRE(forward(pass, y, record));
      backward(pass, grad_y, record, {{}, {}, {}, &sums}, workspace);
      const auto loss = [&](float range) { return d * std::clamp(value, -range, range); };
      const float difference = (loss(r + step) - loss(r - step)) / (2.0f * step);
      CAPTURE(value, d, difference, sums.gradient);
      // What would narrow the range does not count.
      CHECK(sums.gradient == (difference < 0.0f ? difference : 0.0f));
      CHECK(sums.inside == (std::fabs(value) < r ? 1u : 0u));
    }
  }
}

TEST_CASE("A learned range: relative gradient, and decay where enough inputs are inside",
          "[input_range]") {
  const LearnedRange learned{.decay = 0.01f, .share = 0.95};
  CHECK(learned.gradient({-2.0f, 90, 100}, 3.0f) == -6.0f);
  CHECK(learned.gradient({-2.0f, 95, 100}, 3.0f) == -6.0f);
  CHECK(learned.gradient({-2.0f, 96, 100}, 3.0f) == std::fma(0.01f, 3.0f, -6.0f));
  CHECK(LearnedRange{.decay = 0.0f, .relative = false}.gradient({-2.0f, 99, 100}, 3.0f) == -2.0f);
  CHECK(learned.gradient({0.0f, 0, 0}, 3.0f) == 0.0f);
}

TEST_CASE("Moving ranges: mean and exponential", "[input_range]") {
  MovingRange mean, exponential(0.25f);
  CHECK(mean.range() == 0.0f);
  for (const float value : {4.0f, 2.0f, 6.0f}) {
    mean.add(value);
    exponential.add(value);
  }
  CHECK(mean.range() == Approx(4.0f).epsilon(1e-6));
  CHECK(mean.batches() == 3);
  CHECK(exponential.range() == 4.125f);  // 4, 3.5, 4.125
  for (const float weight : {-0.1f, 1.5f, kNaN}) {
    expect_error([&] { MovingRange refused(weight); }, {"lumina::MovingRange", "[0, 1]"});
  }
}

TEST_CASE("Ranges of a batch: the largest, and some deviations", "[input_range]") {
  Engine engine(2);
  TestMatrix x(33, 70, 75);
  x.fill_uniform(engine, -1.0f, 3.0f);
  x(7, 13) = -4.5f;
  CHECK(largest_range(x) == 4.5f);
  double mean = 0.0, square = 0.0;
  const double count = 33 * 70;
  for (std::size_t row = 0; row < 33; ++row) {
    for (std::size_t k = 0; k < 70; ++k) mean += x(row, k) / count;
  }
  for (std::size_t row = 0; row < 33; ++row) {
    for (std::size_t k = 0; k < 70; ++k) square += (x(row, k) - mean) * (x(row, k) - mean);
  }
  CHECK(deviation_range(x, 3.0f) == Approx(3.0 * std::sqrt(square / (count - 1.0))).epsilon(1e-6));
  TestMatrix one(1, 1);
  one(0, 0) = 5.0f;
  CHECK(deviation_range(one, 3.0f) == 0.0f);
}

TEST_CASE("A gradient by a range that there is not", "[input_range][errors]") {
  Engine engine(3);
  TestMatrix x(4, 5), w(3, 5), y(4, 3), grad_y(4, 3), by_x(4, 5);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  grad_y.fill_uniform(engine);
  const PackedWeights packed = pack_weights(w);
  const CodedWeights<8> coded = encode_weights<8>(w);
  TestMatrixOf<std::uint8_t> codes(4, 5);
  codes.fill([] { return std::uint8_t{3}; });
  ForwardRecord record;
  BackwardWorkspace workspace;
  InputRangeSums sums{7.0f, 1, 2};
  const auto refused = [&](const auto& pass, std::string_view part) {
    REQUIRE(forward(pass, y, record));
    expect_error(
        [&] {
          backward(pass, grad_y, record, {by_x, {}, {}, &sums}, workspace);
        },
        {"[4, 5]", part});
    CHECK(by_x.untouched());
    CHECK(sums.gradient == 7.0f);
  };
  refused(forward_pass(x, packed, epilogue()), "not floats behind a DAC");
  refused(forward_pass(codes, Quantizer<8>(0.0f, 1.0f), coded, epilogue()),
          "not floats behind a DAC");
  refused(forward_pass(x, Quantizer<8>(-1.0f, 2.0f), coded, epilogue()), "[-r, r] nor [0, r]");
  expect_error(
      [&] {
        product_backward(grad_y, x, w, {by_x, {}, {}, &sums}, workspace);
      },
      {"lumina::product_backward", "no DAC"});
}
