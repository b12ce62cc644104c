// expect: deleted function
#include <lumina/backward.hpp>

// backward() would read them when they are gone.
auto input(lumina::MatrixView<const float> x, lumina::MatrixView<const float> w) {
#if defined(MISTAKE)
  return lumina::forward_pass(x, lumina::pack_weights(w), lumina::epilogue()).x;
#else
  const lumina::PackedWeights weights = lumina::pack_weights(w);
  return lumina::forward_pass(x, weights, lumina::epilogue()).x;
#endif
}
