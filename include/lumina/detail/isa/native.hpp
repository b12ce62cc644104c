// The architecture of this translation unit, chosen by the compiler's flags (see config.hpp).
#pragma once

#include "scalar.hpp"

#if defined(LUMINA_ISA_AMX)
#include "amx.hpp"
#elif defined(LUMINA_ISA_VNNI)
#include "vnni.hpp"
#elif defined(LUMINA_ISA_AVX512)
#include "avx512.hpp"
#elif defined(LUMINA_ISA_AVX2)
#include "avx2.hpp"
#elif defined(LUMINA_ISA_SVE)
#include "sve.hpp"
#elif defined(LUMINA_ISA_NEON)
#include "neon.hpp"
#endif

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

#if defined(LUMINA_ISA_AMX)
using Native = Amx;
#elif defined(LUMINA_ISA_VNNI)
using Native = Vnni;
#elif defined(LUMINA_ISA_AVX512)
using Native = Avx512;
#elif defined(LUMINA_ISA_AVX2)
using Native = Avx2;
#elif defined(LUMINA_ISA_SVE)
using Native = Sve;
#elif defined(LUMINA_ISA_NEON)
using Native = Neon;
#else
using Native = Scalar;
#endif

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
