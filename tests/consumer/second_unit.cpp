// Includes the same headers again: a function defined twice would not link.
#include <lumina/lumina.hpp>

float second_unit(lumina::MatrixView<const float> x, const lumina::PackedWeights& w,
                  lumina::MatrixView<float> y) {
  const lumina::Quantizer<8> adc(-3.0f, 3.0f);
  lumina::fused_gemm_noise_quant(x, w, y, 0.25f, adc, lumina::NoiseKey{.seed = 42, .stream = 1});
  return y(0, 0);
}
