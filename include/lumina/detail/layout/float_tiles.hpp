// Weights on arrays as floats, as the engine reads them.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "tiles.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// `Weights`: PackedWeights, those of each tile of inputs. Scales as of TiledPanels.
template <class Weights>
struct FloatTiles {
  const Weights* weights;
  Tiling inputs;
  std::size_t padded_outputs;
  const float* scales;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
