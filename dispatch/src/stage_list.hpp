// The stages of a dispatched call as a list of the library's own stages.
#pragma once

#include <cstddef>
#include <span>

#include <lumina/dispatch.hpp>
#include <lumina/lumina.hpp>

#include "unit.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {

/// The list for outputs [rows, cols]. Errors: those of the stages, and too many; `place` says then
/// which one it was: `where`, and its number.
StageList list_of(std::span<const dispatch::StageSpec> specs, const char* where, std::size_t rows,
                  std::size_t cols, dispatch::StagePlace& place);

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
