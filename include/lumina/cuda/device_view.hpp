// Memory on a GPU: matrices, the stream that calls are put on, a workspace.
#pragma once

#include <cstddef>
#include <type_traits>

#include "../config.hpp"
#include "../matrix.hpp"
#include "platform/platform.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace cuda {

/// A matrix in a device's memory, row after row. Nothing converts to one, for a MatrixView or a
/// std::span of the host's memory looks just as well: it is made by device_view().
template <class T>
class DeviceView {
 public:
  constexpr DeviceView() = default;
  /// A view that may write converts to one that only reads.
  template <class U>
  requires(std::is_same_v<const U, T>) constexpr DeviceView(const DeviceView<U>& other)
      : memory_(other.addresses()) {}

  constexpr T* data() const { return memory_.data(); }
  constexpr std::size_t rows() const { return memory_.rows(); }
  constexpr std::size_t cols() const { return memory_.cols(); }
  constexpr std::size_t row_stride() const { return memory_.row_stride(); }

  /// The same as addresses that the host must not follow: for checks, and for kernels.
  constexpr const MatrixView<T>& addresses() const { return memory_; }

 private:
  template <class U>
  friend constexpr DeviceView<U> device_view(U* data, std::size_t rows, std::size_t cols,
                                             std::size_t row_stride);
  constexpr explicit DeviceView(const MatrixView<T>& memory) : memory_(memory) {}

  MatrixView<T> memory_;
};

/// `rows` × `cols` elements in device memory (cudaMalloc, or managed memory), rows `row_stride`
/// elements apart, at least `cols`. Error: a smaller one; the view is empty then.
template <class T>
constexpr DeviceView<T> device_view(T* data, std::size_t rows, std::size_t cols,
                                    std::size_t row_stride) {
  return DeviceView<T>(MatrixView<T>(data, rows, cols, row_stride));
}
template <class T>
constexpr DeviceView<T> device_view(T* data, std::size_t rows, std::size_t cols) {
  return device_view(data, rows, cols, cols);
}

/// Where a call is put: its kernels run behind what is on the stream already, and the call returns
/// at once. A stream that is being captured takes them into its graph.
struct Stream {
  detail::gpu::StreamHandle handle = {};  ///< cudaStream_t; {}: the default stream
};

/// Device memory that a call may use while it runs: `data` a multiple of 128 bytes. Calls on one
/// stream may share it.
struct Workspace {
  void* data = nullptr;
  std::size_t bytes = 0;
};

}  // namespace cuda
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
