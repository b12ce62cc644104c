// The engine's microkernels are most of what compilers spend on a test of the engine. This header
// promises that they are in shared_kernels.cpp, once for all tests of a program; a test that
// forgets to include it merely compiles for longer. Programs that use the library can do the same.
#pragma once

#include <cstddef>

#include <lumina/fused_gemm.hpp>

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

extern template TileKernel<FloatDot<Native>> tile_kernel<FloatDot<Native>>(std::size_t,
                                                                           std::size_t);
extern template TileKernel<CodeDot<Native, 8>> tile_kernel<CodeDot<Native, 8>>(std::size_t,
                                                                               std::size_t);
extern template TileKernel<CodeDot<Native, 4>> tile_kernel<CodeDot<Native, 4>>(std::size_t,
                                                                               std::size_t);
extern template TileKernel<CodeDot<Native, 2>> tile_kernel<CodeDot<Native, 2>>(std::size_t,
                                                                               std::size_t);
extern template UnpackedKernel unpacked_kernel<Native>(std::size_t);

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
