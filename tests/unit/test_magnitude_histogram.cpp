#include <lumina/magnitude_histogram.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include <lumina/adc_calibration.hpp>
#include <lumina/forward_pass.hpp>
#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

bool same(const MagnitudeHistogram& a, const MagnitudeHistogram& b) {
  const auto &x = a.counts(), &y = b.counts();
  return x.below == y.below && x.not_finite == y.not_finite && x.first == y.first &&
         x.largest == y.largest && x.bins == y.bins;
}

std::vector<float> sorted_magnitudes(MatrixView<const float> x) {
  std::vector<float> result;
  for (std::size_t row = 0; row < x.rows(); ++row) {
    for (std::size_t k = 0; k < x.cols(); ++k) {
      if (std::isfinite(x(row, k))) result.push_back(std::fabs(x(row, k)));
    }
  }
  std::sort(result.begin(), result.end());
  return result;
}

/// Most of them far from the largest.
float sharp(Engine& engine) {
  const float v = uniform(engine, -1.0f, 1.0f);
  return v * v * v * 40.0f;
}

}  // namespace

TEST_CASE("A quantile is within a bin of the sorted magnitudes'", "[histogram]") {
  Engine engine(1);
  for (const std::size_t cols : {1u, 3u, 17u, 130u}) {
    TestMatrix x(200, cols, cols + 1);
    x.fill([&] { return sharp(engine); });
    MagnitudeHistogram histogram;
    histogram.add(x);
    const std::vector<float> sorted = sorted_magnitudes(x);
    CHECK(histogram.count() == sorted.size());
    CHECK(histogram.largest() == sorted.back());
    CHECK(histogram.quantile(1.0) == sorted.back());
    for (const double share : {0.3, 0.5, 0.9, 0.99, 0.995, 0.999}) {
      const auto number = static_cast<std::size_t>(std::ceil(share * double(sorted.size())));
      const float exact = sorted[number - 1], found = histogram.quantile(share);
      CAPTURE(cols, share, exact, found);
      if (exact < sorted.back() / 512.0f) continue;
      const std::uint32_t bin = detail::MagnitudeBins::of(exact);
      CHECK(found >= detail::MagnitudeBins::begin(bin));
      CHECK(found <= detail::MagnitudeBins::begin(bin + 1));
      CHECK(std::fabs(found - exact) <= exact / 32.0f);
    }
  }
}

TEST_CASE("The histogram does not depend on order, threads, split or ranks", "[histogram]") {
  Engine engine(2);
  TestMatrix x(700, 150), special(4, 5);
  x.fill([&] { return sharp(engine); });
  special.fill([&] { return 0.0f; });
  special(1, 2) = kNaN;
  special(2, 3) = -kInf;
  special(3, 4) = 1e-30f;
  x(600, 3) = 1e20f;  // much seen before lies below all bins then
  MagnitudeHistogram whole;
  whole.add(x);
  whole.add(special);
  CHECK(whole.counts().not_finite == 2);
  CHECK(whole.count() == 700 * 150 + 18);
  CHECK(whole.largest() == 1e20f);

  MagnitudeHistogram parts, first;
  parts.add(special);
  parts.add(MatrixView<const float>(&x(500, 0), 200, 150));
  first.add(MatrixView<const float>(&x(0, 0), 500, 150));
  parts.merge(first);
  CHECK(same(parts, whole));
  first.merge(MagnitudeHistogram());
  for_each_executor([&](const auto& executor, const char* name) {
    CAPTURE(name);
    MagnitudeHistogram threads;
    threads.add(x, executor);
    threads.add(special, executor);
    CHECK(same(threads, whole));
    MagnitudeHistogram sent;
    sent.merge(MagnitudeHistogram(threads.counts()));
    CHECK(same(sent, whole));
  });
  whole.clear();
  CHECK(same(whole, MagnitudeHistogram()));
}

TEST_CASE("Extremes: denormals, the largest floats, zeros, nothing", "[histogram]") {
  MagnitudeHistogram nothing;
  CHECK(nothing.quantile(0.5) == 0.0f);
  CHECK(nothing.count() == 0);
  TestMatrix x(1, 8);
  x.fill([] { return 0.0f; });
  nothing.add(x);
  CHECK(nothing.quantile(0.5) == 0.0f);
  CHECK(nothing.count() == 8);
  x.fill([] { return kLargest; });
  x(0, 0) = kDenormal;
  nothing.add(x);
  CHECK(nothing.quantile(1.0) == kLargest);
  CHECK(nothing.quantile(0.9) <= kLargest);
  CHECK(nothing.quantile(0.9) > 0.9f * kLargest);
  for (const double share : {0.0, -1.0, 1.5, double(kNaN)}) {
    expect_error([&] { nothing.quantile(share); }, {"share", "(0, 1]"});
  }
  expect_error([&] { nothing.add(MatrixView<const float>(nullptr, 2, 3)); }, {"[2, 3]", "missing"});
}

TEST_CASE("What enters an ADC is counted, the same at any number of threads", "[histogram]") {
  Engine engine(3);
  TestMatrix x(40, 30), w(150, 30), y(40, 150), values(40, 150);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  const CodedWeights<8> coded = encode_weights<8>(w);
  const Quantizer<8> dac(-1.0f, 1.0f);
  const NoiseKey key{4};
  const GaussianNoise noise{0.3f};
  // The Relu is a gate too, but not the last one.
  const auto stages = epilogue(Relu{}, noise, SymmetricQuantizer<8>(1.0f), Attenuation{2.0f});
  reference::fused_gemm(x.constant(), dac, coded, values.view(), epilogue(Relu{}, noise), key);
  MagnitudeHistogram expected;
  expected.add(values);

  const auto pass = forward_pass(x, dac, coded, stages, key);
  for_each_executor([&](const auto& executor, const char* name) {
    CAPTURE(name);
    AdcCalibration seen;
    REQUIRE(forward(pass, y, PassObservers{nullptr, nullptr, &seen}, executor));
    const MagnitudeHistogram counted = seen.histogram();
    CHECK(counted.counts().bins == expected.counts().bins);
    CHECK(counted.counts().first == expected.counts().first);
    CHECK(counted.counts().below == expected.counts().below);
    CHECK(counted.largest() >= expected.largest());
    CHECK(counted.largest() <= expected.largest() * (1.0f + 1.0f / 32.0f));
    CHECK(counted.quantile(0.99) == expected.quantile(0.99));
    seen.clear();
    CHECK(seen.histogram().count() == 0);
  });
  AdcCalibration arrays(3);
  CHECK(arrays.arrays() == 3);
  using Floats = detail::Native::Batch<float>;
  arrays.add(Floats(2.0f), {0, 0, 0, 1}, {3});
  arrays.add(Floats(kNaN), {0, 0, 0, 7}, {1});
  CHECK(arrays.histogram(0).count() == 0);
  CHECK(arrays.histogram(1).count() == 3);
  CHECK(arrays.histogram(2).counts().not_finite == 1);
  expect_error([&] { arrays.histogram(3); }, {"no array 3", "only 3"});
  expect_error([&] { AdcCalibration none(0); }, {"must be an array"});
}
