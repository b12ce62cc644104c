// Weights in the form the engine reads: packed once for each update, used for many calls.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include "config.hpp"
#include "detail/pack.hpp"
#include "matrix.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// f32 weights w [out, in], packed (detail/pack.hpp). Made by pack_weights.
class PackedWeights {
 public:
  PackedWeights() = default;
  PackedWeights(PackedWeights&& other) noexcept
      : panels_(std::move(other.panels_)),
        rows_(std::exchange(other.rows_, 0)),
        cols_(std::exchange(other.cols_, 0)) {}
  PackedWeights& operator=(PackedWeights&& other) noexcept {
    std::swap(panels_, other.panels_);
    std::swap(rows_, other.rows_);
    std::swap(cols_, other.cols_);
    return *this;
  }

  std::size_t rows() const { return rows_; }  ///< outputs
  std::size_t cols() const { return cols_; }  ///< inputs

  /// The panel of outputs 32·index … 32·index + 31: cols() × 32 floats.
  const float* panel(std::size_t index) const { return panels_.data() + index * panel_size(); }
  /// Floats in a panel.
  std::size_t panel_size() const { return cols_ * detail::kPanelColumns; }

  friend void pack_weights(MatrixView<const float> w, PackedWeights& packed);

 private:
  detail::AlignedBuffer<float> panels_;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
};

/// Packs w [out, in] into `packed`, whose memory is used again where the size is the same.
inline void pack_weights(MatrixView<const float> w, PackedWeights& packed) {
  const std::size_t panels = detail::panel_count(w.rows());
  const std::size_t size = panels * w.cols() * detail::kPanelColumns;
  if (packed.panels_.size() != size) packed.panels_ = detail::AlignedBuffer<float>(size);
  packed.rows_ = w.rows();
  packed.cols_ = w.cols();
  for (std::size_t index = 0; index < panels; ++index) {
    const std::size_t first = index * detail::kPanelColumns;
    detail::pack_panel(w, first, std::min(detail::kPanelColumns, w.rows() - first),
                       packed.panels_.data() + index * packed.panel_size());
  }
}

/// Packs w [out, in].
inline PackedWeights pack_weights(MatrixView<const float> w) {
  PackedWeights packed;
  pack_weights(w, packed);
  return packed;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
