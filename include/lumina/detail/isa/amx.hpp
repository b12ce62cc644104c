// AMX: eight tiles of 16 rows of 64 bytes, and products of whole tiles of bytes or bf16. Everything
// else is as with AVX-512 VNNI, which also does the work where the operating system refuses AMX.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#if defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "../base/message.hpp"
#include "../layout/code_panels.hpp"
#include "tile_config.hpp"
#include "vnni.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The tile instructions; kernels/matrix_unit.hpp says what each does. (Inline assembly: the
/// compilers' intrinsics want the tiles' numbers as literals.)
struct AmxUnit {
  static void configure(const TileConfig& shapes) { asm volatile("ldtilecfg %0" : : "m"(shapes)); }
  static void release() { asm volatile("tilerelease"); }
  [[gnu::always_inline]] static void fence() { asm volatile("" : : : "memory"); }

  template <int Tile>
  [[gnu::always_inline]] static void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(Tile));
  }
  template <int Tile>
  [[gnu::always_inline]] static void load(const void* from, std::size_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(Tile));
  }
  template <int Tile>
  [[gnu::always_inline]] static void load_once(const void* from, std::size_t stride) {
    asm volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(Tile));
  }
  template <int Tile>
  [[gnu::always_inline]] static void store(void* to, std::size_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(Tile) : "memory");
  }
  template <int Sums, int Unsigned, int Signed>
  [[gnu::always_inline]] static void dot() {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sums), "i"(Unsigned), "i"(Signed));
  }
  template <int Sums, int X, int Weights>
  [[gnu::always_inline]] static void dot_bf16() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sums), "i"(X), "i"(Weights));
  }
};

/// True where the CPU has AMX for bytes and the operating system lets this process use it. Asked
/// once: Linux keeps the tiles' state only for processes that have asked for it.
inline bool amx_usable() {
#if defined(__linux__)
  static const bool usable = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned kTileAndInt8 = 3u << 24;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
    if ((d & kTileAndInt8) != kTileAndInt8) return false;
    constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
    constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return usable;
#else
  return false;
#endif
}

/// amx_usable(), and the CPU has AMX for bf16.
inline bool amx_bf16_usable() {
#if defined(__linux__)
  static const bool has_bf16 = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned kBf16 = 1u << 22;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kBf16) != 0;
  }();
  return has_bf16 && amx_usable();
#else
  return false;
#endif
}

struct Amx : Vnni {
  static constexpr const char* name = "amx";
  using MatrixUnit = AmxUnit;
  static constexpr std::size_t words_behind = kMaxWordsBehind;
  /// The second-level caches of machines with AMX have 2 MiB.
  static constexpr std::size_t row_scratch_bytes = std::size_t{1} << 18;

  static bool matrix_unit_active() { return active(); }
  static bool bf16_unit_active() { return active() && amx_bf16_usable(); }

  template <class>
  static constexpr std::array<const char*, 2> names() {
    return {name, Vnni::name};
  }
  template <class>
  static const char* name_in_use() {
    return active() ? name : Vnni::name;
  }
  template <class>
  static bool force(std::string_view wish) {
    return force(wish, active());
  }

 private:
  /// Whether coded calls use AMX.
  static std::atomic<bool>& active() {
    static std::atomic<bool> state = amx_usable();
#if !defined(LUMINA_DISPATCH_UNIT)  // lumina::dispatch reads it for all of its units
    static const bool environment_read = [] {
      const char* const wish = std::getenv("LUMINA_FORCE_ISA");
      return wish == nullptr || force(wish, state);
    }();
    static_cast<void>(environment_read);
#endif
    return state;
  }

  static bool force(std::string_view wish, std::atomic<bool>& state) {
    if (wish == Vnni::name) {
      state = false;
      return true;
    }
    if (wish == name && amx_usable()) {
      state = true;
      return true;
    }
    Message message;
    message << "lumina::force_isa: ";
    if (wish == name) {
      message << "this machine has no AMX, or its operating system refuses it";
    } else {
      message << "this code is compiled for amx and avx512_vnni, not for " << wish;
    }
    report_error(message.c_str());
    return false;
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
