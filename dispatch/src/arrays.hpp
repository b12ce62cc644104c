// Calls on arrays: compiled by themselves (arrays.cpp), for they are many.
#pragma once

#include "packed.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {

/// A call with weights on arrays.
void run_arrays(const dispatch::Call& call, const Packed& packed);

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
