// expect: source\.read
#include <lumina/detail/engine/call.hpp>

using namespace lumina::detail;

struct Rows : FloatRows {
  std::size_t rows() const { return 1; }
  std::size_t depth() const { return 1; }
#if !defined(MISTAKE)
  void read(const Range&, const Range&, float*, std::size_t) const {}
#endif
};

auto problem = float_problem(Rows{}, PackedPanels<float, 1>(nullptr, 0));
