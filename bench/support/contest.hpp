// A contest: everything that is compared runs in turns, in one process and on the same data, so
// that a change of the clock or a neighbour on the machine meets all contestants alike. Each round
// runs every contestant once, in a new order; medians over the rounds are taken of the times and of
// the ratios of two contestants within a round.
//
// A contest has several heats, each with memory of its own: which physical pages a buffer gets
// decides how much of it the second-level cache can hold, and makes up to 20 % of a small product.
//
// Times are the calling thread's processor time, from which the system takes out what other
// programs on the machine get in between; where a contestant uses several threads, wall time.
#pragma once

#include <ctime>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

/// Does the work once; `turn` counts the calls, to choose among several input sets.
using Call = std::function<void(std::size_t turn)>;

/// How long to measure.
struct Effort {
  double seconds_per_contest = 6.0;
  double seconds_per_sample = 300e-6;  ///< short calls are repeated until a sample lasts this long
  std::size_t heats = 10;
  std::size_t min_rounds_per_heat = 2;
};
inline constexpr Effort kSmokeTest{0.0, 20e-6, 1, 1};

struct Contestant {
  std::string title;
  double work = 0;                     ///< of one call, in the contest's unit
  std::function<Call()> prepare = {};  ///< allocates; the call must not. Empty: not on this machine
  int threads = 1;
};

class Contest {
 public:
  /// `unit`: what a contestant's work is counted in, "FLOP" for instance.
  Contest(std::string name, std::string unit) : name_(std::move(name)), unit_(std::move(unit)) {}

  void add(Contestant contestant) { contestants_.push_back(std::move(contestant)); }

  const std::string& name() const { return name_; }
  const std::string& unit() const { return unit_; }
  const std::vector<Contestant>& contestants() const { return contestants_; }
  std::size_t rounds() const { return rounds_; }
  bool there(std::size_t i) const { return static_cast<bool>(contestants_[i].prepare); }
  std::size_t index(const std::string& title) const {
    const auto found = std::find_if(contestants_.begin(), contestants_.end(),
                                    [&](const Contestant& c) { return c.title == title; });
    return static_cast<std::size_t>(found - contestants_.begin());
  }
  bool there(const std::string& title) const {
    const std::size_t i = index(title);
    return i < contestants_.size() && there(i);
  }

  /// The first call measures.
  void measure(const Effort& effort) {
    if (rounds_ != 0) return;
    seconds_.resize(contestants_.size());
    processors_.resize(contestants_.size());
    for (std::size_t heat = 0; heat < effort.heats; ++heat) run_heat(effort);
  }

  /// Seconds for one call.
  double median(std::size_t i) const { return median_of(seconds_[i]); }
  double best(std::size_t i) const {
    return *std::min_element(seconds_[i].begin(), seconds_[i].end());
  }
  /// Work per second.
  double rate(std::size_t i) const { return contestants_[i].work / median(i); }
  /// How often i's time contains j's: the median over the rounds.
  double time_ratio(std::size_t i, std::size_t j) const {
    std::vector<double> ratios(rounds_);
    for (std::size_t r = 0; r < rounds_; ++r) ratios[r] = seconds_[i][r] / seconds_[j][r];
    return median_of(std::move(ratios));
  }
  /// The same for the rates: i's work per second in j's.
  double rate_ratio(std::size_t i, std::size_t j) const {
    return contestants_[i].work / contestants_[j].work * time_ratio(j, i);
  }
  /// The process's processor time in the calling thread's: shows who uses more threads than it
  /// should.
  double processors(std::size_t i) const { return median_of(processors_[i]); }

 private:
  static double median_of(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }
  static double seconds_on(clockid_t clock) {
    std::timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  void run_heat(const Effort& effort);

  std::string name_;
  std::string unit_;
  std::vector<Contestant> contestants_;
  std::size_t rounds_ = 0;
  std::vector<std::vector<double>> seconds_;     // [contestant][round]
  std::vector<std::vector<double>> processors_;  // [contestant][round]
};

inline void Contest::run_heat(const Effort& effort) {
  struct Runner {
    std::size_t index;
    Call call;
    clockid_t clock;
    std::size_t turn = 0;
    std::size_t calls = 1;
  };
  std::vector<Runner> runners;
  for (std::size_t i = 0; i < contestants_.size(); ++i) {
    if (!there(i)) continue;
    const bool one_thread = contestants_[i].threads == 1;
    Runner runner{i, contestants_[i].prepare(),
                  one_thread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC};
    runner.call(runner.turn++);
    const double begin = seconds_on(runner.clock);
    runner.call(runner.turn++);
    const double seconds = std::max(seconds_on(runner.clock) - begin, 1e-9);
    runner.calls = static_cast<std::size_t>(std::ceil(effort.seconds_per_sample / seconds));
    runners.push_back(std::move(runner));
  }

  std::mt19937 order(static_cast<unsigned>(rounds_));
  const std::size_t first_round = rounds_;
  const double begin = seconds_on(CLOCK_MONOTONIC);
  do {
    std::shuffle(runners.begin(), runners.end(), order);
    for (Runner& runner : runners) {
      runner.call(runner.turn++);  // the caches are its own again, and its threads are awake
      const double process_begin = seconds_on(CLOCK_PROCESS_CPUTIME_ID);
      const double thread_begin = seconds_on(CLOCK_THREAD_CPUTIME_ID);
      const double sample_begin = seconds_on(runner.clock);
      for (std::size_t i = 0; i < runner.calls; ++i) runner.call(runner.turn++);
      const double seconds = seconds_on(runner.clock) - sample_begin;
      const double thread_seconds = seconds_on(CLOCK_THREAD_CPUTIME_ID) - thread_begin;
      const double process_seconds = seconds_on(CLOCK_PROCESS_CPUTIME_ID) - process_begin;
      seconds_[runner.index].push_back(seconds / static_cast<double>(runner.calls));
      processors_[runner.index].push_back(process_seconds / thread_seconds);
      if (contestants_[runner.index].threads > 1) {
        // An OpenMP worker without work spins for some 10 ms before it sleeps.
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
    ++rounds_;
  } while (rounds_ - first_round < effort.min_rounds_per_heat ||
           seconds_on(CLOCK_MONOTONIC) - begin <
               effort.seconds_per_contest / static_cast<double>(effort.heats));
}

}  // namespace bench
