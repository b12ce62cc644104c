// expect: lumina::epilogue: a stage needs apply
#include <lumina/epilogue.hpp>

#if defined(MISTAKE)
// The signature of std::transform's operation, easily taken for a stage's.
struct Offset {
  template <class Floats>
  Floats apply(const Floats& values) const {
    return values + Floats(1.0f);
  }
};
#else
struct Offset {
  template <class Floats, class Normals>
  Floats apply(const Floats& values, const lumina::Coordinates&, const lumina::ActiveLanes&,
               const Normals&) const {
    return values + Floats(1.0f);
  }
};
#endif

auto layer = lumina::epilogue(Offset{});
