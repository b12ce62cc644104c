// Compiled with -use_fast_math, of which no macro tells: the first call must refuse.
#include <lumina/cuda.hpp>

#include <cstdio>
#include <cstring>
#include <stdexcept>

using namespace lumina;

int main() {
  float* memory = nullptr;
  if (cudaMalloc(&memory, sizeof(float)) != cudaSuccess) return 77;
  try {
    cuda::fill_normals(cuda::device_view(memory, 1, 1), NoiseKey{1}, cuda::Stream{});
  } catch (const std::invalid_argument& error) {
    std::puts(error.what());
    return std::strstr(error.what(), "-use_fast_math") != nullptr ? 0 : 1;
  }
  std::puts("it was not refused");
  return 1;
}
