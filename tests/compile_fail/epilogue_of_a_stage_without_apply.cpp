// expect: lumina::epilogue: a stage needs apply
#include <lumina/epilogue.hpp>

struct Offset {
  float value;
#if !defined(MISTAKE)
  template <class Floats, class Normals>
  Floats apply(const Floats& values, const lumina::Coordinates&, const lumina::ActiveLanes&,
               const Normals&) const {
    return values + Floats(value);
  }
#endif
};

auto layer = lumina::epilogue(Offset{1.0f});
