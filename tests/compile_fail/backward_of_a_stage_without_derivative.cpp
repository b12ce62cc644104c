// expect: lumina: the backward pass needs stages with passes\(values\) or backward\(\.\.\.\)
#include <lumina/backward.hpp>

struct Square {
  template <class Floats, class Normals>
  Floats apply(const Floats& values, const lumina::Coordinates&, const lumina::ActiveLanes&,
               const Normals&) const {
    return lumina::product(values, values);
  }
#if !defined(MISTAKE)
  template <class Floats, class Normals>
  Floats backward(const Floats& gradient, const Floats& values, const lumina::Coordinates&,
                  const lumina::ActiveLanes&, const Normals&) const {
    return lumina::product(gradient, values + values);
  }
#endif
};

void layer(lumina::MatrixView<const float> x, const lumina::PackedWeights& w,
           lumina::MatrixView<float> y, lumina::ForwardRecord& record) {
  lumina::forward(lumina::forward_pass(x, w, lumina::epilogue(Square{})), y, record);
}
