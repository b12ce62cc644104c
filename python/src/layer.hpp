// What calls of layers have in common: records, gradients and memory.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <mutex>
#include <optional>

#include <lumina/dispatch.hpp>

#include "arrays.hpp"
#include "threads.hpp"

namespace lumina::python {

/// Memory of backward passes; a thread that finds it in use takes its own.
struct Workspace {
  dispatch::Workspace memory;
  std::mutex busy;

  /// f(memory) without the GIL.
  template <class F>
  void use(Threads& threads, const F& f) {
    threads.without_gil([&] {
      const std::unique_lock mine(busy, std::try_to_lock);
      dispatch::Workspace own;
      f(mine ? memory : own);
    });
  }
};

/// A matrix to write a gradient to, or None.
class GradientMatrix {
 public:
  GradientMatrix(nb::handle object, const char* name, std::size_t rows, std::size_t cols) {
    if (object.is_none()) return;
    matrix_.emplace(object, name, object, rows, cols);
    view_ = matrix_->view();
  }
  const MatrixMemory<float>& view() const { return view_; }
  const Array* array() const { return matrix_ ? matrix_->array() : nullptr; }
  bool foreign() const { return matrix_ && matrix_->foreign(); }

 private:
  std::optional<OutputMatrix<float>> matrix_;
  MatrixMemory<float> view_{};
};

/// A record's bits in an array of bytes, in which they can pass through a graph of tensors.
template <class Byte>
using ByteMatrix = nb::ndarray<Byte, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

/// By name; None: as the machine has it.
dispatch::GradientProducts gradient_products(const nb::object& name);

}  // namespace lumina::python
