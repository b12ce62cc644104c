// The threads of a call.
#pragma once

#include <nanobind/nanobind.h>

#include <lumina/dispatch.hpp>
#include <lumina/executor.hpp>

#if defined(_OPENMP)
#include <omp.h>
#endif
#include <pthread.h>

#include <atomic>
#include <cstddef>

#include "arguments.hpp"

namespace lumina::python {

/// A process that was forked has none of its parent's OpenMP threads, for which GNU's library would
/// wait forever: its calls run on one thread.
inline std::atomic<bool>& in_forked_process() {
  static std::atomic<bool> forked = false;
  return forked;
}
inline void watch_forks() {
  pthread_atfork(nullptr, nullptr, [] { in_forked_process() = true; });
}

/// As many OpenMP threads as the argument `threads` says; None: as many as OpenMP would take.
class Threads {
 public:
  explicit Threads(nb::handle threads) {
    constexpr int kMost = 4096;
#if defined(_OPENMP)
    executor_.threads = threads.is_none()
                            ? omp_get_max_threads()
                            : static_cast<int>(read_integer(threads, "threads", 1, kMost));
    if (in_forked_process()) executor_.threads = 1;
#else
    if (!threads.is_none()) read_integer(threads, "threads", 1, kMost);
#endif
  }

  /// For as long as this object lives.
  dispatch::Executor executor() {
#if defined(_OPENMP)
    return dispatch::executor(executor_, static_cast<std::size_t>(executor_.threads));
#else
    return {};
#endif
  }

 private:
#if defined(_OPENMP)
  OpenMP executor_{1};
#endif
};

}  // namespace lumina::python
