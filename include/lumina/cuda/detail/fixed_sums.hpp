// From sums of products of bytes to floats: of rows in fixed point (fixed_rows.hpp) times columns
// of codes (code_columns.hpp). (detail/epilogue/split_sums.hpp has the same for the CPU's vectors.)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../detail/epilogue/split_sums.hpp"
#include "../../detail/simd/fixed_point.hpp"
#include "../platform/platform.hpp"
#include "pair.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// What is known of the operands of such a product.
struct FixedFacts {
  const float* units;             ///< what 1 of a row is worth
  const std::int32_t* row_sums;   ///< [rows][parts]: of each part's bytes
  const std::int32_t* byte_sums;  ///< of each column, up to a multiple of 128
  std::int32_t depth;
};

/// `AreBytes`: bytes of columns stand for themselves, or they stand for what ByteValue says.
template <int Parts, bool AreBytes>
class FixedSums {
 public:
  using Sum = std::int32_t;
  static constexpr int parts = Parts;

  FixedSums(const FixedFacts& facts, const ByteValue& value) : facts_(facts), value_(value) {}

  struct Row {
    float unit, base;
    std::array<std::int32_t, Parts> of_shift;
  };
  __device__ __forceinline__ Row row(int row) const {
    Row result{facts_.units[row], 0.0f, {}};
    if constexpr (!AreBytes) {
      std::int64_t all = 0;
#pragma unroll
      for (int part = Parts - 1; part >= 0; --part) {
        std::int32_t sum = facts_.row_sums[row * Parts + part];
        if (part + 1 == Parts) sum -= kHalf * facts_.depth;
        all = all * 256 + sum;
        result.of_shift[part] = static_cast<std::int32_t>(static_cast<std::uint32_t>(sum) *
                                                          static_cast<std::uint32_t>(value_.shift));
      }
      result.base = product(value_.offset, product(static_cast<float>(all), result.unit));
    }
    return result;
  }

  /// For two columns.
  struct Column {
    Pair<std::int32_t> of_half;
    float step;

    __device__ __forceinline__ Pair<float> operator()(
        const Row& row, std::array<Pair<std::int32_t>, Parts> sums) const {
      using Ints = Pair<std::int32_t>;
      sums[Parts - 1] = sums[Parts - 1] + of_half;
      if constexpr (!AreBytes) {
#pragma unroll
        for (int part = 0; part < Parts; ++part) sums[part] = sums[part] + Ints(row.of_shift[part]);
      }
      const Pair<float> sum = nearest_float_of_parts<Pair<float>, std::size_t{Parts}>(sums);
      const Pair<float> value = product(sum, Pair<float>(row.unit));
      if constexpr (AreBytes) {
        return value;
      } else {
        return fused_multiply_add(Pair<float>(step), value, Pair<float>(row.base));
      }
    }
  };
  __device__ __forceinline__ Column column(int column) const {
    const auto sums =
        load_constant(reinterpret_cast<const Pair<std::int32_t>*>(facts_.byte_sums + column));
    return {sums * Pair<std::int32_t>(-kHalf), value_.step};
  }

 private:
  /// The last part's bytes are as many more than the number's.
  static constexpr std::int32_t kHalf = 128;

  FixedFacts facts_;
  ByteValue value_;
};

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
