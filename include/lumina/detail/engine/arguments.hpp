// Arguments of calls: a Matrix or a MatrixView as a view, and views that a call's object keeps.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "../../config.hpp"
#include "../../matrix.hpp"
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

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
