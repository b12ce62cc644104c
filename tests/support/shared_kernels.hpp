// The engine's microkernels are most of what compilers spend on a test of the engine. This header
// promises that they are in shared_kernels.cpp, once for all tests of a program; a test that forgets
// to include it merely compiles for longer. Programs that use the library can do the same.
#pragma once

#include <cstddef>

#include <lumina/fused_gemm.hpp>

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

extern template TileKernel<FloatProducts<Native>> tile_kernel<FloatProducts<Native>>(std::size_t,
                                                                                     std::size_t);
extern template TileKernel<CodeProducts<Native, 8>> tile_kernel<CodeProducts<Native, 8>>(
    std::size_t, std::size_t);
extern template TileKernel<CodeProducts<Native, 4>> tile_kernel<CodeProducts<Native, 4>>(
    std::size_t, std::size_t);
extern template TileKernel<CodeProducts<Native, 2>> tile_kernel<CodeProducts<Native, 2>>(
    std::size_t, std::size_t);

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
