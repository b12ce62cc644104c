// Memory that begins at a cache line, and the shape of what owns such memory.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "../../config.hpp"
#include "range.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

inline constexpr std::size_t kCacheLine = 64;

/// `count` elements of a trivial type, aligned to a cache line. It moves; a copy has to be asked
/// for, so that none is hidden.
template <class T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedBuffer() = default;
  /// The elements are not initialised. No memory, or more of it than there are addresses:
  /// std::bad_alloc; without exceptions an error, and no elements.
  explicit AlignedBuffer(std::size_t count) {
    if (count == 0) return;
    data_ = allocate(count);
    if (data_ != nullptr) count_ = count;
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~AlignedBuffer() { ::operator delete (data_, std::align_val_t{kCacheLine}); }

  /// Room for at least `count` elements; those that were there are lost where it was too small. The
  /// result: whether there is room, always so with exceptions.
  bool grow_to(std::size_t count) {
    if (count_ < count) *this = AlignedBuffer(count);
    return count_ >= count;
  }

  /// The same elements in memory of their own. Where there is none, as the constructor says.
  AlignedBuffer copy() const {
    AlignedBuffer result(count_);
    if (result.count_ != 0) {
      std::memcpy(static_cast<void*>(result.data_), data_, count_ * sizeof(T));
    }
    return result;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return count_; }

  void fill_with_zeros() {
    if (count_ != 0) std::memset(static_cast<void*>(data_), 0, count_ * sizeof(T));
  }

 private:
  static T* allocate(std::size_t count) {
    const bool has_addresses = count < kTooMany / sizeof(T);
    constexpr std::align_val_t kAlignment{kCacheLine};
#if defined(__cpp_exceptions)
    if (!has_addresses) throw std::bad_array_new_length();
    return static_cast<T*>(::operator new(count * sizeof(T), kAlignment));
#else
    void* const memory =
        has_addresses ? ::operator new(count * sizeof(T), kAlignment, std::nothrow) : nullptr;
    if (memory == nullptr) report_error("lumina: out of memory");
    return static_cast<T*>(memory);
#endif
  }

  T* data_ = nullptr;
  std::size_t count_ = 0;
};

/// The shape of something that owns its elements: what has been moved from has none.
struct Extent {
  std::size_t rows = 0;
  std::size_t cols = 0;

  Extent() = default;
  Extent(std::size_t r, std::size_t c) : rows(r), cols(c) {}
  Extent(Extent&& other) noexcept
      : rows(std::exchange(other.rows, 0)), cols(std::exchange(other.cols, 0)) {}
  Extent& operator=(Extent&& other) noexcept {
    std::swap(rows, other.rows);
    std::swap(cols, other.cols);
    return *this;
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
