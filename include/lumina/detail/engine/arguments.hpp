// Arguments of calls: a Matrix or a MatrixView as a view, and views that a call's object keeps.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "../../coded_weights.hpp"
#include "../../coded_weights_view.hpp"
#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../weights.hpp"
#include "../base/kept.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The first MatrixView<T> for T in Ts… that `matrix` converts to.
template <class T, class... Ts, class M>
constexpr auto as_view_of(M& matrix) {
  if constexpr (std::convertible_to<M&, MatrixView<T>>) {
    return MatrixView<T>(matrix);
  } else {
    return as_view_of<Ts...>(matrix);
  }
}

/// True where an argument of type M& or M is a view of one of Ts…, or converts to one.
template <class M, class... Ts>
inline constexpr bool is_view_of_any =
    (std::convertible_to<std::remove_reference_t<M>&, MatrixView<Ts>> || ...);

/// A view that is kept: of no temporary (kept.hpp).
template <class T>
class KeptView : public MatrixView<T> {
 public:
  using MatrixView<T>::MatrixView;

  template <class M>
  requires(!std::derived_from<std::remove_cvref_t<M>, KeptView> &&
           std::convertible_to<M, MatrixView<T>> && stays<M>)  //
      constexpr KeptView(M&& matrix)
      : MatrixView<T>(std::forward<M>(matrix)) {}
  template <class M>
  requires(std::convertible_to<M, MatrixView<T>> && !stays<M>)  //
      constexpr KeptView(M&& temporary) = delete;
};

/// What a call with coded weights takes as x, and as y.
template <class T>
concept CodedInput = is_view_of_any<T, const float, const std::uint8_t>;
template <class T>
concept CodedOutput = is_view_of_any<T, float, std::uint8_t, std::uint16_t>;

template <class T>
inline constexpr bool is_coded_weights = false;
template <int Bits>
inline constexpr bool is_coded_weights<CodedWeights<Bits>> = true;
template <int Bits>
inline constexpr bool is_coded_weights<CodedWeightsView<Bits>> = true;
template <class T>
concept CodedMatrix = is_coded_weights<T>;

/// Weights that are multiplied as floats.
template <class T>
concept FloatWeights =
    std::is_same_v<T, PackedWeights> || std::is_convertible_v<const T&, MatrixView<const float>>;

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
