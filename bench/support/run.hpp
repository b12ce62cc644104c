// From contests to a program: Google Benchmark runs and reports them (to stderr, or as
// --benchmark_out says), and the side-by-side tables go to stdout as Markdown.
#pragma once

#include <cctype>
#include <cstdio>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <benchmark/benchmark.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include "contest.hpp"
#include "machine.hpp"

namespace bench {

/// A contest, and how its results are shown.
struct Event {
  std::shared_ptr<Contest> contest;
  std::function<void(const Contest&, std::ostream&)> print;
};

/// A title as part of a benchmark's name, which filters can match without quotes.
inline std::string slug(const std::string& title) {
  std::string name;
  for (const char c : title) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '/' || c == '.' || c == '<' ||
        c == '>') {
      name += c;
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  return name;
}

/// Every contestant is a benchmark of its own. The first one that runs measures the whole contest;
/// each reports the median of its rounds as the time of one iteration.
inline void register_contest(const std::shared_ptr<Contest>& contest, const Effort& effort) {
  for (std::size_t i = 0; i < contest->contestants().size(); ++i) {
    if (!contest->there(i)) continue;
    const std::string name = slug(contest->name() + '/' + contest->contestants()[i].title);
    benchmark::RegisterBenchmark(name.c_str(),
                                 [contest, effort, i](benchmark::State& state) {
                                   contest->measure(effort);
                                   for (auto _ : state) state.SetIterationTime(contest->median(i));
                                   state.counters["best_us"] = 1e6 * contest->best(i);
                                   state.counters["rounds"] =
                                       static_cast<double>(contest->rounds());
                                   state.counters[contest->unit() + "/s"] = contest->rate(i);
                                 })
        ->UseManualTime()
        ->Iterations(1)
        ->Repetitions(1)
        ->Unit(benchmark::kMicrosecond);
  }
}

/// --quick and --seconds=<per contest>; all other flags are Google Benchmark's.
inline Effort take_effort(int& argc, char** argv) {
  Effort effort;
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--quick") == 0) {
      effort = kSmokeTest;
    } else if (std::strncmp(argv[i], "--seconds=", 10) == 0) {
      effort.seconds_per_contest = std::atof(argv[i] + 10);
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  argv[kept] = nullptr;
  return effort;
}

inline void print_help() {
  std::puts(
      "  --quick                a smoke test: seconds, and numbers that mean nothing\n"
      "  --seconds=<seconds>    how long to measure each contest (default 6)\n");
  benchmark::PrintDefaultHelp();
}

/// clang's idle OpenMP threads would spin for 200 ms, at the cost of the contestants that follow.
inline void let_idle_threads_sleep() {
#if defined(_OPENMP) && defined(__clang__)
  kmp_set_blocktime(10);
#endif
}

/// Large buffers come fresh from the system, not from what the last heat gave back.
inline void take_fresh_pages() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 64 << 10);
#endif
}

/// The exit status where --benchmark_filter selects nothing: other programs may have it.
inline constexpr int kNothingSelected = 4;

/// Runs what --benchmark_filter selects, and prints the tables of the contests that ran.
inline int run(int argc, char** argv, const std::string& heading, const std::string& libraries,
               const std::vector<Event>& events) {
  let_idle_threads_sleep();
  take_fresh_pages();
  const Effort effort = take_effort(argc, argv);
  benchmark::Initialize(&argc, argv, &print_help);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  for (const Event& event : events) register_contest(event.contest, effort);

  benchmark::ConsoleReporter progress(benchmark::ConsoleReporter::OO_None);
  progress.SetOutputStream(&std::cerr);
  progress.SetErrorStream(&std::cerr);
  if (benchmark::RunSpecifiedBenchmarks(&progress) == 0) return kNothingSelected;
  benchmark::Shutdown();

  bool printed_heading = false;
  for (const Event& event : events) {
    const Contest& contest = *event.contest;
    if (contest.rounds() == 0) continue;
    if (!std::exchange(printed_heading, true)) {
      std::cout << "## " << heading << ": " << lumina::detail::Native::name << "\n\n"
                << machine_line() << libraries << ".\n\n";
    }
    std::cout << "### " << contest.name() << "\n\n";
    event.print(contest, std::cout);
    for (std::size_t i = 0; i < contest.contestants().size(); ++i) {
      const Contestant& contestant = contest.contestants()[i];
      if (contest.there(i) && contest.processors(i) > contestant.threads + 0.3) {
        std::cout << "WARNING: '" << contestant.title << "' kept " << contest.processors(i)
                  << " processors busy instead of " << contestant.threads << ".\n\n";
      }
    }
  }
  return 0;
}

}  // namespace bench
