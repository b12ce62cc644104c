// From sums of products of bytes to floats: of rows in fixed point (rows/split_rows.hpp), times
// columns of codes (training/code_columns.hpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/scalar_math.hpp"
#include "../base/unroll.hpp"
#include "../kernels/split_kernel.hpp"
#include "../layout/float_panels.hpp"
#include "../rows/split_rows.hpp"
#include "../simd/fixed_point.hpp"
#include "../simd/vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What a signed byte c of a panel stands for: offset + step·(c + shift).
struct ByteValue {
  std::int32_t shift = 0;
  float step = 1.0f, offset = 0.0f;

  /// Σ q·unit·(offset + step·(c + shift)), as fma(step, T·unit, offset·(Q·unit)), of T = Σ q·(c +
  /// shift) as the nearest floats, and Q = Σ q.
  template <class Floats>
  [[gnu::always_inline]] Floats of_sums(const Floats& t, std::int64_t q, float unit) const {
    const float of_row = product(static_cast<float>(q), unit);
    return fused_multiply_add(Floats(step), product(t, Floats(unit)),
                              Floats(product(offset, of_row)));
  }
};

/// That of ByteValue, T and Q being exact until they are rounded. `AreBytes`: T·unit, for c itself.
template <class Arch, std::size_t Parts, bool AreBytes>
class SplitSums {
 public:
  using Codes = typename Arch::Codes;
  using Sum = SplitSum<Parts>;

  /// `byte_sums`: of each column of the panels, filled up to a multiple of 128; `padded_depth`: of
  /// the rows as they are multiplied.
  SplitSums(const ByteValue& value, const std::int32_t* byte_sums, std::size_t padded_depth)
      : value_(value),
        byte_sums_(byte_sums),
        padded_depth_(static_cast<std::int32_t>(padded_depth)) {}

  /// Of a column block. (Sums of 32 bits may wrap on the way.)
  class Values {
   public:
    using Floats = typename Arch::template Batch<float>;
    using Ints = typename Arch::template Batch<std::int32_t>;

    Values(const SplitSums& sums, std::size_t block, const SplitRow<Parts>* rows, const Sum* first)
        : value_(sums.value_), padded_depth_(sums.padded_depth_), rows_(rows), first_(first) {
      for (std::size_t i = 0; i < kBlockColumns; i += Ints::size) {
        const Ints sum = Ints::load_aligned(sums.byte_sums_ + block * kBlockColumns + i);
        (sum * Ints(Codes::input_bias)).store_aligned(of_lower_part_ + i);
        (sum * Ints(Codes::input_bias - kHalf)).store_aligned(of_last_part_ + i);
      }
    }
    [[gnu::always_inline]] Floats operator()(const Sum* sums, std::size_t column) const {
      const SplitRow<Parts>& row = rows_[static_cast<std::size_t>(sums - first_) / kBlockColumns];
      const std::int32_t* const own = row_of_sums(sums) + column;
      std::array<Ints, Parts> parts;
      unroll<Parts>([&](auto part) __attribute__((always_inline)) {
        constexpr bool kLast = part + 1 == Parts;
        Ints sum = Ints::load_aligned(own + part * kBlockColumns);
        if constexpr (kLast || Codes::input_bias != 0) {
          sum = sum + Ints::load_aligned((kLast ? of_last_part_ : of_lower_part_) + column);
        }
        if constexpr (!AreBytes) sum = sum + Ints(value_.shift * signed_sum(row, part));
        parts[part] = sum;
      });
      const Floats sum = nearest_float_of_parts<Floats>(parts);
      if constexpr (AreBytes) {
        return product(sum, Floats(row.unit));
      } else {
        std::int64_t of_row = 0;
        for (std::size_t part = Parts; part-- > 0;) of_row = of_row * 256 + signed_sum(row, part);
        return value_.of_sums(sum, of_row, row.unit);
      }
    }

   private:
    static constexpr std::int32_t kHalf = 128;

    /// The sum of a part of a row's integers.
    std::int32_t signed_sum(const SplitRow<Parts>& row, std::size_t part) const {
      return row.sums[part] - (part + 1 == Parts ? kHalf * padded_depth_ : 0);
    }

    ByteValue value_;
    std::int32_t padded_depth_;
    const SplitRow<Parts>* rows_;
    const Sum* first_;
    alignas(kCacheLine) std::int32_t of_lower_part_[kBlockColumns];
    alignas(kCacheLine) std::int32_t of_last_part_[kBlockColumns];
  };
  Values values(std::size_t block, const SplitRow<Parts>* rows, const Sum* first) const {
    return {*this, block, rows, first};
  }

 private:
  ByteValue value_;
  const std::int32_t* byte_sums_;
  std::int32_t padded_depth_;
};

/// The same of PairSums, with a shift of 0. (Depth: at most 2^15.)
template <class Arch, bool AreBytes>
class PairSums {
 public:
  using Sum = PairSum;
  static constexpr std::size_t kMostInputs = AreBytes ? kPairInputs : kPairInputsWithoutSign;

  PairSums(const ByteValue& value, std::size_t depth) : value_(value), depth_(depth) {}

  class Values {
   public:
    using Floats = typename Arch::template Batch<float>;
    using Ints = typename Arch::template Batch<std::int32_t>;

    Values(const PairSums& sums, const SplitRow<1>* rows, const Sum* first)
        : value_(sums.value_), in_one_(sums.depth_ <= kMostInputs), rows_(rows), first_(first) {}

    [[gnu::always_inline]] Floats operator()(const Sum* sums, std::size_t column) const {
      const SplitRow<1>& row = rows_[static_cast<std::size_t>(sums - first_) / kBlockColumns];
      const std::int32_t* const own = row_of_sums(sums) + column;
      Floats sum;
      if (in_one_) {
        sum = nearest_floats(Ints::load_aligned(own));
      } else {
        const Ints low = Ints::load_aligned(own + kBlockColumns);
        const Ints high = Ints::load_aligned(own + 2 * kBlockColumns);
        sum = fused_multiply_add(nearest_floats(high + (low >> 16)), Floats(0x1p+16f),
                                 nearest_floats(low & Ints(0xffff)));
      }
      if constexpr (AreBytes) {
        return product(sum, Floats(row.unit));
      } else {
        return value_.of_sums(sum, row.sums[0], row.unit);
      }
    }

   private:
    ByteValue value_;
    bool in_one_;
    const SplitRow<1>* rows_;
    const Sum* first_;
  };
  Values values(std::size_t, const SplitRow<1>* rows, const Sum* first) const {
    return {*this, rows, first};
  }

 private:
  ByteValue value_;
  std::size_t depth_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
