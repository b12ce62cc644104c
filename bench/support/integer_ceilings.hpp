// What the core could do at best with products of 8-bit codes: the instructions that this file's
// instruction set has for them, and nothing else. Written as assembly, because compilers move and
// spill accumulators around the intrinsics, or add several products before they go to a sum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <benchmark/benchmark.h>

#include <lumina/detail/base/unroll.hpp>
#include <lumina/detail/isa/native.hpp>

#if defined(LUMINA_ISA_AVX512) || defined(LUMINA_ISA_AVX2)
#include <immintrin.h>
#define LUMINA_BENCH_DOT_PRODUCTS 1
#endif

namespace bench {

#if defined(LUMINA_BENCH_DOT_PRODUCTS)

#if defined(LUMINA_ISA_AVX512)
using DotRegister = __m512i;
#else
using DotRegister = __m256i;
#endif

#if defined(LUMINA_ISA_VNNI)
inline constexpr const char* kDotName = "VNNI";
inline constexpr std::size_t kProductsPerLane = 4;
[[gnu::always_inline]] inline void dot_step(DotRegister& sums, DotRegister x, DotRegister w) {
#if defined(LUMINA_ISA_AVX512)
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(x), "v"(w));
#else
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(x), "x"(w));
#endif
}
#else
inline constexpr const char* kDotName = "vpmaddwd and vpaddd";
inline constexpr std::size_t kProductsPerLane = 2;
[[gnu::always_inline]] inline void dot_step(DotRegister& sums, DotRegister x, DotRegister w) {
  DotRegister products;
  asm("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+v"(sums), "=&v"(products) : "v"(x), "v"(w));
}
#endif

inline constexpr std::size_t kDotSteps = 2048;
/// As for FMA: more than latency times units, and few enough for the registers of AVX2.
inline constexpr std::size_t kDotChains = 12;
inline constexpr double kDotOperations =
    2.0 * kDotSteps * kDotChains * kProductsPerLane * (sizeof(DotRegister) / sizeof(std::int32_t));

/// kDotOperations multiplications and additions of codes, and nothing else.
[[gnu::noinline]] inline void dot_burst() {
  alignas(64) std::uint8_t numbers[kDotChains + 2][sizeof(DotRegister)];
  for (std::size_t i = 0; i < kDotChains + 2; ++i) {
    for (std::size_t j = 0; j < sizeof(DotRegister); ++j) {
      numbers[i][j] = static_cast<std::uint8_t>(151 * i + 77 * j + 13);
    }
  }
  benchmark::DoNotOptimize(numbers);
  DotRegister chain[kDotChains], x, w;
  std::memcpy(&chain, numbers, sizeof chain);
  std::memcpy(&x, numbers[kDotChains], sizeof x);
  std::memcpy(&w, numbers[kDotChains + 1], sizeof w);
  for (std::size_t step = 0; step < kDotSteps; ++step) {
    lumina::detail::unroll<kDotChains>([&](auto i) __attribute__((always_inline)) {
      dot_step(chain[i], x, w);
    });
  }
  std::memcpy(numbers, &chain, sizeof chain);
  benchmark::DoNotOptimize(numbers);
}

#endif

#if defined(LUMINA_ISA_AMX)

inline constexpr std::size_t kAmxSteps = 1024;
inline constexpr double kAmxOperations = 2.0 * kAmxSteps * 4 * (16 * 16 * 64);

/// kAmxOperations multiplications and additions by tiles that are loaded once: four of sums, each
/// from one of two tiles of inputs and one of two of weights. Only where amx_usable().
[[gnu::noinline]] inline void amx_burst() {
  using Unit = lumina::detail::AmxUnit;
  constexpr std::size_t kRow = lumina::detail::kUnitTileBytes;
  alignas(64) std::uint8_t numbers[4][lumina::detail::kUnitTileRows * kRow];
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < sizeof numbers[i]; ++j) {
      numbers[i][j] = static_cast<std::uint8_t>((151 * i + 77 * j + 13) ^ j >> 5);
    }
  }
  benchmark::DoNotOptimize(numbers);
  Unit::configure(lumina::detail::TileConfig(2 * lumina::detail::kUnitTileRows));
  lumina::detail::unroll<4>([&](auto i) __attribute__((always_inline)) {
    Unit::zero<i>();
    Unit::load<4 + i>(numbers[i], kRow);
  });
  for (std::size_t step = 0; step < kAmxSteps; ++step) {
    Unit::dot<0, 4, 6>();
    Unit::dot<1, 4, 7>();
    Unit::dot<2, 5, 6>();
    Unit::dot<3, 5, 7>();
  }
  Unit::store<0>(numbers[0], kRow);
  Unit::release();
  benchmark::DoNotOptimize(numbers);
}

#endif

}  // namespace bench
