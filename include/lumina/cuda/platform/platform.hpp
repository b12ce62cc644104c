// What CUDA, HIP and the emulation of the tests call by different names or have each in its own
// way: the functions of lumina::detail::gpu that kernels and launches are written with. No PTX, no
// intrinsic and no call of a driver is anywhere else.
//
// Kernels are written with CUDA's own spellings of what is no function: __global__, __device__,
// __forceinline__, __launch_bounds__(threads, blocks), __grid_constant__, threadIdx, blockIdx,
// blockDim, gridDim, __syncthreads(), __syncwarp().
#pragma once

#if defined(LUMINA_GPU_PLATFORM)
#include LUMINA_GPU_PLATFORM
#elif defined(__HIP__)
#include "hip.hpp"
#else
#include "cuda.hpp"
#endif
#include "float_math.hpp"
