// Without a GPU a call says so, and that is all this program wants to know.
#include <lumina/cuda.hpp>

#include <cstdio>
#include <stdexcept>

using namespace lumina;

int main() {
  float none;
  const auto y = cuda::device_view(&none, 1, 1);
  try {
    cuda::fill_normals(y, NoiseKey{1}, cuda::Stream{});
  } catch (const std::invalid_argument& error) {  // no GPU, or memory that is not the GPU's
    std::puts(error.what());
    return 0;
  }
  return 1;
}
