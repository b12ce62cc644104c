// Where an epilogue's values go on a device: floats, or the codes of the quantizer that ends the
// epilogue.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../detail/epilogue/sinks.hpp"
#include "../../matrix.hpp"
#include "../../stage.hpp"
#include "../platform/platform.hpp"
#include "noise_lanes.hpp"
#include "pair.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// y, of which pairs of neighbours are stored.
template <class Element>
class Output {
 public:
  using Two = Pair<Element>;

  explicit Output(MatrixView<Element> y)
      : first_(y.data()),
        stride_(y.row_stride()),
        in_pairs_(y.row_stride() % 2 == 0 &&
                  reinterpret_cast<std::uintptr_t>(y.data()) % sizeof(Two) == 0),
        in_eights_(y.row_stride() % 8 == 0 &&
                   reinterpret_cast<std::uintptr_t>(y.data()) % (8 * sizeof(Element)) == 0) {}

  __device__ __forceinline__ Element* at(int row, int column) const {
    return first_ + static_cast<std::size_t>(row) * stride_ + column;
  }
  /// `count`: how many of the two there are, or more.
  __device__ __forceinline__ void store(int row, int column, const Two& values, int count) const {
    Element* const to = at(row, column);
    if (in_pairs_ && count >= 2) {
      *reinterpret_cast<Word*>(to) = std::bit_cast<Word>(values);
    } else {
      if (count > 0) to[0] = values.first;
      if (count > 1) to[1] = values.second;
    }
  }
  /// Whether eight neighbours, the first one's column a multiple of 8, are one word of memory.
  __device__ __forceinline__ bool in_eights() const { return in_eights_; }

 private:
  /// What memory takes at once.
  using Word =
      std::conditional_t<sizeof(Element) == 4, Words2,
                         std::conditional_t<sizeof(Element) == 2, std::uint32_t, std::uint16_t>>;
  static_assert(sizeof(Word) == sizeof(Two));

  Element* first_;
  std::size_t stride_;
  bool in_pairs_, in_eights_;
};

/// A thread's results of 32 columns, pair by pair.
template <int Threads>
using Results = std::array<Pair<float>, kPairs<Threads>>;

class FloatSink {
 public:
  explicit FloatSink(MatrixView<float> y) : y_(y) {}

  /// `column`: the first of 32; `thread`: which of Threads; `there`: the row exists. All threads of
  /// a warp call it.
  template <int Threads>
  __device__ __forceinline__ void store(int row, int column, int columns, int thread, bool there,
                                        const Results<Threads>& results) const {
    if (!there) return;
#pragma unroll
    for (int pair = 0; pair < kPairs<Threads>; ++pair) {
      const int at = column + column_of_pair<Threads>(thread, pair);
      y_.store(row, at, results[pair], columns - at);
    }
  }

 private:
  Output<float> y_;
};

/// Four threads each have items 0 … 3; thread t gets item t of each, as one 64-bit word. Items have
/// 16 bits, two in a word.
__device__ __forceinline__ Pair<std::uint32_t> turned_in_quad(const Pair<std::uint32_t>& items,
                                                              int thread) {
  // First between threads t and t ^ 2, which exchange words, then between t and t ^ 1.
  const bool upper = thread >= 2, odd = thread % 2 != 0;
  const std::uint32_t other = shuffle_xor(upper ? items.first : items.second, 2);
  const std::uint32_t own = upper ? items.second : items.first;
  const std::uint32_t low = upper ? other : own, high = upper ? own : other;
  const std::uint32_t even_items = (low & 0xffff) | high << 16;
  const std::uint32_t odd_items = low >> 16 | (high & 0xffff0000);
  const std::uint32_t came = shuffle_xor(odd ? even_items : odd_items, 1);
  const std::uint32_t even = odd ? came : even_items, second = odd ? odd_items : came;
  // `even` has items of threads 0 and 2, or of 1 and 3.
  return {(even & 0xffff) | second << 16, even >> 16 | (second & 0xffff0000)};
}

template <class Code, class Adc>
class CodeSink {
 public:
  CodeSink(MatrixView<Code> y, const Adc& adc) : y_(y), adc_(adc) {}

  template <int Threads>
  __device__ __forceinline__ void store(int row, int column, int columns, int thread, bool there,
                                        const Results<Threads>& results) const {
    std::array<Pair<std::int32_t>, kPairs<Threads>> codes;
#pragma unroll
    for (int pair = 0; pair < kPairs<Threads>; ++pair) {
      codes[pair] = adc_.encode_lanes(std::array<Pair<float>, 1>{results[pair]})[0];
    }
    if constexpr (Threads == 4 && sizeof(Code) == 1) {
      // (The same for all threads of a warp.)
      if (y_.in_eights() && column + 32 <= columns) {
        const auto two = [&](int pair) {
          return static_cast<std::uint32_t>(codes[pair].first | codes[pair].second << 8);
        };
        const Pair<std::uint32_t> eight =
            turned_in_quad({two(0) | two(1) << 16, two(2) | two(3) << 16}, thread);
        if (there) {
          *reinterpret_cast<Words2*>(y_.at(row, column + 8 * thread)) =
              std::bit_cast<Words2>(eight);
        }
        return;
      }
    }
    if (!there) return;
#pragma unroll
    for (int pair = 0; pair < kPairs<Threads>; ++pair) {
      const int at = column + column_of_pair<Threads>(thread, pair);
      y_.store(row, at,
               {static_cast<Code>(codes[pair].first), static_cast<Code>(codes[pair].second)},
               columns - at);
    }
  }

 private:
  Output<Code> y_;
  Adc adc_;
};

/// f(the stages before the sink, the sink).
template <class EpilogueT, class F>
auto with_device_sink(const EpilogueT& epilogue, MatrixView<float> y, F f) {
  return f(epilogue, FloatSink(y));
}
template <class EpilogueT, class Code, class F>
auto with_device_sink(const EpilogueT& epilogue, MatrixView<Code> y, F f) {
  return with_sink<Code>(epilogue, [&](const auto& stages, const auto& codes) {
    return f(stages, CodeSink(y, codes.adc));
  });
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
