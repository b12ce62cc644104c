// Which instruction set does the work. It is chosen when a translation unit is compiled
// (config.hpp). One choice is left for run time: a unit compiled for AMX multiplies codes with
// AVX-512 VNNI where the machine has no AMX, the operating system refuses it, or somebody says so:
// force_isa, or the environment variable LUMINA_FORCE_ISA. Results do not depend on it.
//
// Names: those of the table in cmake/isas.cmake, scalar or avx2 or neon_dotprod say.
#pragma once

#include <string_view>

#include "config.hpp"
#include "detail/isa/native.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// What this translation unit is compiled for: what force_isa takes, the best one first.
inline constexpr auto compiled_isas = detail::Native::names<detail::Native>();

/// What coded calls of this translation unit run on.
inline const char* isa() { return detail::Native::name_in_use<detail::Native>(); }

/// Coded calls run on `name` from now on; false after an error. Error: an instruction set that this
/// translation unit is not compiled for or that the machine lacks.
inline bool force_isa(std::string_view name) { return detail::Native::force<detail::Native>(name); }

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
