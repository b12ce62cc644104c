#include <lumina/weight_modifiers.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <lumina/fused_gemm.hpp>
#include <lumina/quantized_weights.hpp>
#include <lumina/reference_weights.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

constexpr std::size_t kOut = 9, kIn = 131;
const NoiseKey kKey{1, 2, 3};
const PolynomialWeightNoise kPolynomial{0.5f, {0.02f, 0.1f, -0.05f, 0.01f, 0.0f}};

struct Weights {
  TestMatrix w{kOut, kIn, kIn + 1};

  Weights() {
    Engine engine(1);
    w.fill_uniform(engine);
    for (std::size_t col = 0; col < kIn; ++col) {
      w(2, col) = 0.0f;
      w(3, col) *= 0.125f;
    }
  }
};

template <class Noise>
void check(const Noise& noise) {
  STATIC_REQUIRE(WeightNoise<Noise>);
  Weights o;
  const PackedWeights packed = pack_weights(o.w, noise, kKey);
  const Matrix<float> expected = reference::perturbed(o.w.constant(), noise, kKey);
  TestMatrix actual(kOut, kIn);
  for (std::size_t row = 0; row < kOut; ++row) {
    for (std::size_t col = 0; col < kIn; ++col) actual(row, col) = packed.value(row, col);
  }
  CHECK(difference(actual, expected) == "");

  for (const int bits : {3, 8}) {
    CodedWeights<8> coded;
    encode_weights(o.w, coded, bits, noise, kKey);
    const auto codes = reference::encode_noisy(o.w.constant(), bits,
                                               reference::weight_scales(o.w, bits), noise, kKey);
    CHECK(difference(coded.scales(), std::span<const float>(codes.scales)) == "");
    std::size_t different = 0;
    for (std::size_t row = 0; row < kOut; ++row) {
      for (std::size_t col = 0; col < kIn; ++col) {
        different += coded.code(row, col) != codes.codes(row, col) ? 1 : 0;
      }
    }
    CAPTURE(bits);
    CHECK(different == 0);
  }
}

/// What the gradient of ones [kOut, kIn] becomes.
template <class Noise>
TestMatrix gradient_of_ones(const Noise& noise) {
  TestMatrix left(kOut, 1), right(kIn, 1), gradient(kOut, kIn);
  left.fill([] { return 1.0f; });
  right.fill([] { return 1.0f; });
  fused_gemm(left.view(), pack_weights(right), gradient.view(), epilogue(noise.gradient_stage()),
             kKey);
  return gradient;
}

}  // namespace

TEST_CASE("Weight modifiers equal the oracle, packed and encoded", "[weight_modifiers]") {
  check(kPolynomial);
  check(ProgrammingWeightNoise{});
  check(DiscretisedWeights{1.0f / 15.0f});
  check(DiscretisedWeights{0.1f, 0.03f});
  check(DoReFaWeights{1.0f / 15.0f});
}

TEST_CASE("Modifiers of each output, that spare an input, and two of them", "[weight_modifiers]") {
  check(PerOutput{AdditiveWeightNoise{0.03f}});
  check(PerOutput{ProgrammingWeightNoise{2.0f}});
  check(SparedInput{AdditiveWeightNoise{0.05f}, kIn - 1});
  check(SparedInput{PerOutput{kPolynomial}, 0});
  check(both(AdditiveWeightNoise{0.04f}, DropConnect{0.2f}));
  check(both(PerOutput{AdditiveWeightNoise{0.04f}}, MultiplicativeWeightNoise{0.2f}));
}

TEST_CASE("What modifiers do to weights", "[weight_modifiers]") {
  Weights o;
  const auto packed = [&](const auto& noise) {
    return reference::perturbed(o.w.constant(), noise, kKey);
  };
  // A weight keeps its sign where devices are programmed.
  const Matrix<float> programmed = packed(ProgrammingWeightNoise{3.0f});
  const Matrix<float> spared = packed(SparedInput{AdditiveWeightNoise{0.1f}, 5});
  const Matrix<float> discretised = packed(DiscretisedWeights{0.25f});
  const Matrix<float> of_output = packed(PerOutput{AdditiveWeightNoise{0.1f}});
  const float largest = reference::largest_magnitude(o.w, 0, kOut);
  bool signs = true, levels = true;
  double small = 0.0;
  for (std::size_t row = 0; row < kOut; ++row) {
    for (std::size_t col = 0; col < kIn; ++col) {
      const float w = o.w(row, col);
      signs = signs && programmed(row, col) * w >= 0.0f;
      CHECK((spared(row, col) == w) == (col == 5));
      const float level = discretised(row, col) / (0.25f * largest);
      levels = levels && std::fabs(level - std::nearbyint(level)) < 1e-5f;
    }
  }
  CHECK(signs);
  CHECK(levels);
  const Matrix<float> bent = packed(DoReFaWeights{0.25f, 0.5f});
  CHECK(reference::largest_magnitude(bent, 0, kOut) == 0.5f);
  CHECK(bent(0, 0) == 0.25f * std::nearbyint(2.0f * std::tanh(o.w(0, 0)) / std::tanh(largest)));
  for (std::size_t col = 0; col < kIn; ++col) {
    small += std::pow(of_output(3, col) - o.w(3, col), 2) / kIn;
    CHECK(of_output(2, col) == 0.0f);  // an output of zeros stays one
  }
  const double of_row = 0.1 * reference::largest_magnitude(o.w, 3, 1);
  CHECK(std::sqrt(small) == Approx(of_row).epsilon(0.2));

  // PCM of a weight of the largest magnitude: (0.26348 + 1.9650 − 1.1731) / 25 of it.
  CHECK(ProgrammingWeightNoise{}
            .perturbation(2.0f)
            .deviation(detail::PortableBatch<float>(2.0f))
            .get(0) == Approx(2.0 * 1.05538 / 25.0).epsilon(1e-5));
}

TEST_CASE("Modifiers' gradients use the normals of the weights", "[weight_modifiers]") {
  TestMatrix ones = gradient_of_ones(both(AdditiveWeightNoise{0.04f}, DropConnect{0.3f}));
  TestMatrix multiplied = gradient_of_ones(SparedInput{MultiplicativeWeightNoise{0.2f}, 130});
  TestMatrix straight = gradient_of_ones(PerOutput{kPolynomial});
  const float threshold = DropConnect{0.3f}.threshold();
  std::size_t wrong = 0;
  for (std::size_t row = 0; row < kOut; ++row) {
    for (std::size_t col = 0; col < kIn; ++col) {
      const bool dropped = standard_normal_at(kKey, row, col, 1) < threshold;
      wrong += ones(row, col) != (dropped ? 0.0f : 1.0f) ? 1 : 0;
      const float n = standard_normal_at(kKey, row, col);
      wrong += multiplied(row, col) != (col == 130 ? 1.0f : std::fma(0.2f, n, 1.0f)) ? 1 : 0;
      wrong += straight(row, col) != 1.0f ? 1 : 0;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("Modifiers on more than 8 bits come behind the levels", "[weight_modifiers]") {
  Weights o;
  PackedWeights packed;
  const AdditiveWeightNoise noise{0.05f};
  pack_quantized_weights<10>(o.w, packed, noise, kKey);
  const auto scales = reference::weight_scales(o.w, 10);
  const float largest = reference::largest_magnitude(o.w, 0, kOut);
  std::size_t wrong = 0;
  for (std::size_t row = 0; row < kOut; ++row) {
    for (std::size_t col = 0; col < kIn; ++col) {
      const auto code = reference::encode_symmetric(o.w(row, col), scales[row], 10);
      const float level = static_cast<float>(code) * scales[row];
      const float expected = std::fma(0.05f * largest, standard_normal_at(kKey, row, col), level);
      wrong += packed.value(row, col) != expected ? 1 : 0;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("Modifiers that are refused", "[weight_modifiers][errors]") {
  Weights o;
  CodedWeights<8> coded;
  const auto refused = [&](const auto& noise, std::string_view part) {
    expect_error([&] { encode_weights(o.w, coded, noise, kKey); }, {part});
    CHECK(coded.rows() == 0);
  };
  refused(PolynomialWeightNoise{-1.0f, {}}, "lumina::PolynomialWeightNoise");
  refused(PolynomialWeightNoise{1.0f, {0.0f, kNaN}}, "lumina::PolynomialWeightNoise");
  refused(PolynomialWeightNoise{kLargest, {3.0f}}, "lumina::PolynomialWeightNoise");
  refused(ProgrammingWeightNoise{.g_max = 0.0f}, "g_max");
  refused(DiscretisedWeights{0.0f}, "resolution");
  refused(DoReFaWeights{0.1f, 0.0f}, "clip");
  refused(DoReFaWeights{2.0f}, "resolution");
  refused(DiscretisedWeights{0.5f, -1.0f}, "stddev");
  refused(PerOutput{AdditiveWeightNoise{kNaN}}, "stddev");
  refused(both(AdditiveWeightNoise{0.1f}, DropConnect{1.0f}), "probability");
}
