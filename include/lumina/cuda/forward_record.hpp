// What a backward pass on a device needs to know of the forward pass beyond its operands: a bit for
// each output and gate.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../config.hpp"
#include "../detail/base/range.hpp"
#include "../detail/epilogue/clip_recorder.hpp"
#include "../detail/layout/float_panels.hpp"
#include "platform/platform.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace cuda {

/// A record of outputs [rows, cols] and `gates` gates in memory of the caller's, whose bytes lie as
/// those of lumina::ForwardRecord::bytes(). (Bits of columns that do not exist may be any.) Filled
/// by cuda::forward(), read by cuda::backward(). Copying a view copies no bits.
class ForwardRecord {
 public:
  /// How many of these stages' gates are recorded; none where a derivative needs values.
  template <class Epilogue>
  static constexpr std::size_t gates_of(const Epilogue& stages) {
    return detail::recorded_gates(stages);
  }
  /// How much memory it takes.
  static constexpr std::size_t bytes(std::size_t rows, std::size_t cols, std::size_t gates) {
    return detail::size_product(rows, gates, detail::ceil_div(cols, detail::kBlockColumns),
                                detail::kBlockColumns / 8);
  }

  constexpr ForwardRecord() = default;
  /// `memory`: bytes(rows, cols, gates) of the device, beginning at a multiple of 4.
  constexpr ForwardRecord(void* memory, std::size_t rows, std::size_t cols, std::size_t gates)
      : memory_(memory), rows_(rows), cols_(cols), gates_(gates) {}

  constexpr void* memory() const { return memory_; }
  constexpr std::size_t rows() const { return rows_; }
  constexpr std::size_t cols() const { return cols_; }
  constexpr std::size_t gates() const { return gates_; }

 private:
  void* memory_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
  std::size_t gates_ = 0;
};

}  // namespace cuda

namespace detail::gpu {

/// The bits as kernels see them: words of 32 columns.
struct GateWords {
  std::uint32_t* words = nullptr;
  std::size_t gates = 0, blocks = 0;

  GateWords() = default;
  GateWords(const cuda::ForwardRecord& record)
      : words(static_cast<std::uint32_t*>(record.memory())),
        gates(record.gates()),
        blocks(ceil_div(record.cols(), kBlockColumns)) {}

  /// That of a column which is a multiple of 32.
  __device__ __forceinline__ std::uint32_t* at(std::size_t gate, std::size_t row,
                                               std::size_t column) const {
    constexpr std::size_t kInBlock = kBlockColumns / 32;
    const std::size_t block = row * blocks + column / kBlockColumns;
    return words + (block * gates + gate) * kInBlock + column % kBlockColumns / 32;
  }
};

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
