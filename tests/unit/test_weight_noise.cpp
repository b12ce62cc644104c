#include <lumina/weight_noise.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <lumina/fused_gemm.hpp>
#include <lumina/reference_weights.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/guarded_matrix.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

using View = MatrixView<const float>;

template <class F>
void for_every_noise(F f) {
  f(AdditiveWeightNoise{0.1f});
  f(MultiplicativeWeightNoise{0.3f});
  f(DropConnect{0.25f});
}

std::string difference_of_packed(const PackedWeights& a, const PackedWeights& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return "another shape";
  const std::size_t size = (a.rows() + 31) / 32 * a.panel_size();
  return difference(std::span(a.panel(0), size), std::span(b.panel(0), size));
}

/// Everything that the engine reads.
template <int Bits>
std::string difference_of_coded(const CodedWeights<Bits>& a, const CodedWeights<Bits>& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return "another shape";
  if (!std::equal(a.panel(0), a.panel((a.rows() + 31) / 32), b.panel(0))) return "codes";
  const std::size_t padded = (a.rows() + 127) / 128 * 128;
  const auto sums = a.panels().code_sums;
  if (!std::equal(sums, sums + padded, b.panels().code_sums)) return "sums of codes";
  return difference(std::span(a.panels().scales, padded), std::span(b.panels().scales, padded));
}

template <int Bits>
std::string difference_of_codes(const CodedWeights<Bits>& actual,
                                const reference::SymmetricCodes& expected) {
  for (std::size_t row = 0; row < actual.rows(); ++row) {
    if (bits_of(actual.scales()[row]) != bits_of(expected.scales[row])) {
      return "scale of row " + std::to_string(row);
    }
    std::int32_t sum = 0;
    for (std::size_t col = 0; col < actual.cols(); ++col) {
      sum += actual.code(row, col);
      if (actual.code(row, col) != expected.codes(row, col)) {
        return "code (" + std::to_string(row) + ", " + std::to_string(col) + ")";
      }
    }
    if (sum != actual.panels().code_sums[row]) return "sum of row " + std::to_string(row);
  }
  return "";
}

/// Moves no weight.
struct NoNoise {
  bool valid_for(float) const { return true; }
  auto perturbation(float) const {
    return [](const auto& weights, const auto&) { return weights; };
  }
  auto gradient_stage() const { return AdditiveWeightNoise{0.0f}.gradient_stage(); }
};

double error_function(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

}  // namespace

TEST_CASE("Packing and encoding with noise is packing and encoding perturbed weights",
          "[weight_noise]") {
  Engine engine(1);
  for (const std::size_t rows : {1u, 5u, 33u}) {
    for (const std::size_t cols : {1u, 17u, 63u, 128u, 129u, 290u}) {
      TestMatrix w(rows, cols, cols + integer(engine, 0, 3));
      w.fill_uniform(engine, -0.3f, 0.2f);
      const NoiseKey key{engine(), engine(), integer(engine, 0, 1) * 1000};
      const std::vector<float> scales(rows, 0.3f / 127.0f);
      CAPTURE(rows, cols, w.view().row_stride(), key.row_offset);
      for_every_noise([&](const auto& noise) {
        const Matrix<float> perturbed = reference::perturb(w, noise, key);
        REQUIRE(difference_of_packed(pack_weights(w, noise, key), pack_weights(perturbed)) == "");

        const int bits = static_cast<int>(integer(engine, 2, 8));
        CodedWeights<8> coded;
        encode_weights(w, coded, bits, noise, key, scales);
        REQUIRE(difference_of_codes(
                    coded, reference::encode_noisy(w.constant(), bits, scales, noise, key)) == "");
      });
      REQUIRE(w.gaps_untouched());
    }
  }
}

TEST_CASE("Levels, then noise, then grid: the levels' scales are those without noise",
          "[weight_noise]") {
  Engine engine(2);
  TestMatrix w(9, 130);
  w.fill_uniform(engine);
  for (std::size_t col = 0; col < 130; ++col) w(7, col) = 0.0f;
  const NoiseKey key{3, 4};
  for_every_noise([&](const auto& noise) {
    for (const WeightScale how : {WeightScale::per_output, WeightScale::per_matrix}) {
      for (const int bits : {2, 4, 5, 7}) {
        CAPTURE(bits);
        CodedWeights<8> coded;
        encode_weights(w, coded, bits, noise, key, how);
        const auto scales = reference::weight_scales(w, bits, how);
        CHECK(difference_of_codes(
                  coded, reference::encode_noisy(w.constant(), bits, scales, noise, key)) == "");
      }
    }
  });
}

TEST_CASE("A deviation of 0.038 of the largest weight is that with every number of bits",
          "[weight_noise]") {
  Engine engine(3);
  TestMatrix w(100, 400);
  w.fill_uniform(engine);
  for (int bits = 2; bits <= 8; ++bits) {
    CodedWeights<8> coded, clean;
    const float stddev = 0.038f;
    encode_weights(w, coded, bits, AdditiveWeightNoise{stddev}, {4}, WeightScale::per_matrix);
    encode_weights(w, clean, bits, WeightScale::per_matrix);
    const Matrix<float> noisy = coded.decode(), levels = clean.decode();
    const float largest = reference::largest_magnitude(w, 0, 100);
    double square = 0.0, mean = 0.0;
    for (std::size_t i = 0; i < noisy.elements().size(); ++i) {
      const double deviation = (noisy.elements()[i] - levels.elements()[i]) / largest;
      mean += deviation / 40000.0;
      square += deviation * deviation / 40000.0;
    }
    CAPTURE(bits, mean, std::sqrt(square));
    // With the grid's rounding √(0.038² + (1.152/127)²/12) = 0.03809; the sample's error is
    // 0.00013.
    CHECK(std::fabs(std::sqrt(square) - 0.03809) < 0.0004);
    CHECK(std::fabs(mean) < 0.0008);
  }
}

TEST_CASE("A device of few bits has no more levels than it can", "[weight_noise]") {
  Engine engine(5);
  TestMatrix w(3, 900);
  w.fill_uniform(engine);
  for (int bits = 2; bits <= 8; ++bits) {
    CodedWeights<8> coded;
    encode_weights(w, coded, bits, DropConnect{0.1f}, {6}, WeightScale::per_matrix);
    std::set<int> levels;
    for (std::size_t row = 0; row < 3; ++row) {
      for (std::size_t col = 0; col < 900; ++col) levels.insert(coded.code(row, col));
    }
    CAPTURE(bits, levels.size());
    CHECK(levels.size() <= (std::size_t{1} << bits) - 1);
    CHECK(levels.size() >= (std::size_t{1} << bits) * 3 / 4);
  }
}

TEST_CASE("Noise without a deviation leaves weights on their levels", "[weight_noise]") {
  Engine engine(4);
  TestMatrix w(33, 70);
  w.fill_uniform(engine);
  for (int bits = 2; bits <= 8; ++bits) {
    CodedWeights<8> coded, clean;
    encode_weights(w, coded, bits, DropConnect{0.0f}, {});
    encode_weights(w, clean, bits);
    const int codes_of_level = 127 / ((1 << (bits - 1)) - 1);
    bool same = true;
    for (std::size_t row = 0; row < 33; ++row) {
      for (std::size_t col = 0; col < 70; ++col) {
        same &= coded.code(row, col) == codes_of_level * clean.code(row, col);
      }
    }
    CAPTURE(bits);
    CHECK(same);
  }
}

TEST_CASE("The same key gives the same noise; a part of the rows gets its part of it",
          "[weight_noise]") {
  Engine engine(5);
  TestMatrix w(64, 130);
  w.fill([&] { return uniform(engine, -1.0f, 1.0f); });
  w(0, 0) = w(40, 0) = 2.0f;  // so that the largest weight of the part is that of the whole
  const View part(&w(32, 0), 32, 130, 130);
  for_every_noise([&](const auto& noise) {
    const PackedWeights whole = pack_weights(w, noise, {6, 7});
    CHECK(difference_of_packed(pack_weights(w, noise, {6, 7}), whole) == "");
    CHECK(difference_of_packed(pack_weights(w, noise, {6, 8}), whole) != "");
    CHECK(difference_of_packed(pack_weights(w, noise, {9, 7}), whole) != "");
    const PackedWeights sharded = pack_weights(part, noise, {6, 7, 32});
    CHECK(difference(std::span(sharded.panel(0), sharded.panel_size()),
                     std::span(whole.panel(1), whole.panel_size())) == "");
  });
}

TEST_CASE("How strong the noise is", "[weight_noise]") {
  Engine engine(10);
  TestMatrix w(128, 512);
  w.fill([&] { return uniform(engine, 0.5f, 1.5f); });
  w(3, 5) = -4.0f;
  const double count = 128 * 512;
  const auto moments = [&](const auto& noise, auto deviation) {
    const Matrix<float> perturbed = reference::perturb(w, noise, {11, 12});
    double mean = 0.0, square = 0.0;
    for (std::size_t row = 0; row < 128; ++row) {
      for (std::size_t col = 0; col < 512; ++col) {
        const double n = (perturbed(row, col) - w(row, col)) / deviation(w(row, col));
        mean += n / count;
        square += n * n / count;
      }
    }
    CHECK(std::fabs(mean) < 0.02);
    CHECK(std::fabs(square - 1.0) < 0.03);
  };
  moments(AdditiveWeightNoise{0.05f}, [](float) { return 0.05f * 4.0f; });
  moments(MultiplicativeWeightNoise{0.2f}, [](float weight) { return 0.2f * weight; });

  for (const float probability : {0.0f, 0.01f, 0.3f, 0.5f, 0.9f}) {
    const PackedWeights packed = pack_weights(w, DropConnect{probability}, {13, 14});
    double dropped = 0.0;
    for (std::size_t panel = 0; panel < 4; ++panel) {
      dropped += static_cast<double>(
          std::count(packed.panel(panel), packed.panel(panel) + packed.panel_size(), 0.0f));
    }
    const double sigma = std::sqrt(probability * (1.0 - probability) / count);
    CAPTURE(probability, dropped / count);
    CHECK(std::fabs(dropped / count - probability) <= 5.0 * sigma);
  }
}

TEST_CASE("DropConnect's threshold is the normal distribution's quantile", "[weight_noise]") {
  CHECK(DropConnect{0.0f}.threshold() == -kInf);
  CHECK(std::fabs(DropConnect{0.5f}.threshold()) < 1e-12f);
  CHECK(DropConnect{0.975f}.threshold() == Approx(1.959964).epsilon(1e-6));
  float before = -kInf;
  for (const float probability : {kDenormal, 1e-30f, 1e-6f, 0.01f, 0.2f, 0.7f, 0.999f}) {
    const float threshold = DropConnect{probability}.threshold();
    CAPTURE(probability, threshold);
    CHECK(threshold > before);
    CHECK(error_function(std::nextafter(threshold, -kInf)) < probability);
    CHECK(error_function(std::nextafter(threshold, kInf)) > probability);
    before = threshold;
  }
}

TEST_CASE("Gradients go through gradient_stage() with the normals that the weights got",
          "[weight_noise]") {
  Engine engine(15);
  TestMatrix left(37, 3), right(140, 3), gradient(37, 140);
  left.fill_uniform(engine);
  right.fill_uniform(engine);
  const NoiseKey key{16, 17, 18};
  const PackedWeights packed = pack_weights(right);
  const auto gradient_with = [&](const auto& stage) {
    fused_gemm(left, packed, gradient, epilogue(stage), key);
    return gradient.constant();
  };
  Matrix<float> straight(37, 140);
  fused_gemm(left, packed, straight, epilogue(), key);

  CHECK(difference(gradient_with(AdditiveWeightNoise{0.5f}.gradient_stage()), straight) == "");

  Matrix<float> expected(37, 140);
  const DropConnect drop{0.4f};
  for (std::size_t row = 0; row < 37; ++row) {
    for (std::size_t col = 0; col < 140; ++col) {
      const float g = straight(row, col), n = standard_normal_at(key, row, col);
      expected(row, col) = std::fma(g * 0.2f, n, g);
    }
  }
  CHECK(difference(gradient_with(MultiplicativeWeightNoise{0.2f}.gradient_stage()), expected) ==
        "");

  // Dropped are the weights of ones that became zeros.
  TestMatrix ones(37, 140);
  const Matrix<float> kept = reference::perturb(ones.fill([] { return 1.0f; }), drop, key);
  for (std::size_t row = 0; row < 37; ++row) {
    for (std::size_t col = 0; col < 140; ++col) {
      expected(row, col) = kept(row, col) == 0.0f ? 0.0f : straight(row, col);
    }
  }
  CHECK(difference(gradient_with(drop.gradient_stage()), expected) == "");
}

TEST_CASE("Noise of one's own", "[weight_noise]") {
  Engine engine(19);
  TestMatrix w(33, 150);
  w.fill_uniform(engine);
  STATIC_REQUIRE(WeightNoise<NoNoise>);
  STATIC_REQUIRE(!WeightNoise<float>);
  STATIC_REQUIRE(!WeightNoise<WeightScale>);
  CHECK(difference_of_packed(pack_weights(w, NoNoise{}, {}), pack_weights(w)) == "");
  CHECK(difference_of_coded(encode_weights<8>(w, NoNoise{}, {}), encode_weights<8>(w)) == "");
}

TEST_CASE("Empty weights with noise, and noise of strength 0", "[weight_noise]") {
  Engine engine(20);
  TestMatrix no_rows(0, 3), no_cols(3, 0), w(34, 20);
  w.fill_uniform(engine);
  for_every_noise([&](const auto& noise) {
    CHECK(pack_weights(no_rows, noise, {}).rows() == 0);
    CHECK(pack_weights(no_cols, noise, {}).rows() == 3);
    CHECK(encode_weights<8>(no_cols, noise, {}).rows() == 3);
  });
  const PackedWeights clean = pack_weights(w);
  CHECK(difference_of_packed(pack_weights(w, AdditiveWeightNoise{0.0f}, {}), clean) == "");
  CHECK(difference_of_packed(pack_weights(w, MultiplicativeWeightNoise{0.0f}, {}), clean) == "");
  CHECK(difference_of_packed(pack_weights(w, DropConnect{0.0f}, {}), clean) == "");
}

TEST_CASE("Noise and weights that are refused", "[weight_noise]") {
  Engine engine(21);
  TestMatrix before(20, 30), w(20, 30);
  before.fill_uniform(engine);
  w.fill_uniform(engine);
  PackedWeights packed = pack_weights(before);
  CodedWeights<8> coded = encode_weights<8>(before);
  const auto refuses = [&](const auto& noise, std::initializer_list<std::string_view> parts) {
    expect_error([&] { pack_weights(w, packed, noise, {}); }, parts);
    expect_error([&] { encode_weights(w, coded, noise, {}); }, parts);
  };
  for (const float stddev : {-1.0f, -kDenormal, kNaN, kInf}) {
    refuses(AdditiveWeightNoise{stddev}, {"lumina::AdditiveWeightNoise: stddev"});
    refuses(MultiplicativeWeightNoise{stddev}, {"lumina::MultiplicativeWeightNoise: stddev"});
  }
  for (const float probability : {-0.1f, 1.0f, 2.0f, kNaN, kInf}) {
    refuses(DropConnect{probability}, {"lumina::DropConnect", "[0, 1)"});
  }
  w(2, 3) = 10.0f;
  refuses(AdditiveWeightNoise{kLargest}, {"finite"});
  refuses(MultiplicativeWeightNoise{kLargest}, {"finite"});

  w(7, 9) = kNaN;
  for_every_noise([&](const auto& noise) {
    expect_error([&] { encode_weights(w, coded, noise, {}); },
                 {"lumina::encode_weights", "[20, 30]", "w(7, 9)"});
  });
  CHECK(difference_of_packed(packed, pack_weights(before)) == "");
  CHECK(difference_of_coded(coded, encode_weights<8>(before)) == "");
}

TEST_CASE("Noise that carries weights beyond float saturates", "[weight_noise]") {
  TestMatrix w(8, 140);
  w.fill([] { return kLargest; });
  const MultiplicativeWeightNoise noise{0.5f};
  const NoiseKey key{22};
  const auto coded = encode_weights<8>(w, noise, key);
  CHECK(difference_of_codes(
            coded, reference::encode_noisy(w.constant(), 8, reference::weight_scales(w, 8), noise,
                                           key)) == "");
}

#if defined(__linux__)

TEST_CASE("Packing with noise reads w only", "[weight_noise]") {
  Engine engine(23);
  for (const Edge edge : {Edge::end, Edge::begin}) {
    for (const std::size_t cols : {1u, 7u, 31u, 127u, 135u}) {
      const GuardedMatrix<float> w(edge, 33, cols, cols + 2);
      w.fill([&] { return uniform(engine, -1.0f, 1.0f); });
      const AdditiveWeightNoise noise{0.1f};
      const Matrix<float> perturbed = reference::perturb(w.constant(), noise, {24});
      CHECK(difference_of_packed(pack_weights(w.constant(), noise, {24}),
                                 pack_weights(perturbed)) == "");
    }
  }
}

#endif
