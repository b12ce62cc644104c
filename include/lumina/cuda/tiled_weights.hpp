// Weights on arrays in a device's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../border.hpp"
#include "../config.hpp"
#include "../detail/base/message.hpp"
#include "../detail/base/range.hpp"
#include "../tiled_weights.hpp"
#include "coded_weights.hpp"
#include "detail/array_tiling.hpp"
#include "detail/checks.hpp"
#include "detail/upload.hpp"
#include "device_view.hpp"
#include "platform/platform.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// What products on arrays read. Codes as in CodedRows, but each array's begin at a multiple of
/// kCodeRowBytes; scales and sums of codes of each array, `padded_outputs` of them.
struct TiledRows {
  float* code_value;  ///< what code 1 is of a fully-on device
  float* scales;
  std::int32_t* code_sums;
  std::int8_t* codes;
  std::size_t row_bytes, padded_outputs;
};

}  // namespace detail::gpu

namespace cuda {

/// Coded weights w [out, in] of 2 … 8 bits on arrays, in memory of the caller's. Codes have a byte
/// each, arrays' inputs are filled up to a multiple of 128. Filled by copy_weights(). Copying a
/// view copies no weights.
template <int Bits>
class TiledWeights {
  static_assert(Bits >= 2 && Bits <= 8, "lumina::cuda::TiledWeights: Bits must be in 2..8");

 public:
  static constexpr int bits = Bits;
  static constexpr int stored_bits = detail::stored_bits(Bits);

  /// How much memory weights [rows, cols] on such arrays take.
  static constexpr std::size_t bytes(std::size_t rows, std::size_t cols,
                                     const Mapping& mapping = {}) {
    const detail::gpu::ArrayTiling tiling = tiling_of(cols, mapping);
    const std::size_t outputs = padded_outputs(rows);
    return kBytesOfCodeValue +
           detail::size_product(sizeof(float) + sizeof(std::int32_t), tiling.count(), outputs) +
           detail::size_product(rows, tiling.row_bytes());
  }

  constexpr TiledWeights() = default;
  /// `memory`: bytes(rows, cols, mapping) of the device, beginning at a multiple of 128. Error: a
  /// tile of 0 inputs; the view is empty then.
  TiledWeights(void* memory, std::size_t rows, std::size_t cols, const Mapping& mapping = {}) {
    if (mapping.tile.inputs == 0) {
      detail::report_error((detail::Message()
                            << "lumina::cuda::TiledWeights: w is " << detail::Shape{rows, cols}
                            << "; a tile has 0 inputs")
                               .c_str());
      return;
    }
    memory_ = static_cast<std::byte*>(memory);
    rows_ = rows, cols_ = cols, mapping_ = mapping;
  }

  constexpr std::size_t rows() const { return rows_; }  ///< outputs
  constexpr std::size_t cols() const { return cols_; }  ///< inputs
  constexpr const Mapping& mapping() const { return mapping_; }
  /// How many arrays lie along the inputs.
  constexpr std::size_t tiles() const { return tiling().count(); }
  constexpr void* memory() const { return memory_; }

  /// For kernels: how inputs are cut, and where everything lies.
  constexpr detail::gpu::ArrayTiling tiling() const { return tiling_of(cols_, mapping_); }
  detail::gpu::TiledRows arrays() const {
    const detail::gpu::ArrayTiling tiling = this->tiling();
    const std::size_t outputs = padded_outputs(rows_);
    auto* const scales = reinterpret_cast<float*>(memory_ + kBytesOfCodeValue);
    auto* const code_sums = reinterpret_cast<std::int32_t*>(scales + tiling.count() * outputs);
    return {reinterpret_cast<float*>(memory_),
            scales,
            code_sums,
            reinterpret_cast<std::int8_t*>(code_sums + tiling.count() * outputs),
            tiling.row_bytes(),
            outputs};
  }

 private:
  /// In front of all that is aligned to 128.
  static constexpr std::size_t kBytesOfCodeValue = 128;

  static constexpr std::size_t padded_outputs(std::size_t rows) {
    return detail::round_up(rows, detail::gpu::kOutputMultiple);
  }
  static constexpr detail::gpu::ArrayTiling tiling_of(std::size_t cols, const Mapping& mapping) {
    const std::size_t inputs = mapping.tile.inputs == 0 ? 1 : mapping.tile.inputs;
    return detail::gpu::ArrayTiling(detail::Tiling::of(cols, inputs, mapping.split));
  }

  std::byte* memory_ = nullptr;
  std::size_t rows_ = 0, cols_ = 0;
  Mapping mapping_;
};

/// Weights on the host's arrays to the device. Waits until they are read, so a stream that is being
/// captured does not take it. Errors: another shape, inputs that are cut otherwise, and those of
/// analog_gemm. The result: whether it is on the stream.
template <int Bits>
bool copy_weights(const lumina::TiledWeights<Bits>& from, const TiledWeights<Bits>& to,
                  const Stream& stream) {
  using namespace detail::gpu;
  const Call call("lumina::cuda::copy_weights",
                  detail::Message() << "w is " << detail::Shape{from.rows(), from.cols()} << " on "
                                    << from.tiles() << " arrays");
  const ArrayTiling tiling(from.panels().inputs);
  if (to.rows() != from.rows() || to.cols() != from.cols() || !(to.tiling() == tiling)) {
    return call.refuse(detail::Message()
                       << "the device's weights are " << detail::Shape{to.rows(), to.cols()}
                       << " on " << to.tiles() << " arrays of " << to.mapping().tile.inputs
                       << " inputs at most");
  }
  if (from.rows() == 0) return true;
  const std::size_t bytes = TiledWeights<Bits>::bytes(to.rows(), to.cols(), to.mapping());
  return upload(call, to.memory(), bytes, stream, [&](void* memory) {
    const TiledRows arrays =
        TiledWeights<Bits>(memory, to.rows(), to.cols(), to.mapping()).arrays();
    *arrays.code_value = from.code_value();
    for (std::size_t tile = 0; tile < from.tiles(); ++tile) {
      const std::size_t first = tile * arrays.padded_outputs;
      const auto scales = from.scales(tile);
      const auto code_sums = from.code_sums(tile);
      std::memcpy(arrays.scales + first, scales.data(), scales.size_bytes());
      std::memcpy(arrays.code_sums + first, code_sums.data(), code_sums.size_bytes());
      const detail::Range inputs{from.first_input(tile), from.input_count(tile)};
      std::int8_t* const codes = arrays.codes + tiling.first_byte(static_cast<int>(tile));
      for (std::size_t row = 0; row < from.rows(); ++row) {
        for (std::size_t i = 0; i < inputs.size; ++i) {
          codes[row * arrays.row_bytes + i] =
              static_cast<std::int8_t>(from.code(row, inputs.begin + i));
        }
      }
    }
  });
}

}  // namespace cuda
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
