// Which instruction set does the work. It is chosen when a translation unit is compiled
// (config.hpp). One choice is left for run time: a unit compiled for AMX multiplies codes with
// AVX-512 VNNI where the machine has no AMX, the operating system refuses it, or somebody says so:
// force_isa, or the environment variable LUMINA_FORCE_ISA. Results do not depend on it.
//
// Names: scalar, avx2, avx_vnni, avx512, avx512_vnni, amx, neon, neon_dotprod.
#pragma once

#include <array>
#include <string_view>

#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/isa/native.hpp"

#if defined(LUMINA_ISA_AMX)
#include <atomic>
#include <cstdlib>
#endif

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

#if defined(LUMINA_ISA_AMX)

inline bool force_amx(std::string_view name, std::atomic<bool>& active) {
  if (name == Vnni::name) {
    active = false;
    return true;
  }
  if (name == Amx::name && amx_usable()) {
    active = true;
    return true;
  }
  Message message;
  message << "lumina::force_isa: ";
  if (name == Amx::name) {
    message << "this machine has no AMX, or its operating system refuses it";
  } else {
    message << "this code is compiled for amx and avx512_vnni, not for " << name;
  }
  report_error(message.c_str());
  return false;
}

/// Whether coded calls use AMX.
inline std::atomic<bool>& amx_active() {
  static std::atomic<bool> active = amx_usable();
#if !defined(LUMINA_DISPATCH_UNIT)  // lumina::dispatch reads it for all of its units
  static const bool environment_read = [] {
    const char* const name = std::getenv("LUMINA_FORCE_ISA");
    return name == nullptr || force_amx(name, active);
  }();
  static_cast<void>(environment_read);
#endif
  return active;
}

/// Whether coded calls use the architecture's matrix unit.
inline bool matrix_unit_active() { return amx_active(); }

#else

inline bool matrix_unit_active() { return false; }

#endif

}  // namespace detail

/// What this translation unit is compiled for: what force_isa takes, the best one first.
#if defined(LUMINA_ISA_AMX)
inline constexpr std::array<const char*, 2> compiled_isas{detail::Amx::name, detail::Vnni::name};
#else
inline constexpr std::array<const char*, 1> compiled_isas{detail::Native::name};
#endif

/// What coded calls of this translation unit run on.
inline const char* isa() {
#if defined(LUMINA_ISA_AMX)
  if (!detail::amx_active()) return detail::Vnni::name;
#endif
  return detail::Native::name;
}

/// Coded calls run on `name` from now on; false after an error. Error: an instruction set that this
/// translation unit is not compiled for or that the machine lacks.
inline bool force_isa(std::string_view name) {
#if defined(LUMINA_ISA_AMX)
  return detail::force_amx(name, detail::amx_active());
#else
  if (name == detail::Native::name) return true;
  detail::report_error((detail::Message() << "lumina::force_isa: this code is compiled for "
                                          << detail::Native::name << ", not for " << name)
                           .c_str());
  return false;
#endif
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
