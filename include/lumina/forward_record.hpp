// What the backward pass needs to know of the forward pass beyond its operands: for every output
// and every gate of its epilogue (a stage that clips: a Relu, a quantizer) one bit, whether the
// value passed. Noise is not recorded: it is drawn again from the key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "config.hpp"
#include "detail/base/aligned_buffer.hpp"
#include "detail/base/range.hpp"
#include "detail/layout/float_panels.hpp"
#include "matrix.hpp"

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
    blocks_ = detail::ceil_div(cols, detail::kBlockColumns);
    shape_ = detail::Extent();
    if (!bits_.grow_to(detail::size_product(rows, blocks_, gates, kBlockBytes))) return;
    shape_ = detail::Extent(rows, cols);
    gates_ = gates;
  }

  /// All bits as they lie in memory, rows · gates · ⌈cols / 128⌉ · 16 bytes: to be kept elsewhere
  /// and copied back to a record that resize() has given the same shape.
  std::span<std::uint8_t> bytes() {
    return {bits_.data(), rows() * blocks_ * gates_ * kBlockBytes};
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
  static constexpr std::size_t kBlockBytes = detail::kBlockColumns / 8;

  std::size_t offset(std::size_t gate, std::size_t row, std::size_t col) const {
    const std::size_t block = row * blocks_ + col / detail::kBlockColumns;
    return (block * gates_ + gate) * kBlockBytes + col % detail::kBlockColumns / 8;
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
  std::size_t blocks_ = 0;
  bool filled_ = false;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
