// Kernels for rows in fixed point of more bits than codes have (rows/split_rows.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/range.hpp"
#include "../isa/blocks.hpp"
#include "../layout/float_panels.hpp"
#include "code_dot.hpp"
#include "pair_dot.hpp"
#include "vector_kernel.hpp"
#include "views.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// As many sums as a row has parts. In a row of them in memory (of a column block) all of the first
/// part lie in front of those of the second.
template <std::size_t Parts>
struct SplitSum {
  std::int32_t parts[Parts];
};
/// That row.
template <std::size_t Parts>
std::int32_t* row_of_sums(SplitSum<Parts>* first) {
  return reinterpret_cast<std::int32_t*>(first);
}
template <std::size_t Parts>
const std::int32_t* row_of_sums(const SplitSum<Parts>* first) {
  return reinterpret_cast<const std::int32_t*>(first);
}

/// An architecture whose products of codes are right for bytes of all values, −128 times −128 too:
/// with its AnyBytes, where it has other ones for that.
template <class Architecture>
struct ForAnyBytes {
  using type = Architecture;
};
template <class Architecture>
requires requires { typename Architecture::AnyBytes; }
struct ForAnyBytes<Architecture> {
  struct type : Architecture {
    using Codes = typename Architecture::AnyBytes;
  };
};
/// The kernel that multiplies parts.
template <class Architecture>
using ByteKernel = VectorKernel<CodeDot<typename ForAnyBytes<Architecture>::type, 8>>;

/// A kernel (engine/concepts.hpp): K, of codes, for rows in parts, which everybody else counts as
/// one.
template <class K, std::size_t Parts>
struct SplitKernel {
  using Arch = typename K::Arch;
  using Input = typename K::Input;
  using Word = typename K::Word;
  using Sum = SplitSum<Parts>;
  static constexpr Blocks blocks = K::blocks.with_rows_in_parts(Parts);
  static constexpr double worth_threads = K::worth_threads / Parts;

  struct Session : K::Session {
    explicit Session(std::size_t rows) : K::Session(rows * Parts) {}
  };
  static constexpr std::size_t fetches(std::size_t depth) { return K::fetches(depth); }

  static void multiply(const StridedRows<Input>& rows, const PanelView<Word>& panels,
                       const SumBlock<Sum>& sums, bool accumulate, const Ahead& ahead) {
    Ahead of_parts = ahead;
    of_parts.columns = 0;  // K would take parts for rows of y, and bring others near
    K::multiply({rows.first, rows.stride, rows.rows * Parts, rows.inputs}, panels,
                SumBlock<std::int32_t>{row_of_sums(sums.first), sums.stride}, accumulate, of_parts);
  }
};

/// The most inputs of which sums of 16 bits times bytes fit into 32 bits with a sign: bytes from
/// −127 to 127, or from 0 to 255.
inline constexpr std::size_t kPairInputs = 512, kPairInputsWithoutSign = 256;

/// The sums of an output, as SplitSum has them: of the last inputs, at most MostInputs; and where
/// there are more, the lower 16 bits of all of these sums, and what lies above.
using PairSum = SplitSum<3>;

/// A kernel (engine/concepts.hpp) for pairs of 16 bits. More than MostInputs are to come at once,
/// the first time.
template <class Architecture, std::size_t MostInputs>
struct PairKernel {
  using K = VectorKernel<PairsDot<Architecture>>;
  using Arch = Architecture;
  using Input = typename K::Input;
  using Word = typename K::Word;
  using Sum = PairSum;
  static constexpr Blocks blocks = K::blocks.with_rows_in_parts(2);  // three times the sums
  static constexpr double worth_threads = K::worth_threads / 2;
  using Session = typename K::Session;

  static constexpr std::size_t fetches(std::size_t depth) { return K::fetches(depth); }

  static void multiply(const StridedRows<Input>& rows, const PanelView<Word>& panels,
                       const SumBlock<Sum>& sums, bool accumulate, const Ahead& ahead) {
    const SumBlock<std::int32_t> own{row_of_sums(sums.first), 3 * sums.stride};
    if (!accumulate && rows.inputs <= MostInputs) {
      K::multiply(rows, panels, own, false, ahead);
      return;
    }
    for (std::size_t begin = 0; begin < rows.inputs; begin += MostInputs) {
      const std::size_t inputs = std::min(MostInputs, rows.inputs - begin);
      PanelView<Word> view = panels;
      view.first += begin / K::Dot::inputs_per_step * kPanelColumns;
      K::multiply({rows.first + begin, rows.stride, rows.rows, inputs}, view, own, false, ahead);
      add(rows.rows, panels.columns, own, accumulate || begin != 0);
    }
  }

 private:
  /// The sums that are there to those of all inputs, or as these.
  static void add(std::size_t rows, const Range& columns, const SumBlock<std::int32_t>& sums,
                  bool accumulate) {
    using Ints = typename Arch::template Batch<std::int32_t>;
    for (std::size_t row = 0; row < rows; ++row) {
      std::int32_t* const of_row = sums.first + row * sums.stride;
      for (std::size_t i = columns.begin; i < columns.end(); i += Ints::size) {
        std::int32_t* const lower = of_row + kBlockColumns + i;
        std::int32_t* const upper = of_row + 2 * kBlockColumns + i;
        const Ints sum = Ints::load_aligned(of_row + i);
        Ints low = sum & Ints(0xffff), high = sum >> 16;
        if (accumulate) {
          low = low + Ints::load_aligned(lower);
          high = high + Ints::load_aligned(upper);
        }
        low.store_aligned(lower);
        high.store_aligned(upper);
      }
    }
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
