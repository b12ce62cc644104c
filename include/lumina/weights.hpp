// Weights in the form the engine reads: packed once for each update, used for many calls.
#pragma once

#include <algorithm>
#include <cstddef>

#include "config.hpp"
#include "detail/pack.hpp"
#include "matrix.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// f32 weights w [out, in], packed (detail/pack.hpp). Made by pack_weights.
class PackedWeights {
 public:
  std::size_t rows() const { return shape_.rows; }  ///< outputs
  std::size_t cols() const { return shape_.cols; }  ///< inputs

  /// The panel of outputs 32·index … 32·index + 31: cols() × 32 floats.
  const float* panel(std::size_t index) const { return panels_.data() + index * panel_size(); }
  /// Floats in a panel.
  std::size_t panel_size() const { return cols() * detail::kPanelColumns; }

  friend void pack_weights(MatrixView<const float> w, PackedWeights& packed);

 private:
  detail::AlignedBuffer<float> panels_;
  detail::Extent shape_;
};

/// Packs w [out, in] into `packed`, whose memory is used again where the size is the same.
inline void pack_weights(MatrixView<const float> w, PackedWeights& packed) {
  const std::size_t panels = detail::panel_count(w.rows());
  const std::size_t size = panels * w.cols() * detail::kPanelColumns;
  if (packed.panels_.size() != size) packed.panels_ = detail::AlignedBuffer<float>(size);
  packed.shape_ = detail::Extent(w.rows(), w.cols());
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
