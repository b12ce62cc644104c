// Matrix instructions made of shuffles, against those of the emulated warp.
#include <cstdint>

#include "../../../include/lumina/cuda/platform/platform.hpp"
#include "support/catch.hpp"

using namespace lumina::detail::gpu;

namespace {

std::uint32_t from_lane(std::uint32_t v, unsigned lane) {
  struct Exchange {
    std::uint32_t given, got;
    unsigned lane;
  } mine{v, 0, lane};
  emulated::all_32_together("from_lane", mine, [](const auto& all) {
    for (auto* one : all) one->got = all[one->lane]->given;
    return true;
  });
  return mine.got;
}

/// [32 threads]: how many of a thread's registers are not what they should be.
__global__ void compare(const std::uint32_t* words, unsigned* differences) {
  const unsigned lane = threadIdx.x;
  auto* const shared = reinterpret_cast<std::uint32_t*>(dynamic_shared());
  for (unsigned i = 0; i < 4; ++i) shared[4 * lane + i] = words[4 * lane + i];
  __syncwarp();
  const SharedAddress first = shared_address(shared), row = first + 16 * (5 * lane % 32);
  std::uint32_t a[4], loaded[4];
  load_matrices(a, row);
  load_matrices_by_lanes(loaded, row, lane, from_lane,
                         [&](SharedAddress at) { return shared[(at - first) / 4]; });
  const std::uint32_t b0 = words[128 + lane], b1 = words[160 + lane];
  int d[4] = {1, -2, 3, -4}, summed[4] = {1, -2, 3, -4};
  multiply_16x8x32(d, a, b0, b1);
  multiply_16x8x32_by_lanes(summed, a, b0, b1, lane, from_lane);
  for (unsigned i = 0; i < 4; ++i) {
    differences[lane] += (loaded[i] != a[i] ? 1 : 0) + (summed[i] != d[i] ? 1 : 0);
  }
}

}  // namespace

TEST_CASE("Software multiplies matrices as a warp's instructions do", "[emulation]") {
  const auto words = emulated::allocate<std::uint32_t>(192);
  std::uint32_t state = 1;
  for (std::uint32_t& word : words) word = state = state * 2891336453u + 747796405u;
  const auto differences = emulated::allocate<unsigned>(32);
  for (unsigned& count : differences) count = 0;
  REQUIRE(launch(compare, {1, 1, 32, 512, false}, nullptr, words.data(), differences.data()) ==
          kSuccess);
  for (const unsigned count : differences) CHECK(count == 0);
}
