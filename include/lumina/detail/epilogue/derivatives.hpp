// The derivatives of an epilogue's stages, one after the other, the last of them first: over
// vectors of any kind.
#pragma once

#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>

#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../simd/vectors.hpp"
#include "stage_traits.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// `by_bias` becomes the gradient by what enters AddBias, the first one, should there be several.
template <class... Stages>
struct Derivatives {
  using Chain = StageChain<Stages...>;
  using EpilogueT = Epilogue<Stages...>;

  /// The gradient by what enters the first stage. bits_of(gate): which lanes have passed it.
  template <class Floats, class BitsOf>
  [[gnu::always_inline]] static constexpr Floats with_record(const EpilogueT& epilogue,
                                                             const Floats& grad_y,
                                                             const BitsOf& bits_of,
                                                             Floats& by_bias) {
    return first_stages<Chain::count>(epilogue, grad_y, bits_of, by_bias);
  }

  /// The same without a record, by `values`, which enter stage number Index.
  template <std::size_t Index = 0, class Floats, class Normals>
  [[gnu::always_inline]] static constexpr Floats with_values(
      const EpilogueT& epilogue, const Floats& grad_y, const Floats& values, const Coordinates& at,
      const ActiveLanes& active, const Normals& normals, Floats& by_bias) {
    if constexpr (Index == Chain::count) {
      return grad_y;
    } else {
      using Stage = typename Chain::template Stage<Index>;
      const Stage& stage = std::get<Index>(epilogue.stages());
      const auto own = Chain::template normals_of_stage<Index>(normals);
      const Floats gradient = with_values<Index + 1>(
          epilogue, grad_y, stage.apply(values, at, active, own), at, active, normals, by_bias);
      note_bias<Stage>(gradient, by_bias);
      if constexpr (is_gate<Stage>) {
        return select(stage.passes(values), gradient, Floats(0.0f));
      } else if constexpr (is_straight<Stage>) {
        return stage.backward(gradient);
      } else {
        return stage.backward(gradient, values, at, active, own);
      }
    }
  }

 private:
  /// Through the first Count stages.
  template <std::size_t Count, class Floats, class BitsOf>
  [[gnu::always_inline]] static constexpr Floats first_stages(const EpilogueT& epilogue,
                                                              const Floats& gradient,
                                                              const BitsOf& bits_of,
                                                              Floats& by_bias) {
    if constexpr (Count == 0) {
      return gradient;
    } else {
      constexpr std::size_t kIndex = Count - 1;
      using Stage = typename Chain::template Stage<kIndex>;
      note_bias<Stage>(gradient, by_bias);
      if constexpr (is_gate<Stage>) {
        return first_stages<kIndex>(
            epilogue, keep_where(bits_of(Chain::gates_before(kIndex)), gradient), bits_of, by_bias);
      } else {
        return first_stages<kIndex>(
            epilogue, std::get<kIndex>(epilogue.stages()).backward(gradient), bits_of, by_bias);
      }
    }
  }

  template <class Stage, class Floats>
  [[gnu::always_inline]] static constexpr void note_bias(const Floats& gradient, Floats& by_bias) {
    if constexpr (std::is_same_v<Stage, AddBias>) by_bias = gradient;
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
