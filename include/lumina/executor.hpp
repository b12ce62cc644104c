// Executors: who runs the tasks of a call. Any callable executor(std::size_t tasks, body) that
// calls body(0), …, body(tasks − 1), in any order and on any threads, and returns when all are
// done. Results do not depend on it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "config.hpp"
#include "detail/base/kept.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(LUMINA_WITH_TBB)
#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>
#endif

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// All tasks on the calling thread, in order.
struct Serial {
  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    for (std::size_t task = 0; task < tasks; ++task) body(task);
  }
};

/// All tasks on the calling thread, in order, with their arrays in memory of the caller's instead
/// of on the stack: for microcontrollers, whose stacks are small. Such a call allocates nothing,
/// also with unpacked weights, and uses no matrix unit. fused_gemm.hpp says how much memory it
/// needs. Errors of the call: less memory than that, memory that does not begin at a multiple of
/// kWorkspaceAlignment, and memory that overlaps x or y.
class SerialIn {
 public:
  static constexpr std::size_t threads = 1;

  constexpr explicit SerialIn(detail::KeptSpan<std::byte> workspace) : workspace_(workspace) {}

  constexpr std::span<std::byte> workspace() const { return workspace_; }

  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    Serial()(tasks, body);
  }

 private:
  std::span<std::byte> workspace_;
};
inline constexpr std::size_t kWorkspaceAlignment = 64;

#if defined(_OPENMP)
/// `threads` OpenMP threads, but not more than there are tasks or than OpenMP has processors and
/// threads; fewer than 1 count as 1. Each gets neighbouring tasks. Compile with OpenMP on.
struct OpenMP {
  int threads;

  int usable_threads() const {
    const int most = std::min(omp_get_num_procs(), omp_get_thread_limit());
    return std::max(1, std::min(threads, most));
  }

  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    const auto count = static_cast<std::ptrdiff_t>(tasks);
    const auto team = static_cast<int>(std::min<std::size_t>(
        static_cast<std::size_t>(usable_threads()), std::max<std::size_t>(tasks, 1)));
#pragma omp parallel for num_threads(team) schedule(static)
    for (std::ptrdiff_t task = 0; task < count; ++task) body(static_cast<std::size_t>(task));
  }
};
#endif

#if defined(LUMINA_WITH_TBB)
/// `threads` oneTBB threads, with the same limits. Define LUMINA_WITH_TBB and link oneTBB.
struct TBB {
  int threads;

  int usable_threads() const {
    return std::max(1, std::min(threads, tbb::this_task_arena::max_concurrency()));
  }

  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    tbb::task_arena arena(static_cast<int>(std::min<std::size_t>(
        static_cast<std::size_t>(usable_threads()), std::max<std::size_t>(tasks, 1))));
    arena.execute([&] {
      tbb::parallel_for(
          std::size_t{0}, tasks, [&](std::size_t task) { body(task); }, tbb::static_partitioner());
    });
  }
};
#endif

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
