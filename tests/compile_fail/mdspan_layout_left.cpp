// expect: deleted
#include <lumina/fused_gemm.hpp>

#include "../support/foreign_span.hpp"

#if defined(MISTAKE)
using Layout = test::LayoutLeft;
#else
using Layout = test::LayoutRight;
#endif

void layer(const test::ForeignSpan<float, Layout>& x, const lumina::PackedWeights& w,
           lumina::MatrixView<float> y) {
  lumina::fused_gemm(x, w, y, lumina::epilogue());
}
