// LUMINA_GPU_PLATFORM of the tests: kernels as host code, a fiber for each thread, one block after
// another. Fibers run in an order of emulated::device.seed; what the GPU may do sooner or later is
// done as soon or as late as it may; what it would not forgive ends the program with a message.
//
// Device memory is memory of emulated::allocate<T>(n); a launch has run when it returns, unless
// emulated::device.postpones_grids. Programs are compiled with -Wno-unknown-pragmas, because of
// #pragma unroll, and linked with Boost.Context.
#pragma once

// (What CUDA spells by macros or keywords.)
#define __host__
#define __device__
#define __global__
#define __grid_constant__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

#include "async_copies.hpp"
#include "atomics.hpp"
#include "barriers.hpp"
#include "grids.hpp"
#include "launch.hpp"
#include "matrix_instructions.hpp"
#include "tensor_memory.hpp"
#include "warpgroup.hpp"
