// An epilogue with one stage more.
#pragma once

#include <tuple>

#include "../../config.hpp"
#include "../../epilogue.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The same stages after one more, which draws no noise.
template <class First, class... Stages>
auto with_first_stage(const First& first, const Epilogue<Stages...>& stages) {
  return std::apply([&](const Stages&... rest) { return epilogue(first, rest...); },
                    stages.stages());
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
