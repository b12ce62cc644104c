// How a call is run: on which kernel, by whom, in whose memory.
#pragma once

#include <algorithm>
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

/// Whether the call, Call(problem, y, threads, parts...), has run; otherwise an error was reported
/// and nothing is written. `Call`: a Loop or an ArrayLoop.
template <class Call, class P, class T, class Executor, class... Parts>
bool run_call(const P& problem, MatrixView<T> y, const Executor& executor, const Parts&... parts) {
  if constexpr (BringsWorkspace<Executor>) {
    const std::span<std::byte> workspace = executor.workspace();
    if (!workspace_has(Call::bytes(problem, y.rows()), workspace, problem.rows.depth(), y)) {
      return false;
    }
    const Call call(problem, y, 1, parts...);
    Serial()(call.tasks(), [&](std::size_t task) { call.run(task, workspace.data()); });
  } else {
    // (Fewer outputs than a few are hardly less work.)
    const double work = static_cast<double>(y.rows()) *
                        static_cast<double>(std::max<std::size_t>(y.cols(), 8)) *
                        static_cast<double>(problem.rows.depth());
    const bool worth_threads = work >= Call::worth_threads;
    const Call call(problem, y, worth_threads ? threads_of(executor) : 1, parts...);
    run_tasks(executor, worth_threads, call.tasks(), [&call](std::size_t task) { call.run(task); });
  }
  return true;
}

/// on(std::type_identity<K>) with the kernel K of the problem, or with the matrix unit in its
/// place.
template <class P, class Executor, class On>
bool with_kernel(std::size_t rows, const Executor&, const On& on) {
  using Dot = typename P::Kernel::Dot;
  using Arch = typename P::Kernel::Arch;
  if constexpr (!BringsWorkspace<Executor> && requires {
                  typename Arch::MatrixUnit;
                  typename OnUnit<Dot>::type;
                }) {
    if (rows >= Thresholds::min_matrix_unit_rows && Arch::matrix_unit_active()) {
      using Unit = MatrixUnitKernel<typename OnUnit<Dot>::type, typename Arch::MatrixUnit>;
      return on(std::type_identity<Unit>());
    }
  }
  return on(std::type_identity<typename P::Kernel>());
}

/// Whether the call has run on the kernel K, as run_call().
template <class K, class P, class T, class EpilogueT, class Observer, class Executor>
bool run_on(const P& problem, MatrixView<T> y, const EpilogueT& epilogue, const Observer& observer,
            const NoiseKey& key, const Executor& executor) {
  if (y.rows() == 0 || y.cols() == 0) return true;
  return with_sink<T>(epilogue, [&](const auto& stages, const auto& sink) {
    using Call = Loop<K, P, std::decay_t<decltype(stages)>, Observer, std::decay_t<decltype(sink)>>;
    return run_call<Call>(problem, y, executor, stages, observer, sink, key);
  });
}

/// The same on the kernel that suits.
template <class P, class T, class EpilogueT, class Observer, class Executor>
bool run(const P& problem, MatrixView<T> y, const EpilogueT& epilogue, const Observer& observer,
         const NoiseKey& key, const Executor& executor) {
  return with_kernel<P>(y.rows(), executor, [&]<class K>(std::type_identity<K>) {
    return run_on<K>(problem, y, epilogue, observer, key, executor);
  });
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
