#include <lumina/weight_clip.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <lumina/reference_weights.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

constexpr std::size_t kOut = 35, kIn = 77;
const NoiseKey kKey{1, 2};

TestMatrix weights() {
  Engine engine(1);
  TestMatrix w(kOut, kIn, kIn + 3);
  w.fill([&] { return std::pow(uniform(engine, -1.0f, 1.0f), 3.0f); });
  return w;
}

float largest(MatrixView<const float> w) { return reference::largest_magnitude(w, 0, w.rows()); }

/// The same bits as clipping, then encoding.
template <class Clip>
void check_fused(const Clip& clip) {
  TestMatrix w = weights(), clipped = weights();
  const float bound = clip_weights(clipped, clip);
  CHECK(bound == clip_bound(weights().constant(), clip));
  TestMatrix original = weights();
  for (std::size_t row = 0; row < kOut; ++row) {
    for (std::size_t col = 0; col < kIn; ++col) {
      REQUIRE(clipped(row, col) == std::clamp(original(row, col), -bound, bound));
    }
  }
  for (const WeightScale how : {WeightScale::per_output, WeightScale::per_matrix}) {
    CodedWeights<4> coded;
    w = weights();
    REQUIRE(clip_and_encode(w, coded, clip, how));
    CHECK(difference(w, clipped) == "");
    CHECK(w.gaps_untouched());
    const auto expected = encode_weights<4>(clipped, how);
    CHECK(difference(coded.decode(), expected.decode()) == "");

    CodedWeights<8> noisy, expected_noisy;
    const AdditiveWeightNoise noise{0.05f};
    w = weights();
    REQUIRE(clip_and_encode(w, noisy, 5, clip, noise, kKey, how));
    encode_weights(clipped, expected_noisy, 5, noise, kKey, how);
    CHECK(difference(w, clipped) == "");
    CHECK(difference(noisy.decode(), expected_noisy.decode()) == "");
  }
}

}  // namespace

TEST_CASE("A clip at 0.3 gives max|w| = 0.3", "[weight_clip]") {
  TestMatrix w = weights();
  REQUIRE(largest(w) > 0.5f);
  CHECK(clip_weights(w, ClipFixed{0.3f}) == 0.3f);
  CHECK(largest(w) == 0.3f);
}

TEST_CASE("Bounds of the layer's deviation and of the outputs' largest weights", "[weight_clip]") {
  TestMatrix w = weights();
  double mean = 0.0, square = 0.0, of_outputs = 0.0;
  const double count = kOut * kIn;
  for (std::size_t row = 0; row < kOut; ++row) {
    of_outputs += reference::largest_magnitude(w, row, 1) / double(kOut);
    for (std::size_t col = 0; col < kIn; ++col) mean += w(row, col) / count;
  }
  for (std::size_t row = 0; row < kOut; ++row) {
    for (std::size_t col = 0; col < kIn; ++col) square += std::pow(w(row, col) - mean, 2);
  }
  CHECK(clip_bound(w.constant(), ClipGaussian{}) ==
        Approx(2.5 * std::sqrt(square / (count - 1.0))).epsilon(1e-6));
  CHECK(clip_bound(w.constant(), ClipAverage{}) == Approx(of_outputs).epsilon(1e-6));
  CHECK(clip_bound(w.constant(), ClipGaussian{2.5f, 0.1f}) == 0.1f);
  CHECK(clip_bound(w.constant(), ClipAverage{0.1f}) == 0.1f);

  TestMatrix zeros(3, 4), none(0, 4);
  zeros.fill([] { return 0.0f; });
  CHECK(clip_bound(zeros.constant(), ClipGaussian{}) == kInf);
  CHECK(clip_bound(zeros.constant(), ClipAverage{}) == kInf);
  CHECK(clip_bound(none.constant(), ClipAverage{}) == kInf);
  CHECK(clip_weights(zeros, ClipGaussian{}) == kInf);
}

TEST_CASE("Clipping in the pass that encodes is clipping, then encoding", "[weight_clip]") {
  check_fused(ClipFixed{0.3f});
  check_fused(ClipGaussian{1.5f});
  check_fused(ClipAverage{});
  check_fused(ClipFixed{100.0f});
}

TEST_CASE("Remap: the scales that encode_weights would choose", "[weight_clip]") {
  TestMatrix w = weights();
  for (std::size_t col = 0; col < kIn; ++col) w(4, col) = 0.0f;
  std::vector<float> scales(kOut);
  for (const WeightScale how : {WeightScale::per_output, WeightScale::per_matrix}) {
    REQUIRE(choose_weight_scales(w, 6, scales, how));
    const CodedWeights<6> coded = encode_weights<6>(w, how);
    CHECK(difference(coded.scales(), std::span<const float>(scales)) == "");
  }
  std::vector<float> shorter(kOut - 1, 7.0f);
  expect_error([&] { choose_weight_scales(w, 6, shorter); }, {"[35, 77]", "34 scales"});
  expect_error([&] { choose_weight_scales(w, 17, scales); }, {"2..16"});
  w(3, 4) = kNaN;
  const std::vector<float> before = scales;
  expect_error([&] { choose_weight_scales(w, 6, scales); }, {"w(3, 4)"});
  CHECK(scales == before);
}

TEST_CASE("Clips that are refused leave everything as it was", "[weight_clip][errors]") {
  CodedWeights<8> coded;
  const auto refused = [&](const auto& clip, std::string_view part) {
    TestMatrix w = weights(), before = weights();
    expect_error([&] { clip_weights(w, clip); }, {part});
    expect_error([&] { clip_and_encode(w, coded, clip); }, {part});
    expect_error([&] { clip_and_encode(w, coded, 4, clip, AdditiveWeightNoise{0.1f}, kKey); },
                 {part});
    CHECK(difference(w, before) == "");
    CHECK(coded.rows() == 0);
  };
  for (const float bad : {0.0f, -1.0f, kNaN}) {
    refused(ClipFixed{bad}, "lumina::ClipFixed: value");
    refused(ClipGaussian{bad}, "lumina::ClipGaussian: deviations");
    refused(ClipGaussian{2.5f, bad}, "lumina::ClipGaussian: most");
    refused(ClipAverage{bad}, "lumina::ClipAverage: most");
  }
  TestMatrix w = weights(), before = weights();
  expect_error(
      [&] { clip_and_encode(w, coded, 4, ClipFixed{0.1f}, AdditiveWeightNoise{-0.1f}, kKey); },
      {"AdditiveWeightNoise: stddev"});
  CHECK(difference(w, before) == "");
  expect_error([&] { clip_and_encode(w, coded, 9, ClipFixed{0.1f}, DropConnect{0.1f}, kKey); },
               {"2..8"});
  w(30, 5) = kInf;
  expect_error([&] { clip_and_encode(w, coded, ClipFixed{0.1f}); }, {"w(30, 5)"});
  CHECK(w(0, 0) == before(0, 0));
}
