// Executors as the engine asks them: how many threads, whose memory, whether it is worth it.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

#include "../../config.hpp"
#include "../../executor.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// How many threads an executor has; where it does not say, perhaps many.
template <class Executor>
std::size_t threads_of(const Executor& executor) {
  if constexpr (std::is_same_v<Executor, Serial>) {
    return 1;
  } else if constexpr (requires { static_cast<std::size_t>(executor.usable_threads()); }) {
    return static_cast<std::size_t>(executor.usable_threads());
  } else if constexpr (requires { static_cast<std::size_t>(executor.threads); }) {
    return executor.threads < 1 ? 1 : static_cast<std::size_t>(executor.threads);
  } else {
    return 16;
  }
}

/// body(0) … body(tasks − 1), by the executor where that is worth it.
template <class Executor, class Body>
void run_tasks(const Executor& executor, bool worth_threads, std::size_t tasks, const Body& body) {
  if (worth_threads) {
    executor(tasks, body);
  } else {
    Serial()(tasks, body);
  }
}

/// An executor that brings a workspace for the tasks' scratch, SerialIn.
template <class Executor>
concept BringsWorkspace = requires(const Executor& executor) {
  { executor.workspace() } -> std::same_as<std::span<std::byte>>;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
