// The doors of the engine: a call is rows × panels, multiplied by a kernel into sums, which go
// through stages into a sink. Each door is a concept here, but for two that belong to lower floors:
// rows (rows/row_source.hpp) are also what is packed, and stages (stage.hpp) are public. Asserted
// where the parts meet (problem.hpp, loop.hpp), so that an error names the member that is missing.
#pragma once

#include <concepts>
#include <cstddef>

#include "../../config.hpp"
#include "../../stage.hpp"
#include "../base/range.hpp"
#include "../isa/blocks.hpp"
#include "../kernels/views.hpp"
#include "../rows/row_source.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// KERNEL: sums (+)= rows · panels, whatever the numbers and the unit: vectors, AMX, an emulated
/// AMX.
///   Arch, Input, Word, Sum   the architecture; elements of rows, panels, sums
///   blocks                   how the work is cut; a task has as many rows as they say
///   Session                  lives as long as a task: AMX's configuration; empty elsewhere
///   fetches(depth)           how many parts of the next task's rows multiply() fetches in a block
///   worth_threads            multiplications that are worth several threads
///   multiply(...)            the sums of some columns of a block, added to those there are or not
template <class K>
concept Kernel = requires(const StridedRows<typename K::Input>& rows,
                          const PanelView<typename K::Word>& panels,
                          const SumBlock<typename K::Sum>& sums, bool accumulate,
                          const Ahead& ahead, std::size_t size) {
  typename K::Arch;
  { K::blocks } -> std::convertible_to<Blocks>;
  typename K::Session;
  requires std::constructible_from<typename K::Session, std::size_t>;
  { K::fetches(size) } -> std::convertible_to<std::size_t>;
  { K::worth_threads } -> std::convertible_to<double>;
  K::multiply(rows, panels, sums, accumulate, ahead);
};

/// For asking a source whether it calls back.
struct AnyPart {
  template <class View>
  void operator()(const View&, const Range&) const {}
};

/// PANELS: weights as kernels read them, 32 columns side by side.
///   Word, Scratch            elements; a task's own memory, in which unpacked weights are packed
///   block_bytes()            of a column block
///   for_each_part<Kernel>(block, columns, inputs, rows, scratch, f)
///                            f(view, inputs) with all of a column block's weights, in one or more
///                            parts; `inputs` count from the beginning of those asked for
template <class S, class K>
concept PanelSource = requires(const S& source, const Range& inputs, std::size_t size,
                               typename S::Scratch& scratch) {
  requires std::same_as<typename S::Word, typename K::Word>;
  { source.block_bytes() } -> std::convertible_to<std::size_t>;
  source.template for_each_part<K>(size, size, inputs, size, scratch, AnyPart{});
};

/// SUMS to floats, a column block at a time.
///   values(block)            a function of (sums, column): a vector of floats. For sources of rows
///                            that keep a Number of each (read() has one more argument)
///                            values(block, numbers, first sum)
///   begin(block, rows, sums) optional: writes what sums begin at; false where that is 0
template <class S, class K>
concept SumsToFloats = requires(const S& source, std::size_t block, const typename K::Sum* sums,
                                const typename S::Values& values) {
  { values(sums, block) } -> std::convertible_to<typename K::Arch::template Batch<float>>;
};

/// SINK: stores vectors of values in elements of y, or of what is to become y.
template <class S, class Arch>
concept Sink = requires(const S& sink, const typename Arch::template Batch<float>& values,
                        const Coordinates& at, const ActiveLanes& active, typename S::Element* to) {
  sink.template store<Arch>(values, at, active, to);
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
