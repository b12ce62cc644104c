// Where the noise of an element comes from: the seeding of its generator, a pure function of seed,
// stream, draw, row and column block (docs/numerics.md).
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../border.hpp"
#include "../../config.hpp"
#include "xoshiro.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Two steps of the generator yield this many normals.
inline constexpr std::size_t kNormalsPerRound = 32;
/// Generators that run side by side in a column block.
inline constexpr std::size_t kNoiseLanes = 8;

/// One normal for every element. Draw d is the d-th independent normal of an element: the first
/// noise stage of an epilogue uses draw 0, the next draw 1, and so on.
class NoiseField {
 public:
  constexpr NoiseField() = default;
  constexpr explicit NoiseField(const NoiseKey& key, std::uint64_t draw = 0) {
    SplitMix64 hash{key.seed};
    hash.state = hash() ^ key.stream;
    hash.state = hash() ^ draw;
    state_ = hash();
  }

  /// A row of the field, counted from the beginning of the unsharded batch: key.row_offset + row.
  class Row {
   public:
    constexpr explicit Row(std::uint64_t state) : state_(state) {}
    /// The state of the SplitMix64 that seeds the generators of a column block.
    constexpr std::uint64_t seed_of(std::uint64_t column_block) const {
      return state_ ^ column_block;
    }

   private:
    std::uint64_t state_;
  };
  constexpr Row row(std::uint64_t global_row) const {
    return Row(SplitMix64{state_ ^ global_row}());
  }

 private:
  std::uint64_t state_ = 0;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
