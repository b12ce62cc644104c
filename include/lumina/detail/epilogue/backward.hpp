// The first step back: from the gradient by y to the one by the dot products, through the
// derivatives of an epilogue's stages; and the sums over the batch that come with it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../forward_record.hpp"
#include "../../matrix.hpp"
#include "../../noise.hpp"
#include "../base/unroll.hpp"
#include "../random/noise_generator.hpp"
#include "../simd/vectors.hpp"
#include "derivatives.hpp"
#include "draws.hpp"
#include "stage_traits.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A task is a panel of 128 columns, all rows from the first to the last: a column's sums are one
/// chain, whoever runs the task.
///
/// `gradient` [batch, out] receives the gradient by the dot products. Where a stage needs the
/// values that entered it, `gradient` comes with the dot products in it, and their noise is drawn
/// again.
template <class Arch, class... Stages>
class GradientPass {
 public:
  using Chain = StageChain<Stages...>;
  static constexpr bool kNeedsValues = Chain::any_needs_values;

  /// `sums`, `bias_sums`: for each output the sum over the batch of the gradient by the dot product
  /// and of the one by what enters AddBias; nullptr where nobody wants them. `first_gate`: the
  /// number of these stages' first one in the record.
  GradientPass(const Epilogue<Stages...>& epilogue, const ForwardRecord& record,
               const NoiseKey& key, MatrixView<const float> grad_y, MatrixView<float> gradient,
               float* sums, float* bias_sums, std::size_t first_gate = 0)
      : epilogue_(epilogue),
        record_(record),
        row_offset_(key.row_offset),
        grad_y_(grad_y),
        gradient_(gradient),
        sums_(sums),
        bias_sums_(bias_sums),
        first_gate_(first_gate) {
    for (std::size_t draw = 0; draw < kDraws; ++draw) fields_[draw] = NoiseField(key, draw);
  }

  void run(std::size_t panel) const {
    const std::size_t first = panel * kBlockColumns;
    const std::size_t columns = std::min(kBlockColumns, grad_y_.cols() - first);
    PanelSums panel_sums{};
    for (std::size_t row = 0; row < grad_y_.rows(); ++row) {
      std::array<NoiseGenerator<Arch>, kDraws + 1> generators;
      for (std::size_t draw = 0; draw < kDraws; ++draw) {
        generators[draw] =
            NoiseGenerator<Arch>(fields_[draw].row(row_offset_ + row).seed_of(panel));
      }
      for (std::size_t block = 0; block < columns; block += kNormalsPerRound) {
        std::array<typename NoiseGenerator<Arch>::Round, kDraws + 1> normals;
        for (std::size_t draw = 0; draw < kDraws; ++draw) {
          normals[draw] = next_numbers<Epilogue<Stages...>>(generators[draw], draw, fields_[draw],
                                                            row_offset_ + row);
        }
        unroll<kVectors>([&](auto vector) __attribute__((always_inline)) {
          const std::size_t in_panel = block + vector * Floats::size;
          if (in_panel >= columns) return;
          std::array<Floats, kDraws> own;
          for (std::size_t draw = 0; draw < kDraws; ++draw) own[draw] = normals[draw][vector];
          const ActiveLanes active{std::min(Floats::size, columns - in_panel)};
          const Coordinates at{row, first + in_panel, row_offset_ + row};
          step(at, active, own, panel_sums, in_panel);
        });
      }
    }
    if (sums_ != nullptr) std::copy_n(panel_sums.gradient, columns, sums_ + first);
    if (bias_sums_ != nullptr) std::copy_n(panel_sums.bias, columns, bias_sums_ + first);
  }

 private:
  using Floats = typename Arch::template Batch<float>;
  // Without a need for values nothing is drawn.
  static constexpr std::size_t kDraws = kNeedsValues ? Chain::normals : 0;
  static constexpr std::size_t kVectors = kNormalsPerRound / Floats::size;

  struct PanelSums {
    alignas(kCacheLine) float gradient[kBlockColumns];
    alignas(kCacheLine) float bias[kBlockColumns];
  };

  [[gnu::always_inline]] void step(const Coordinates& at, const ActiveLanes& active,
                                   const std::array<Floats, kDraws>& normals, PanelSums& sums,
                                   std::size_t in_panel) const {
    const bool whole = active.count == Floats::size;
    float* const to = &gradient_(at.row, at.column);
    const float* const from = &grad_y_(at.row, at.column);
    Floats gradient = whole ? Floats::load_unaligned(from) : load_first<Floats>(from, active.count);
    Floats by_bias(0.0f);
    if constexpr (kNeedsValues) {
      const Floats values =
          whole ? Floats::load_unaligned(to) : load_first<Floats>(to, active.count);
      gradient = Derivatives<Stages...>::with_values(epilogue_, gradient, values, at, active,
                                                     normals, by_bias);
    } else {
      gradient = Derivatives<Stages...>::with_record(
          epilogue_, gradient,
          [&](std::size_t gate) __attribute__((always_inline)) {
            return record_.template load<Floats::size>(first_gate_ + gate, at.row, at.column);
          },
          by_bias);
    }
    if (whole) {
      gradient.store_unaligned(to);
    } else {
      store_first(gradient, to, active.count);
    }
    add(gradient, sums.gradient + in_panel);
    add(by_bias, sums.bias + in_panel);
  }

  static void add(const Floats& values, float* to) {
    (Floats::load_aligned(to) + values).store_aligned(to);
  }

  Epilogue<Stages...> epilogue_;
  const ForwardRecord& record_;
  std::uint64_t row_offset_;
  MatrixView<const float> grad_y_;
  MatrixView<float> gradient_;
  float* sums_;
  float* bias_sums_;
  std::size_t first_gate_;
  std::array<NoiseField, kDraws + 1> fields_{};
};

/// That of an epilogue, or of a list (block_backward.hpp).
template <class Arch, class Stages>
struct GradientPassOf {
  using type = GradientPass<Arch, Stages>;
};
template <class Arch, class... Stages>
struct GradientPassOf<Arch, Epilogue<Stages...>> {
  using type = GradientPass<Arch, Stages...>;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
