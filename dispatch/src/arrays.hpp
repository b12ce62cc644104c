// Calls on arrays: compiled by themselves (arrays.cpp), for they are many.
#pragma once

#include <lumina/lumina.hpp>

#include "packed.hpp"
#include "unit.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {

/// A call with weights on arrays; `record` may be null.
void run_arrays(const dispatch::Call& call, const Packed& packed, ForwardRecord* record,
                dispatch::StagePlace& place);
void backward_through_arrays(const dispatch::Call& call, const Packed& packed,
                             MatrixView<const float> grad_y, const ForwardRecord& record,
                             const Gradients& gradients, BackwardWorkspace& workspace,
                             dispatch::StagePlace& place);

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
