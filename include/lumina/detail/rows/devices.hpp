// Rows of devices: conductances that exist while they are read. Whoever knows the targets gives
// them, and takes what the devices have.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../border.hpp"
#include "../../cells/cell_model.hpp"
#include "../../cells/pairs.hpp"
#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../isa/native.hpp"
#include "../layout/float_panels.hpp"
#include "../random/device_draws.hpp"
#include "../simd/vectors.hpp"
#include "row_source.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

struct NoMoment {};
template <class Cell>
struct MomentOf {
  using type = NoMoment;
};
template <ChangesWithTime Cell>
struct MomentOf<Cell> {
  using type = decltype(std::declval<const Cell&>().moment(0.0));
};

/// A cell at a time, or just programmed.
template <CellModel Cell, bool AtTime>
class CellState {
 public:
  static constexpr bool changes = AtTime && ChangesWithTime<Cell>;

  CellState(const Cell& cell, [[maybe_unused]] double seconds) : cell_(cell) {
    if constexpr (changes) moment_ = cell.moment(seconds);
  }
  /// The conductances of devices of these targets, µS.
  template <class Floats>
  [[gnu::always_inline]] Floats operator()(
      const Floats& targets, const std::array<Floats, Cell::draws.size()>& drawn) const {
    const Floats programmed = cell_.programmed(targets, drawn);
    if constexpr (changes) {
      return cell_.at(moment_, targets, programmed, drawn);
    } else {
      return programmed;
    }
  }

 private:
  Cell cell_;
  typename MomentOf<Cell>::type moment_{};
};

/// What is wanted of a weight's devices: ŵ, or a conductance in µS.
enum class Held { weight, plus, minus };

/// The ŵ that devices hold which are programmed to w [out, in]: w / scale of the output, rounded to
/// levels where there are some, to the targets of its devices, to their conductances, to what those
/// are read as. The devices of w(row, column) draw what is at (row, first_column + column) of the
/// noise fields.
template <CellModel Cell, std::size_t Devices, bool AtTime, Held Wanted = Held::weight>
class ProgrammedRows : public FloatRows {
 public:
  static constexpr std::size_t row_multiple = kBlockColumns;  // a generator begins there

  /// `levels`: ŵ is a multiple of 1 / levels; 0: anything. A scale of 0 makes ŵ 0.
  ProgrammedRows(MatrixView<const float> w, const float* scales, float levels, const Cell& cell,
                 const PairMapping& mapping, double seconds, std::size_t first_column,
                 const NoiseKey& key)
      : w_(w),
        scales_(scales),
        levels_(levels),
        state_(cell, seconds),
        mapping_(mapping),
        first_column_(first_column),
        draws_(key, seconds) {}

  std::size_t rows() const { return w_.rows(); }
  std::size_t depth() const { return w_.cols(); }

  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    for (std::size_t row = 0; row < rows.size; ++row) {
      for (std::size_t done = 0; done < inputs.size;) {
        const std::size_t column = first_column_ + inputs.begin + done;
        const std::size_t in_block = column % kBlockColumns;
        const Range now{inputs.begin + done,
                        std::min(kBlockColumns - in_block, inputs.size - done)};
        float* const own = to + row * stride + done;
        if (in_block == 0 && done == 0) {
          make(rows.begin + row, now, column / kBlockColumns, 0, own);
        } else {
          // Of a tile that begins within a block of the noise.
          alignas(kCacheLine) float block[kBlockColumns];
          make(rows.begin + row, now, column / kBlockColumns, in_block, block);
          std::copy_n(block + in_block, now.size, own);
        }
        done += now.size;
      }
    }
  }

 private:
  using Draws = DeviceDraws<Cell, Devices, AtTime>;
  using Floats = typename Draws::Floats;

  /// Inputs of one column block, from its column `skipped` on, to there in `block`; whole vectors.
  void make(std::size_t row, const Range& inputs, std::size_t column_block, std::size_t skipped,
            float* block) const {
    typename Draws::Block draws(draws_, row, column_block);
    typename Draws::Round round;
    Draws::Block::clear(round);
    const float* const from = w_.row(row) + inputs.begin;
    const std::size_t end = skipped + inputs.size;
    for (std::size_t column = 0; column < end; column += kNormalsPerRound) {
      draws.next(round);
      for (std::size_t v = 0; v < Draws::round_vectors; ++v) {
        const std::size_t at = column + v * Floats::size;
        if (at + Floats::size <= skipped || at >= end) continue;
        Floats weights;
        if (at >= skipped && at + Floats::size <= end) {
          weights = Floats::load_unaligned(from + at - skipped);
        } else {
          alignas(kCacheLine) float lanes[Floats::size] = {};
          for (std::size_t i = 0; i < Floats::size; ++i) {
            if (at + i >= skipped && at + i < end) lanes[i] = from[at + i - skipped];
          }
          weights = Floats::load_aligned(lanes);
        }
        held(relative(weights, scales_[row]), round, v).store_aligned(block + at);
      }
    }
  }

  [[gnu::always_inline]] Floats relative(const Floats& weights, float scale) const {
    if (scale == 0.0f) return Floats(0.0f);
    const Floats share = quotient(weights, Floats(scale));
    if (levels_ == 0.0f) return share;
    const Floats levels(levels_);
    const Floats limited = min_or_second(max_or_second(share, Floats(-1.0f)), Floats(1.0f));
    return quotient(round_half_even(product(limited, levels)), levels);
  }
  /// What the devices of ŵ hold.
  [[gnu::always_inline]] Floats held(const Floats& weights, const typename Draws::Round& round,
                                     std::size_t v) const {
    const auto device = [&](auto index) __attribute__((always_inline)) {
      return state_(mapping_.target(weights, index == 0 ? 1.0f : -1.0f), round[index][v]);
    };
    constexpr std::integral_constant<std::size_t, 0> kPlus;
    constexpr std::integral_constant<std::size_t, 1> kMinus;
    if constexpr (Wanted == Held::plus) {
      return device(kPlus);
    } else if constexpr (Wanted == Held::minus) {
      return device(kMinus);
    } else if constexpr (Devices == 1) {
      return mapping_.weight(device(kPlus));
    } else {
      return mapping_.weight(device(kPlus), device(kMinus));
    }
  }

  MatrixView<const float> w_;
  const float* scales_;
  float levels_;
  CellState<Cell, AtTime> state_;
  PairMapping mapping_;
  std::size_t first_column_;
  Draws draws_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
