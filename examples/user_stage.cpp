// A layer with stages of the user's (user_stages.hpp), and the same one element at a time.
#include <lumina/lumina.hpp>
#include <lumina/reference.hpp>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <vector>

#include "user_stages.hpp"

int main() {
  constexpr std::size_t batch = 33, inputs = 100, outputs = 70;
  lumina::Matrix<float> x(batch, inputs), w(outputs, inputs), y(batch, outputs);
  std::vector<float> bias(outputs), gain(outputs);
  lumina::FastRng rng(7);
  rng.fill_normal({x.data(), batch * inputs});
  rng.fill_normal({w.data(), outputs * inputs}, 0.0f, 0.1f);
  rng.fill_normal(bias);
  rng.fill_normal(gain, 1.0f, 0.05f);

  const lumina::Quantizer<6> adc(-2.0f, 2.0f);
  const lumina::NoiseKey key{.seed = 2024};
  const float jitter = 0.02f, limit = 3.0f, sigma = 0.05f;
  lumina::fused_gemm(x, lumina::pack_weights(w), y,
                     lumina::epilogue(lumina::AddBias{bias}, Amplifier{gain, jitter},
                                      Saturation{limit}, lumina::GaussianNoise{sigma}, adc),
                     key);

  // The same, one element at a time. The first stage that draws normals gets draw 0, the next
  // one draw 1.
  std::size_t different = 0;
  for (std::size_t row = 0; row < batch; ++row) {
    for (std::size_t column = 0; column < outputs; ++column) {
      float v = lumina::reference::dot(&x(row, 0), &w(column, 0), inputs) + bias[column];
      v = lumina::product(v, gain[column]);
      v = std::fma(lumina::product(jitter, lumina::standard_normal_at(key, row, column, 0)), v, v);
      v = v / (1.0f + std::fabs(v) / limit);
      v = std::fma(sigma, lumina::standard_normal_at(key, row, column, 1), v);
      different += y(row, column) == adc(v) ? 0 : 1;
    }
  }
  std::printf(
      "bias, amplifier, saturation, noise, 6-bit ADC: %zu of %zu outputs equal the loop's\n",
      batch * outputs - different, batch * outputs);
  return different == 0 ? 0 : 1;
}
