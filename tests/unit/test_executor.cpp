#include <lumina/executor.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <limits>
#include <vector>

#include <lumina/fused_gemm.hpp>
#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

/// Notes how it was called.
struct Recorder {
  std::size_t* calls;
  std::size_t* tasks;

  template <class Body>
  void operator()(std::size_t count, const Body& body) const {
    ++*calls;
    *tasks = count;
    Serial{}(count, body);
  }
};

}  // namespace

TEST_CASE("Executors run each task exactly once, and then return", "[executor]") {
  for_each_executor_type([](const auto& executor, const char* name) {
    CAPTURE(name);
    for (const std::size_t tasks : {0u, 1u, 2u, 3u, 7u, 64u, 1000u}) {
      std::vector<std::atomic<int>> runs(tasks + 1);
      executor(tasks, [&](std::size_t task) { ++runs[std::min(task, tasks)]; });
      bool once = runs[tasks] == 0;  // no task beyond the last
      for (std::size_t task = 0; task < tasks; ++task) once &= runs[task] == 1;
      CAPTURE(tasks);
      CHECK(once);
    }
  });
}

TEST_CASE("Results do not depend on the executor", "[executor]") {
  Engine engine(1);
  struct Shape {
    std::size_t batch, in, out;
  };
  for (const Shape& shape : {Shape{300, 30, 200}, Shape{2, 2100, 390}, Shape{260, 300, 17}}) {
    const auto [batch, in, out] = shape;
    TestMatrix x(batch, in), w(out, in), y(batch, out, out + 5), expected(batch, out);
    x.fill_uniform(engine);
    w.fill_uniform(engine);
    const PackedWeights packed = pack_weights(w);
    const auto stages = epilogue(GaussianNoise{0.5f});
    const NoiseKey key{1, 2, 3};
    reference::fused_gemm(x, w, expected, stages, key);
    for_each_executor_type([&](const auto& executor, const char* name) {
      y.fill([] { return kNaN; });
      fused_gemm(x.view(), packed, y, stages, key, executor);
      CAPTURE(name);
      CHECK(difference(y, expected) == "");
      CHECK(y.gaps_untouched());
    });
  }
}

TEST_CASE("fused_gemm_noise_quant passes the executor on", "[executor]") {
  Engine engine(2);
  TestMatrix x(300, 50), w(200, 50), y(300, 200), expected(300, 200);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  const PackedWeights packed = pack_weights(w);
  const Quantizer<8> adc(-3.0f, 3.0f);
  for (const float stddev : {0.0f, 0.5f}) {
    fused_gemm_noise_quant(x, packed, expected, stddev, adc, {1, 2, 3});
    std::size_t calls = 0, tasks = 0;
    fused_gemm_noise_quant(x, packed, y, stddev, adc, {1, 2, 3}, Recorder{&calls, &tasks});
    CHECK(calls == 1);
    CHECK(tasks > 1);
    CHECK(difference(y, expected) == "");
    fused_gemm_noise_quant(x, w.view(), y, stddev, adc, {1, 2, 3}, Recorder{&calls, &tasks});
    CHECK(calls == 2);
    CHECK(difference(y, expected) == "");
  }
}

TEST_CASE("Small problems stay on the calling thread", "[executor]") {
  Engine engine(3);
  TestMatrix x(8, 16), w(10, 16), y(8, 10), expected(8, 10);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  std::size_t calls = 0, tasks = 0;
  fused_gemm(x.view(), pack_weights(w), y, epilogue(), {}, Recorder{&calls, &tasks});
  CHECK(calls == 0);
  reference::fused_gemm(x, w, expected, epilogue(), {});
  CHECK(difference(y, expected) == "");
}

#if defined(_OPENMP)
TEST_CASE("OpenMP: any number of threads runs all tasks, on no more than it has processors for",
          "[executor]") {
  for (const int threads : {-1000000, -1, 0, 1, 3, 512, 100000, std::numeric_limits<int>::max()}) {
    CAPTURE(threads);
    for (const std::size_t tasks : {0u, 1u, 2u, 64u}) {
      std::vector<int> runs(tasks);
      std::atomic<int> team{0};
      OpenMP{threads}(tasks, [&](std::size_t task) {
        ++runs[task];
        team = std::max(team.load(), omp_get_num_threads());
      });
      CHECK(runs == std::vector<int>(tasks, 1));
      CHECK(team <= std::max(1, omp_get_num_procs()));
      CHECK(static_cast<std::size_t>(team) <= tasks);
    }
    // A whole call, which plans for that many.
    TestMatrix x(70, 300), w(300, 300), y(70, 300), expected(70, 300);
    Engine engine(1);
    x.fill_uniform(engine);
    const auto coded = encode_weights<8>(w.fill_uniform(engine));
    const Quantizer<8> dac(-1.0f, 1.0f);
    fused_gemm(x, dac, coded, expected, epilogue());
    fused_gemm(x, dac, coded, y, epilogue(), {}, OpenMP{threads});
    CHECK(difference(y, expected) == "");
  }
}
#endif
