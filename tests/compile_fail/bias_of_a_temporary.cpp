// expect: deleted
#include <vector>

#include <lumina/fused_gemm.hpp>

std::vector<float> make(std::size_t outputs);

// The stage would read it when it is gone.
auto stages() {
#if defined(MISTAKE)
  return lumina::epilogue(lumina::AddBias{make(64)});
#else
  static const std::vector<float> bias = make(64);
  return lumina::epilogue(lumina::AddBias{bias});
#endif
}
