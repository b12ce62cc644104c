// What the core could do at best: arithmetic and reads, with the instruction set of this file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <benchmark/benchmark.h>

#include <lumina/detail/base/unroll.hpp>
#include <lumina/detail/isa/native.hpp>
#include <lumina/detail/simd/vectors.hpp>
#include <lumina/matrix.hpp>

namespace bench {

using Floats = lumina::detail::Native::Batch<float>;

#if defined(LUMINA_ISA_SCALAR) && defined(__GNUC__)
/// Compilers do not always turn the scalar architecture's arrays into vectors; a ceiling must.
using ChainFloats = float __attribute__((vector_size(sizeof(Floats))));
inline ChainFloats chain_step(ChainFloats chain, ChainFloats a, ChainFloats b) {
  return chain * a + b;
}
#else
using ChainFloats = Floats;
inline ChainFloats chain_step(const ChainFloats& chain, const ChainFloats& a,
                              const ChainFloats& b) {
  return lumina::detail::chain_multiply_add(chain, a, b);
}
#endif

inline constexpr std::size_t kFmaSteps = 2048;
/// FMAs that do not wait for each other: two units × four or five cycles of latency need ten, and
/// with their operands they must fit the sixteen registers of AVX2.
inline constexpr std::size_t kFmaChains = 12;
inline constexpr double kFmaFlops = 2.0 * kFmaSteps * kFmaChains * Floats::size;

/// kFmaFlops floating-point operations and nothing else.
[[gnu::noinline]] inline void fma_burst() {
  alignas(64) float numbers[kFmaChains + 2][Floats::size];
  for (std::size_t i = 0; i < kFmaChains + 2; ++i) {
    for (std::size_t j = 0; j < Floats::size; ++j) {
      numbers[i][j] = 0.7f + 0.013f * static_cast<float>(j) - 0.03f * static_cast<float>(i);
    }
  }
  benchmark::DoNotOptimize(numbers);
  ChainFloats chain[kFmaChains], a, b;
  std::memcpy(&chain, numbers, sizeof chain);
  std::memcpy(&a, numbers[kFmaChains], sizeof a);
  std::memcpy(&b, numbers[kFmaChains + 1], sizeof b);
  for (std::size_t step = 0; step < kFmaSteps; ++step) {
    lumina::detail::unroll<kFmaChains>([&](auto i) __attribute__((always_inline)) {
      chain[i] = chain_step(chain[i], a, b);
    });
  }
  std::memcpy(numbers, &chain, sizeof chain);
  benchmark::DoNotOptimize(numbers);
}

/// Reads `count` floats or 32-bit integers, a multiple of 32, in Streams places at once; four of
/// them is what the prefetchers like best, and how packed weights are read.
template <std::size_t Streams = 4, class T>
[[gnu::noinline]] inline void read_all(const T* data, std::size_t count) {
  using Vector = lumina::detail::Native::Batch<T>;
  constexpr std::size_t kLine = 32;
  constexpr std::size_t vectors = kLine / Vector::size;
  const std::size_t lines = count / kLine / Streams;
  Vector sum[Streams * vectors];
  for (Vector& s : sum) s = Vector(T{0});
  for (std::size_t line = 0; line < lines; ++line) {
    lumina::detail::unroll<Streams * vectors>([&](auto i) __attribute__((always_inline)) {
      const std::size_t at = (i / vectors * lines + line) * kLine + i % vectors * Vector::size;
      sum[i] = sum[i] + Vector::load_aligned(data + at);
    });
  }
  alignas(64) T sink[Vector::size];
  for (std::size_t i = 1; i < Streams * vectors; ++i) sum[0] = sum[0] + sum[i];
  sum[0].store_aligned(sink);
  benchmark::DoNotOptimize(sink);
}

}  // namespace bench
