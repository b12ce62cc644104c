// Matrices for tests: heap memory of exactly the needed size, so that a sanitizer sees each access
// beside it, and poisoned gaps between the rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <type_traits>

#include "same_bits.hpp"

namespace test {

using Engine = std::mt19937_64;

inline float uniform(Engine& engine, float lo, float hi) {
  return lo + (hi - lo) * (static_cast<float>(engine() >> 40) * 0x1p-24f);
}

inline std::size_t integer(Engine& engine, std::size_t lo, std::size_t hi) {
  return lo + static_cast<std::size_t>(engine() % (hi - lo + 1));
}

/// All bit patterns alike: NaN, infinities, denormals and huge numbers included.
inline float any_float(Engine& engine) { return float_of(static_cast<std::uint32_t>(engine())); }

/// What memory holds that nobody has written to.
template <class T>
T poison() {
  if constexpr (std::is_same_v<T, float>) {
    return float_of(0x7fc0dead);  // a NaN that no computation yields
  } else {
    return static_cast<T>(0xdead);
  }
}
inline bool is_poison(float value) { return bits_of(value) == bits_of(poison<float>()); }
template <class T>
bool is_poison(T value) {
  return value == poison<T>();
}

/// Of floats, or of codes.
template <class T>
class TestMatrixOf {
 public:
  TestMatrixOf(std::size_t rows, std::size_t cols, std::size_t row_stride)
      : rows_(rows),
        cols_(cols),
        row_stride_(row_stride),
        size_(rows == 0 ? 0 : (rows - 1) * row_stride + cols),
        elements_(new T[size_]) {
    for (std::size_t i = 0; i < size_; ++i) elements_[i] = poison<T>();
  }
  TestMatrixOf(std::size_t rows, std::size_t cols) : TestMatrixOf(rows, cols, cols) {}

  T& operator()(std::size_t row, std::size_t col) { return elements_[row * row_stride_ + col]; }

  lumina::MatrixView<T> view() { return {elements_.get(), rows_, cols_, row_stride_}; }
  lumina::MatrixView<const T> constant() { return view(); }
  operator lumina::MatrixView<T>() { return view(); }
  operator lumina::MatrixView<const T>() { return view(); }

  /// f() in every element; the gaps stay poisoned.
  template <class F>
  TestMatrixOf& fill(F f) {
    for (std::size_t row = 0; row < rows_; ++row) {
      for (std::size_t col = 0; col < cols_; ++col) (*this)(row, col) = f();
    }
    return *this;
  }
  TestMatrixOf& fill_uniform(Engine& engine, float lo = -1.0f, float hi = 1.0f) {
    return fill([&] { return uniform(engine, lo, hi); });
  }

  /// Nobody wrote between the rows.
  bool gaps_untouched() const { return untouched(cols_); }
  /// Nobody wrote at all.
  bool untouched() const { return untouched(0); }

 private:
  bool untouched(std::size_t from_col) const {
    for (std::size_t i = 0; i < size_; ++i) {
      if (i % row_stride_ >= from_col && !is_poison(elements_[i])) return false;
    }
    return true;
  }

  std::size_t rows_, cols_, row_stride_, size_;
  std::unique_ptr<T[]> elements_;
};

using TestMatrix = TestMatrixOf<float>;

}  // namespace test
