// What the devices of one row draw, a round of 32 columns after the other: several generators side
// by side, as each draw of an element has one of its own.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../border.hpp"
#include "../../cells/cell_model.hpp"
#include "../../config.hpp"
#include "../base/unroll.hpp"
#include "../isa/native.hpp"
#include "noise_field.hpp"
#include "noise_generator.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The key of readings at a time: that of the chip, its stream changed by the time's bits. (Those
/// of +0 and −0 are the same.)
inline NoiseKey reading_key(const NoiseKey& chip, double seconds) {
  const auto bits = std::bit_cast<std::uint64_t>(seconds + 0.0);
  return {chip.seed, chip.stream ^ SplitMix64::mix(bits), chip.row_offset};
}

/// A cell draws this where its devices are looked at at a time, or just programmed.
constexpr bool is_drawn(Draw draw, bool at_a_time) {
  return at_a_time || draw == Draw::programming || draw == Draw::uniform;
}

/// For `Devices` devices of each (row, column): device i draws number i·n + j for the j-th of the
/// cell's n draws.
template <CellModel Cell, std::size_t Devices, bool AtTime>
class DeviceDraws {
 public:
  using Generator = NoiseGenerator<Native>;
  using Floats = Generator::Floats;
  static constexpr std::size_t count = Cell::draws.size();
  static constexpr std::size_t round_vectors = Generator::round_vectors;
  /// [device][vector] of a round: the cell's draws; 0 what is not drawn.
  using Round = std::array<std::array<std::array<Floats, count>, round_vectors>, Devices>;

  DeviceDraws(const NoiseKey& chip, double seconds) : row_offset_(chip.row_offset) {
    const NoiseKey reading = reading_key(chip, seconds);
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      fields_[i] = NoiseField(Cell::draws[i % count] == Draw::reading ? reading : chip, i);
    }
  }

  /// The generators of a row and column block.
  class Block {
   public:
    Block(const DeviceDraws& draws, std::size_t row, std::size_t column_block) {
      for_each([&](auto i) {
        generators_[i] =
            Generator(draws.fields_[i].row(draws.row_offset_ + row).seed_of(column_block));
      });
    }
    void next(Round& round) {
      for_each([&](auto i) {
        constexpr std::size_t device = i / count, draw = i % count;
        const auto numbers = Cell::draws[draw] == Draw::uniform
                                 ? generators_[i].next_uniform_round()
                                 : generators_[i].next_round();
        for (std::size_t v = 0; v < round_vectors; ++v) round[device][v][draw] = numbers[v];
      });
    }
    /// What is not drawn.
    static void clear(Round& round) {
      for (auto& device : round) {
        for (auto& vector : device) {
          for (Floats& drawn : vector) drawn = Floats(0.0f);
        }
      }
    }

   private:
    /// f(i) for each draw that there is.
    template <class F>
    [[gnu::always_inline]] static void for_each(F f) {
      unroll<Devices * count>([&](auto i) {
        if constexpr (is_drawn(Cell::draws[i % count], AtTime)) f(i);
      });
    }

    std::array<Generator, Devices * count> generators_;
  };

 private:
  std::uint64_t row_offset_;
  std::array<NoiseField, Devices * count> fields_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
