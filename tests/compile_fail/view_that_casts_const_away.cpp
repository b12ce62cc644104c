// expect: MatrixView<float>
#include <lumina/matrix.hpp>

float first(lumina::MatrixView<const float> x) {
#if defined(MISTAKE)
  lumina::MatrixView<float> view = x;
#else
  lumina::MatrixView<const float> view = x;
#endif
  return view(0, 0);
}
