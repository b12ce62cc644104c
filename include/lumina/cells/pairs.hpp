// How a weight is held by devices, whose conductances are not negative.
//
// With ŵ in [−1, 1], g_min and g_max of the devices and h = (g_max − g_min) / 2:
//
//                  g⁺                          g⁻                           ŵ is read as
//   differential   g_min + 2h·max(ŵ, 0)        g_min + 2h·max(−ŵ, 0)        (g⁺ − g⁻) / 2h
//   two_sided      g_min + h + h·ŵ             g_min + h − h·ŵ              (g⁺ − g⁻) / 2h
//   offset         g_min + h + h·ŵ             none                         (g⁺ − g_min − h) / h
//
// A finite on/off ratio is g_min = g_max / ratio. It cancels in a pair's difference; what it costs
// is the range, 2h instead of g_max, which the noise is compared with, and the noise of devices
// that are off. The reference of `offset` is a constant, which does not drift as devices do.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "../border.hpp"
#include "../config.hpp"
#include "../detail/base/message.hpp"
#include "../detail/base/number.hpp"
#include "../detail/base/scalar_math.hpp"
#include "../detail/simd/vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// Cells of a g_max: ŵ to conductances and back.
class PairMapping {
 public:
  PairMapping(const Cells& cells, float g_max)
      : pair_(cells.pair),
        g_min_(cells.g_min),
        g_max_(g_max),
        range_(g_max - cells.g_min),
        half_(0.5f * range_),
        middle_(cells.g_min + half_),
        inverse_(1.0f / (cells.pair == Pair::offset ? half_ : range_)) {}

  /// Reports a g_min that is not in [0, g_max).
  bool valid(const char* call) const {
    if (g_min_ >= 0.0f && g_min_ < g_max_) return true;
    report_error((Message() << "lumina::" << call << ": Cells::g_min is " << Number{g_min_}
                            << " microsiemens; it must be at least 0 and less than the cell's "
                               "g_max, "
                            << Number{g_max_})
                     .c_str());
    return false;
  }

  Pair pair() const { return pair_; }
  bool has_minus() const { return pair_ != Pair::offset; }

  /// The target of one device of ŵ, which is limited to [−1, 1]; `sign` 1: g⁺, −1: g⁻.
  template <class Floats>
  [[gnu::always_inline]] Floats target(const Floats& weights, float sign) const {
    const Floats signed_weights = product(weights, Floats(sign));
    if (pair_ == Pair::differential) {
      const Floats share = limited(signed_weights, 0.0f, 1.0f);
      return min_or_second(fused_multiply_add(share, Floats(range_), Floats(g_min_)),
                           Floats(g_max_));
    }
    const Floats share = limited(signed_weights, -1.0f, 1.0f);
    return limited(fused_multiply_add(share, Floats(half_), Floats(middle_)), g_min_, g_max_);
  }
  /// ŵ of a pair, and of one device.
  template <class Floats>
  [[gnu::always_inline]] Floats weight(const Floats& plus, const Floats& minus) const {
    return product(plus - minus, Floats(inverse_));
  }
  template <class Floats>
  [[gnu::always_inline]] Floats weight(const Floats& plus) const {
    return product(plus - Floats(middle_), Floats(inverse_));
  }

  /// How far |ŵ| reaches: 1, and four times σ (µS) of what ŵ is read as.
  float headroom(float deviation) const {
    float devices = 1.0f;  // of a differential pair one device is off, and has little noise
    if (pair_ == Pair::two_sided) devices = 0x1.6a09e6p+0f;  // √2
    return fused_multiply_add(product(product(4.0f, devices), deviation), inverse_, 1.0f);
  }

 private:
  template <class Floats>
  [[gnu::always_inline]] static Floats limited(const Floats& values, float lo, float hi) {
    return min_or_second(max_or_second(values, Floats(lo)), Floats(hi));
  }

  Pair pair_;
  float g_min_, g_max_, range_, half_, middle_, inverse_;
};

}  // namespace detail

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
