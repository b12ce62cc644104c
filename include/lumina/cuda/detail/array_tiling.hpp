// Where arrays along the inputs begin and end, in x and in rows of codes.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "../../detail/base/range.hpp"
#include "../../detail/layout/tiles.hpp"
#include "../coded_weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// A Tiling, the codes of whose arrays are filled up to whole blocks of kCodeRowBytes, at least
/// one.
class ArrayTiling {
 public:
  constexpr explicit ArrayTiling(const Tiling& inputs)
      : count_(static_cast<int>(inputs.count)),
        long_ones_(static_cast<int>(inputs.long_ones)),
        long_size_(static_cast<int>(inputs.long_size)),
        short_size_(static_cast<int>(inputs.short_size)) {}

  constexpr std::size_t count() const { return static_cast<std::size_t>(count_); }
  constexpr int size(int array) const { return array < long_ones_ ? long_size_ : short_size_; }
  constexpr int first_input(int array) const { return before(array, long_size_, short_size_); }

  /// In a row of codes.
  constexpr int bytes(int array) const { return padded(size(array)); }
  constexpr int first_byte(int array) const {
    return before(array, padded(long_size_), padded(short_size_));
  }
  constexpr std::size_t row_bytes() const { return static_cast<std::size_t>(first_byte(count_)); }

  constexpr bool operator==(const ArrayTiling& other) const {
    return count_ == other.count_ && first_input(count_) == other.first_input(count_) &&
           size(0) == other.size(0) && size(count_ - 1) == other.size(count_ - 1);
  }

 private:
  static constexpr int padded(int size) {
    constexpr int kMultiple = kCodeRowBytes;
    return size == 0 ? kMultiple : (size + kMultiple - 1) / kMultiple * kMultiple;
  }
  constexpr int before(int array, int of_long, int of_short) const {
    const int longer = array < long_ones_ ? array : long_ones_;
    return longer * of_long + (array - longer) * of_short;
  }

  int count_, long_ones_, long_size_, short_size_;
};

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
