// Products of a warpgroup, which run when all its threads have called them or when one waits for
// them and no other thread can run.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../../../include/lumina/cuda/platform/vector_types.hpp"
#include "byte_products.hpp"
#include "shared_memory.hpp"
#include "warps.hpp"

namespace emulated {

inline constexpr std::uint64_t kTileFields =
    std::uint64_t{1} << 62 | std::uint64_t{64} << 32 | 1 << 16;

/// Row `row` of a tile that a descriptor names: 32 bytes from there on.
inline const std::byte* tile_word(std::uint64_t descriptor, unsigned row, unsigned word) {
  std::uint32_t at = static_cast<std::uint32_t>(descriptor & 0x3fff) << 4;
  at += row * 128 + word * 4;
  return block->shared->at(at ^ (at >> 7 & 7) << 4, 4, 4, "multiply_64xNx32");
}

inline void run(const Product& product) {
  const auto columns = static_cast<unsigned>(product.columns);
  static Bytes32 a[64], b[128];  // too large for the stack of a fiber
  std::uint32_t bytes;
  for (unsigned word = 0; word < 8; ++word) {
    for (unsigned row = 0; row < 64; ++row) {
      std::memcpy(&bytes, tile_word(product.a, row, word), 4);
      a[row].set_unsigned(word, bytes);
    }
    for (unsigned column = 0; column < columns; ++column) {
      std::memcpy(&bytes, tile_word(product.b, column, word), 4);
      b[column].set_signed(word, bytes);
    }
  }
  static int sums[64 * 128];
  multiply_bytes(a, 64, b, columns, sums);
  for (unsigned t = 0; t < 128; ++t) {
    for (unsigned i = 0; i < columns / 2; ++i) {
      const unsigned row = t / 32 * 16 + i / 2 % 2 * 8 + t % 32 / 4,
                     column = i / 4 * 8 + t % 4 * 2 + i % 2;
      int& sum = product.sums[t][i];
      sum = (product.keep ? sum : 0) + sums[row * columns + column];
    }
  }
}

/// Runs those in front of `end`, if all threads have called them.
inline bool run_products(Warpgroup& warpgroup, std::size_t end) {
  while (warpgroup.done < end && warpgroup.done < warpgroup.products.size() &&
         warpgroup.products[warpgroup.done].threads == 128) {
    run(warpgroup.products[warpgroup.done++]);
  }
  return warpgroup.done >= end;
}

inline void call_product(const Product& product, int* sums) {
  require_hopper("multiply_64xNx32");
  Thread& thread = this_thread();
  Warpgroup& warpgroup = this_warpgroup();
  if (!thread.may_multiply) fail("multiply_64xNx32 without warpgroup_begin()");
  for (const std::uint64_t descriptor : {product.a, product.b}) {
    if ((descriptor & ~std::uint64_t{0x3fff}) != kTileFields) fail("no descriptor of a tile");
  }
  const std::size_t number = thread.products++;
  if (number == warpgroup.products.size()) warpgroup.products.push_back(product);
  Product& common = warpgroup.products[number];
  if (common.columns != product.columns || common.a != product.a || common.b != product.b ||
      common.keep != product.keep) {
    fail("multiply_64xNx32: thread %u does not agree with others of its warpgroup", block->current);
  }
  common.sums[block->current % 128] = sums;
  if (++common.threads == 128) {
    if (roll(2) == 0) run_products(warpgroup, number + 1);
    for (const unsigned t : warpgroup.waiting) wake(t);
    warpgroup.waiting.clear();
  }
}

inline void wait_for_products(std::size_t groups_under_way) {
  require_hopper("warpgroup_wait");
  auto& groups = this_thread().product_groups;
  std::size_t end = 0;  // of the products that must have run
  if (groups.size() > groups_under_way) {
    const auto last = groups.end() - static_cast<std::ptrdiff_t>(groups_under_way) - 1;
    end = *last;
    groups.erase(groups.begin(), last);
  }
  if (groups_under_way == 0) this_thread().may_multiply = false;
  all_32_together("warpgroup_wait", end, [end](const auto& all) {
    for (const std::size_t* other : all) {
      if (*other != end) fail("warpgroup_wait: a warp does not agree");
    }
    Warpgroup& warpgroup = this_warpgroup();
    while (warpgroup.done < end) {
      if (warpgroup.products.size() < end || warpgroup.products[end - 1].threads < 128) {
        warpgroup.waiting.push_back(block->current);
        wait("warpgroup_wait (others of the warpgroup have not called the products)");
      } else if (roll(4) == 0) {
        pause();
        run_products(warpgroup, end);
      } else {
        pause_until_idle();
        run_products(warpgroup, end);
      }
    }
    return true;
  });
}

inline void set_registers(int n) {
  require_hopper("setmaxnreg");
  this_warpgroup().registers = n;
}

/// When the block has ended.
inline void check_warpgroups(const Block& ended) {
  int registers = 0;
  for (const Warpgroup& warpgroup : ended.warpgroups) {
    if (warpgroup.done < warpgroup.products.size()) fail("nobody waited for a product");
    registers += 128 * warpgroup.registers;
  }
  if (registers > 65536) fail("warpgroups have taken %d registers", registers);
}

}  // namespace emulated

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
inline std::uint64_t tile_descriptor(SharedAddress at) {
  if (at % 1024 != 0) emulated::fail("tile_descriptor: shared address %u is misaligned", at);
  return (at & 0x3ffff) >> 4 | emulated::kTileFields;
}

template <int N>
void keep_registers(int (&)[N]) {}

inline void warpgroup_begin() { emulated::this_thread().may_multiply = true; }

inline void warpgroup_commit() {
  emulated::Thread& thread = emulated::this_thread();
  thread.product_groups.push_back(thread.products);
}

template <int N>
void warpgroup_wait() {
  emulated::wait_for_products(N);
}

template <int N>
void more_registers() {
  static_assert(N % 8 == 0 && N >= 24 && N <= 256);
  emulated::set_registers(N);
}

template <int N>
void fewer_registers() {
  more_registers<N>();
}

template <int Columns>
void multiply_64xNx32(int (&d)[Columns / 2], std::uint64_t a, std::uint64_t b, bool keep) {
  static_assert(Columns == 32 || Columns == 64 || Columns == 128);
  emulated::call_product({Columns, a, b, keep}, d);
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
