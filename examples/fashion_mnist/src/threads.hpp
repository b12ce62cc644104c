// The executor of the examples: OpenMP threads, or one thread where the compiler has no OpenMP.
#pragma once

#include <lumina/executor.hpp>

namespace example {

#if defined(_OPENMP)
using Threads = lumina::OpenMP;
#else
struct Threads : lumina::Serial {
  explicit Threads(int) {}
  static constexpr int threads = 1;
};
#endif

}  // namespace example
