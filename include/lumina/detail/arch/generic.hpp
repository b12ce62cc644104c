// What an architecture inherits unless it has a better instruction. Each arch/ file names its
// vectors (Batch, Quad) and its block sizes, which scalar.hpp explains.
#pragma once

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

struct GenericOperations {
  /// 64-bit lanes rotated left by Bits.
  template <int Bits, class Words>
  static Words rotate_left(const Words& words) {
    return (words << Bits) | (words >> (64 - Bits));
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
