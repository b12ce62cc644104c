// The platform CUDA, for nvcc and sm_80 or newer. Functions that only Hopper has are empty for
// other GPUs, so that kernels which call them compile for all; kHasTensorMemory says which pass it
// is.
#pragma once

#include <cuda_runtime.h>

#include "cuda/async_copies.hpp"
#include "cuda/atomics.hpp"
#include "cuda/device_facts.hpp"
#include "cuda/grids.hpp"
#include "cuda/launch.hpp"
#include "cuda/matrix_instructions.hpp"
#include "cuda/tensor_maps.hpp"
#include "cuda/tensor_memory.hpp"
#include "cuda/warpgroup.hpp"
