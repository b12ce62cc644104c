// The two sides of a product, as the driver sees them: floats, and codes.
//
//   Products          what a tile multiplies (products.hpp)
//   kWorthThreads     multiplications that are worth several threads: about 10 µs of work
//   kPrepares         whether a task first makes its rows of x, in
//   Workspace         its own memory (row_workspace.hpp)
//   Tiled             as what a matrix unit multiplies them, if it can (tiled_driver.hpp)
//   depth_blocks()    pieces into which the depth is cut, so that a chunk's rows fit there
//   input(...)        a chunk's rows in the form that tiles read
//   kPacks            whether a task packs the weights: unpacked_weights() instead of weights(...)
//   begin_sums(...)   where sums do not begin at 0 (only codes)
//   Values, values()  from a panel's sums to floats
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../noise.hpp"
#include "../../quantizer.hpp"
#include "../../weights.hpp"
#include "../base/prefetch.hpp"
#include "../base/range.hpp"
#include "../base/scalar_math.hpp"
#include "../base/unroll.hpp"
#include "../kernels/code_dot.hpp"
#include "../kernels/float_dot.hpp"
#include "../kernels/matrix_unit.hpp"
#include "../packing/code_panels.hpp"
#include "../packing/float_panels.hpp"
#include "../packing/unpacked_weights.hpp"
#include "../simd/vectors.hpp"
#include "row_scratch.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The rows of a chunk of x, `stride` elements apart, and how many steps of a tile they are long.
template <class Input>
struct InputRows {
  const Input* first;
  std::size_t stride;
  std::size_t steps;
};

/// Sums of floats need nothing more.
template <class Arch>
struct SumsAsTheyAre {
  using Floats = typename Arch::template Batch<float>;
  [[gnu::always_inline]] Floats operator()(const float* sums, std::size_t column) const {
    return Floats::load_aligned(sums + column);
  }
};

/// x and w in floats: x is read where it lies. `Weights`: PackedWeights or UnpackedWeights.
template <class Arch, class Weights = PackedWeights>
class FloatOperands {
 public:
  using Products = FloatDot<Arch>;
  static constexpr double kWorthThreads = 1 << 20;
  static constexpr bool kPrepares = false;
  static constexpr bool kPacks = std::is_same_v<Weights, UnpackedWeights>;
  /// There are no rows to make.
  struct Workspace {
    static constexpr float* elements = nullptr;
    static constexpr std::size_t bytes(std::size_t, std::size_t) { return 0; }
  };

  FloatOperands(MatrixView<const float> x, const Weights& weights) : x_(x), weights_(weights) {}

  static constexpr std::size_t chunk_tiles(std::size_t, std::size_t) { return Arch::chunk_tiles; }
  static constexpr std::size_t depth_blocks(std::size_t) { return 1; }
  std::size_t depth() const { return x_.cols(); }
  const float* weights(std::size_t panel, std::size_t) const { return weights_.panel(panel); }
  const UnpackedWeights& unpacked_weights() const { return weights_; }
  std::size_t panel_size() const { return weights_.panel_size(); }

  static constexpr std::size_t block_begin(std::size_t, std::size_t) { return 0; }
  static Prefetcher upcoming(const Range&, std::size_t) { return {}; }
  InputRows<float> input(float*, const Range& rows, std::size_t, std::size_t) const {
    return {x_.row(rows.begin), x_.row_stride(), x_.cols()};
  }

  using Values = SumsAsTheyAre<Arch>;
  Values values(std::size_t) const { return {}; }

 private:
  MatrixView<const float> x_;
  const Weights& weights_;
};

/// Floats whose rows each task makes in its workspace. `Rows` has depth(), and
/// prepare(rows, inputs, to, stride) writes a block of them. `Weights` as above.
template <class Arch, class Rows, class Weights = PackedWeights>
class PreparedOperands {
 public:
  using Products = FloatDot<Arch>;
  static constexpr double kWorthThreads = 1 << 20;
  static constexpr bool kPrepares = true;
  static constexpr bool kPacks = std::is_same_v<Weights, UnpackedWeights>;
  using Workspace = RowWorkspace<float, Arch::Codes::workspace_bytes, kCacheLine / sizeof(float)>;

  PreparedOperands(const Rows& rows, const Weights& weights) : rows_(rows), weights_(weights) {}

  std::size_t depth() const { return rows_.depth(); }
  const float* weights(std::size_t panel, std::size_t first_input) const {
    return weights_.panel(panel) + first_input * kPanelColumns;
  }
  const UnpackedWeights& unpacked_weights() const { return weights_; }
  std::size_t panel_size() const { return weights_.panel_size(); }

  static constexpr std::size_t chunk_tiles(std::size_t depth, std::size_t tile_rows) {
    return Workspace::chunk_tiles(depth, tile_rows, Arch::chunk_tiles);
  }
  std::size_t depth_blocks(std::size_t rows) const { return Workspace::blocks(depth(), rows); }
  std::size_t block_begin(std::size_t rows, std::size_t block) const {
    return block * Workspace::block_depth(rows);
  }
  static Prefetcher upcoming(const Range&, std::size_t) { return {}; }

  /// Makes a block of the rows' inputs, at `to`.
  InputRows<float> input(float* to, const Range& rows, std::size_t block,
                         std::size_t blocks) const {
    const Range inputs = Workspace::block(depth(), rows.size, block, blocks);
    const std::size_t stride = round_up(inputs.size, Workspace::kMultiple);
    rows_.prepare(rows, inputs, to, stride);
    return {to, stride, inputs.size};
  }

  using Values = SumsAsTheyAre<Arch>;
  Values values(std::size_t) const { return {}; }

 private:
  Rows rows_;
  const Weights& weights_;
};

/// Codes behind a DAC. `X`: float, encoded on the way, or std::uint8_t, codes already.
template <class Arch, int StoredBits, class X>
class CodedOperands {
 public:
  using Products = CodeDot<Arch, StoredBits>;
  using Tiled = CodesOnUnit<Arch, StoredBits>;
  using Codes = typename Arch::Codes;
  using Input = typename Codes::Input;

  static constexpr double kWorthThreads = 1 << 22;
  static constexpr bool kPrepares = true;
  static constexpr bool kPacks = false;
  /// Rows of codes begin at cache lines; behind a row's end there are zeros.
  static constexpr std::size_t kRowMultiple = kCacheLine;
  using Workspace = RowWorkspace<Input, Codes::workspace_bytes, kRowMultiple>;
  static_assert(Workspace::kElements >= Codes::max_tile_rows * kRowMultiple);

  CodedOperands(MatrixView<const X> x, const UniformQuantizer& dac,
                const CodePanels<StoredBits>& weights)
      : x_(x), dac_(dac), weights_(weights) {}

  std::size_t depth() const { return x_.cols(); }
  const std::int32_t* weights(std::size_t panel, std::size_t first_input) const {
    return weights_.words + panel * weights_.panel_size +
           first_input / Products::inputs_per_step * kPanelColumns;
  }
  std::size_t panel_size() const { return weights_.panel_size; }

  static constexpr std::size_t chunk_tiles(std::size_t depth, std::size_t tile_rows) {
    return Workspace::chunk_tiles(depth, tile_rows, Codes::chunk_tiles);
  }
  std::size_t depth_blocks(std::size_t rows) const { return Workspace::blocks(depth(), rows); }

  /// What `rows` rows take in a Workspace.
  static constexpr std::size_t row_bytes(std::size_t depth, std::size_t rows) {
    return Workspace::bytes(depth, rows);
  }
  /// Encodes a block of the rows' inputs, to `to`.
  InputRows<Input> input(Input* to, const Range& rows, std::size_t block,
                         std::size_t blocks) const {
    const Range inputs = Workspace::block(depth(), rows.size, block, blocks);
    const std::size_t stride = round_up(inputs.size, kRowMultiple);
    for (std::size_t row = 0; row < rows.size; ++row) {
      encode(x_.row(rows.begin + row) + inputs.begin, inputs.size, to + row * stride);
    }
    return {to, stride, ceil_div(inputs.size, Products::inputs_per_step)};
  }
  /// Rows that a later task encodes, for fetching in parts.
  Prefetcher upcoming(const Range& rows, std::size_t parts) const {
    if (rows.size == 0 || x_.row_stride() > 2 * x_.cols()) return {};  // much else between them
    return {x_.row(rows.begin), x_.row(rows.end() - 1) + x_.cols(), parts};
  }
  /// The first input of a block.
  std::size_t block_begin(std::size_t rows, std::size_t block) const {
    return block * Workspace::block_depth(rows);
  }

  /// fma(sum, unit, base): what one code of x times one of w is worth, and what x = dac.offset()
  /// makes.
  class Values {
   public:
    using Floats = typename Arch::template Batch<float>;
    using Ints = typename Arch::template Batch<std::int32_t>;

    Values(const UniformQuantizer& dac, const float* scales, const std::int32_t* code_sums) {
      const Floats step(dac.step()), offset(dac.offset());
      for (std::size_t i = 0; i < kBlockColumns; i += Floats::size) {
        const Floats scale = Floats::load_aligned(scales + i);
        const Ints code_sum = Ints::load_aligned(code_sums + i);
        product(step, scale).store_aligned(unit_ + i);
        product(product(offset, scale), nearest_floats(code_sum)).store_aligned(base_ + i);
        if constexpr (Codes::input_bias != 0) {
          (code_sum * Ints(Codes::input_bias)).store_aligned(bias_ + i);
        }
      }
    }
    [[gnu::always_inline]] Floats operator()(const std::int32_t* sums, std::size_t column) const {
      Ints sum = Ints::load_aligned(sums + column);
      if constexpr (StoredBits != 8) sum = sum >> (8 - StoredBits);
      if constexpr (Codes::input_bias != 0) sum = sum + Ints::load_aligned(bias_ + column);
      return fused_multiply_add(nearest_floats(sum), Floats::load_aligned(unit_ + column),
                                Floats::load_aligned(base_ + column));
    }

   private:
    alignas(kCacheLine) float unit_[kBlockColumns];
    alignas(kCacheLine) float base_[kBlockColumns];
    alignas(kCacheLine) std::int32_t bias_[Codes::input_bias != 0 ? kBlockColumns : 1];
  };
  /// Codes of x that have signs are multiplied without: counted from the lowest one. Their sums
  /// begin at what that is too much, which the sums of w's codes know; true where that is not 0.
  bool begin_sums(std::size_t noise_panel, std::size_t rows, std::int32_t* sums) const {
    if (!dac_.is_symmetric()) return false;
    using Ints = typename Arch::template Batch<std::int32_t>;
    const std::int32_t* const code_sums = weights_.code_sums + noise_panel * kBlockColumns;
    const Ints lowest(dac_.lowest() * (1 << (8 - StoredBits)));
    for (std::size_t i = 0; i < kBlockColumns; i += Ints::size) {
      const Ints first = Ints::load_aligned(code_sums + i) * lowest;
      for (std::size_t row = 0; row < rows; ++row) {
        first.store_aligned(sums + row * kBlockColumns + i);
      }
    }
    return true;
  }
  /// For a panel of 128 columns.
  Values values(std::size_t noise_panel) const {
    const std::size_t first = noise_panel * kBlockColumns;
    return {dac_, weights_.scales + first, weights_.code_sums + first};
  }

 private:
  /// `count` inputs to codes, filled up with zeros to a multiple of kRowMultiple.
  void encode(const X* x, std::size_t count, Input* to) const {
    const std::size_t whole = count / kRowMultiple * kRowMultiple;
    if constexpr (std::is_same_v<X, std::uint8_t>) {
      Codes::prepare(x, whole, to);
    } else if constexpr (std::is_same_v<Input, std::uint8_t>) {
      encode_floats(x, whole, to);
      Codes::prepare(to, whole, to);
    } else {
      for (std::size_t i = 0; i < whole; i += kRowMultiple) {
        std::uint8_t codes[kRowMultiple];
        encode_floats(x + i, kRowMultiple, codes);
        Codes::prepare(codes, kRowMultiple, to + i);
      }
    }
    if (whole == count) return;
    std::uint8_t rest[kRowMultiple] = {};
    if constexpr (std::is_same_v<X, std::uint8_t>) {
      std::copy(x + whole, x + count, rest);
    } else {
      float values[kRowMultiple] = {};
      std::copy(x + whole, x + count, values);
      encode_floats(values, kRowMultiple, rest);
      std::fill(rest + (count - whole), rest + kRowMultiple, std::uint8_t{0});
    }
    Codes::prepare(rest, kRowMultiple, to + whole);
  }

  /// `count` is a multiple of kRowMultiple.
  void encode_floats(const float* x, std::size_t count, std::uint8_t* to) const {
    using Floats = typename Arch::template Batch<float>;
    const UniformQuantizer dac = dac_;
    constexpr std::size_t kTogether = 4;
    static_assert(kRowMultiple % (kTogether * Floats::size) == 0);
    for (std::size_t i = 0; i < count; i += kTogether * Floats::size) {
      std::array<Floats, kTogether> values;
      unroll<kTogether>([&](auto j) __attribute__((always_inline)) {
        values[j] = Floats::load_unaligned(x + i + j * Floats::size);
      });
      Arch::store_code_bytes(dac.encode_lanes(values), to + i);
    }
  }

  MatrixView<const X> x_;
  UniformQuantizer dac_;
  CodePanels<StoredBits> weights_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
