// Without a handler of its own, and without exceptions, a wrong argument ends the program.
#include <lumina/quantizer.hpp>

int main() {
  volatile float hi = -1.0f;
  return static_cast<int>(lumina::Quantizer<8>(1.0f, hi).step());
}
