// From sums to outputs on a device: the noise of each element, the stages, and the one store to y.
// (detail/epilogue/loop.hpp is the CPU's.)
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../detail/epilogue/draws.hpp"
#include "../../detail/layout/float_panels.hpp"
#include "../../detail/random/noise_field.hpp"
#include "../../stage.hpp"
#include "noise_lanes.hpp"
#include "observers.hpp"
#include "pair.hpp"
#include "sinks.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// What stages draw for an element, in rounds of 32 columns of a row.
template <class Stages>
class Draws {
 public:
  static constexpr std::size_t count = normals_of<Stages>;

  /// A thread's numbers of 32 columns: [draw][pair].
  template <int Threads>
  using Round = std::array<typename NoiseLanes<Threads>::Round, count>;

  constexpr Draws(const NoiseKey& key, std::size_t first_draw = 0) : row_offset_(key.row_offset) {
    for (std::size_t draw = 0; draw < count; ++draw) {
      fields_[draw] = NoiseField(key, first_draw + draw);
    }
  }

  __device__ __forceinline__ std::uint64_t global_row(int row) const {
    return row_offset_ + static_cast<std::uint64_t>(row);
  }

  /// The generators of a row, from a column on that is a multiple of 32.
  template <int Threads>
  class Row {
   public:
    __device__ __forceinline__ Row(const Draws& draws, int row, int column, int thread) {
      constexpr auto kOfRow = row_draws_of<Stages>, kUniform = uniform_draws_of<Stages>;
#pragma unroll
      for (std::size_t draw = 0; draw < count; ++draw) {
        const NoiseField::Row field = draws.fields_[draw].row(draws.global_row(row));
        if (kOfRow[draw]) {
          of_row_[draw] = number_of_row(field, kUniform[draw]);
        } else {
          const auto block = static_cast<std::uint64_t>(column) / kBlockColumns;
          lanes_[draw] = NoiseLanes<Threads>(field.seed_of(block), thread);
          lanes_[draw].skip(column % static_cast<int>(kBlockColumns) / 32);
        }
      }
    }
    __device__ __forceinline__ Round<Threads> next() {
      constexpr auto kOfRow = row_draws_of<Stages>, kUniform = uniform_draws_of<Stages>;
      Round<Threads> round;
#pragma unroll
      for (std::size_t draw = 0; draw < count; ++draw) {
        if (kOfRow[draw]) {
          round[draw].fill(of_row_[draw]);
        } else if (kUniform[draw]) {
          round[draw] = lanes_[draw].next_uniform_round();
        } else {
          round[draw] = lanes_[draw].next_round();
        }
      }
      return round;
    }

   private:
    std::array<NoiseLanes<Threads>, count> lanes_;
    std::array<Pair<float>, count> of_row_;
  };

 private:
  std::array<NoiseField, count> fields_{};
  std::uint64_t row_offset_;
};

/// The epilogue of a call. `Sums`: sums.hpp; `Sink`: sinks.hpp; `Observer`: observers.hpp.
template <class Stages, class SumsT, class Sink, class Observer = Unobserved>
class Finish {
 public:
  using Sums = SumsT;
  using Sum = typename Sums::Sum;
  using DrawsT = Draws<Stages>;
  /// So few draws are kept in registers while sums are still to come.
  static constexpr bool kDrawsAhead = DrawsT::count <= 1;
  static constexpr bool kObserved = !std::is_same_v<Observer, Unobserved>;

  Finish(const Stages& stages, const Sums& sums, const Sink& sink, const NoiseKey& key,
         std::size_t rows, std::size_t columns, std::size_t first_draw = 0,
         const Observer& observer = {})
      : sums_(sums),
        stages_(stages),
        sink_(sink),
        draws_(key, first_draw),
        rows_(static_cast<int>(rows)),
        columns_(static_cast<int>(columns)),
        observer_(observer) {}

  constexpr int rows() const { return rows_; }
  constexpr int columns() const { return columns_; }  // (a host asks too)
  __device__ __forceinline__ const Sums& sums() const { return sums_; }
  /// What sums of these two columns are as floats.
  __device__ __forceinline__ auto column(int column) const { return sums_.column(column); }

  /// A thread's numbers of `Rounds` times 32 columns.
  template <int Threads, int Rounds>
  using Numbers = std::array<typename DrawsT::template Round<Threads>, Rounds>;
  template <int Threads, int Rounds>
  __device__ __forceinline__ Numbers<Threads, Rounds> draw(int row, int column, int thread) const {
    typename DrawsT::template Row<Threads> generators(draws_, row, column, thread);
    Numbers<Threads, Rounds> numbers;
#pragma unroll
    for (int round = 0; round < Rounds; ++round) numbers[round] = generators.next();
    return numbers;
  }

  /// Outputs of a row, `Rounds` times 32 columns from `column` on. value(round, pair): the sum as
  /// floats. All threads of a warp call it, also for rows that do not exist.
  template <int Threads, int Rounds, class Value>
  __device__ __forceinline__ void finish(int row, int column, int thread,
                                         const Value& value) const {
    typename DrawsT::template Row<Threads> generators(draws_, row, column, thread);
#pragma unroll
    for (int round = 0; round < Rounds; ++round) {
      finish_round<Threads>(row, column + 32 * round, thread, generators.next(),
                            [&](int pair) { return value(round, pair); });
    }
  }
  /// The same with numbers that were drawn before.
  template <int Threads, int Rounds, class Value>
  __device__ __forceinline__ void finish(int row, int column, int thread,
                                         const Numbers<Threads, Rounds>& numbers,
                                         const Value& value) const {
#pragma unroll
    for (int round = 0; round < Rounds; ++round) {
      finish_round<Threads>(row, column + 32 * round, thread, numbers[round],
                            [&](int pair) { return value(round, pair); });
    }
  }

 private:
  template <int Threads, class Value>
  __device__ __forceinline__ void finish_round(
      int row, int column, int thread, const typename DrawsT::template Round<Threads>& drawn,
      const Value& value) const {
    // What does not exist is computed too, without a branch, and not stored: of the last row, with
    // no active lanes.
    const bool there = row < rows_;
    const int real_row = there ? row : rows_ - 1;
    Results<Threads> results;
    [[maybe_unused]] auto seen = seen_by<Threads>(observer_);
#pragma unroll
    for (int pair = 0; pair < kPairs<Threads>; ++pair) {
      const int at = column + column_of_pair<Threads>(thread, pair);
      std::array<Pair<float>, DrawsT::count> own;
#pragma unroll
      for (std::size_t draw = 0; draw < DrawsT::count; ++draw) own[draw] = drawn[draw][pair];
      const Coordinates coordinates{static_cast<std::size_t>(real_row),
                                    static_cast<std::size_t>(at), draws_.global_row(real_row)};
      const int left = there ? columns_ - at : 0;
      const ActiveLanes active{static_cast<std::size_t>(left < 0 ? 0 : left > 2 ? 2 : left)};
      if constexpr (!kObserved) {
        results[pair] = apply_stage(stages_, value(pair), coordinates, active, own, NoFacts());
      } else {
        results[pair] = stages_.apply_showing(
            value(pair), coordinates, active, own, NoFacts(),
            [&](auto index, const auto& stage, const Pair<float>& entering) {
              observer_.see(seen, index, stage, entering, pair, thread, active);
            });
      }
    }
    if constexpr (kObserved) {
      observer_.store(seen, row, column, columns_, thread, there);
    }
    sink_.template store<Threads>(row, column, columns_, thread, there, results);
  }

  template <int Threads>
  __device__ __forceinline__ static auto seen_by(const Observer&) {
    if constexpr (!kObserved) {
      return Unobserved();
    } else {
      return typename Observer::template Seen<Threads>();
    }
  }

  Sums sums_;
  Stages stages_;
  Sink sink_;
  DrawsT draws_;
  int rows_, columns_;
  Observer observer_;
};

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
