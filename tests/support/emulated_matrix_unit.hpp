// A matrix unit in plain C++, with the interface of detail/kernels/matrix_unit.hpp: what AMX does
// according to Intel's manual (Software Developer's Manual, volume 2: LDTILECFG, TILELOADD,
// TDPBUSD, TDPBF16PS, TILESTORED). It complains where the real one would fault.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include <lumina/detail/isa/tile_config.hpp>

namespace test {

struct EmulatedUnit {
  static void configure(const lumina::detail::TileConfig& shapes) {
    require(shapes.palette == 1 && shapes.start_row == 0);
    for (std::size_t t = 0; t < 8; ++t) {
      require(shapes.rows[t] <= 16 && shapes.row_bytes[t] <= 64);
      require((shapes.rows[t] == 0) == (shapes.row_bytes[t] == 0));
      tile(t) = Tile{shapes.rows[t], shapes.row_bytes[t], {}};
    }
    configured() = true;
  }
  static void release() { configured() = false; }
  static void fence() {}

  template <int T>
  static void zero() {
    used(T).clear();
  }
  template <int T>
  static void load(const void* from, std::size_t stride) {
    Tile& to = used(T);
    to.clear();  // rows and bytes beyond the shape become zero
    for (std::size_t row = 0; row < to.rows; ++row) {
      std::memcpy(to.bytes[row], static_cast<const char*>(from) + row * stride, to.row_bytes);
    }
  }
  template <int T>
  static void load_once(const void* from, std::size_t stride) {
    load<T>(from, stride);
  }
  template <int T>
  static void store(void* to, std::size_t stride) {
    const Tile& from = used(T);
    for (std::size_t row = 0; row < from.rows; ++row) {
      std::memcpy(static_cast<char*>(to) + row * stride, from.bytes[row], from.row_bytes);
    }
  }
  template <int Sums, int Unsigned, int Signed>
  static void dot() {
    Tile& c = used(Sums);
    const Tile &a = used(Unsigned), &b = used(Signed);
    require(a.rows == c.rows && b.row_bytes == c.row_bytes && a.row_bytes == 4 * b.rows);
    for (std::size_t m = 0; m < c.rows; ++m) {
      for (std::size_t n = 0; n < c.row_bytes / 4u; ++n) {
        std::int32_t sum;
        std::memcpy(&sum, c.bytes[m] + 4 * n, 4);
        for (std::size_t k = 0; k < a.row_bytes; ++k) {
          sum += a.bytes[m][k] * static_cast<std::int8_t>(b.bytes[k / 4][4 * n + k % 4]);
        }
        std::memcpy(c.bytes[m] + 4 * n, &sum, 4);
      }
    }
  }
  /// TDPBF16PS: in each output, one chain of FMA over the even elements and one over the odd ones,
  /// both from 0; then their sum; then that added to what was there. Each operation takes denormal
  /// operands for 0, rounds to nearest, ties to even, and makes 0 of a denormal result.
  template <int Sums, int X, int Weights>
  static void dot_bf16() {
    Tile& c = used(Sums);
    const Tile &a = used(X), &b = used(Weights);
    require(a.rows == c.rows && b.row_bytes == c.row_bytes && a.row_bytes == 4 * b.rows);
    const std::size_t pairs = a.row_bytes / 4u, columns = c.row_bytes / 4u;
    for (std::size_t m = 0; m < c.rows; ++m) {
      float chains[2][16] = {};
      for (std::size_t k = 0; k < pairs; ++k) {
        for (std::size_t odd = 0; odd < 2; ++odd) {
          const float x = bf16_at(a.bytes[m] + 4 * k + 2 * odd);
          for (std::size_t n = 0; n < columns; ++n) {
            const float w = bf16_at(b.bytes[k] + 4 * n + 2 * odd);
            // Exact in double: 16 bits.
            chains[odd][n] = rounded_sum(chains[odd][n], static_cast<double>(x) * w);
          }
        }
      }
      for (std::size_t n = 0; n < columns; ++n) {
        float sum;
        std::memcpy(&sum, c.bytes[m] + 4 * n, 4);
        sum = rounded_sum(without_denormal(sum), rounded_sum(chains[0][n], chains[1][n]));
        std::memcpy(c.bytes[m] + 4 * n, &sum, 4);
      }
    }
  }

 private:
  static float without_denormal(float v) {
    return std::fabs(v) < 0x1p-126f ? std::copysign(0.0f, v) : v;
  }
  static float bf16_at(const std::uint8_t* from) {
    std::uint16_t upper;
    std::memcpy(&upper, from, sizeof(upper));
    const std::uint32_t bits = static_cast<std::uint32_t>(upper) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return without_denormal(value);
  }
  /// a + b rounded to float once, `b` having at most 24 bits: double has more than twice as many
  /// and two more, so that rounding to it first changes nothing. Denormal is what would be below
  /// 2^-126 after rounding to 24 bits.
  static float rounded_sum(float a, double b) {
    const double sum = static_cast<double>(a) + b;
    if (std::fabs(sum) < 0x1.ffffffp-127) return static_cast<float>(std::copysign(0.0, sum));
    return static_cast<float>(sum);
  }

  struct Tile {
    std::size_t rows = 0, row_bytes = 0;
    std::uint8_t bytes[16][64] = {};

    void clear() { std::memset(bytes, 0, sizeof(bytes)); }
  };

  static void require(bool condition) {
    if (condition) return;
#if defined(__cpp_exceptions)
    throw std::logic_error("EmulatedUnit: the real unit would fault");
#else
    __builtin_trap();
#endif
  }
  static bool& configured() {
    static thread_local bool value = false;
    return value;
  }
  static Tile& tile(std::size_t number) {
    static thread_local Tile tiles[8];
    return tiles[number];
  }
  static Tile& used(std::size_t number) {
    require(configured() && tile(number).rows > 0);
    return tile(number);
  }
};

}  // namespace test
