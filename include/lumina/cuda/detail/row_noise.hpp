// Noise on weights as a device makes it: weight_noise.hpp's, a row at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "../../config.hpp"
#include "../../detail/rows/noisy.hpp"
#include "../../weight_modifiers.hpp"
#include "../../weight_noise.hpp"
#include "../platform/platform.hpp"
#include "pair.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// A noise whose perturbation depends on no weight, where only the host can make that.
template <class Perturbation>
struct MadeOnHost {
  Perturbation made;

  constexpr Perturbation perturbation(float) const { return made; }
};

/// The noise as kernels take it.
template <class Noise>
Noise on_device(const Noise& noise) {
  return noise;
}
inline auto on_device(const DropConnect& noise) {
  return MadeOnHost<DropConnect::Perturbation>{noise.perturbation(0.0f)};
}
template <class Noise>
auto on_device(const PerOutput<Noise>& noise) {
  return PerOutput(on_device(noise.noise));
}
template <class Noise>
auto on_device(const SparedInput<Noise>& noise) {
  return SparedInput(on_device(noise.noise), noise.input);
}
template <class First, class Second>
auto on_device(const TwoWeightNoises<First, Second>& noises) {
  const auto first = on_device(noises.first());
  const auto second = on_device(noises.second());
  return TwoWeightNoises<std::remove_const_t<decltype(first)>,
                         std::remove_const_t<decltype(second)>>(first, second);
}

template <class Noise>
inline constexpr std::size_t draws_of_noise = 1;
template <>
inline constexpr std::size_t draws_of_noise<NoWeightNoise> = 0;
template <class Noise>
requires requires { Noise::two_noises; }
inline constexpr std::size_t draws_of_noise<Noise> = 2;

/// What a noise makes of the weights of one row.
template <class Noise>
class RowNoise {
 public:
  __device__ __forceinline__ RowNoise(const Noise& noise, float largest, float row_largest)
      : perturbation_(noise.perturbation(is_per_output<Noise> ? row_largest : largest)) {
    if constexpr (requires { noise.input; }) spared_ = noise.input;
  }

  /// Of two from `column` on, which were `clean` and have become `weights`; `normals`: of each
  /// draw.
  __device__ __forceinline__ Pair<float> operator()(const Pair<float>& weights,
                                                    const Pair<float>& clean, std::size_t column,
                                                    const Pair<float>* normals) const {
    Pair<float> noisy;
    if constexpr (std::is_invocable_v<Perturbation, Pair<float>, Pair<float>>) {
      noisy = perturbation_(weights, normals[0]);
    } else {
      noisy = perturbation_(weights);
    }
    if (column == spared_) noisy.first = clean.first;
    if (column + 1 == spared_) noisy.second = clean.second;
    return noisy;
  }

 private:
  using Perturbation = typename Perturbations<Noise>::Perturbation;

  Perturbation perturbation_;
  std::size_t spared_ = ~std::size_t{0};
};
template <class First, class Second>
class RowNoise<TwoWeightNoises<First, Second>> {
 public:
  __device__ __forceinline__ RowNoise(const TwoWeightNoises<First, Second>& noises, float largest,
                                      float row_largest)
      : first_(noises.first(), largest, row_largest),
        second_(noises.second(), largest, row_largest) {}
  __device__ __forceinline__ Pair<float> operator()(const Pair<float>& weights,
                                                    const Pair<float>& clean, std::size_t column,
                                                    const Pair<float>* normals) const {
    return second_(first_(weights, clean, column, normals), clean, column, normals + 1);
  }

 private:
  RowNoise<First> first_;
  RowNoise<Second> second_;
};

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
