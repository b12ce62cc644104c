// How a call is run: on which kernel, by whom, in whose memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../executor.hpp"
#include "../../matrix.hpp"
#include "../epilogue/observer.hpp"
#include "../epilogue/sinks.hpp"
#include "../kernels/matrix_unit.hpp"
#include "../kernels/unit_dot.hpp"
#include "checks.hpp"
#include "loop.hpp"
#include "tasks.hpp"
#include "thresholds.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Whether the call has run on the kernel K; otherwise an error was reported and nothing is
/// written.
template <class K, class P, class T, class EpilogueT, class Observer, class Executor>
bool run_on(const P& problem, MatrixView<T> y, const EpilogueT& epilogue, const Observer& observer,
            const NoiseKey& key, const Executor& executor) {
  if (y.rows() == 0 || y.cols() == 0) return true;
  return with_sink<T>(epilogue, [&](const auto& stages, const auto& sink) {
    using Call = Loop<K, P, std::decay_t<decltype(stages)>, Observer, std::decay_t<decltype(sink)>>;
    if constexpr (BringsWorkspace<Executor>) {
      const std::span<std::byte> workspace = executor.workspace();
      if (!workspace_valid<typename Call::ScratchT>(workspace, problem.rows.depth(), y)) {
        return false;
      }
      const Call call(problem, stages, observer, sink, y, key, 1);
      Serial()(call.tasks(), [&](std::size_t task) { call.run(task, workspace.data()); });
    } else {
      const double work = static_cast<double>(y.rows()) * static_cast<double>(y.cols()) *
                          static_cast<double>(problem.rows.depth());
      const bool worth_threads = work >= K::worth_threads;
      const Call call(problem, stages, observer, sink, y, key,
                      worth_threads ? threads_of(executor) : 1);
      run_tasks(executor, worth_threads, call.tasks(),
                [&call](std::size_t task) { call.run(task); });
    }
    return true;
  });
}

/// The same on the problem's kernel, or on the matrix unit in its place.
template <class P, class T, class EpilogueT, class Observer, class Executor>
bool run(const P& problem, MatrixView<T> y, const EpilogueT& epilogue, const Observer& observer,
         const NoiseKey& key, const Executor& executor) {
  using Dot = typename P::Kernel::Dot;
  using Arch = typename P::Kernel::Arch;
  if constexpr (!BringsWorkspace<Executor> && requires {
                  typename Arch::MatrixUnit;
                  typename OnUnit<Dot>::type;
                }) {
    if (y.rows() >= Thresholds::min_matrix_unit_rows && Arch::matrix_unit_active()) {
      using Unit = MatrixUnitKernel<typename OnUnit<Dot>::type, typename Arch::MatrixUnit>;
      return run_on<Unit>(problem, y, epilogue, observer, key, executor);
    }
  }
  return run_on<typename P::Kernel>(problem, y, epilogue, observer, key, executor);
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
