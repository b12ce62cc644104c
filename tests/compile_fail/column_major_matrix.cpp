// expect: deleted
#include <lumina/fused_gemm.hpp>

// What Eigen's types say of themselves.
template <bool RowMajor>
struct Foreign {
  enum { IsRowMajor = RowMajor, InnerStrideAtCompileTime = 1 };
  const float* data() const;
  long rows() const;
  long cols() const;
  long outerStride() const;
  long innerStride() const;
};

#if defined(MISTAKE)
void layer(const Foreign<false>& x, const lumina::PackedWeights& w, lumina::MatrixView<float> y) {
#else
void layer(const Foreign<true>& x, const lumina::PackedWeights& w, lumina::MatrixView<float> y) {
#endif
  lumina::fused_gemm(x, w, y, lumina::epilogue());
}
