// Arguments that may be a Matrix or a MatrixView, as views.
#pragma once

#include <concepts>
#include <type_traits>

#include "../config.hpp"
#include "../matrix.hpp"

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

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
