// From which sizes on something is worth its price: measured on machines of one to sixteen cores,
// flat around the values chosen here, and without influence on results.
#pragma once

#include <cstddef>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

// (Multiplications that are worth several threads depend on the numbers: `worth_threads` of a
// kernel.)
struct Thresholds {
  /// Weights that stay in the second-level cache from one chunk of rows to the next.
  static constexpr std::size_t near_bytes = std::size_t{1} << 20;
  /// Rows of x below which reading the weights takes so long that a matrix unit does not help.
  static constexpr std::size_t min_matrix_unit_rows = 4;
  /// Chunks of rows beyond which w is packed once, near_bytes of it at a time, instead of in parts
  /// for each: from one chunk on that is less work, by 6 %, but takes memory.
  static constexpr std::size_t max_unpacked_chunks = 2;
  /// Weights whose packing is worth several threads.
  static constexpr std::size_t packing_worth_threads = std::size_t{1} << 16;
  /// Outputs whose gradients are worth several threads.
  static constexpr std::size_t gradients_worth_threads = std::size_t{1} << 16;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
