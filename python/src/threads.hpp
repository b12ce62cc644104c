// The threads of a call, which runs without the GIL, and the signals that come meanwhile.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>

#include <lumina/dispatch.hpp>

namespace lumina::python {

namespace nb = nanobind;

/// How many times this process was forked from one that had loaded the module.
int forks();
/// To be called once, when the module is loaded.
void watch_forks();

/// Handlers of signals, Ctrl-C above all, run between the tasks of a long call.
class Signals {
 public:
  /// For the calling thread, without the GIL, again and again: takes the GIL now and then for what
  /// has come. True from then on, once a handler has raised an exception, which then stays set.
  bool stopped() {
    if (!stop_.load(std::memory_order_relaxed)) look_if_due();
    return stop_.load(std::memory_order_relaxed);
  }
  /// For other threads.
  bool seen_stop() const { return stop_.load(std::memory_order_relaxed); }
  /// With the GIL: throws the handler's exception, if there was one.
  void rethrow() const {
    if (seen_stop()) nb::raise_python_error();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kInterval{20};

  void look_if_due();

  std::atomic<bool> stop_ = false;
  Clock::time_point next_{};  // none: this is the first time
};

/// f() without the GIL; then the exception of a signal's handler, if one has stopped it.
template <class F>
auto without_gil(const Signals& signals, F f) {
  if constexpr (std::is_void_v<decltype(f())>) {
    {
      const nb::gil_scoped_release release;
      f();
    }
    signals.rethrow();
  } else {
    auto result = [&] {
      const nb::gil_scoped_release release;
      return f();
    }();
    signals.rethrow();
    return result;
  }
}

/// f(begin, size) for pieces of [0, count), without the GIL, until a signal's handler raises.
template <class F>
void in_pieces(std::size_t count, F f) {
  constexpr std::size_t kPiece = std::size_t{1} << 18;
  Signals signals;
  without_gil(signals, [&] {
    for (std::size_t begin = 0; begin < count && !signals.stopped(); begin += kPiece) {
      f(begin, std::min(kPiece, count - begin));
    }
  });
}

/// As many OpenMP threads as the argument `threads` says; None: as many as OpenMP would take. Never
/// more than the machine has processors, than there are tasks, nor than can be started: OpenMP's
/// runtime ends the process where a thread does not start.
class Threads {
 public:
  /// Errors: TypeError, ValueError.
  explicit Threads(nb::handle threads);
  explicit Threads(int threads);
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  /// For as long as this object lives, without the GIL.
  dispatch::Executor executor() {
    return {&Threads::run, this, static_cast<std::size_t>(threads_)};
  }
  /// f(), which uses the executor, without the GIL. Throws what a signal's handler has raised
  /// meanwhile; results may be written in part then.
  template <class F>
  auto without_gil(F f) {
    return python::without_gil(signals_, f);
  }

 private:
  static void run(void* self, std::size_t tasks, dispatch::Executor::Body body, void* context);

  int threads_ = 1;
  Signals signals_;
};

/// One thread at a time; the others wait without the GIL. In a forked process it is free, whoever
/// had it in the parent.
class Turns {
 public:
  /// Whoever has it is at work until it goes.
  class Turn {
   public:
    Turn(std::unique_lock<std::mutex> lock, Turns& turns);
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { turns_.owner_ = std::thread::id(); }

   private:
    std::unique_lock<std::mutex> lock_;
    Turns& turns_;
  };

  /// With the GIL. Error: RuntimeError, this thread has it: a handler of signals, in the middle of
  /// a call.
  Turn take();

 private:
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
  int forks_ = forks();  // when it was taken last
  std::atomic<std::thread::id> owner_ = std::thread::id();
};

}  // namespace lumina::python
