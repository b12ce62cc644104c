// What the module needs of CUDA, and of the emulation in its place: the device that a call runs on,
// as tensors name it.
#pragma once

#include <lumina/cuda/device_view.hpp>

#include <cstdint>
#include <limits>
#include <stdexcept>

namespace lumina::python {

#if defined(LUMINA_GPU_PLATFORM)

/// Kernels are emulated in the memory of the host, all of which is the device's.
inline constexpr const char* kDeviceType = "cpu";
inline void prepare_platform() {
  emulated::allocations[0] = std::numeric_limits<std::uintptr_t>::max();
}
struct CurrentDevice {
  explicit CurrentDevice(int) {}
  ~CurrentDevice() { emulated::synchronize(); }
};

#else

inline constexpr const char* kDeviceType = "cuda";
inline void prepare_platform() {}
/// Makes it the thread's, and then the one before again.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device) {
    require(cudaGetDevice(&before_));
    if (device == before_) return;
    require(cudaSetDevice(device));
    changed_ = true;
  }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;
  ~CurrentDevice() {
    if (changed_) cudaSetDevice(before_);
  }

 private:
  static void require(cudaError_t error) {
    if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
  }

  int before_ = 0;
  bool changed_ = false;
};

#endif

}  // namespace lumina::python
