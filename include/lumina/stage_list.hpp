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
// registers, which is faster: docs/performance.md.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <new>
#include <type_traits>

#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/epilogue/stage_operations.hpp"
#include "quantizer.hpp"
#include "stage.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// Stages, applied first to last, held by value; what they refer to (a bias) stays the caller's.
/// Allocates nothing.
class StageList {
 public:
  static constexpr std::size_t capacity = 16;
  /// Of one stage; it must be trivially copyable: who needs more keeps it and has a stage refer to
  /// it.
  static constexpr std::size_t max_stage_bytes = 64;

 private:
  static constexpr std::size_t kAlignment = 16;

 public:
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
    static_assert(sizeof(S) <= max_stage_bytes && alignof(S) <= kAlignment,
                  "lumina::StageList: a stage has 64 bytes at most");
    static_assert(std::is_trivially_copyable_v<S>,
                  "lumina::StageList: a stage is trivially copyable");
    static_assert(detail::normals_of<S> <= detail::kMostStageNormals,
                  "lumina::StageList: a stage has 4 normals per element at most");
    if (size_ == capacity) {
      detail::report_error(
          (detail::Message() << "lumina::StageList: more than " << capacity << " stages").c_str());
      return false;
    }
    Entry entry;
    ::new (static_cast<void*>(entry.object)) S(stage);
    entry.operations = &detail::kStageOperations<S>;
    append(entry);
    return true;
  }

  std::size_t size() const { return size_; }
  /// Of all stages, per element.
  std::size_t normals_per_element() const { return normals_; }
  /// How many bits per output a ForwardRecord has: one for each stage that clips; none where a
  /// derivative needs values, which the backward pass computes again.
  std::size_t gates() const { return needs_values_ ? 0 : all_gates_; }

  /// What the stages want beside the values (stage.hpp): a set of Sums, and facts of the row.
  unsigned wanted_sums() const { return sums_; }
  bool wants_row_facts() const { return row_facts_; }

  bool valid_for(std::size_t rows, std::size_t cols) const {
    for (std::size_t i = 0; i < size_; ++i) {
      if (!entries_[i].operations->valid_for(entries_[i].object, rows, cols)) return false;
    }
    return true;
  }

  // For the engine.

  /// A stage with what is known of its place.
  class Entry {
   public:
    const detail::StageOperations& type() const { return *operations; }
    /// Of the list's normals per element, the first that is the stage's.
    std::size_t normals_before() const { return first_normal; }
    std::size_t gates_before() const { return gate; }

    void apply(const detail::StageBlock& block) const { operations->apply(object, block); }
    void record(const detail::StageBlock& block, ForwardRecord& to, std::size_t as_gate) const {
      operations->record(object, block, to, as_gate);
    }
    void backward(const detail::StageBlock& block, float* gradient, const ForwardRecord& record,
                  std::size_t as_gate) const {
      operations->backward(object, block, gradient, record, as_gate);
    }
    /// Null where the stage is none.
    const detail::UniformQuantizer* quantizer() const { return operations->quantizer(object); }
    int bits() const { return operations->bits(object); }

   private:
    friend class StageList;
    alignas(kAlignment) std::byte object[max_stage_bytes] = {};
    const detail::StageOperations* operations = nullptr;
    std::size_t first_normal = 0, gate = 0;
  };

  const Entry& operator[](std::size_t index) const { return entries_[index]; }
  const Entry* begin() const { return entries_.data(); }
  const Entry* end() const { return entries_.data() + size_; }
  const Entry& last() const { return entries_[size_ - 1]; }

  bool needs_values() const { return needs_values_; }
  /// Whether a gate is the last of the list's.
  bool is_last_gate(const Entry& entry) const {
    return entry.type().is_gate && entry.gate + 1 == all_gates_;
  }
  /// The first bias, whose gradient is asked for; null where there is none.
  const Entry* bias() const {
    for (const Entry& entry : *this) {
      if (entry.type().is_bias) return &entry;
    }
    return nullptr;
  }
  /// The same without its last stage.
  StageList without_last() const {
    StageList shorter;
    for (std::size_t i = 0; i + 1 < size_; ++i) shorter.append(entries_[i]);
    return shorter;
  }
  /// Reports the first stage that has no derivative.
  bool differentiable() const {
    for (std::size_t i = 0; i < size_; ++i) {
      if (entries_[i].type().is_differentiable) continue;
      detail::report_error((detail::Message() << "lumina::StageList: stage " << i
                                              << " has no derivative, which the backward pass "
                                                 "needs: passes(values) or backward(...)")
                               .c_str());
      return false;
    }
    return true;
  }

 private:
  void append(const Entry& entry) {
    Entry& own = entries_[size_++];
    own = entry;
    own.first_normal = normals_;
    own.gate = all_gates_;
    normals_ += own.operations->normals;
    all_gates_ += own.operations->is_gate ? 1 : 0;
    sums_ |= own.operations->sums;
    row_facts_ = row_facts_ || own.operations->row_facts;
    needs_values_ = needs_values_ || own.operations->needs_values;
  }

  std::array<Entry, capacity> entries_;
  std::size_t size_ = 0, normals_ = 0, all_gates_ = 0;
  unsigned sums_ = 0;
  bool needs_values_ = false, row_facts_ = false;
};

/// A list for arrays that make these sums, a set of Sums; its stages may want fewer.
template <unsigned Set, bool RowFacts = false>
struct StageListWith : StageList {
  static constexpr unsigned sums = Set;
  static constexpr bool row_facts = RowFacts;

  explicit StageListWith(const StageList& stages) : StageList(stages) {}

  bool valid_for(std::size_t rows, std::size_t cols) const {
    if ((wanted_sums() & ~Set) == 0 && (RowFacts || !wants_row_facts())) {
      return StageList::valid_for(rows, cols);
    }
    detail::report_error("lumina::StageList: a stage wants sums that the array does not make");
    return false;
  }
};

namespace detail {

template <class T>
concept AnyStageList = std::derived_from<T, StageList>;

}  // namespace detail

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
