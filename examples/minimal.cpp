// The program of the README: 32 vectors through a noisy 784 × 512 device with an 8-bit ADC.
#include <cstdio>
#include <lumina/lumina.hpp>

int main() {
  lumina::Matrix<float> x(32, 784), w(512, 784), y(32, 512);
  lumina::FastRng rng(42);
  rng.fill_normal({x.data(), 32 * 784});
  rng.fill_normal({w.data(), 512 * 784}, 0.0f, 0.05f);
  const auto weights = lumina::pack_weights(w);
  const lumina::Quantizer<8> adc(-4.0f, 4.0f);
  const float sigma = 0.1f;  // of the noise in front of the ADC
  lumina::fused_gemm_noise_quant(x, weights, y, sigma, adc, lumina::NoiseKey{.seed = 1});
  std::printf("y(0, 0) = %+.4f, code %u of 255\n", y(0, 0), adc.encode(y(0, 0)));
}
