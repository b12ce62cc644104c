// How gradients are multiplied (dispatch::GradientProducts).
#pragma once

#include <stdexcept>

#include <lumina/lumina.hpp>

#include <lumina/dispatch.hpp>

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {

inline constexpr dispatch::GradientProducts kProductsInUse =
    kIntegerSplitIsFaster ? dispatch::GradientProducts::int16 : dispatch::GradientProducts::float32;

/// f(products).
template <class F>
void with_products(dispatch::GradientProducts products, const F& f) {
  using dispatch::GradientProducts;
  switch (products == GradientProducts::by_machine ? kProductsInUse : products) {
    case GradientProducts::int8:
      return f(IntegerSplitProducts<1>{});
    case GradientProducts::int16:
      return f(IntegerSplitProducts<2>{});
    case GradientProducts::int24:
      return f(IntegerSplitProducts<3>{});
    default:
      return f(F32Products{});
  }
}

/// The same on arrays, which have only what is used: each is code of its own.
template <class F>
void with_products_of_arrays(dispatch::GradientProducts products, const F& f) {
  using dispatch::GradientProducts;
  switch (products == GradientProducts::by_machine ? kProductsInUse : products) {
    case GradientProducts::int16:
      return f(IntegerSplitProducts<2>{});
    case GradientProducts::float32:
      return f(F32Products{});
    default:
      throw std::invalid_argument(
          "lumina::dispatch: gradients of arrays are products of float32 or int16");
  }
}

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
