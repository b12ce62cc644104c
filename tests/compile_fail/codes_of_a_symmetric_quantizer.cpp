// expect: lumina: an output of codes needs an epilogue that ends with a quantizer
#include <lumina/fused_gemm.hpp>

// Its codes have signs.
void layer(lumina::MatrixView<const float> x, const lumina::CodedWeights<8>& w,
           lumina::MatrixView<std::uint8_t> y) {
  const lumina::Quantizer<8> dac(0.0f, 1.0f), adc(-1.0f, 1.0f);
#if defined(MISTAKE)
  lumina::fused_gemm(x, dac, w, y, lumina::epilogue(lumina::SymmetricQuantizer<8>(1.0f)));
#else
  lumina::fused_gemm(x, dac, w, y, lumina::epilogue(adc));
#endif
}
