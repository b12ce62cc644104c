// Whoever asks for the heap is stopped: that keeps watch over all other programs here.
#include <lumina/matrix.hpp>

int main() {
  volatile std::size_t rows = 2;
  const lumina::Matrix<float> matrix(rows, 3);
  return static_cast<int>(matrix(0, 0));
}
