// LuminaKernel: neural layers on simulated noisy k-bit analog hardware, in one pass.
#pragma once

#include "coded_weights.hpp"
#include "config.hpp"
#include "epilogue.hpp"
#include "executor.hpp"
#include "fast_rng.hpp"
#include "fused_gemm.hpp"
#include "isa.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "weights.hpp"
