#include "support/shared_kernels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

template TileKernel<FloatProducts<Native>> tile_kernel<FloatProducts<Native>>(std::size_t,
                                                                              std::size_t);
template TileKernel<CodeProducts<Native, 8>> tile_kernel<CodeProducts<Native, 8>>(std::size_t,
                                                                                  std::size_t);
template TileKernel<CodeProducts<Native, 4>> tile_kernel<CodeProducts<Native, 4>>(std::size_t,
                                                                                  std::size_t);
template TileKernel<CodeProducts<Native, 2>> tile_kernel<CodeProducts<Native, 2>>(std::size_t,
                                                                                  std::size_t);

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
