// Weights in the form the engine reads: packed once for each update, used for many calls.
#pragma once

#include <algorithm>
#include <cstddef>

#include "config.hpp"
#include "detail/base/range.hpp"
#include "detail/packing/float_panels.hpp"
#include "detail/packing/row_blocks.hpp"
#include "detail/rows/matrix.hpp"
#include "detail/rows/row_source.hpp"
#include "matrix.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

class PackedWeights;

namespace detail {

/// Gives `packed` this shape, and room where it has too little; its panels, to be written, or
/// nullptr where there are none: it may be empty, or so large that an error was reported.
float* reshape(PackedWeights& packed, std::size_t rows, std::size_t cols);

}  // namespace detail

/// f32 weights w [out, in], packed (detail/packing/float_panels.hpp). Made by pack_weights.
class PackedWeights {
 public:
  PackedWeights() = default;
  PackedWeights(PackedWeights&&) noexcept = default;
  PackedWeights& operator=(PackedWeights&&) noexcept = default;
  /// Memory of its own, with the same weights. (Without exceptions and memory: an error, and none.)
  PackedWeights(const PackedWeights& other) : panels_(other.panels_.copy()) {
    if (panels_.size() == other.panels_.size()) {
      shape_ = detail::Extent(other.rows(), other.cols());
    }
  }
  PackedWeights& operator=(const PackedWeights& other) { return *this = PackedWeights(other); }

  std::size_t rows() const { return shape_.rows; }  ///< outputs
  std::size_t cols() const { return shape_.cols; }  ///< inputs

  /// The panel of outputs 32·index … 32·index + 31: cols() × 32 floats.
  const float* panel(std::size_t index) const& { return panels_.data() + index * panel_size(); }
  const float* panel(std::size_t index) const&& = delete;  ///< of a temporary
  /// What is multiplied for an output and an input.
  float value(std::size_t row, std::size_t col) const {
    return panel(row /
                 detail::kPanelColumns)[col * detail::kPanelColumns + row % detail::kPanelColumns];
  }
  /// Floats in a panel.
  std::size_t panel_size() const { return cols() * detail::kPanelColumns; }

 private:
  friend float* detail::reshape(PackedWeights& packed, std::size_t rows, std::size_t cols);

  detail::AlignedBuffer<float> panels_;
  detail::Extent shape_;
};

namespace detail {

inline float* reshape(PackedWeights& packed, std::size_t rows, std::size_t cols) {
  packed.shape_ = Extent();
  const std::size_t floats = size_product(panel_count(rows), cols, kPanelColumns);
  if (!packed.panels_.grow_to(floats)) return nullptr;
  packed.shape_ = Extent(rows, cols);
  return floats == 0 ? nullptr : packed.panels_.data();
}

/// `weights`: rows of floats.
template <RowSource Rows>
void pack_rows_of_weights(const Rows& weights, PackedWeights& packed) {
  float* to = reshape(packed, weights.rows(), weights.depth());
  if (to == nullptr) return;
  for (std::size_t first = 0; first < weights.rows(); first += kPanelColumns) {
    const std::size_t count = std::min(kPanelColumns, weights.rows() - first);
    for_each_block(weights, {first, count}, [&](MatrixView<const float> block) {
      pack_panel(block, to);
      to += block.cols() * kPanelColumns;
    });
  }
}

}  // namespace detail

/// Packs w [out, in] into `packed`, whose memory is used again where it is large enough.
inline void pack_weights(MatrixView<const float> w, PackedWeights& packed) {
  detail::pack_rows_of_weights(detail::MatrixRows(w), packed);
}

/// Packs w [out, in].
inline PackedWeights pack_weights(MatrixView<const float> w) {
  PackedWeights packed;
  pack_weights(w, packed);
  return packed;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
