// The library on a GPU: CUDA, compute capability 8.0 or newer. Included by files that nvcc
// compiles; the rest of the library does not know it.
//
// Memory and streams
//   cuda/device_view.hpp     matrices in a device's memory, streams, workspaces
// Weights
//   cuda/coded_weights.hpp   codes, scales, sums
//   cuda/packed_weights.hpp  floats
//   cuda/tiled_weights.hpp   codes on arrays
//   cuda/weights.hpp         packed, copied
//   cuda/encode_weights.hpp  encoded, with noise
// Calls
//   cuda/analog_gemm.hpp     y = digital(Σ over arrays of array(DAC(x)·wᵀ))
//   cuda/fused_gemm.hpp      y = epilogue(DAC(x)·wᵀ)
//   cuda/normals.hpp         noise by itself
// Training
//   cuda/forward_pass.hpp    a fused call that records its gates
//   cuda/forward_record.hpp  the gates, one bit each
//   cuda/backward.hpp        gradients, straight through
//
// Quantizers, stages, epilogue() and noise are those of the CPU, and so are the bits of all
// results. The target lumina::cuda sets the flags that they need: -std=c++20,
// --expt-relaxed-constexpr, -fmad=false. A stage of the user's runs on a GPU if its apply() is
// constexpr.
//
// hipcc compiles all of this too, with -std=c++20 -ffp-contract=off; nobody has run what comes out.
#pragma once

#include "cuda/analog_gemm.hpp"
#include "cuda/backward.hpp"
#include "cuda/coded_weights.hpp"
#include "cuda/device_view.hpp"
#include "cuda/encode_weights.hpp"
#include "cuda/forward_pass.hpp"
#include "cuda/forward_record.hpp"
#include "cuda/fused_gemm.hpp"
#include "cuda/normals.hpp"
#include "cuda/packed_weights.hpp"
#include "cuda/tiled_weights.hpp"
#include "cuda/weights.hpp"
