#include "threads.hpp"

#include <pthread.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

#include "arguments.hpp"

namespace lumina::python {

// --- Forks ---------------------------------------------------------------------------------------

namespace {

std::atomic<int> fork_count = 0;

}  // namespace

int forks() { return fork_count.load(std::memory_order_relaxed); }
void watch_forks() {
  pthread_atfork(nullptr, nullptr, [] { fork_count.fetch_add(1, std::memory_order_relaxed); });
}

Turns::Turn::Turn(std::unique_lock<std::mutex> lock, Turns& turns)
    : lock_(std::move(lock)), turns_(turns) {
  turns.forks_ = forks();
  turns.owner_ = std::this_thread::get_id();
}

Turns::Turn Turns::take() {
  const bool forked = forks_ != forks();
  if (!forked && owner_ == std::this_thread::get_id()) {
    throw std::runtime_error(
        "this generator is in the middle of a call of the same thread, which a handler of signals "
        "has interrupted; use another one there");
  }
  std::unique_lock lock(*mutex_, std::try_to_lock);
  if (!lock && forked) {  // taken by a thread that this process has not
    lock.release();
    static_cast<void>(mutex_.release());  // nobody may destroy it
    mutex_ = std::make_unique<std::mutex>();
    lock = std::unique_lock(*mutex_);
  } else if (!lock) {
    const nb::gil_scoped_release release;
    lock.lock();
  }
  return {std::move(lock), *this};
}

// --- Signals -------------------------------------------------------------------------------------

void Signals::look_if_due() {
  const Clock::time_point begin = Clock::now();
  if (next_ == Clock::time_point{}) next_ = begin + kInterval;
  if (begin < next_) return;
  {
    const nb::gil_scoped_acquire acquire;
    // In other threads than the main one this does nothing.
    if (PyErr_CheckSignals() != 0) stop_.store(true, std::memory_order_relaxed);
  }
  // Where other threads of Python keep the GIL it takes its time, of which this is a small part.
  const Clock::time_point end = Clock::now();
  next_ = end + std::max<Clock::duration>(kInterval, 100 * (end - begin));
}

// --- Threads -------------------------------------------------------------------------------------

#if defined(_OPENMP)
namespace {

int processors() {
  static const int count = std::max(1, omp_get_num_procs());
  return count;
}

/// The stack of OpenMP's threads as OMP_STACKSIZE gives it, in bytes; 0: the system's.
std::size_t openmp_stack() {
  const char* const setting = std::getenv("OMP_STACKSIZE");
  if (setting == nullptr) return 0;
  char* unit = nullptr;
  const unsigned long long number = std::strtoull(setting, &unit, 10);
  while (*unit == ' ') ++unit;
  const char* const found = std::strchr("bkmgBKMG", *unit);
  const int power =
      *unit == '\0' || found == nullptr ? 1 : static_cast<int>((found - "bkmgBKMG") % 4);
  return static_cast<std::size_t>(number) << 10 * power;
}

/// How many of `wanted` threads more start: tried with as many that do nothing, at the same time.
/// One more is tried, so that some memory is left.
int startable(int wanted) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return 0;
  std::size_t stack = 0;
  pthread_attr_getstacksize(&attributes, &stack);
  pthread_attr_setstacksize(&attributes, std::max(stack, openmp_stack()));
  std::vector<pthread_t> started;
  started.reserve(static_cast<std::size_t>(wanted) + 1);
  std::mutex gate;
  {
    const std::lock_guard closed(gate);
    const auto wait = [](void* context) -> void* {
      const std::lock_guard pass(*static_cast<std::mutex*>(context));
      return nullptr;
    };
    for (int i = 0; i <= wanted; ++i) {
      pthread_t thread;
      if (pthread_create(&thread, &attributes, wait, &gate) != 0) break;
      started.push_back(thread);
    }
  }
  for (const pthread_t thread : started) pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  return std::clamp(static_cast<int>(started.size()) - 1, 0, wanted);
}

/// The threads for this many tasks, at most `most`.
int team_for(std::size_t tasks, int most) {
  // OpenMP keeps the threads of the last team of each thread that calls it, and ends those that a
  // smaller one does not need: starting them again would take longer than their waiting.
  thread_local int kept = 1;
  const int needed = tasks < static_cast<std::size_t>(most) ? static_cast<int>(tasks) : most;
  int team = std::clamp(kept, needed, most);
  if (team > kept) team = kept + startable(team - kept);
  if (team > 1) kept = team;
  return team;
}

}  // namespace
#endif

Threads::Threads(nb::handle threads) {
  constexpr int kMost = 4096;
  const int wanted =
      threads.is_none() ? 0 : static_cast<int>(read_integer(threads, "threads", 1, kMost));
#if defined(_OPENMP)
  threads_ = std::min(wanted != 0 ? wanted : omp_get_max_threads(), processors());
  // A process that was forked has none of its parent's OpenMP threads, for which GNU's library
  // would wait forever.
  if (forks() != 0) threads_ = 1;
#else
  static_cast<void>(wanted);
#endif
}

Threads::Threads(int threads) : Threads(nb::int_(threads)) {}

void Threads::run(void* self, std::size_t tasks, dispatch::Executor::Body body, void* context) {
  Threads& threads = *static_cast<Threads*>(self);
  Signals& signals = threads.signals_;
#if defined(_OPENMP)
  if (const int team = team_for(tasks, threads.threads_); team > 1) {
    const auto count = static_cast<std::ptrdiff_t>(tasks);
#pragma omp parallel for num_threads(team) schedule(static)
    for (std::ptrdiff_t task = 0; task < count; ++task) {
      // The calling thread is the first one.
      if (omp_get_thread_num() == 0 ? signals.stopped() : signals.seen_stop()) continue;
      body(context, static_cast<std::size_t>(task));
    }
    return;
  }
#endif
  for (std::size_t task = 0; task < tasks && !signals.stopped(); ++task) body(context, task);
}

}  // namespace lumina::python
