// The emulation itself: layouts as the PTX manual draws them, and faults that it must find.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "../../../include/lumina/cuda/platform/platform.hpp"
#include "support/catch.hpp"

using namespace lumina::detail::gpu;
using Catch::Matchers::ContainsSubstring;

namespace {

using Byte = std::uint8_t;
using SignedByte = std::int8_t;

std::uint32_t next_random() {
  static std::uint64_t state = 1;
  state = state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<std::uint32_t>(state >> 33);
}

template <class T>
emulated::Array<T> random_bytes(std::size_t n) {
  auto bytes = emulated::allocate<T>(n);
  for (T& byte : bytes) byte = static_cast<T>(next_random());
  return bytes;
}

/// What a program says that ends by abort(); empty if it does not.
template <class F>
std::string last_words(const F& program) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    program();
    _exit(0);
  }
  close(ends[1]);
  std::string words;
  char part[256];
  for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0;) {
    words.append(part, static_cast<std::size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? words : "";
}

template <class Kernel, class... A>
void run(Kernel* kernel, const LaunchShape& shape, const A&... arguments) {
  REQUIRE(launch(kernel, shape, nullptr, arguments...) == kSuccess);
}

// --- a warp
// ----------------------------------------------------------------------------------------

// A thread's bytes by the formulas of the manual, "Matrix Fragments for mma.m16n8k32".
__global__ void product_of_fragments(const Byte* a, const SignedByte* b, int* c) {
  const int lane = static_cast<int>(threadIdx.x), group = lane >> 2, in_group = lane % 4;
  std::uint32_t words_a[4] = {}, words_b[2] = {};
  for (int i = 0; i < 16; ++i) {
    const int row = i < 4 || (i >= 8 && i < 12) ? group : group + 8;
    const int column = in_group * 4 + (i & 3) + (i < 8 ? 0 : 16);
    words_a[i / 4] |= std::uint32_t{a[row * 32 + column]} << i % 4 * 8;
  }
  for (int i = 0; i < 8; ++i) {
    const int row = in_group * 4 + (i & 3) + (i < 4 ? 0 : 16), column = group;
    words_b[i / 4] |= std::uint32_t{static_cast<Byte>(b[row * 8 + column])} << i % 4 * 8;
  }
  int d[4] = {1, 2, 3, 4};
  multiply_16x8x32(d, words_a, words_b[0], words_b[1]);
  for (int i = 0; i < 4; ++i) {
    const int row = i < 2 ? group : group + 8, column = in_group * 2 + (i & 1);
    c[row * 8 + column] = d[i] - (i + 1);
  }
}

__global__ void matrices_of_rows(const Byte* rows, std::uint32_t* words, bool lane_is_missing) {
  const unsigned lane = threadIdx.x;
  if (lane_is_missing && lane == 7) return;
  const SharedAddress base = shared_address(dynamic_shared());
  copy_16_async(base + lane * 16, rows + lane * 16, 16);
  commit_copies();
  wait_copies<0>();
  __syncwarp();
  std::uint32_t r[4];
  load_matrices(r, base + lane * 16);
  for (unsigned i = 0; i < 4; ++i) words[lane * 4 + i] = r[i] + shuffle_xor(lane, 0) - lane;
}

__global__ void other_lanes(unsigned* from) { from[threadIdx.x] = shuffle_xor(threadIdx.x, 6); }

__global__ void dots(const Byte* a, const SignedByte* b, int* c) {
  std::uint32_t words[2];
  std::memcpy(&words[0], a + 4 * threadIdx.x, 4);
  std::memcpy(&words[1], b + 4 * threadIdx.x, 4);
  c[threadIdx.x] = dot_4(words[0], words[1], 5);
}

// --- asynchronous copies
// ---------------------------------------------------------------------------

/// Turns 128 words around, by way of shared memory.
__global__ void turned(const std::uint32_t* from, std::uint32_t* to, bool waits,
                       bool synchronizes) {
  const SharedAddress base = shared_address(dynamic_shared());
  copy_4_async(base + 4 * threadIdx.x, from + threadIdx.x, threadIdx.x != 3);
  commit_copies();
  if (waits) wait_copies<0>();
  if (synchronizes) __syncthreads();
  to[threadIdx.x] =
      load_constant(reinterpret_cast<std::uint32_t*>(dynamic_shared()) + 127 - threadIdx.x);
}

// --- Hopper
// ----------------------------------------------------------------------------------------

enum class Fault {
  none,
  released_early,  // the slot, before the product has read it
  waits_late,      // for the tile
  never_released,  // the second time round the producer waits for ever
  expects_less,    // bytes than come
  expects_more,
  no_begin,
  misaligned_tile,
  behind_memory,
  no_init_done,
};

constexpr int kStages = 2;

/// c = A·Bᵀ of 64 rows and as many columns, all of k, a stage of 128 at a time: a warpgroup loads,
/// the other multiplies.
template <int Columns>
__global__ void __launch_bounds__(256, 1)
    tile_product(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, int k,
                 int* c, Fault fault) {
  constexpr int kA = 64 * 128, kStage = kA + Columns * 128;
  const SharedAddress base = shared_address(dynamic_shared());
  const SharedAddress full = base + kStages * kStage, empty = full + 8 * kStages;
  if (threadIdx.x == 0) {
    for (unsigned s = 0; s < kStages; ++s) {
      barrier_init(full + 8 * s, 1), barrier_init(empty + 8 * s, 4);
    }
    if (fault != Fault::no_init_done) barrier_init_done();
  }
  __syncthreads();
  const int steps = (k + 127) / 128;
  if (threadIdx.x < 128) {
    fewer_registers<40>();
    if (threadIdx.x != 0) return;
    wait_for_previous_grid();
    for (int step = 0; step < steps; ++step) {
      const unsigned slot = static_cast<unsigned>(step % kStages);
      const SharedAddress bar = full + 8 * slot, to = base + slot * kStage;
      barrier_wait(empty + 8 * slot, (step / kStages & 1) ^ 1);
      const int wrong = fault == Fault::expects_less ? -16 : fault == Fault::expects_more ? 16 : 0;
      barrier_expect(bar, kStage + wrong);
      load_tile(to + (fault == Fault::misaligned_tile ? 512 : 0), &a, step * 128, 0, bar);
      load_tile(to + kA + (fault == Fault::behind_memory ? 1 << 16 : 0), &b, step * 128, 0, bar);
    }
    return;
  }
  more_registers<232>();
  int sums[Columns / 2];
  const auto release = [&](int step) {
    if (fault == Fault::never_released) return;
    if (threadIdx.x % 32 == 0) barrier_arrive(empty + 8 * static_cast<unsigned>(step % kStages));
  };
  for (int step = 0; step < steps; ++step) {
    const unsigned slot = static_cast<unsigned>(step % kStages);
    if (fault != Fault::waits_late) barrier_wait(full + 8 * slot, step / kStages & 1);
    const std::uint64_t at_a = tile_descriptor(base + slot * kStage);
    keep_registers(sums);
    if (fault != Fault::no_begin) warpgroup_begin();
    for (unsigned kk = 0; kk < 4; ++kk) {
      multiply_64xNx32<Columns>(sums, at_a + 2 * kk, at_a + 512 + 2 * kk, step > 0 || kk > 0);
    }
    warpgroup_commit();
    warpgroup_wait<1>();
    if (fault == Fault::released_early) {
      release(step);
    } else if (step > 0) {
      release(step - 1);
    }
  }
  for (int s = 0; fault == Fault::waits_late && s < steps; ++s) {
    barrier_wait(full + 8 * static_cast<unsigned>(s), 0);
  }
  warpgroup_wait<0>();
  keep_registers(sums);
  const unsigned t = threadIdx.x % 128, row = t / 32 * 16 + t % 32 / 4, column = t % 4 * 2;
  for (unsigned i = 0; i < Columns / 2; ++i) {
    c[(row + i / 2 % 2 * 8) * Columns + column + i / 4 * 8 + i % 2] = sums[i];
  }
}

struct TileProblem {
  int columns, k;
  std::size_t rows_a, rows_b, stride = emulated::round_up(static_cast<std::size_t>(k), 16);
  emulated::Array<Byte> a = random_bytes<Byte>(rows_a * stride);
  emulated::Array<SignedByte> b = random_bytes<SignedByte>(rows_b * stride);

  std::vector<int> expected() const {
    const auto columns_of_c = static_cast<std::size_t>(columns);
    std::vector<int> c(64 * columns_of_c);
    for (std::size_t row = 0; row < rows_a; ++row) {
      for (std::size_t column = 0; column < rows_b; ++column) {
        for (std::size_t i = 0; i < static_cast<std::size_t>(k); ++i) {
          c[row * columns_of_c + column] += a[row * stride + i] * b[column * stride + i];
        }
      }
    }
    return c;
  }

  std::vector<int> run(Fault fault, std::uint64_t seed) const {
    const auto columns_of_c = static_cast<unsigned>(columns), depth = static_cast<unsigned>(k);
    const auto c = emulated::allocate<int>(64 * columns_of_c);
    TensorMap map_a, map_b;
    CHECK(make_tensor_map(map_a, a.data(), rows_a, depth, stride, 64) == kSuccess);
    CHECK(make_tensor_map(map_b, b.data(), rows_b, depth, stride, columns_of_c) == kSuccess);
    const LaunchShape shape{1, 1, 256, kStages * (64 + columns_of_c) * 128 + 16 * kStages, true};
    emulated::device.seed = seed;
    auto* const kernel = columns == 32   ? &tile_product<32>
                         : columns == 64 ? &tile_product<64>
                                         : &tile_product<128>;
    ::run(kernel, shape, map_a, map_b, k, c.data(), fault);
    return {c.begin(), c.end()};
  }
};

/// In how many of 20 orders the numbers are wrong.
int wrong_orders(const TileProblem& problem, Fault fault) {
  int wrong = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    wrong += problem.run(fault, seed) != problem.expected() ? 1 : 0;
  }
  return wrong;
}

__global__ void named_barriers(int* log, int threads, bool second_arrives) {
  const unsigned warp = threadIdx.x / 32;
  if (warp < 2) {
    if (threadIdx.x == 0) log[0] = 1;
    if (warp == 0 || second_arrives) named_barrier_arrive(1, threads);
  } else {
    named_barrier_sync(1, 96);
    if (threadIdx.x == 64) log[1] = log[0];
  }
}

__global__ void writes(float* to, std::size_t n) { to[n] = 1; }
__global__ void writes_shared(int at) {
  reinterpret_cast<volatile char*>(dynamic_shared())[at] = 1;
}
__global__ void answers(float* to) { to[threadIdx.x] = static_cast<float>(threadIdx.x); }
__global__ void add_one(const int* from, int* to, bool waits_early) {
  if (waits_early) wait_for_previous_grid();
  const int sum = *from + 1;
  wait_for_previous_grid();
  *to = sum;
}
__global__ void count_blocks(int* to) {
  if (threadIdx.x == 0) to[blockIdx.y * gridDim.x + blockIdx.x] += static_cast<int>(blockDim.x);
}

}  // namespace

TEST_CASE("multiply_16x8x32 has the fragments of the manual", "[emulation]") {
  const auto a = random_bytes<Byte>(16 * 32);
  const auto b = random_bytes<SignedByte>(32 * 8);
  const auto c = emulated::allocate<int>(16 * 8);
  run(product_of_fragments, {1, 1, 32, 0, false}, a.data(), b.data(), c.data());
  for (std::size_t row = 0; row < 16; ++row) {
    for (std::size_t column = 0; column < 8; ++column) {
      int sum = 0;
      for (std::size_t i = 0; i < 32; ++i) sum += a[row * 32 + i] * b[i * 8 + column];
      CHECK(c[row * 8 + column] == sum);
    }
  }
}

TEST_CASE("load_matrices hands out quarters of rows", "[emulation]") {
  const auto rows = random_bytes<Byte>(32 * 16);
  const auto words = emulated::allocate<std::uint32_t>(32 * 4);
  run(matrices_of_rows, {1, 1, 32, 512, false}, rows.data(), words.data(), false);
  for (std::size_t lane = 0; lane < 32; ++lane) {
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(std::memcmp(&words[lane * 4 + i], &rows[(i * 8 + lane / 4) * 16 + lane % 4 * 4], 4) ==
            0);
    }
  }
  CHECK_THAT(last_words([&] {
               run(matrices_of_rows, {1, 1, 32, 512, false}, rows.data(), words.data(), true);
             }),
             ContainsSubstring("deadlock") && ContainsSubstring("threads 7 to 7: ended") &&
                 ContainsSubstring("__syncwarp"));
}

TEST_CASE("Lanes exchange words and multiply bytes", "[emulation]") {
  const auto from = emulated::allocate<unsigned>(64);
  run(other_lanes, {1, 1, 64, 0, false}, from.data());
  for (unsigned t = 0; t < 64; ++t) CHECK(from[t] == (t ^ 6));
  const auto a = random_bytes<Byte>(128);
  const auto b = random_bytes<SignedByte>(128);
  const auto c = emulated::allocate<int>(32);
  run(dots, {1, 1, 32, 0, false}, a.data(), b.data(), c.data());
  for (std::size_t t = 0; t < 32; ++t) {
    int sum = 5;
    for (std::size_t i = 4 * t; i < 4 * t + 4; ++i) sum += a[i] * b[i];
    CHECK(c[t] == sum);
  }
}

TEST_CASE("Asynchronous copies are there after a wait and a barrier, not before", "[emulation]") {
  const auto from = emulated::allocate<std::uint32_t>(128),
             to = emulated::allocate<std::uint32_t>(128);
  for (std::uint32_t i = 0; i < 128; ++i) from[i] = i;
  const auto wrong = [&](bool waits, bool synchronizes) {
    int count = 0;
    for (emulated::device.seed = 1; emulated::device.seed <= 10; ++emulated::device.seed) {
      run(turned, {1, 1, 128, 512, false}, from.data(), to.data(), waits, synchronizes);
      bool same = true;
      for (std::uint32_t i = 0; i < 128; ++i) same &= to[i] == (i == 124 ? 0 : 127 - i);
      count += same ? 0 : 1;
    }
    return count;
  };
  CHECK(wrong(true, true) == 0);
  CHECK(wrong(false, true) == 10);
  CHECK(wrong(true, false) == 10);
}

TEST_CASE("A warpgroup multiplies swizzled tiles, with zeros outside of the matrices",
          "[emulation]") {
  for (const int columns : {32, 64, 128}) {
    const auto all = static_cast<std::size_t>(columns);
    CHECK(wrong_orders({columns, 512, 64, all}, Fault::none) == 0);
    CHECK(wrong_orders({columns, 433, 61, all - 5}, Fault::none) == 0);
    CHECK(wrong_orders({columns, 7, 1, 1}, Fault::none) == 0);
  }
}

TEST_CASE("Races of a pipeline give wrong numbers", "[emulation]") {
  CHECK(wrong_orders({64, 1000, 64, 64}, Fault::released_early) >= 8);
  CHECK(wrong_orders({64, 250, 64, 64}, Fault::waits_late) >= 8);
}

TEST_CASE("Faults of a pipeline end the program with a message", "[emulation]") {
  const TileProblem problem{32, 1000, 64, 32};
  const auto words = [&](Fault fault) { return last_words([&] { problem.run(fault, 3); }); };
  CHECK(words(Fault::none) == "");
  CHECK_THAT(words(Fault::never_released), ContainsSubstring("deadlock") &&
                                               ContainsSubstring("threads 0 to 0: barrier_wait") &&
                                               ContainsSubstring("4 arrivals of 4 and 0 bytes"));
  CHECK_THAT(words(Fault::expects_less), ContainsSubstring("16 bytes more than expected"));
  CHECK_THAT(words(Fault::expects_more), ContainsSubstring("0 arrivals of 1 and 16 bytes to come"));
  CHECK_THAT(words(Fault::no_begin), ContainsSubstring("without warpgroup_begin()"));
  CHECK_THAT(words(Fault::misaligned_tile), ContainsSubstring("load_tile: shared address"));
  CHECK_THAT(words(Fault::behind_memory), ContainsSubstring("load_tile: 4096 bytes at shared"));
  CHECK_THAT(words(Fault::no_init_done), ContainsSubstring("no barrier_init_done()"));
  emulated::device.capability = 80;
  CHECK_THAT(words(Fault::none), ContainsSubstring("not sm_90"));
  emulated::device.capability = 90;
}

TEST_CASE("Named barriers count warps", "[emulation]") {
  const auto log = emulated::allocate<int>(2);
  run(named_barriers, {1, 1, 96, 0, false}, log.data(), 96, true);
  CHECK(log[1] == 1);
  CHECK_THAT(last_words([&] {
               run(named_barriers, {1, 1, 96, 0, false}, log.data(), 64, true);
             }),
             ContainsSubstring("named barrier 1 of"));
  CHECK_THAT(last_words([&] {
               run(named_barriers, {1, 1, 96, 0, false}, log.data(), 96, false);
             }),
             ContainsSubstring("threads 64 to 95: named_barrier_sync"));
}

TEST_CASE("Memory has ends", "[emulation]") {
  const auto write_at = [](std::size_t at) {
    return last_words([at] {
      std::signal(SIGSEGV, [](int) { std::abort(); });
      const auto array = emulated::allocate<float>(5);
      run(writes, {1, 1, 1, 0, false}, array.data(), at);
      std::fputs("survived until the end: ", stderr);
    });
  };
  CHECK(write_at(4).empty());
  CHECK_THAT(write_at(5), ContainsSubstring("written behind an array"));
  CHECK_THAT(last_words([] {
               const auto array = emulated::allocate<float>(8);
               std::signal(SIGSEGV, [](int) { std::fputs("faulted", stderr), std::abort(); });
               run(writes, {1, 1, 1, 0, false}, array.data(), std::size_t{8});
             }),
             ContainsSubstring("faulted"));
  run(writes_shared, {1, 1, 1, 1000, false}, 999);
  CHECK_THAT(last_words([] {
               run(writes_shared, {1, 1, 1, 1000, false}, 1000);
             }),
             ContainsSubstring("outside of the block's 1000 bytes"));
  CHECK(is_on_device(emulated::allocate<float>(5).data(), 0));
  const auto array = emulated::allocate<float>(5);
  CHECK(is_on_device(array.data() + 4, 0));
  CHECK_FALSE(is_on_device(array.data() + 5, 0));
  CHECK_FALSE(is_on_device(&array, 0));
}

TEST_CASE("Launches run all blocks, and refuse what the device has not", "[emulation]") {
  const auto counts = emulated::allocate<int>(6);
  REQUIRE(fill_zero(counts.data(), 24, nullptr) == kSuccess);
  run(count_blocks, {3, 2, 64, 0, false}, counts.data());
  CHECK(std::all_of(counts.begin(), counts.end(), [](int count) { return count == 64; }));
  CHECK(launch(count_blocks, {1, 1, 1025, 0, false}, nullptr, counts.data()) != kSuccess);
  CHECK(launch(count_blocks, {1, 1, 32, 228 * 1024, false}, nullptr, counts.data()) != kSuccess);
  CHECK_THAT(last_words([&] {
               run(count_blocks, {1, 1, 32, 0, true}, counts.data());
             }),
             ContainsSubstring("without waiting"));
  float answer[32];
  REQUIRE(run_and_read(answers, answer, sizeof answer) == kSuccess);
  CHECK(answer[31] == 31);
}

TEST_CASE("Postponed grids show who does not wait for them", "[emulation]") {
  const auto sums = emulated::allocate<int>(4);
  const auto sum_of_three = [&](bool last_waits_early) {
    REQUIRE(fill_zero(sums.data(), 16, nullptr) == kSuccess);
    for (std::size_t i = 0; i < 3; ++i) {
      run(add_one, {1, 1, 1, 0, i > 0}, sums.data() + i, sums.data() + i + 1,
          i < 2 || last_waits_early);
    }
    emulated::synchronize();
    return sums[3];
  };
  CHECK(sum_of_three(true) == 3);
  CHECK(sum_of_three(false) == 3);
  emulated::device.postpones_grids = true;
  CHECK(sum_of_three(true) == 3);
  CHECK(sum_of_three(false) == 1);
  emulated::device.postpones_grids = false;
}
