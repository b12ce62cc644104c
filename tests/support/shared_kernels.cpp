#include "support/shared_kernels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

template TileKernel<FloatDot<Native>> tile_kernel<FloatDot<Native>>(std::size_t, std::size_t);
template TileKernel<CodeDot<Native, 8>> tile_kernel<CodeDot<Native, 8>>(std::size_t, std::size_t);
template TileKernel<CodeDot<Native, 4>> tile_kernel<CodeDot<Native, 4>>(std::size_t, std::size_t);
template TileKernel<CodeDot<Native, 2>> tile_kernel<CodeDot<Native, 2>>(std::size_t, std::size_t);
template UnpackedKernel unpacked_kernel<Native>(std::size_t);

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
