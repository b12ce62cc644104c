// A few calls that go through every vector operation, compared bit for bit with plain loops: what
// each series of xsimd must compute, without waiting long for the compiler.
#include <lumina/lumina.hpp>
#include <lumina/reference.hpp>
#include <lumina/reference_analog.hpp>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

namespace {

constexpr std::size_t kBatch = 5, kIn = 37, kOut = 133;
int mistakes = 0;

void expect_same(const char* what, const lumina::Matrix<float>& actual,
                 const lumina::Matrix<float>& expected) {
  if (std::memcmp(actual.data(), expected.data(), actual.elements().size() * sizeof(float)) == 0) {
    return;
  }
  std::printf("%s: not what the reference computes\n", what);
  ++mistakes;
}

}  // namespace

int main() {
  lumina::Matrix<float> x(kBatch, kIn), w(kOut, kIn), y(kBatch, kOut), expected(kBatch, kOut);
  lumina::FastRng rng(11);
  rng.fill_normal(x.elements());
  rng.fill_normal(w.elements(), 0.0f, 0.25f);
  std::vector<float> bias(kOut);
  rng.fill_normal(bias);
  x(4, 1) = std::numeric_limits<float>::quiet_NaN();
  const lumina::NoiseKey key{.seed = 3, .stream = 5, .row_offset = 7};

  const auto readout = lumina::epilogue(
      lumina::AddBias{bias}, lumina::Relu{}, lumina::Attenuation{0.85f}, lumina::ShotNoise{0.1f},
      lumina::GaussianNoise{0.05f}, lumina::SymmetricQuantizer<6>(4.0f));
  const lumina::PackedWeights packed = lumina::pack_weights(w);
  lumina::ForwardRecord record;  // a gate's bits
  lumina::forward(lumina::forward_pass(x, packed, readout, key), y, record);
  lumina::reference::fused_gemm(x.view(), w.view(), expected.view(), readout, key);
  expect_same("floats", y, expected);
  for (std::size_t row = 0; row < kBatch; ++row) {
    for (std::size_t column = 0; column < kOut; ++column) {
      const float sum = lumina::reference::dot(&x(row, 0), &w(column, 0), kIn);
      if (record.passed(0, row, column) == (sum + bias[column] > 0.0f)) continue;
      std::printf("Relu's gate at (%zu, %zu)\n", row, column);
      ++mistakes;
    }
  }

  const lumina::DropConnect dropping{0.25f};
  const lumina::CodedWeights<8> coded = lumina::encode_weights<8>(w, dropping, key);
  const lumina::Quantizer<8> dac(-1.0f, 1.0f), adc(-3.0f, 3.0f);
  lumina::fused_gemm_noise_quant(x, dac, coded, y, 0.1f, adc, key);
  lumina::reference::fused_gemm(lumina::MatrixView<const float>(x), dac, coded, expected.view(),
                                lumina::epilogue(lumina::GaussianNoise{0.1f}, adc), key);
  expect_same("codes", y, expected);
  const lumina::Matrix<float> noisy = lumina::reference::perturb(w, dropping, key);
  std::size_t dropped = 0, kept = 0;
  for (std::size_t row = 0; row < kOut; ++row) {
    for (std::size_t col = 0; col < kIn; ++col) {
      if (noisy(row, col) == 0.0f) {
        dropped += coded.code(row, col) == 0 ? 1 : 0;
      } else {
        const lumina::SymmetricQuantizer<8> rule(127.0f * coded.scales()[row]);
        kept += coded.code(row, col) == rule.encode(w(row, col)) ? 1 : 0;
      }
    }
  }
  if (dropped + kept != kOut * kIn) {
    std::printf("weights: %zu of %zu are right\n", dropped + kept, kOut * kIn);
    ++mistakes;
  }

  const lumina::TiledWeights<4> tiles = lumina::encode_tiles<4>(w, {{16, 64}});
  const auto in_array =
      lumina::array(lumina::ReadNoise(0.1f), lumina::ProportionalReadNoise(0.1f),
                    lumina::BalancedShotNoise(0.1f), lumina::SymmetricQuantizer<6>(3.0f));
  lumina::analog_gemm(x, dac, tiles, in_array, lumina::digital(), y, key);
  lumina::reference::analog_gemm(lumina::MatrixView<const float>(x), dac, tiles, in_array,
                                 lumina::digital(), expected.view(), key);
  expect_same("arrays", y, expected);
  if (mistakes == 0) std::puts("ok");
  return mistakes;
}
