// A list of stages that is made at run time, in the place of an epilogue: for programs that do not
// know their stages when they are compiled.
//
//   lumina::StageList stages(AddBias{bias});
//   if (noisy) stages.add(GaussianNoise{0.05f});
//   stages.add(RuntimeQuantizer(8, -4.0f, 4.0f));
//   lumina::fused_gemm(x, dac, weights, y, stages, key);
//
// Outputs, records and gradients have the bits of the epilogue of the same stages. Each stage runs
// over some rows of 128 columns that lie in the first-level cache; an epilogue keeps its values in
// registers, which is a little faster (docs/performance.md).
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/epilogue/stage_operations.hpp"
#include "forward_record.hpp"
#include "quantizer.hpp"
#include "stage.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

class StageList;

namespace detail {

/// A stage of a list, held by value, and its place in the list.
class ListedStage {
 public:
  static constexpr std::size_t kMaxBytes = 64, kAlignment = 16;

  ListedStage() = default;
  template <class S>
  explicit ListedStage(const S& stage) : operations_(&kStageOperations<S>) {
    static_assert(sizeof(S) <= kMaxBytes && alignof(S) <= kAlignment,
                  "lumina::StageList: a stage has 64 bytes at most");
    static_assert(std::is_trivially_copy_constructible_v<S> && std::is_trivially_destructible_v<S>,
                  "lumina::StageList: a stage is copied as its bytes");
    static_assert(normals_of<S> <= kMostStageNormals,
                  "lumina::StageList: a stage has 4 normals per element at most");
    ::new (static_cast<void*>(object_)) S(stage);
  }

  const StageOperations& type() const { return *operations_; }
  /// Of the list's normals per element and of its gates, the first that is the stage's.
  std::size_t normals_before() const { return normals_before_; }
  std::size_t gates_before() const { return gates_before_; }

  // The functions of StageOperations.
  void apply(const StageBlock& block, const OutputBlock<float>& to) const {
    operations_->apply(object_, block, to);
  }
  void record(const StageBlock& block, ForwardRecord& to, std::size_t gate) const {
    operations_->record(object_, block, to, gate);
  }
  void flag_clipped(const StageBlock& block, std::uint8_t* flags, std::size_t first_row) const {
    operations_->flag_clipped(object_, block, flags, first_row);
  }
  void backward(const StageBlock& block, float* gradient, const ForwardRecord& from,
                std::size_t gate) const {
    operations_->backward(object_, block, gradient, from, gate);
  }
  bool valid_for(std::size_t rows, std::size_t cols) const {
    return operations_->valid_for(object_, rows, cols);
  }
  const UniformQuantizer* quantizer() const { return operations_->quantizer(object_); }
  int bits() const { return operations_->bits(object_); }

 private:
  friend class lumina::StageList;

  alignas(kAlignment) std::byte object_[kMaxBytes] = {};
  const StageOperations* operations_ = nullptr;
  std::size_t normals_before_ = 0, gates_before_ = 0;
};

}  // namespace detail

/// Stages, applied first to last. They are held by value, as bytes, 64 at most; what they refer to
/// (a bias) stays the caller's. Allocates nothing.
class StageList {
 public:
  static constexpr std::size_t capacity = 16;

  StageList() = default;
  template <class... Stages>
  requires(!(std::is_base_of_v<StageList, Stages> || ...) && (Stage<Stages> && ...))  //
      explicit StageList(const Stages&... stages) {
    static_assert(sizeof...(Stages) <= capacity, "lumina::StageList: too many stages");
    (add(stages), ...);
  }

  /// Behind the others. Error: the list is full; it is as before then.
  template <Stage S>
  bool add(const S& stage) {
    if (size_ == capacity) {
      detail::report_error(
          (detail::Message() << "lumina::StageList: more than " << capacity << " stages").c_str());
      return false;
    }
    append(detail::ListedStage(stage));
    return true;
  }

  std::size_t size() const { return size_; }
  /// Of all stages, per element.
  std::size_t normals_per_element() const { return normals_; }
  /// How many bits per output a ForwardRecord has: one for each stage that clips; none where a
  /// derivative needs values, which the backward pass computes again.
  std::size_t gates() const { return needs_values_ ? 0 : all_gates_; }
  /// What the stages want beside the values (stage.hpp): a set of Sums, and facts of the row.
  unsigned wanted_sums() const { return wanted_sums_; }
  bool wants_row_facts() const { return wants_row_facts_; }

  /// Errors: a stage that does not fit the output, or that wants sums or facts of rows, which only
  /// arrays have (StageListWith).
  bool valid_for(std::size_t rows, std::size_t cols) const {
    return valid_with_facts(0, false, rows, cols);
  }

  // For the engine.

  const detail::ListedStage& operator[](std::size_t index) const { return stages_[index]; }
  const detail::ListedStage* begin() const { return stages_.data(); }
  const detail::ListedStage* end() const { return stages_.data() + size_; }
  const detail::ListedStage& last() const { return stages_[size_ - 1]; }

  bool needs_values() const { return needs_values_; }
  bool has_gate() const { return all_gates_ != 0; }
  /// Whether a stage is the last of the list's gates.
  bool is_last_gate(const detail::ListedStage& stage) const {
    return stage.type().is_gate && stage.gates_before() + 1 == all_gates_;
  }
  /// The first bias, whose gradient is asked for; null where there is none.
  const detail::ListedStage* bias() const {
    for (const detail::ListedStage& stage : *this) {
      if (stage.type().is_bias) return &stage;
    }
    return nullptr;
  }
  /// The same without its last stage.
  StageList without_last() const {
    StageList shorter;
    for (std::size_t i = 0; i + 1 < size_; ++i) shorter.append(stages_[i]);
    return shorter;
  }
  /// Reports the first stage that has no derivative.
  bool differentiable() const {
    for (std::size_t i = 0; i < size_; ++i) {
      if (!stages_[i].type().is_differentiable) {
        return report(i, " has no derivative: passes(values) or backward(...)");
      }
    }
    return true;
  }
  /// Reports the first stage whose derivative depends on values.
  bool straight() const {
    for (std::size_t i = 0; i < size_; ++i) {
      if (stages_[i].type().needs_values) {
        return report(i, " has a derivative that depends on values, which arrays do not keep");
      }
    }
    return true;
  }

 protected:
  /// valid_for() where these sums are made, a set of Sums, and facts of rows.
  bool valid_with_facts(unsigned sums, bool row_facts, std::size_t rows, std::size_t cols) const {
    for (std::size_t i = 0; i < size_; ++i) {
      const detail::StageOperations& type = stages_[i].type();
      if ((type.sums & ~sums) != 0 || (type.row_facts && !row_facts)) {
        return report(i, " wants sums or facts of rows that are not made here");
      }
      if (!stages_[i].valid_for(rows, cols)) return false;
    }
    return true;
  }

 private:
  void append(const detail::ListedStage& stage) {
    detail::ListedStage& own = stages_[size_++];
    own = stage;
    own.normals_before_ = normals_;
    own.gates_before_ = all_gates_;
    normals_ += own.type().normals;
    all_gates_ += own.type().is_gate ? std::size_t{1} : std::size_t{0};
    wanted_sums_ |= own.type().sums;
    wants_row_facts_ = wants_row_facts_ || own.type().row_facts;
    needs_values_ = needs_values_ || own.type().needs_values;
  }

  static bool report(std::size_t index, const char* what) {
    detail::report_error(
        (detail::Message() << "lumina::StageList: stage " << index << what).c_str());
    return false;
  }

  std::array<detail::ListedStage, capacity> stages_;
  std::size_t size_ = 0, normals_ = 0, all_gates_ = 0;
  unsigned wanted_sums_ = 0;
  bool wants_row_facts_ = false, needs_values_ = false;
};

/// A list for arrays that make these sums, a set of Sums; its stages may want fewer.
template <unsigned Set, bool RowFacts = false>
struct StageListWith : StageList {
  static constexpr unsigned sums = Set;
  static constexpr bool row_facts = RowFacts;

  explicit StageListWith(const StageList& stages) : StageList(stages) {}

  bool valid_for(std::size_t rows, std::size_t cols) const {
    return valid_with_facts(Set, RowFacts, rows, cols);
  }
};

namespace detail {

template <class T>
concept AnyStageList = std::derived_from<T, StageList>;

}  // namespace detail

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
