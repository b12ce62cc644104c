// Stages of your own: what a device does that the library does not know.
//
// Behind each column of this crossbar stands an amplifier. Its gain is off by an amount that
// belongs to the column, jitters from one read-out to the next, and it saturates.
#include <lumina/lumina.hpp>
#include <lumina/reference.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <span>
#include <vector>

/// y · gain[column] · (1 + jitter·N(0, 1)); `gain` must live as long as the stage is used.
struct Amplifier {
  std::span<const float> gain;
  float jitter;

  static constexpr std::size_t normals_per_element = 1;
  template <class Floats>
  Floats apply(const Floats& y, const lumina::Coordinates& at, const lumina::ActiveLanes& active,
               const std::array<Floats, 1>& normals) const {
    const Floats amplified = lumina::product(y, lumina::load_columns<Floats>(gain, at, active));
    return lumina::fused_multiply_add(lumina::product(Floats(jitter), normals[0]), amplified,
                                      amplified);
  }
};

/// y / (1 + |y| / limit): nearly y when small, never beyond ± limit.
struct Saturation {
  float limit;

  template <class Floats, class Normals>
  Floats apply(const Floats& y, const lumina::Coordinates&, const lumina::ActiveLanes&,
               const Normals&) const {
    return lumina::quotient(y, Floats(1.0f) + lumina::quotient(abs(y), Floats(limit)));
  }
};

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
