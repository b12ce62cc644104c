// Coded weights in a device's memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../coded_weights_view.hpp"
#include "../config.hpp"
#include "../detail/base/range.hpp"
#include "platform/platform.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Codes of a row begin at multiples of so many bytes: what a tensor map and 16-byte copies take,
/// and a block of the depth (wgmma's rows of 128 bytes).
inline constexpr std::size_t kCodeRowBytes = 128;
/// Scales and sums of codes go on with zeros up to a multiple of so many outputs.
inline constexpr std::size_t kOutputMultiple = 128;

/// What products read: signed codes, one byte each, `row_bytes` from row to row, zeros behind the
/// last input; for each output what code 1 is worth, and the sum of its codes.
struct CodedRows {
  std::int8_t* codes;
  std::size_t row_bytes;
  float* scales;
  std::int32_t* code_sums;
};

}  // namespace detail::gpu

namespace cuda {

/// Coded weights w [out, in] of 2 … 8 bits in memory of the caller's. Codes have a byte each,
/// whatever the number of bits. Filled by copy_weights() or encode_weights(). Copying a view copies
/// no weights.
template <int Bits>
class CodedWeights {
  static_assert(Bits >= 2 && Bits <= 8, "lumina::cuda::CodedWeights: Bits must be in 2..8");

 public:
  static constexpr int bits = Bits;
  static constexpr std::int32_t max_code = (std::int32_t{1} << (Bits - 1)) - 1;

  /// How much memory weights [rows, cols] take.
  static constexpr std::size_t bytes(std::size_t rows, std::size_t cols) {
    return detail::size_product(rows, detail::round_up(cols, detail::gpu::kCodeRowBytes)) +
           (sizeof(float) + sizeof(std::int32_t)) * padded_rows(rows);
  }

  constexpr CodedWeights() = default;
  /// `memory`: bytes(rows, cols) of the device, beginning at a multiple of 128.
  CodedWeights(void* memory, std::size_t rows, std::size_t cols)
      : memory_(static_cast<std::byte*>(memory)), rows_(rows), cols_(cols) {}

  constexpr std::size_t rows() const { return rows_; }  ///< outputs
  constexpr std::size_t cols() const { return cols_; }  ///< inputs
  constexpr void* memory() const { return memory_; }

  /// For kernels: where the arrays lie. Scales come first, for they are aligned to more.
  detail::gpu::CodedRows arrays() const {
    const std::size_t padded = padded_rows(rows_);
    auto* const scales = reinterpret_cast<float*>(memory_);
    auto* const code_sums = reinterpret_cast<std::int32_t*>(scales + padded);
    return {reinterpret_cast<std::int8_t*>(code_sums + padded),
            detail::round_up(cols_, detail::gpu::kCodeRowBytes), scales, code_sums};
  }

 private:
  static constexpr std::size_t padded_rows(std::size_t rows) {
    return detail::round_up(rows, detail::gpu::kOutputMultiple);
  }

  std::byte* memory_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
};

}  // namespace cuda
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
