// expect: U::release
#include <lumina/detail/isa/native.hpp>
#include <lumina/detail/kernels/matrix_unit.hpp>

using namespace lumina::detail;

struct Unit {
  static void configure(const TileConfig&) {}
#if !defined(MISTAKE)
  static void release() {}
#endif
  static void fence() {}
  template <int>
  static void zero() {}
  template <int>
  static void load(const void*, std::size_t) {}
  template <int>
  static void load_once(const void*, std::size_t) {}
  template <int>
  static void store(void*, std::size_t) {}
  template <int, int, int>
  static void dot() {}
  template <int, int, int>
  static void dot_bf16() {}
};

using Kernel = MatrixUnitKernel<CodesOnUnit<Native, 8>, Unit>;
auto multiply = &Kernel::multiply;
