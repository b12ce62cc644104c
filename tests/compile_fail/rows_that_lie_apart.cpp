// expect: deleted
#include <vector>

#include <lumina/fused_gemm.hpp>

void layer(const std::vector<std::vector<float>>& x, const lumina::PackedWeights& w,
           lumina::MatrixView<float> y) {
#if defined(MISTAKE)
  lumina::fused_gemm(x, w, y, lumina::epilogue());
#else
  lumina::fused_gemm(lumina::matrix_of(x), w, y, lumina::epilogue());
#endif
}
