// A matrix unit in plain C++, with the interface of detail/tile_unit.hpp: what AMX does according
// to Intel's manual (Software Developer's Manual, volume 2: LDTILECFG, TILELOADD, TDPBUSD,
// TILESTORED). It complains where the real one would fault.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include <lumina/detail/tile_shapes.hpp>

namespace test {

struct EmulatedTiles {
  static void configure(const lumina::detail::TileShapes& shapes) {
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

 private:
  struct Tile {
    std::size_t rows = 0, row_bytes = 0;
    std::uint8_t bytes[16][64] = {};

    void clear() { std::memset(bytes, 0, sizeof(bytes)); }
  };

  static void require(bool condition) {
    if (condition) return;
#if defined(__cpp_exceptions)
    throw std::logic_error("EmulatedTiles: the real unit would fault");
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
