// Compiled once per ISA; LUMINA_UNIT names the function.
#include "unit.hpp"

#include <lumina/lumina.hpp>

bool LUMINA_UNIT(const Problem& problem, float* results) {
  const auto [batch, in, out, x, w] = problem;
  const std::size_t count = batch * out;
  const lumina::Quantizer<6> adc(adc_lo, adc_hi);
  const lumina::NoiseKey key{.seed = 3, .stream = 5, .row_offset = 7};

  lumina::fused_gemm_noise_quant({x, batch, in}, lumina::pack_weights({w, out, in}),
                                 {results, batch, out}, 0.5f, adc, key);

  lumina::FastRng rng(11);
  float* const normals = results + count;
  rng.fill_normal({normals, count}, 1.0f, 2.0f);
  float* const uniforms = normals + count;
  for (std::size_t i = 0; i < count; ++i) uniforms[i] = rng.uniform();
  float* const quantized = uniforms + count;
  for (std::size_t i = 0; i < count; ++i) quantized[i] = normals[i];
  adc.apply({quantized, count});

  float* const coded = quantized + count;
  const lumina::Quantizer<8> dac(-2.0f, 2.0f);
  const lumina::MatrixView<const float> inputs(x, batch, in), weights(w, out, in);
  lumina::fused_gemm_noise_quant(inputs, dac, lumina::encode_weights<4>(weights),
                                 lumina::MatrixView<float>(coded, batch, out), 0.5f, adc, key);
  return lumina::detail::kHasFma;
}
