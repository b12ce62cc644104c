// Which kernel multiplies, and in which blocks: by the number of tiles that there are for the
// device's multiprocessors. (Measured on an H100; no number of this page changes a result.)
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "../../detail/base/range.hpp"
#include "few_rows_kernel.hpp"
#include "float_kernel.hpp"
#include "mma_kernel.hpp"
#include "ping_pong_kernel.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

using ManyMma = MmaBlocks<4, 2, 4, 64, 4, 2>;  // 128 × 128
/// The same for an observer, who takes registers.
using ManyObservedMma = MmaBlocks<4, 1, 4, 64, 4, 2>;  // 64 × 128
using SomeMma = MmaBlocks<4, 1, 1, 128, 3, 4>;         // 64 × 32
using FewMma = MmaBlocks<2, 1, 1, 128, 4, 8>;          // 32 × 32

/// Of rows that are three of bytes.
using ManyOfThree = MmaBlocks<4, 3, 2, 64, 4, 2>;  // 192 × 64
using SomeOfThree = MmaBlocks<2, 3, 1, 64, 4, 4>;  // 96 × 32

using SomeTensor = FewRowsBlocks<2, 6>;  // 64 × 64
using FewTensor = FewRowsBlocks<1, 8>;   // 64 × 32

using ManyFloats = FloatBlocks<32, 8, 4, 8, 4, 1>;   // 256 × 128
using SomeFloats = FloatBlocks<16, 4, 2, 16, 4, 4>;  // 64 × 64
using FewFloats = FloatBlocks<16, 2, 1, 16, 8, 4>;   // 32 × 32

template <class Blocks>
std::size_t tiles_of(std::size_t rows, std::size_t columns) {
  return size_product(ceil_div(rows, std::size_t{Blocks::rows}),
                      ceil_div(columns, std::size_t{Blocks::columns}));
}

/// choose(blocks): the largest of three block sizes of which there is a tile for each of the
/// multiprocessors, the last one otherwise.
template <class Many, class Some, class Few, class F>
auto with_blocks(std::size_t rows, std::size_t columns, std::size_t many, std::size_t some,
                 const F& choose) {
  if (tiles_of<Many>(rows, columns) >= many) return choose(Many());
  if (tiles_of<Some>(rows, columns) >= some) return choose(Some());
  return choose(Few());
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
