// The first step back through a list of stages (stage_list.hpp), as backward.hpp has it for an
// epilogue: some rows of a column block through each stage's derivative, the last stage's first.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../forward_record.hpp"
#include "../../matrix.hpp"
#include "../../stage.hpp"
#include "../../stage_list.hpp"
#include "../base/aligned_buffer.hpp"
#include "../layout/float_panels.hpp"
#include "backward.hpp"
#include "block_loop.hpp"
#include "sinks.hpp"
#include "stage_operations.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The list must live as long as the pass.
template <class Arch, AnyStageList List>
class GradientPass<Arch, List> {
 public:
  /// Some lists do: needs_values().
  static constexpr bool kNeedsValues = true;

  GradientPass(const StageList& stages, const ForwardRecord& record, const NoiseKey& key,
               MatrixView<const float> grad_y, MatrixView<float> gradient, float* sums,
               float* bias_sums, std::size_t first_gate = 0)
      : stages_(stages),
        record_(record),
        row_offset_(key.row_offset),
        grad_y_(grad_y),
        gradient_(gradient),
        sums_(sums),
        bias_sums_(bias_sums),
        first_gate_(first_gate),
        noise_(stages, key) {}

  void run(std::size_t panel) const {
    const std::size_t first = panel * kBlockColumns;
    const std::size_t columns = std::min(kBlockColumns, grad_y_.cols() - first);
    PanelSums panel_sums{};
    for (std::size_t row = 0; row < grad_y_.rows(); row += kRows) {
      const StageBlock block{.rows = {row, std::min(kRows, grad_y_.rows() - row)},
                             .block = panel,
                             .columns = columns,
                             .row_offset = row_offset_,
                             .tile = 0};
      if (stages_.needs_values()) {
        run_with_values(block, panel_sums);
      } else {
        run_with_record(block, panel_sums);
      }
    }
    if (sums_ != nullptr) std::copy_n(panel_sums.gradient, columns, sums_ + first);
    if (bias_sums_ != nullptr) std::copy_n(panel_sums.bias, columns, bias_sums_ + first);
  }

 private:
  static constexpr std::size_t kRows = Arch::epilogue_rows;
  static constexpr std::size_t kBlockFloats = kRows * kBlockColumns;

  struct PanelSums {
    alignas(kCacheLine) float gradient[kBlockColumns];
    alignas(kCacheLine) float bias[kBlockColumns];
  };

  void run_with_record(const StageBlock& block, PanelSums& sums) const {
    alignas(kCacheLine) float gradient[kBlockFloats];
    load(grad_y_, block, gradient);
    for (std::size_t i = stages_.size(); i-- > 0;) step_back(stages_[i], block, gradient, sums);
    finish(block, gradient, sums);
  }

  /// The values that enter each stage are made first, from the dot products on; the noise of a
  /// stage is drawn again on the way back.
  void run_with_values(StageBlock block, PanelSums& sums) const {
    alignas(kCacheLine) float entering[StageList::capacity + 1][kBlockFloats];
    alignas(kCacheLine) float gradient[kBlockFloats];
    load(gradient_, block, entering[0]);
    load(grad_y_, block, gradient);
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      std::copy_n(entering[i], block.size(), entering[i + 1]);
      block.values = entering[i + 1];
      block.fields = noise_.of(stages_[i]);
      stages_[i].apply(block, {block.values, kBlockColumns});
    }
    for (std::size_t i = stages_.size(); i-- > 0;) {
      block.values = entering[i];
      block.fields = noise_.of(stages_[i]);
      step_back(stages_[i], block, gradient, sums);
    }
    finish(block, gradient, sums);
  }

  void step_back(const ListedStage& stage, const StageBlock& block, float* gradient,
                 PanelSums& sums) const {
    if (&stage == stages_.bias()) add(block, gradient, sums.bias);
    stage.backward(block, gradient, record_, first_gate_ + stage.gates_before());
  }

  static void load(MatrixView<const float> from, const StageBlock& block, float* to) {
    block.for_each_vector([&](const VectorInBlock& v) __attribute__((always_inline)) {
      load_columns<StageFloats>({from.row(v.at.row), from.cols()}, v.at, v.active)
          .store_aligned(to + v.index);
    });
  }
  void finish(const StageBlock& block, const float* gradient, PanelSums& sums) const {
    block.for_each_vector([&](const VectorInBlock& v) __attribute__((always_inline)) {
      StoreFloats().template store<Arch>(StageFloats::load_aligned(gradient + v.index), v.at,
                                         v.active, &gradient_(v.at.row, v.at.column));
    });
    add(block, gradient, sums.gradient);
  }
  /// Row after row: a column's sum is one chain.
  static void add(const StageBlock& block, const float* gradient, float* to) {
    block.for_each_vector([&](const VectorInBlock& v) __attribute__((always_inline)) {
      float* const sum = to + v.index % kBlockColumns;
      (StageFloats::load_aligned(sum) + StageFloats::load_aligned(gradient + v.index))
          .store_aligned(sum);
    });
  }

  const StageList& stages_;
  const ForwardRecord& record_;
  std::uint64_t row_offset_;
  MatrixView<const float> grad_y_;
  MatrixView<float> gradient_;
  float* sums_;
  float* bias_sums_;
  std::size_t first_gate_;
  ListNoise noise_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
