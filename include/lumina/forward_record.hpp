// What the backward pass needs to know of the forward pass beyond its operands: for every output
// and every gate of its epilogue (a stage that clips: a Relu, a quantizer) one bit, whether the
// value passed. Noise is not recorded: it is drawn again from the key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/base/range.hpp"
#include "detail/epilogue/stage_traits.hpp"
#include "detail/simd/vectors.hpp"
#include "epilogue.hpp"
#include "matrix.hpp"
#include "noise.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// One bit for each output [batch, out] and gate. Filled by forward(), read by backward()
/// (backward.hpp).
class ForwardRecord {
 public:
  std::size_t rows() const { return shape_.rows; }
  std::size_t cols() const { return shape_.cols; }
  std::size_t gates() const { return gates_; }
  /// A forward pass has filled it.
  bool filled() const { return filled_; }

  /// Whether the value of y(row, col) passed the gate.
  bool passed(std::size_t gate, std::size_t row, std::size_t col) const {
    return (*at(gate, row, col) >> col % 8 & 1) != 0;
  }

  /// Room for outputs [rows, cols]. Memory is allocated only when it must grow.
  void resize(std::size_t rows, std::size_t cols, std::size_t gates) {
    filled_ = false;
    panels_ = cols / detail::kBlockColumns + (cols % detail::kBlockColumns != 0 ? 1 : 0);
    shape_ = detail::Extent();
    if (!bits_.grow_to(detail::size_product(rows, panels_, gates, kPanelBytes))) return;
    shape_ = detail::Extent(rows, cols);
    gates_ = gates;
  }

  /// All bits as they lie in memory, rows · gates · ⌈cols / 128⌉ · 16 bytes: to be kept elsewhere
  /// and copied back to a record that resize() has given the same shape.
  std::span<std::uint8_t> bytes() {
    return {bits_.data(), rows() * panels_ * gates_ * kPanelBytes};
  }

  /// For the engine: a pass has filled it, from the first output to the last.
  void mark_filled() { filled_ = true; }
  /// For the engine: the bits of Lanes columns from `col` on, a multiple of Lanes.
  template <std::size_t Lanes>
  void store(std::size_t gate, std::size_t row, std::size_t col, std::uint32_t bits) {
    std::uint8_t* const to = at(gate, row, col);
    if constexpr (Lanes < 8) {  // Neighbours come in order; the first one finds an old byte.
      const unsigned before = col % 8 == 0 ? 0u : *to;
      *to = static_cast<std::uint8_t>(before | bits << col % 8);
    } else {
      std::memcpy(to, &bits, Lanes / 8);
    }
  }
  template <std::size_t Lanes>
  std::uint32_t load(std::size_t gate, std::size_t row, std::size_t col) const {
    std::uint32_t bits = 0;
    if constexpr (Lanes < 8) {
      bits = *at(gate, row, col) >> col % 8 & ((1u << Lanes) - 1u);
    } else {
      std::memcpy(&bits, at(gate, row, col), Lanes / 8);
    }
    return bits;
  }

 private:
  static constexpr std::size_t kPanelBytes = detail::kBlockColumns / 8;

  std::size_t offset(std::size_t gate, std::size_t row, std::size_t col) const {
    const std::size_t panel = row * panels_ + col / detail::kBlockColumns;
    return (panel * gates_ + gate) * kPanelBytes + col % detail::kBlockColumns / 8;
  }
  std::uint8_t* at(std::size_t gate, std::size_t row, std::size_t col) {
    return bits_.data() + offset(gate, row, col);
  }
  const std::uint8_t* at(std::size_t gate, std::size_t row, std::size_t col) const {
    return bits_.data() + offset(gate, row, col);
  }

  detail::AlignedBuffer<std::uint8_t> bits_;
  detail::Extent shape_;
  std::size_t gates_ = 0;
  std::size_t panels_ = 0;
  bool filled_ = false;
};

/// Stages that also record which values pass; itself a stage, for an output of floats. The record
/// must have room for the output and live as long as the stage is used; who makes the call marks it
/// as filled. Nothing is recorded where a stage's derivative needs the values themselves: the
/// backward pass computes these again.
template <class... Stages>
class Recorded {
 public:
  using Chain = detail::StageChain<Stages...>;
  static constexpr std::size_t normals_per_element = Chain::normals;
  static constexpr std::size_t gates = Chain::any_needs_values ? 0 : Chain::gates;

  Recorded(const Epilogue<Stages...>& epilogue, ForwardRecord& record)
      : epilogue_(epilogue), record_(&record) {}

  bool valid_for(std::size_t rows, std::size_t cols) const {
    if (record_->rows() != rows || record_->cols() != cols || record_->gates() != gates) {
      detail::report_error((detail::Message()
                            << "lumina::Recorded: the record is for "
                            << detail::Shape{record_->rows(), record_->cols()} << " with "
                            << record_->gates() << " gates, the output is "
                            << detail::Shape{rows, cols} << " with " << gates)
                               .c_str());
      return false;
    }
    return epilogue_.valid_for(rows, cols);
  }

  template <class Floats, class Normals>
  [[gnu::always_inline]] Floats apply(const Floats& values, const Coordinates& at,
                                      const ActiveLanes& active, const Normals& normals) const {
    return epilogue_.apply_showing(
        values, at, active, normals,
        [&](auto index, const auto& stage, const Floats& entering) __attribute__((always_inline)) {
          if constexpr (gates != 0 && detail::is_gate<std::decay_t<decltype(stage)>, Floats>) {
            record_->template store<Floats::size>(
                Chain::gates_before(index), at.row, at.column,
                detail::bits_of_mask<Floats>(stage.passes(entering)));
          }
        });
  }

 private:
  Epilogue<Stages...> epilogue_;
  ForwardRecord* record_;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
