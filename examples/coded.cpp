// Two layers in integers: 4-bit weights, and the codes of one layer's ADC drive the next device.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <lumina/lumina.hpp>
#include <lumina/reference.hpp>

int main() {
  lumina::Matrix<float> x(32, 784), w1(512, 784), w2(10, 512);
  lumina::FastRng rng(42);
  rng.fill_normal(x.elements());
  rng.fill_normal(w1.elements(), 0.0f, 0.05f);
  rng.fill_normal(w2.elements(), 0.0f, 0.05f);
  const auto weights1 = lumina::encode_weights<4>(w1), weights2 = lumina::encode_weights<4>(w2);
  const lumina::Quantizer<8> dac(-3.0f, 3.0f), hidden(0.0f, 4.0f), adc(-4.0f, 4.0f);
  const float sigma = 0.1f;  // of the noise in front of each ADC
  const lumina::NoiseKey key1{.seed = 1, .stream = 1}, key2{.seed = 1, .stream = 2};

  lumina::Matrix<std::uint8_t> h(32, 512), y(32, 10), expected(32, 10);
  lumina::fused_gemm_noise_quant(x, dac, weights1, h, sigma, hidden, key1);  // 0 … 4: a ReLU too
  lumina::fused_gemm_noise_quant(h, hidden, weights2, y, sigma, adc, key2);

  // The second layer again, in plain loops.
  const auto noise_and_adc = lumina::epilogue(lumina::GaussianNoise{sigma}, adc);
  lumina::reference::fused_gemm(lumina::MatrixView<const std::uint8_t>(h), hidden, weights2,
                                expected.view(), noise_and_adc, key2);
  const bool equal = std::ranges::equal(y.elements(), expected.elements());
  std::printf("y(0, 0) = code %d, which stands for %+.4f; all codes %s the oracle's\n", y(0, 0),
              adc.decode(y(0, 0)), equal ? "equal" : "DIFFER from");
  return equal ? 0 : 1;
}
