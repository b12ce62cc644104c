// All kinds of executors, among them some that nobody would want.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <numeric>
#include <thread>
#include <vector>

#include <lumina/detail/engine/run.hpp>
#include <lumina/executor.hpp>

#include "random_matrix.hpp"

namespace test {

/// Last task first.
struct Backwards {
  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    while (tasks != 0) body(--tasks);
  }
};

/// A shuffled order, on a few threads that take one task after the other.
struct ShuffledThreads {
  unsigned threads;

  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    std::vector<std::size_t> order(tasks);
    std::iota(order.begin(), order.end(), std::size_t{0});
    Engine engine(threads);
    std::shuffle(order.begin(), order.end(), engine);
    std::atomic<std::size_t> next{0};
    std::vector<std::thread> pool;
    for (unsigned i = 0; i < threads; ++i) {
      pool.emplace_back([&] {
        for (std::size_t at = next++; at < tasks; at = next++) body(order[at]);
      });
    }
    for (std::thread& thread : pool) thread.join();
  }
};

/// test(executor, name) for each type of executor there is.
template <class Test>
void for_each_executor_type(Test test) {
  test(lumina::Serial{}, "Serial");
  test(Backwards{}, "backwards");
  test(ShuffledThreads{1}, "shuffled on 1 thread");
  test(ShuffledThreads{5}, "shuffled on 5 threads");
#if defined(_OPENMP)
  for (const int threads : {1, 2, 3, 7}) test(lumina::OpenMP{threads}, "OpenMP");
#endif
#if defined(LUMINA_WITH_TBB)
  for (const int threads : {1, 2, 3, 7}) test(lumina::TBB{threads}, "TBB");
#endif
}

/// One of them behind one type, so that a test's calls are compiled once for all.
class AnyExecutor {
 public:
  template <class Executor>
  explicit AnyExecutor(const Executor& executor)
      : executor_(&executor),
        threads_(lumina::detail::threads_of(executor)),
        run_([](const void* self, std::size_t tasks, const void* body, Call call) {
          (*static_cast<const Executor*>(self))(
              tasks, [body, call](std::size_t task) { call(body, task); });
        }) {}

  std::size_t usable_threads() const { return threads_; }

  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    run_(executor_, tasks, &body,
         [](const void* self, std::size_t task) { (*static_cast<const Body*>(self))(task); });
  }

 private:
  using Call = void (*)(const void* body, std::size_t task);

  const void* executor_;
  std::size_t threads_;
  void (*run_)(const void* self, std::size_t tasks, const void* body, Call call);
};

/// test(executor, name) for each executor there is, all of one type.
template <class Test>
void for_each_executor(Test test) {
  for_each_executor_type(
      [&](const auto& executor, const char* name) { test(AnyExecutor(executor), name); });
}

}  // namespace test
