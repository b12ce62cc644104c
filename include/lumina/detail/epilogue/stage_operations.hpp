// What a stage can do, as functions of a pointer to it: for lists of stages that are chosen at run
// time (stage_list.hpp). Each is instantiated from the stage's own members, over a block of values
// that lies in the first-level cache, so the bits are those of an epilogue in registers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../forward_record.hpp"
#include "../../quantizer.hpp"
#include "../../stage.hpp"
#include "../../stages.hpp"
#include "../base/range.hpp"
#include "../isa/native.hpp"
#include "../layout/float_panels.hpp"
#include "../random/noise_field.hpp"
#include "../simd/vectors.hpp"
#include "loop.hpp"
#include "observer.hpp"
#include "sinks.hpp"
#include "stage_traits.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The most normals per element that a stage of a list has.
inline constexpr std::size_t kMostStageNormals = 4;

/// One vector of a block.
struct VectorInBlock {
  std::size_t index;  ///< of its first lane in the block's arrays
  Coordinates at;
  ActiveLanes active;
};

/// Neighbouring rows of a column block, `columns` of which exist. All arrays are in rows of
/// kBlockColumns and begin at a cache line.
struct StageBlock {
  Range rows;
  std::size_t block, columns;
  std::uint64_t row_offset;
  std::size_t tile;
  float* values = nullptr;             ///< that enter the stage
  const NoiseField* fields = nullptr;  ///< the stage's, one for each of its normals
  // What stages of an array want beside (Facts), where the array has it.
  const float* magnitudes = nullptr;
  const float* squared_inputs = nullptr;
  const float* squares = nullptr;
  const float* positions = nullptr;
  const RowFacts* row_facts = nullptr;  ///< one for each row

  std::size_t size() const { return rows.size * kBlockColumns; }

  /// f(vector) for each that has elements of y.
  template <class F>
  [[gnu::always_inline]] void for_each_vector(const F& f) const {
    constexpr std::size_t kLanes = StageFloats::size;
    for (std::size_t row = 0; row < rows.size; ++row) {
      const std::size_t own = rows.begin + row;
      const auto vector = [&](std::size_t column, std::size_t lanes) {
        return VectorInBlock{row * kBlockColumns + column,
                             {own, block * kBlockColumns + column, row_offset + own, tile},
                             {lanes}};
      };
      std::size_t column = 0;
      for (; column + kLanes <= columns; column += kLanes) f(vector(column, kLanes));
      if (column < columns) f(vector(column, columns - column));
    }
  }
};

/// A block's values, and its facts, in the place of a kernel's sums (sums.hpp).
struct BlockValues {
  const StageBlock& block;

  [[gnu::always_inline]] StageFloats operator()(const float* row, std::size_t column) const {
    return StageFloats::load_aligned(row + column);
  }
  [[gnu::always_inline]] Facts<StageFloats> facts(const float* row, std::size_t column) const {
    const auto begin = static_cast<std::size_t>(row - block.values);
    const auto load = [&](const float* from) __attribute__((always_inline)) {
      return from != nullptr ? StageFloats::load_aligned(from + begin + column) : StageFloats(0.0f);
    };
    return {load(block.magnitudes), load(block.squared_inputs), load(block.squares),
            block.row_facts[begin / kBlockColumns], load(block.positions)};
  }
};

/// A stage's backward() with values, as a stage: what it computes becomes the gradient.
template <class S>
struct BackwardOf {
  static constexpr std::size_t normals_per_element = normals_of<S>;
  static constexpr auto row_draws = row_draws_of<S>;
  static constexpr auto uniform_draws = uniform_draws_of<S>;
  S stage;
  std::size_t first_row;
  const float* gradient;

  template <class Floats>
  Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
               const std::array<Floats, normals_per_element>& normals) const {
    const std::size_t index = (at.row - first_row) * kBlockColumns + at.column % kBlockColumns;
    return stage.backward(Floats::load_aligned(gradient + index), values, at, active, normals);
  }
};

/// A stage's functions. Each gets the stage itself as its first argument.
struct StageOperations {
  std::size_t normals;  ///< per element
  unsigned sums;        ///< what of Facts it wants
  bool row_facts;
  bool is_gate, needs_values, is_differentiable, is_bias;

  /// From block.values to `to`, which may be they.
  void (*apply)(const void* stage, const StageBlock& block, const OutputBlock<float>& to);
  /// Of a gate: a bit for each value that enters.
  void (*record)(const void* stage, const StageBlock& block, ForwardRecord& record,
                 std::size_t gate);
  /// Of a gate: flags rows, counted from `first_row`, of which it clips something.
  void (*flag_clipped)(const void* stage, const StageBlock& block, std::uint8_t* flags,
                       std::size_t first_row);
  /// From the gradient by what leaves the stage to the one by what enters it, in place; gates as
  /// recorded, or as block.values say where these are there.
  void (*backward)(const void* stage, const StageBlock& block, float* gradient,
                   const ForwardRecord& record, std::size_t gate);
  bool (*valid_for)(const void* stage, std::size_t rows, std::size_t cols);
  /// The stage as a quantizer and its number of bits; null and 0 where it is none.
  const UniformQuantizer* (*quantizer)(const void* stage);
  int (*bits)(const void* stage);
};

/// The functions of stages of type S.
template <class S>
struct StageFunctions {
  static void apply(const void* object, const StageBlock& block, const OutputBlock<float>& to) {
    run(*static_cast<const S*>(object), block, to);
  }

  static void record([[maybe_unused]] const void* object, [[maybe_unused]] const StageBlock& block,
                     [[maybe_unused]] ForwardRecord& record, [[maybe_unused]] std::size_t gate) {
    if constexpr (is_gate<S>) {
      const S stage = *static_cast<const S*>(object);
      block.for_each_vector([&](const VectorInBlock& v) __attribute__((always_inline)) {
        const auto values = StageFloats::load_aligned(block.values + v.index);
        record.template store<StageFloats::size>(gate, v.at.row, v.at.column,
                                                 bits_of_mask<StageFloats>(stage.passes(values)));
      });
    }
  }

  static void flag_clipped([[maybe_unused]] const void* object,
                           [[maybe_unused]] const StageBlock& block,
                           [[maybe_unused]] std::uint8_t* flags,
                           [[maybe_unused]] std::size_t first_row) {
    if constexpr (is_gate<S>) {
      const S stage = *static_cast<const S*>(object);
      block.for_each_vector([&](const VectorInBlock& v) __attribute__((always_inline)) {
        const auto values = StageFloats::load_aligned(block.values + v.index);
        const std::uint32_t passed = bits_of_mask<StageFloats>(stage.passes(values));
        const std::uint32_t all = (std::uint32_t{1} << v.active.count) - 1;
        if ((passed & all) != all) flags[v.at.row - first_row] = 1;
      });
    }
  }

  static void backward(const void* object, const StageBlock& block, float* gradient,
                       [[maybe_unused]] const ForwardRecord& record,
                       [[maybe_unused]] std::size_t gate) {
    const S stage = *static_cast<const S*>(object);
    if constexpr (is_gate<S> || is_straight<S>) {
      block.for_each_vector([&](const VectorInBlock& v) __attribute__((always_inline)) {
        const auto behind = StageFloats::load_aligned(gradient + v.index);
        StageFloats before = behind;
        if constexpr (!is_gate<S>) {
          before = stage.backward(behind);
        } else if (block.values == nullptr) {
          before = keep_where(record.template load<StageFloats::size>(gate, v.at.row, v.at.column),
                              behind);
        } else {
          const auto values = StageFloats::load_aligned(block.values + v.index);
          before = select(stage.passes(values), behind, StageFloats(0.0f));
        }
        before.store_aligned(gradient + v.index);
      });
    } else if constexpr (detail::needs_values<S>) {
      run(BackwardOf<S>{stage, block.rows.begin, gradient}, block, {gradient, kBlockColumns});
    }
  }

  static bool valid_for(const void* object, std::size_t rows, std::size_t cols) {
    return stage_valid_for(*static_cast<const S*>(object), rows, cols);
  }

  static const UniformQuantizer* quantizer([[maybe_unused]] const void* object) {
    if constexpr (AnyQuantizer<S>) {
      return static_cast<const S*>(object);
    } else {
      return nullptr;
    }
  }
  static int bits([[maybe_unused]] const void* object) {
    if constexpr (AnyQuantizer<S>) {
      return bits_of(*static_cast<const S*>(object));
    } else {
      return 0;
    }
  }

 private:
  /// By the loop that runs epilogues.
  template <class Stage>
  static void run(const Stage& stage, const StageBlock& block, const OutputBlock<float>& to) {
    const EpilogueLoop<Native, Stage, NoObserver, StoreFloats> loop(stage, {}, {}, block.row_offset,
                                                                    block.tile, block.fields);
    loop.template finish<Native::epilogue_rows>(block.rows, block.block, block.columns,
                                                static_cast<const float*>(block.values),
                                                BlockValues{block}, to, [] {});
  }
};

template <class S>
inline constexpr StageOperations kStageOperations{
    .normals = normals_of<S>,
    .sums = sums_of<S>,
    .row_facts = wants_row_facts<S>,
    .is_gate = is_gate<S>,
    .needs_values = detail::needs_values<S>,
    .is_differentiable = is_differentiable<S>,
    .is_bias = std::is_same_v<S, AddBias>,
    .apply = &StageFunctions<S>::apply,
    .record = &StageFunctions<S>::record,
    .flag_clipped = &StageFunctions<S>::flag_clipped,
    .backward = &StageFunctions<S>::backward,
    .valid_for = &StageFunctions<S>::valid_for,
    .quantizer = &StageFunctions<S>::quantizer,
    .bits = &StageFunctions<S>::bits,
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
