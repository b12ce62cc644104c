// From an array's sums to what it yields on a device, and from that to partial sums: the stages of
// array() (analog_gemm.hpp). The CPU's are detail/epilogue/tile_sums.hpp and array_sum.hpp.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../detail/epilogue/stage_traits.hpp"
#include "../../detail/kernels/sum_planes.hpp"
#include "../../detail/rows/array_input.hpp"
#include "../../detail/rows/input_planes.hpp"
#include "../../epilogue.hpp"
#include "../../stage.hpp"
#include "../platform/platform.hpp"
#include "../tiled_weights.hpp"
#include "array_input_kernel.hpp"
#include "array_tiling.hpp"
#include "finish.hpp"
#include "noise_lanes.hpp"
#include "pair.hpp"
#include "sum_planes.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// From sums of codes to ŷ = Σ ŵ·x̂ of two columns, and to what stages want beside.
template <class Planes>
class ArraySums {
 public:
  ArraySums(const InputScale& input, const TiledRows& weights, const ArrayTiling& tiling)
      : input_(input), weights_(weights), tiling_(tiling) {}

  __device__ __forceinline__ const ArrayTiling& tiling() const { return tiling_; }

  /// The same for all of a kernel: what 1 in a sum is worth.
  struct Units {
    float product, offset, magnitudes, squares, positions;
  };
  __device__ __forceinline__ Units units() const {
    const float code_value = load_constant(weights_.code_value);
    return {detail::product(input_.unit, code_value), detail::product(input_.offset, code_value),
            magnitude_unit(code_value), square_unit(code_value, Planes::stored_bits),
            position_unit(code_value)};
  }

  /// Two columns of an array.
  struct Column {
    Pair<float> scale;
    Pair<std::int32_t> code_sum;
  };
  __device__ __forceinline__ Column column(int array, int column) const {
    const std::size_t first = static_cast<std::size_t>(array) * weights_.padded_outputs +
                              static_cast<std::size_t>(column);
    const auto pair = [&]<class T>(const T* of) {
      const auto two = *reinterpret_cast<const Words2*>(of + first);
      return Pair<T>(std::bit_cast<T>(two.x), std::bit_cast<T>(two.y));
    };
    return {pair(weights_.scales), pair(weights_.code_sums)};
  }

  /// sum_of(number): one of Planes' sums. (Those of codes, which count from the lowest one, and may
  /// wrap on the way.)
  template <class SumOf>
  __device__ __forceinline__ Pair<float> value(const Units& units, const Column& column,
                                               const SumOf& sum_of) const {
    Pair<std::int32_t> sum = sum_of(0);
    if constexpr (Planes::fine) sum = sum * Pair<std::int32_t>(256) + sum_of(1);
    const Pair<std::int32_t> with_signs = sum + column.code_sum * Pair<std::int32_t>(input_.lowest);
    const Pair<float> base = product(Pair<float>(units.offset), nearest_floats(column.code_sum));
    return fused_multiply_add(nearest_floats(with_signs), Pair<float>(units.product), base);
  }
  template <class SumOf>
  __device__ __forceinline__ Facts<Pair<float>> facts(const Units& units, int array,
                                                      const Column& column, const ArrayNumbers& row,
                                                      const SumOf& sum_of) const {
    constexpr unsigned kSet = Planes::set;
    Facts<Pair<float>> result;
    result.row = {row.range, detail::product(static_cast<float>(row.squares), 1.0f / 255.0f),
                  static_cast<float>(tiling_.size(array))};
    const auto times = [](const Pair<std::int32_t>& sum, float unit) {
      return product(nearest_floats(sum), Pair<float>(unit));
    };
    if constexpr ((kSet & kMagnitudeSums) != 0) {
      constexpr int kSum = plane_of(kSet, kMagnitudeSums);
      result.magnitudes = times(sum_of(kSum), units.magnitudes);
    }
    if constexpr ((kSet & kSquaredInputSums) != 0) {
      constexpr int kSum = plane_of(kSet, kSquaredInputSums);
      result.squared_inputs = times(sum_of(kSum), units.magnitudes);
    }
    if constexpr ((kSet & kSquareSums) != 0) {
      constexpr int kSum = plane_of(kSet, kSquareSums);
      result.squares = times(sum_of(kSum), units.squares);
    }
    if constexpr ((kSet & kPositionSums) != 0) {
      constexpr int kSum = plane_of(kSet, kPositionSums);
      constexpr auto kBias = static_cast<std::int32_t>(InputPlanes::kPositionBias);
      result.positions =
          times(sum_of(kSum) - column.code_sum * Pair<std::int32_t>(kBias), units.positions);
    }
    return result;
  }

 private:
  InputScale input_;
  TiledRows weights_;
  ArrayTiling tiling_;
};

/// What becomes of the sums of each array, and in the end of all: `OutputFinish` is a Finish of
/// floats. `Repeats`: the rows that an ADC has clipped are noted (Repetition).
template <class PlanesT, class Stages, class OutputFinish, bool Repeats>
class ArrayFinish;
template <class PlanesT, class... Stages, class OutputFinish, bool Repeats>
class ArrayFinish<PlanesT, Epilogue<Stages...>, OutputFinish, Repeats> {
 public:
  using Planes = PlanesT;
  using Sums = ArraySums<Planes>;
  using Units = typename Sums::Units;
  using DrawsT = Draws<Epilogue<Stages...>>;

  /// `numbers`: [arrays, rows]. The noise of array t has draws first_draw + t·D … of the D of its
  /// stages.
  ArrayFinish(const Sums& sums, const ArrayNumbers* numbers, const Epilogue<Stages...>& stages,
              const NoiseKey& key, std::size_t first_draw, const Repetition& repetition,
              const OutputFinish& outputs)
      : sums_(sums),
        numbers_(numbers),
        stages_(stages),
        key_(key),
        first_draw_(first_draw),
        repetition_(repetition),
        outputs_(outputs) {}

  __device__ __forceinline__ const ArrayTiling& tiling() const { return sums_.tiling(); }
  __device__ __forceinline__ Units units() const { return sums_.units(); }
  /// Whether one of so many rows is to be computed.
  __device__ __forceinline__ bool has_work(int first_row, int count) const {
    if (!Repeats || repetition_.rows == nullptr) return true;
    bool any = false;
    for (int row = first_row; row < first_row + count; ++row) any = any || is_wanted(row);
    return any;
  }

  /// Adds what an array yields to partial sums of a row: those of `Rounds` times 32 columns from
  /// `column` on. sum_of(number of the sum, round, pair). All threads of a warp call it, also for
  /// rows that do not exist.
  template <int Rounds, class SumOf>
  __device__ __forceinline__ void add(const Units& units, int array, int row, int column,
                                      int thread, const SumOf& sum_of,
                                      Pair<float> (&partial_sums)[4 * Rounds]) const {
    const DrawsT draws(key_, first_draw_ + static_cast<std::size_t>(array) * DrawsT::count);
    typename DrawsT::template Row<4> generators(draws, row, column, thread);
    // As Finish does it: what does not exist is computed too.
    const int real_row = row < outputs_.rows() ? row : outputs_.rows() - 1;
    const ArrayNumbers numbers =
        numbers_[static_cast<std::size_t>(array) * static_cast<std::size_t>(outputs_.rows()) +
                 static_cast<std::size_t>(real_row)];
    bool clipped = false;
#pragma unroll
    for (int round = 0; round < Rounds; ++round) {
      const typename DrawsT::template Round<4> drawn = generators.next();
#pragma unroll
      for (int pair = 0; pair < 4; ++pair) {
        const int at = column + 32 * round + column_of_pair<4>(thread, pair);
        std::array<Pair<float>, DrawsT::count> own;
#pragma unroll
        for (std::size_t draw = 0; draw != DrawsT::count; ++draw) own[draw] = drawn[draw][pair];
        const Coordinates coordinates{static_cast<std::size_t>(real_row),
                                      static_cast<std::size_t>(at), draws.global_row(real_row),
                                      static_cast<std::size_t>(array)};
        const int left = outputs_.columns() - at;
        const ActiveLanes active{static_cast<std::size_t>(left < 0 ? 0 : left > 2 ? 2 : left)};
        const auto own_column = sums_.column(array, at);
        const auto own_sum = [&](int sum) { return sum_of(sum, round, pair); };
        const auto facts = [&] {
          if constexpr (wants_facts<Epilogue<Stages...>>) {
            return sums_.facts(units, array, own_column, numbers, own_sum);
          } else {
            return NoFacts();
          }
        }();
        const Pair<float> yielded = stages_.apply_showing(
            sums_.value(units, own_column, own_sum), coordinates, active, own, facts,
            [&](auto index, const auto& stage, const Pair<float>& entering) {
              if constexpr (Repeats && is_last_gate<decltype(index)::value, Stages...>()) {
                const PairMask passed = stage.passes(entering);
                clipped = clipped || (left > 0 && !passed.first) || (left > 1 && !passed.second);
              }
            });
        Pair<float>& sum = partial_sums[4 * round + pair];
        sum =
            fused_multiply_add(yielded, product(own_column.scale, Pair<float>(numbers.range)), sum);
      }
    }
    if constexpr (Repeats) {
      if (clipped && repetition_.clipped != nullptr && is_wanted(row)) {
        repetition_.clipped[row] = 1;
      }
    }
  }

  /// The sums of all arrays to outputs. value(round, pair).
  template <int Rounds, class Value>
  __device__ __forceinline__ void finish(int row, int column, int thread,
                                         const Value& value) const {
    if constexpr (Repeats) {
      // (All threads of a warp store, whatever their rows are.)
      if (!is_wanted(row)) row = outputs_.rows();
    }
    outputs_.template finish<4, Rounds>(row, column, thread, value);
  }

 private:
  /// Whether a row exists and is to be computed.
  __device__ __forceinline__ bool is_wanted(int row) const {
    return row < outputs_.rows() && (repetition_.rows == nullptr || repetition_.rows[row] != 0);
  }

  Sums sums_;
  const ArrayNumbers* numbers_;
  Epilogue<Stages...> stages_;
  NoiseKey key_;
  std::size_t first_draw_;
  Repetition repetition_;
  OutputFinish outputs_;
};

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
