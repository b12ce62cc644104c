// Products put into a stream: the kernel, its blocks, its operands.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../detail/base/range.hpp"
#include "../coded_weights.hpp"
#include "../platform/platform.hpp"
#include "blocks.hpp"
#include "checks.hpp"
#include "operands.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

template <class Blocks>
LaunchShape shape_of(std::size_t rows, std::size_t columns, std::size_t shared_bytes) {
  return {static_cast<unsigned>(ceil_div(rows, std::size_t{Blocks::rows})),
          static_cast<unsigned>(ceil_div(columns, std::size_t{Blocks::columns})),
          static_cast<unsigned>(Blocks::threads), shared_bytes, true};
}

/// x [rows, depth] times w [columns, depth], through `finish`, on mma.sync.
template <class Many, class Some, class Few, class FinishT>
Error multiply_on_mma_in(const CodeOperands& operands, const FinishT& finish, const Device& device,
                         StreamHandle stream) {
  const auto rows = static_cast<std::size_t>(operands.x.rows);
  const auto columns = static_cast<std::size_t>(operands.w.rows);
  const auto units = static_cast<std::size_t>(device.facts.multiprocessors);
  return with_blocks<Many, Some, Few>(rows, columns, units, units, [&](auto blocks) {
    using Blocks = decltype(blocks);
    return launch(&multiply_codes<Blocks, FinishT>,
                  shape_of<Blocks>(rows, columns, Blocks::shared_bytes), stream, operands, finish);
  });
}
template <class FinishT>
Error multiply_on_mma(const CodeOperands& operands, const FinishT& finish, const Device& device,
                      StreamHandle stream) {
  using Many = std::conditional_t<FinishT::kObserved, ManyObservedMma, ManyMma>;
  return multiply_on_mma_in<Many, SomeMma, FewMma>(operands, finish, device, stream);
}

/// The same on wgmma, tiles brought by the copy engine. `depth` is not 0.
template <class FinishT>
Error multiply_on_wgmma(const CodeOperands& operands, const FinishT& finish, const Device& device,
                        StreamHandle stream) {
  const auto rows = static_cast<std::size_t>(operands.x.rows);
  const auto columns = static_cast<std::size_t>(operands.w.rows);
  const auto units = static_cast<std::size_t>(device.facts.multiprocessors);
  return with_blocks<PingPongBlocks, SomeTensor, FewTensor>(
      rows, columns, 2 * units, units, [&]<class Blocks>(Blocks) {
        TensorOperands tensors{{}, {}, operands.depth};
        const auto depth = static_cast<std::size_t>(operands.depth);
        const auto describe = [&](TensorMap& map, const ByteRows& from, int box_rows) {
          return make_tensor_map(map, from.first, static_cast<std::size_t>(from.rows), depth,
                                 from.stride, static_cast<unsigned>(box_rows));
        };
        Error error = describe(tensors.x, operands.x, Blocks::rows);
        if (error == kSuccess) error = describe(tensors.w, operands.w, Blocks::columns);
        if (error != kSuccess) return error;
        // Who has several tiles loads the next one's first steps ahead.
        constexpr bool kManyTiles = std::is_same_v<Blocks, PingPongBlocks>;
        using Ring = typename Blocks::Ring;
        const std::size_t shared = Ring::shared_bytes(kManyTiles ? Ring::count : tensors.steps());
        LaunchShape shape = shape_of<Blocks>(rows, columns, shared);
        if constexpr (kManyTiles) {
          const auto tiles = static_cast<int>(tiles_of<Blocks>(rows, columns));
          const TileOrder order{static_cast<int>(shape.grid_x), tiles};
          shape.grid_x = static_cast<unsigned>(std::min(tiles, device.facts.multiprocessors));
          shape.grid_y = 1;
          return launch(&multiply_codes_in_turns<FinishT>, shape, stream, tensors, order, finish);
        } else {
          return launch(&multiply_codes_of_few_rows<Blocks, FinishT>, shape, stream, tensors,
                        finish);
        }
      });
}

template <class FinishT>
Error multiply_codes_on(const CodeOperands& operands, const FinishT& finish, const Device& device,
                        StreamHandle stream) {
  if constexpr (TileRows<FinishT>::tiles > 1) {
    return multiply_on_mma_in<ManyOfThree, SomeOfThree, SomeOfThree>(operands, finish, device,
                                                                     stream);
  } else {
    return device.has_tensor_memory && operands.depth > 0
               ? multiply_on_wgmma(operands, finish, device, stream)
               : multiply_on_mma(operands, finish, device, stream);
  }
}

template <class FinishT>
Error multiply_floats_on(const FloatOperands& operands, const FinishT& finish, const Device& device,
                         StreamHandle stream) {
  const auto rows = static_cast<std::size_t>(operands.rows);
  const auto columns = static_cast<std::size_t>(finish.columns());
  const auto units = static_cast<std::size_t>(device.facts.multiprocessors);
  const bool in_fours = operands.x_stride % 4 == 0 &&
                        reinterpret_cast<std::uintptr_t>(operands.x) % sizeof(Float4) == 0;
  return with_blocks<ManyFloats, SomeFloats, FewFloats>(
      rows, columns, units, units, [&]<class Blocks>(Blocks) {
        const LaunchShape shape = shape_of<Blocks>(rows, columns, Blocks::shared_bytes);
        return in_fours ? launch(&multiply_floats<Blocks, true, FinishT>, shape, stream, operands,
                                 finish)
                        : launch(&multiply_floats<Blocks, false, FinishT>, shape, stream, operands,
                                 finish);
      });
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
