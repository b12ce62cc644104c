// Multi-head attention on analog arrays: projections are layers, and both products of two
// activations, Q·Kᵀ and P·V, are made on hardware that encodes the second operand in each call.
// Between them stand a causal mask and a softmax, digitally. Heads are columns of one matrix, read
// and written where they are.
#include <lumina/lumina.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

constexpr std::size_t kTokens = 48, kWidth = 64, kHeads = 4, kDepth = kWidth / kHeads;
using lumina::Matrix;

struct Weights {
  Matrix<float> qkv{3 * kWidth, kWidth}, out{kWidth, kWidth};
};

/// Columns of head h in a matrix that holds all heads side by side.
template <class T>
lumina::MatrixView<T> head(Matrix<float>& all, std::size_t first, std::size_t h) {
  return {all.data() + first + h * kDepth, kTokens, kDepth, all.cols()};
}

/// Each row i over its first i + 1 elements; those that are masked become exactly 0.
void causal_softmax(lumina::MatrixView<float> scores) {
  for (std::size_t i = 0; i < scores.rows(); ++i) {
    float* const row = scores.row(i);
    const float largest = *std::max_element(row, row + i + 1);
    float sum = 0.0f;
    for (std::size_t j = 0; j <= i; ++j) sum += row[j] = std::exp(row[j] - largest);
    for (std::size_t j = 0; j < scores.cols(); ++j) row[j] = j <= i ? row[j] / sum : 0.0f;
  }
}

/// All converters and devices have `Bits` bits; each array's output has noise of `sigma` of a
/// fully-on device.
template <int Bits>
Matrix<float> analog_attention(const Matrix<float>& x, const Weights& weights, float sigma,
                               std::uint64_t seed) {
  using lumina::array, lumina::digital, lumina::epilogue;
  const lumina::ManagedDac dac{.bits = Bits, .noise_management = lumina::NoiseManagement::abs_max};
  const lumina::SymmetricQuantizer<Bits> activations(4.0f);
  const lumina::Quantizer<Bits> probabilities(0.0f, 1.0f);
  // Each product has an ADC of the range that it needs.
  const auto converted = [sigma](float range) {
    return array(lumina::GaussianNoise{sigma}, lumina::SymmetricQuantizer<Bits>(range));
  };
  const float scale = 1.0f / std::sqrt(static_cast<float>(kDepth));

  Matrix<float> qkv(kTokens, 3 * kWidth), context(kTokens, kWidth), y(kTokens, kWidth);
  lumina::analog_gemm(x, dac, lumina::encode_tiles<Bits>(weights.qkv), converted(5.0f), digital(),
                      qkv, {.seed = seed});
  // Converters of a fixed range: codes of a token depend on it alone, which a mask needs.
  lumina::TiledOperand<Bits> keys(activations), values(activations);
  Matrix<float> scores(kTokens, kTokens);
  for (std::size_t h = 0; h < kHeads; ++h) {
    lumina::analog_matmul(head<const float>(qkv, 0, h), dac, head<const float>(qkv, kWidth, h),
                          keys, converted(2.0f), digital(lumina::Attenuation{scale}), scores,
                          {.seed = seed, .stream = 1 + h});
    causal_softmax(scores);
    lumina::analog_matmul(scores, probabilities,
                          lumina::transposed(head<const float>(qkv, 2 * kWidth, h)), values,
                          converted(0.75f), digital(), head<float>(context, 0, h),
                          {.seed = seed, .stream = 1 + kHeads + h});
  }
  lumina::analog_gemm(context, dac, lumina::encode_tiles<Bits>(weights.out), converted(5.0f),
                      digital(), y, {.seed = seed, .stream = 1 + 2 * kHeads});
  return y;
}

/// x·wᵀ in double.
std::vector<double> product(const std::vector<double>& x, const Matrix<float>& w) {
  std::vector<double> y(kTokens * w.rows());
  for (std::size_t i = 0; i < kTokens; ++i) {
    for (std::size_t o = 0; o < w.rows(); ++o) {
      for (std::size_t k = 0; k < kWidth; ++k) {
        y[i * w.rows() + o] += x[i * kWidth + k] * static_cast<double>(w(o, k));
      }
    }
  }
  return y;
}

std::vector<double> exact_attention(const Matrix<float>& x, const Weights& weights) {
  const std::vector<double> in(x.elements().begin(), x.elements().end());
  const std::vector<double> qkv = product(in, weights.qkv);
  const auto at = [&](std::size_t token, std::size_t part, std::size_t column) {
    return qkv[token * 3 * kWidth + part * kWidth + column];
  };
  std::vector<double> context(kTokens * kWidth);
  for (std::size_t h = 0; h < kHeads; ++h) {
    for (std::size_t i = 0; i < kTokens; ++i) {
      std::vector<double> p(i + 1);
      double sum = 0.0;
      for (std::size_t j = 0; j <= i; ++j) {
        double score = 0.0;
        for (std::size_t k = h * kDepth; k < (h + 1) * kDepth; ++k)
          score += at(i, 0, k) * at(j, 1, k);
        sum += p[j] = std::exp(score / std::sqrt(static_cast<double>(kDepth)));
      }
      for (std::size_t k = h * kDepth; k < (h + 1) * kDepth; ++k) {
        for (std::size_t j = 0; j <= i; ++j) context[i * kWidth + k] += p[j] / sum * at(j, 2, k);
      }
    }
  }
  return product(context, weights.out);
}

double relative_error(const Matrix<float>& y, const std::vector<double>& exact) {
  double error = 0.0, norm = 0.0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double difference = static_cast<double>(y.elements()[i]) - exact[i];
    error += difference * difference;
    norm += exact[i] * exact[i];
  }
  return std::sqrt(error / norm);
}

}  // namespace

int main() {
  Matrix<float> x(kTokens, kWidth);
  Weights weights;
  lumina::FastRng rng(5);
  rng.fill_normal(x.elements());
  const float spread = 1.0f / std::sqrt(static_cast<float>(kWidth));
  rng.fill_normal(weights.qkv.elements(), 0.0f, spread);
  rng.fill_normal(weights.out.elements(), 0.0f, spread);

  const std::vector<double> exact = exact_attention(x, weights);
  const Matrix<float> y = analog_attention<8>(x, weights, 0.01f, 1);
  const double few = relative_error(analog_attention<4>(x, weights, 0.0f, 1), exact);
  const double more = relative_error(analog_attention<6>(x, weights, 0.0f, 1), exact);
  const double many = relative_error(analog_attention<8>(x, weights, 0.0f, 1), exact);
  std::printf("error of y, rms over rms, against attention in double:\n");
  std::printf("  4 bits              %.3f\n  6 bits              %.3f\n", few, more);
  std::printf("  8 bits              %.3f\n", many);
  std::printf("  8 bits, noise 0.01  %.3f\n", relative_error(y, exact));

  // What comes later changes nothing, to the last bit: noise and all.
  constexpr std::size_t kKept = 29;
  Matrix<float> changed = x;
  rng.fill_normal(changed.elements().subspan(kKept * kWidth));
  const Matrix<float> other = analog_attention<8>(changed, weights, 0.01f, 1);
  const auto kept = [](const Matrix<float>& m) { return m.elements().subspan(0, kKept * kWidth); };
  const bool causal = std::ranges::equal(kept(y), kept(other));
  const bool differs = !std::ranges::equal(y.elements(), other.elements());
  std::printf("the first %zu tokens %s on what follows them\n", kKept,
              causal ? "do not depend" : "DEPEND");
  return causal && differs && many < 0.05 && 2.0 * many < more && 2.0 * more < few ? 0 : 1;
}
