// How calls are cut into tasks: all outputs once, no chunk higher than a task's memory, and work
// for all threads.
#include <lumina/detail/engine/schedule.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lumina;
using namespace lumina::detail;
using namespace test;

namespace {

/// Outputs of a task.
std::size_t outputs_of(const Schedule& schedule, std::size_t task) {
  const Range blocks = schedule.blocks_of(task);
  std::size_t columns = 0;
  for (std::size_t block = blocks.begin; block < blocks.end(); ++block) {
    columns += schedule.columns_of(block);
  }
  return columns * schedule.chunks.rows_of(schedule.chunk(task)).size;
}

/// The share of their time in which `threads` threads work, if each has neighbouring tasks.
double use_of(const Schedule& schedule, std::size_t threads) {
  std::size_t most = 0, all = 0;
  for (std::size_t thread = 0; thread < threads; ++thread) {
    const Range own = split_evenly(schedule.tasks(), threads, thread);
    std::size_t outputs = 0;
    for (std::size_t task = own.begin; task < own.end(); ++task) {
      outputs += outputs_of(schedule, task);
    }
    most = std::max(most, outputs);
    all += outputs;
  }
  return static_cast<double>(all) / static_cast<double>(most * threads);
}

}  // namespace

TEST_CASE("Schedule: every output belongs to one task", "[schedule]") {
  Engine engine(1);
  for (int i = 0; i < 2000; ++i) {
    const std::size_t rows = integer(engine, 1, 200), columns = integer(engine, 1, 2000);
    const std::size_t threads = integer(engine, 1, 70);
    const Chunks chunks = Chunks::of(rows, integer(engine, 1, 6) * 2, integer(engine, 1, 4));
    const Schedule schedule = Schedule::plan(chunks, columns, integer(engine, 0, 1) == 1,
                                             i % 9 == 0 ? 0 : integer(engine, 1, 1 << 22), threads);
    CAPTURE(rows, columns, threads, schedule.chunks.count, schedule.groups);
    std::vector<int> tasks_of(rows * ceil_div(columns, kBlockColumns));
    std::size_t outputs = 0;
    bool fits = true;
    for (std::size_t task = 0; task < schedule.tasks(); ++task) {
      const Range own = schedule.chunks.rows_of(schedule.chunk(task));
      const Range blocks = schedule.blocks_of(task);
      fits &= own.size > 0 && own.size <= chunks.most_rows() && blocks.size > 0;
      for (std::size_t row = own.begin; row < own.end(); ++row) {
        for (std::size_t block = blocks.begin; block < blocks.end(); ++block) {
          ++tasks_of[block * rows + row];
        }
      }
      outputs += outputs_of(schedule, task);
    }
    REQUIRE(fits);
    REQUIRE(outputs == rows * columns);
    REQUIRE(std::ranges::all_of(tasks_of, [](int tasks) { return tasks == 1; }));
  }
}

TEST_CASE("Schedule: threads have work where there are rows or columns for them", "[schedule]") {
  struct Shape {
    std::size_t rows, inputs, columns;
  };
  for (const Shape& shape : {Shape{32, 784, 512}, Shape{64, 4096, 128}, Shape{256, 784, 512},
                             Shape{1024, 1024, 1024}, Shape{512, 5000, 1}}) {
    for (const bool makes_rows : {false, true}) {
      const Chunks chunks = Chunks::of(shape.rows, 12, makes_rows ? 2 : 4);
      const std::size_t block_bytes = shape.inputs * kBlockColumns * (makes_rows ? 1 : 4);
      for (const std::size_t threads : {2u, 3u, 4u, 6u, 8u, 12u, 16u, 24u, 32u, 64u}) {
        const std::size_t pairs = shape.rows / 2 * ceil_div(shape.columns, kBlockColumns);
        if (pairs < threads) continue;
        const Schedule schedule =
            Schedule::plan(chunks, shape.columns, makes_rows, block_bytes, threads);
        CAPTURE(shape.rows, shape.inputs, shape.columns, makes_rows, threads);
        CAPTURE(schedule.chunks.count, schedule.groups);
        // Rows are shared in pairs: those of one thread more than those of another.
        CHECK(use_of(schedule, threads) > (pairs < 2 * threads ? 0.66 : 0.85));
      }
    }
  }
}

TEST_CASE("Schedule: one thread makes rows once, as long as weights stay near", "[schedule]") {
  const Chunks chunks = Chunks::of(256, 12, 4);
  CHECK(Schedule::plan(chunks, 512, true, 100 << 10, 1).tasks() == chunks.count);
  CHECK(Schedule::plan(chunks, 512, true, 1 << 20, 1).tasks() == 4 * chunks.count);
  CHECK(Schedule::plan(Chunks::of(5, 12, 4), 512, true, 1 << 20, 1).tasks() == 1);
  CHECK(Schedule::plan(chunks, 512, false, 1, 1).tasks() == 4 * chunks.count);
}
