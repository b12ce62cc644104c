// Weights of floats in a device's memory, as kernels read them.
#pragma once

#include <cstddef>

#include "../config.hpp"
#include "../detail/base/range.hpp"
#include "../detail/layout/float_panels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace cuda {

/// Weights w [out, in] in memory of the caller's, in panels of 32 outputs: for each input 32
/// floats, in the order of the threads that take them (detail/float_panels.hpp). Filled by
/// pack_weights(). Copying a view copies no weights.
class PackedWeights {
 public:
  /// How much memory weights [rows, cols] take.
  static constexpr std::size_t bytes(std::size_t rows, std::size_t cols) {
    return detail::size_product(detail::round_up(rows, detail::kPanelColumns), cols, sizeof(float));
  }

  constexpr PackedWeights() = default;
  /// `memory`: bytes(rows, cols) of the device, beginning at a multiple of 128.
  PackedWeights(void* memory, std::size_t rows, std::size_t cols)
      : panels_(static_cast<float*>(memory)), rows_(rows), cols_(cols) {}

  constexpr std::size_t rows() const { return rows_; }  ///< outputs
  constexpr std::size_t cols() const { return cols_; }  ///< inputs
  constexpr void* memory() const { return panels_; }
  /// For kernels: cols() · 32 floats a panel.
  constexpr float* panels() const { return panels_; }

 private:
  float* panels_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
};

}  // namespace cuda
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
