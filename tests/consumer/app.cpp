// A program of somebody else's, written from the README alone: one noisy layer, checked by hand.
#include <lumina/lumina.hpp>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>

#if defined(LUMINA_SECOND_UNIT)
float second_unit(lumina::MatrixView<const float> x, const lumina::PackedWeights& w,
                  lumina::MatrixView<float> y);
#endif

int main() {
  constexpr std::size_t batch = 3, in = 37, out = 41;
  lumina::Matrix<float> x(batch, in), w(out, in), y(batch, out);
  lumina::FastRng rng(7);
  rng.fill_normal({x.data(), batch * in});
  rng.fill_normal({w.data(), out * in}, 0.0f, 0.1f);

  const lumina::Quantizer<8> adc(-3.0f, 3.0f);
  const lumina::NoiseKey key{.seed = 42, .stream = 1};
  const float noise = 0.25f;
  const auto packed = lumina::pack_weights(w);
  lumina::fused_gemm_noise_quant(x, packed, y, noise, adc, key);

  for (std::size_t i = 0; i < batch; ++i) {
    for (std::size_t j = 0; j < out; ++j) {
      double sum = 0.0;
      for (std::size_t k = 0; k < in; ++k) sum += double{x(i, k)} * double{w(j, k)};
      const auto exact = static_cast<float>(sum + noise * lumina::standard_normal_at(key, i, j));
      // Rounding errors may move a value over a code's edge, but no further.
      if (!(std::fabs(y(i, j) - adc(exact)) <= 1.001f * adc.step()) || y(i, j) != adc(y(i, j))) {
        std::printf("y(%zu, %zu) is %g, expected %g\n", i, j, double{y(i, j)}, double{adc(exact)});
        return 1;
      }
    }
  }

#if defined(LUMINA_SECOND_UNIT)
  const float first = y(0, 0);
  if (second_unit(x, packed, y) != first) {
    std::puts("the second translation unit computes something else");
    return 1;
  }
#endif

  // Threads change nothing.
  [[maybe_unused]] const auto same_on = [&](const auto& executor) {
    lumina::Matrix<float> again(batch, out);
    lumina::fused_gemm_noise_quant(x, packed, again, noise, adc, key, executor);
    return std::memcmp(again.data(), y.data(), batch * out * sizeof(float)) == 0;
  };
#if defined(_OPENMP)
  if (!same_on(lumina::OpenMP{2})) return 1;
#endif
#if defined(LUMINA_WITH_TBB)
  if (!same_on(lumina::TBB{2})) return 1;
#endif

  std::puts("ok");
  return 0;
}
