// A matrix that ends, or begins, exactly at a page that nobody may touch: one element beyond it
// stops the program, also where no sanitizer looks. Linux only.
#pragma once

#if defined(__linux__)

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

#include <lumina/matrix.hpp>

#include "random_matrix.hpp"

namespace test {

enum class Edge { end, begin };

template <class T>
class GuardedMatrix {
 public:
  GuardedMatrix(Edge edge, std::size_t rows, std::size_t cols, std::size_t row_stride) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = ((rows - 1) * row_stride + cols) * sizeof(T);
    const std::size_t usable = (bytes + page - 1) / page * page;
    mapped_ = usable + 2 * page;
    void* const memory = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    memory_ = static_cast<std::byte*>(memory);
    if (mprotect(memory_ + page, usable, PROT_READ | PROT_WRITE) != 0) std::abort();
    void* const first = memory_ + page + (edge == Edge::end ? usable - bytes : 0);
    view_ = lumina::MatrixView<T>(static_cast<T*>(first), rows, cols, row_stride);
  }
  GuardedMatrix(std::size_t rows, std::size_t cols) : GuardedMatrix(Edge::end, rows, cols, cols) {}
  GuardedMatrix(const GuardedMatrix&) = delete;
  GuardedMatrix& operator=(const GuardedMatrix&) = delete;
  ~GuardedMatrix() { munmap(memory_, mapped_); }

  lumina::MatrixView<T> view() const { return view_; }
  lumina::MatrixView<const T> constant() const { return view_; }

  template <class F>
  const GuardedMatrix& fill(F f) const {
    for (std::size_t row = 0; row < view_.rows(); ++row) {
      for (std::size_t col = 0; col < view_.cols(); ++col) view_(row, col) = f();
    }
    return *this;
  }

 private:
  std::byte* memory_;
  std::size_t mapped_;
  lumina::MatrixView<T> view_;
};

}  // namespace test

#endif
