// What the benchmarks of fused calls share: shapes, data, checks, contests and their tables.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <lumina/lumina.hpp>

#include "ceilings.hpp"
#include "contest.hpp"
#include "machine.hpp"
#include "markdown.hpp"
#include "not_there.hpp"
#include "random_data.hpp"
#include "run.hpp"

namespace bench {

inline constexpr float kNoise = 0.1f;
inline constexpr lumina::Quantizer<8> kAdc(-4.0f, 4.0f);

// How far an output may be from the exact product: rounded; behind the ADC; with noise before it.
inline constexpr float kRounding = 1e-3f;
inline constexpr float kHalfStep = 4.0f / 255.0f + kRounding;
inline constexpr float kFarthestNoise = 6.7f * kNoise + kHalfStep;

struct GemmShape {
  std::size_t batch, in, out;

  std::string name() const {
    return std::to_string(batch) + " × " + std::to_string(in) + " × " + std::to_string(out);
  }
  double operations() const { return 2.0 * static_cast<double>(batch * in * out); }
  double weights() const { return static_cast<double>(in * out); }
};

inline const std::vector<GemmShape> kGemmShapes{
    {1, 784, 512},   {8, 784, 512},    {32, 784, 512},    {256, 784, 512},
    {1, 4096, 4096}, {32, 4096, 4096}, {1024, 1024, 1024}};

/// The data that a contest's contestants share.
class GemmData {
 public:
  static constexpr std::size_t kInputSets = 4;

  explicit GemmData(const GemmShape& shape) : w(weights(shape)), packed(lumina::pack_weights(w)) {
    for (std::size_t set = 0; set < kInputSets; ++set) {
      x[set] = random_matrix(shape.batch, shape.in, 0.0f, 1.0f, set + 2);
      y[set] = lumina::Matrix<float>(shape.batch, shape.out);
    }
  }

  lumina::MatrixView<const float> input(std::size_t turn) const { return x[turn % kInputSets]; }
  lumina::MatrixView<float> output(std::size_t turn) { return y[turn % kInputSets]; }
  std::span<float> outputs(std::size_t turn) { return y[turn % kInputSets].elements(); }

  /// Before a check: nobody shall be credited with another one's outputs.
  void spoil_outputs() { std::ranges::fill(outputs(0), std::numeric_limits<float>::quiet_NaN()); }

  lumina::Matrix<float> w;
  lumina::PackedWeights packed;
  std::array<lumina::Matrix<float>, kInputSets> x, y;

 private:
  /// Outputs have a standard deviation near 0.6, whatever the depth: they fit the ADC's range.
  static lumina::Matrix<float> weights(const GemmShape& shape) {
    const float bound = std::sqrt(3.0f / static_cast<float>(shape.in));
    return random_matrix(shape.out, shape.in, -bound, bound, 1);
  }
};

/// Ends the program when y(row, col) is not exact(row, col), give or take `tolerance`: being fast
/// at something else does not count.
template <class Y, class Exact>
void check_outputs(const Y& y, const GemmShape& shape, const Exact& exact, double tolerance,
                   const std::string& title) {
  for (std::size_t probe = 0; probe < 64; ++probe) {
    const std::size_t row = probe * 7919 % shape.batch, col = probe * 104729 % shape.out;
    const double is = static_cast<double>(y(row, col)), should_be = exact(row, col);
    if (!(std::fabs(is - should_be) <= tolerance)) {
      std::fprintf(stderr, "%s: y(%zu, %zu) is %g and should be near %g\n", title.c_str(), row, col,
                   is, should_be);
      std::exit(1);
    }
  }
}

/// What a contestant's line of the table shows.
struct GemmLine {
  enum class Kind { product, peak, reading };
  Kind kind = Kind::product;
  double weight_bytes = 0;   ///< that one call reads
  std::string reading = "";  ///< the contestant that only reads the same weights
};

/// A contest of products of one shape. Its data come to life with the first contestant that is
/// prepared, and go with the last one.
template <class Data>
class GemmContest {
 public:
  using Make = std::function<Call(const std::shared_ptr<Data>&)>;
  using Check = std::function<void(Data&, const std::string& title)>;

  GemmContest(const GemmShape& shape, const std::string& unit)
      : shape_(shape), contest_(std::make_shared<Contest>(shape.name(), unit)) {}

  /// `make`, given the data, returns the call; `check` looks at what the call for turn 0 did.
  void add(const std::string& title, GemmLine line, Make make, Check check, int threads = 1) {
    const auto prepare = [title, make = std::move(make), check = std::move(check), data = data_,
                          shape = shape_] {
      std::shared_ptr<Data> shared = data->lock();
      if (shared == nullptr) *data = shared = std::make_shared<Data>(shape);
      Call call = make(shared);
      if (check) {
        shared->spoil_outputs();
        call(0);
        check(*shared, title);
      }
      return call;
    };
    contest_->add({title, shape_.operations(), prepare, threads});
    lines_.push_back(std::move(line));
  }
  /// Arithmetic and nothing else; `work` operations.
  void add_peak(const std::string& title, double work, std::function<void()> burst) {
    contest_->add(
        {title, work, [burst = std::move(burst)] { return [burst](std::size_t) { burst(); }; }});
    lines_.push_back({.kind = GemmLine::Kind::peak});
  }
  /// The same on two threads.
  void add_peak_twice(const std::string& title, double work, std::function<void()> burst) {
#if defined(_OPENMP)
    constexpr std::size_t kBursts = 32;  // enough for what starting a thread takes
    contest_->add({title, kBursts * work,
                   [burst = std::move(burst)] {
                     return [burst](std::size_t) {
                       lumina::OpenMP{2}(kBursts, [&](std::size_t) { burst(); });
                     };
                   },
                   2});
    lines_.push_back({.kind = GemmLine::Kind::peak});
#else
    static_cast<void>(title), static_cast<void>(work), static_cast<void>(burst);
#endif
  }
  /// Reading packed weights: `words(data)` returns where they begin, `count` how many there are.
  template <class Words>
  void add_reading(const std::string& title, std::size_t count, Words words) {
    add(title, {GemmLine::Kind::reading, 4.0 * static_cast<double>(count), title},
        [=](const std::shared_ptr<Data>& data) {
          return [=](std::size_t) { read_all(words(*data), count); };
        },
        {});
  }
  /// Reading what certainly lies in the second-level cache.
  void add_reading_half_of_l2() {
    const std::size_t count = (l2_bytes() == 0 ? 256 << 10 : l2_bytes()) / 8;
    const auto half = std::make_shared<lumina::Matrix<float>>(random_matrix(1, count, -1, 1, 9));
    const double bytes = 4.0 * static_cast<double>(count);
    contest_->add({"ceiling: reading half of L2", bytes, [half, count] {
                     return [half, count](std::size_t) { read_all(half->data(), count); };
                   }});
    lines_.push_back({.kind = GemmLine::Kind::reading, .weight_bytes = bytes});
  }
  void add_not_there(const std::string& title, const std::string& package) {
    contest_->add(not_there(title, shape_.operations(), package));
    lines_.push_back({});
  }

  const GemmShape& shape() const { return shape_; }
  const std::shared_ptr<Contest>& contest() const { return contest_; }
  const std::vector<GemmLine>& lines() const { return lines_; }

 private:
  GemmShape shape_;
  std::shared_ptr<Contest> contest_;
  std::vector<GemmLine> lines_;  // [contestant]
  std::shared_ptr<std::weak_ptr<Data>> data_ = std::make_shared<std::weak_ptr<Data>>();
};

/// A column that relates all contestants to one of them; left out where that one is not there.
struct GemmColumn {
  std::string header;
  std::string contestant;
};

struct GemmColumns {
  std::string rate;                       ///< the header, "GFLOP/s" for instance
  std::vector<GemmColumn> peaks = {};     ///< rate in per cent
  std::vector<GemmColumn> times = {};     ///< time as a multiple
  std::vector<GemmColumn> speedups = {};  ///< how many times as fast
};

inline void print_table(const Contest& contest, const std::vector<GemmLine>& lines,
                        GemmColumns columns, std::ostream& out) {
  using Kind = GemmLine::Kind;
  for (auto* related : {&columns.peaks, &columns.times, &columns.speedups}) {
    std::erase_if(*related, [&](const GemmColumn& c) { return !contest.there(c.contestant); });
  }
  bool reads = false;
  for (const GemmLine& line : lines) reads = reads || line.kind == Kind::reading;

  std::vector<std::string> header{"batch × in × out: " + contest.name(), "median µs", "best µs",
                                  columns.rate};
  for (const GemmColumn& column : columns.peaks) header.push_back(column.header);
  if (reads) header.insert(header.end(), {"weights GB/s", "of reading them"});
  for (const GemmColumn& column : columns.times) header.push_back(column.header);
  for (const GemmColumn& column : columns.speedups) header.push_back(column.header);
  MarkdownTable table(header);

  for (std::size_t i = 0; i < contest.contestants().size(); ++i) {
    std::vector<std::string> row{contest.contestants()[i].title};
    if (contest.there(i)) {
      const GemmLine& line = lines[i];
      const bool multiplies = line.kind == Kind::product, computes = line.kind != Kind::reading;
      const bool has_reading = contest.there(line.reading);
      const auto add = [&row](bool shown, const std::string& text) {
        row.push_back(shown ? text : "");
      };
      add(multiplies || has_reading, number(1e6 * contest.median(i)));
      add(multiplies || has_reading, number(1e6 * contest.best(i)));
      add(computes, number(1e-9 * contest.rate(i)));
      for (const GemmColumn& column : columns.peaks) {
        add(computes, percent(contest.rate_ratio(i, contest.index(column.contestant))));
      }
      if (reads) {
        add(line.weight_bytes != 0, number(1e-9 * line.weight_bytes / contest.median(i)));
        row.push_back(has_reading ? percent(contest.time_ratio(contest.index(line.reading), i))
                                  : "");
      }
      for (const GemmColumn& column : columns.times) {
        add(multiplies, times(contest.time_ratio(i, contest.index(column.contestant))));
      }
      for (const GemmColumn& column : columns.speedups) {
        add(multiplies, times(contest.time_ratio(contest.index(column.contestant), i)));
      }
    }
    table.add(std::move(row));
  }
  table.print(out);
  out << contest.rounds() << " rounds.";
}

/// What the second thread brings to a contestant, and to arithmetic alone.
struct ThreadPair {
  std::string one, two;
};
inline void print_threads(const Contest& contest, const ThreadPair& fused, const ThreadPair& peak,
                          const std::string& arithmetic, std::ostream& out) {
  if (!contest.there(fused.two)) return;
  const std::size_t one = contest.index(fused.one), two = contest.index(fused.two);
  out << " Two threads are " << times(contest.time_ratio(one, two)) << " as fast as one ("
      << times(contest.best(one) / contest.best(two)) << " in the best rounds)";
  if (contest.there(peak.two)) {
    out << "; where nothing but " << arithmetic << " is done, "
        << times(contest.rate_ratio(contest.index(peak.two), contest.index(peak.one)));
  }
  out << '.';
}

}  // namespace bench
