// What is fetched ahead, and when. (That it is fetched cannot be seen here.)
#include <lumina/detail/base/prefetch.hpp>

#include <cstddef>
#include <set>
#include <vector>

#include "support/catch.hpp"

using namespace lumina::detail;

namespace {

/// The cache lines, counted from `begin`, that a tile of so many rounds fetches.
std::multiset<std::size_t> lines_of(Prefetch first, std::size_t rounds, const char* begin) {
  Prefetch fetches[2] = {first, {}};
  Prefetch* ahead = fetches;
  std::multiset<std::size_t> lines;
  for (std::size_t round = 0; round < rounds && ahead->times != 0; ++round) {
    for (std::size_t i = 0; i < ahead->lines; ++i) {
      lines.insert(static_cast<std::size_t>(ahead->address + i * ahead->step - begin) / kCacheLine);
    }
    ahead = ahead->fetch_round();
  }
  CHECK(ahead == fetches + (first.times == 0 ? 0 : 1));
  return lines;
}

std::multiset<std::size_t> first_lines(std::size_t bytes) {
  std::multiset<std::size_t> lines;
  for (std::size_t line = 0; line * kCacheLine < bytes; ++line) lines.insert(line);
  return lines;
}

}  // namespace

TEST_CASE("Prefetch::spread: every line once, in the rounds that there are", "[prefetch]") {
  const std::vector<char> memory(1 << 14);
  for (const std::size_t rounds : {1u, 2u, 7u, 49u}) {
    for (const std::size_t bytes : {1u, 64u, 65u, 1000u, 4096u, 9999u}) {
      CAPTURE(rounds, bytes);
      auto lines = lines_of(Prefetch::spread(memory.data(), bytes, rounds), rounds, memory.data());
      const auto wanted = first_lines(bytes);
      // In the last round perhaps some behind the end.
      CHECK(lines.size() < wanted.size() + ceil_div(wanted.size(), rounds));
      lines.erase(lines.upper_bound(*wanted.rbegin()), lines.end());
      CHECK(lines == wanted);
    }
  }
  CHECK(Prefetch::spread(memory.data(), 0, 7).times == 0);
  CHECK(Prefetch::spread(memory.data(), 100, 0).times == 0);
}

TEST_CASE("Prefetch::hints: three addresses a round, evenly apart", "[prefetch]") {
  const std::vector<char> memory(1 << 14);
  const auto lines = lines_of(Prefetch::hints(memory.data(), 3 * 64 * 20, 20), 20, memory.data());
  CHECK(lines == first_lines(3 * 64 * 20));
  CHECK(Prefetch::hints(memory.data(), 100, 0).times == 0);
  CHECK(Prefetch::hints(memory.data(), 2, 1).times == 0);
}

TEST_CASE("Prefetcher: tiles of a block share a part, and nothing is fetched behind the end",
          "[prefetch]") {
  const std::vector<char> memory(10000);
  const char* const begin = memory.data();
  for (const std::size_t blocks : {1u, 3u}) {
    Prefetcher rows(begin, begin + memory.size(), blocks);
    std::multiset<std::size_t> lines;
    for (std::size_t tile = 0; tile < 4 * blocks; ++tile) {
      const std::size_t share = tile % 4 == 3 ? 10 : 30;
      lines.merge(lines_of(rows.share_of_part(share, 100, 64), 64, begin));
    }
    CAPTURE(blocks);
    CHECK(lines == first_lines(memory.size()));
    CHECK(rows.share_of_part(30, 100, 64).times == 0);
  }
  CHECK(Prefetcher().share_of_part(1, 1, 64).times == 0);
}
