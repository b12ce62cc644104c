// Memory of the device that tests run on: a GPU's, or the emulation's (LUMINA_GPU_PLATFORM).
#pragma once

#include <lumina/cuda/device_view.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#if !defined(LUMINA_GPU_PLATFORM)
#include <stdexcept>
#endif

namespace gpu_tests {

inline lumina::cuda::Stream stream() { return {}; }

#if defined(LUMINA_GPU_PLATFORM)

/// The kernels of this generation: 80 or 90.
inline void use(int capability) {
  emulated::synchronize();
  emulated::device.capability = capability;
  emulated::device.postpones_grids = true;  // what overlaps the grid before does so
}

template <class T>
class OnDevice {
 public:
  explicit OnDevice(std::size_t size) : memory_(emulated::allocate<T>(size, 128)) {}
  OnDevice(OnDevice&&) = default;
  ~OnDevice() { emulated::synchronize(); }  // as cudaFree does
  T* data() { return memory_.data(); }
  std::size_t size() const { return memory_.size(); }
  void upload(std::span<const T> from) { std::copy(from.begin(), from.end(), memory_.begin()); }
  std::vector<T> download() {
    emulated::synchronize();
    return {memory_.begin(), memory_.end()};
  }

 private:
  emulated::Array<T> memory_;
};

#else

/// A program has the kernels of the generation that it is compiled for.
inline void use(int) {}

inline void require(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

template <class T>
class OnDevice {
 public:
  explicit OnDevice(std::size_t size) : size_(size) {
    require(cudaMalloc(&data_, std::max<std::size_t>(size * sizeof(T), 1)));
  }
  OnDevice(OnDevice&& from) noexcept
      : data_(std::exchange(from.data_, nullptr)), size_(std::exchange(from.size_, 0)) {}
  OnDevice& operator=(OnDevice&&) = delete;
  ~OnDevice() { cudaFree(data_); }

  T* data() { return data_; }
  std::size_t size() const { return size_; }
  void upload(std::span<const T> from) {
    require(cudaMemcpy(data_, from.data(), from.size_bytes(), cudaMemcpyHostToDevice));
  }
  std::vector<T> download() {
    std::vector<T> result(size_);
    require(cudaMemcpy(result.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost));
    return result;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_;
};

#endif

}  // namespace gpu_tests
