// Compiled with one set of flags after another; LUMINA_UNIT names the function.
#include <lumina/coded_weights.hpp>
#include <lumina/fast_rng.hpp>
#include <lumina/quantizer.hpp>

bool LUMINA_UNIT(float* values) {
  const lumina::Quantizer<2> adc(0.0f, 3.0f);
  adc.apply({values, 64});
  lumina::FastRng(3).fill_normal({values + 64, 64});
  const lumina::CodedWeights<8> weights =
      lumina::encode_weights<8>(lumina::MatrixView<const float>(values + 64, 2, 32));
  return weights.code(0, 0) != 0;
}
