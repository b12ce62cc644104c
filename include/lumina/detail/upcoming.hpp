// Fetching ahead, little by little: what the next task encodes comes near while this one computes.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../config.hpp"
#include "../matrix.hpp"
#include "pieces.hpp"
#include "tile.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

class Upcoming {
 public:
  Upcoming() = default;

  /// Rows of x, in `parts` parts. Not where there is much else between them.
  template <class X>
  Upcoming(MatrixView<const X> x, const Piece& rows, std::size_t parts) {
    if (rows.size == 0 || parts == 0 || x.row_stride() > 2 * x.cols()) return;
    at_ = reinterpret_cast<const char*>(x.row(rows.begin));
    end_ = reinterpret_cast<const char*>(x.row(rows.end() - 1) + x.cols());
    part_ = divide_rounding_up(static_cast<std::size_t>(end_ - at_), parts);
  }

  void fetch_part() {
    const std::size_t bytes = std::min(part_, static_cast<std::size_t>(end_ - at_));
    for (std::size_t i = 0; i < bytes; i += kCacheLine) prefetch_to_second_level(at_ + i);
    at_ += bytes;
  }

 private:
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  std::size_t part_ = 0;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
