// What names a noise field.
#pragma once

#include <cstdint>

#include "config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// Names a noise field: one normal for every (row, column). The same key is the same noise, in
/// every call and program, and so is NoiseKey{}, which calls have where none is given: whoever
/// wants other noise in each call counts `stream` up.
struct NoiseKey {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;      ///< say, the layer or the step: streams are independent.
  std::uint64_t row_offset = 0;  ///< added to each row: where a shard of a batch begins.
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
