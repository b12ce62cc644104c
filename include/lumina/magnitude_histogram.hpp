// A histogram of magnitudes, for ranges of converters at a percentile: no activation is kept.
//
//   MagnitudeHistogram of_x;
//   for (each batch) of_x.add(x, executor);          // or others' histograms: of_x.merge(theirs)
//   const SymmetricQuantizer<8> dac(of_x.quantile(0.999));
//
// 256 bins, spaced as floats are: 32 in each octave, so a bin is 1/32 of its octave wide and its
// middle within 1.6 % of all of it. They are the eight octaves below the largest magnitude so far;
// what is smaller is counted, no more. Counts are integers, and the bins' places depend on nothing
// but the largest value: the same histogram whatever the order, the threads, the split into batches
// or ranks.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "config.hpp"
#include "detail/base/aligned_buffer.hpp"
#include "detail/base/message.hpp"
#include "detail/base/range.hpp"
#include "detail/engine/tasks.hpp"
#include "detail/isa/native.hpp"
#include "detail/simd/largest_magnitude.hpp"
#include "detail/simd/vectors.hpp"
#include "executor.hpp"
#include "matrix.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// Bins of all floats: those with the same exponent and the same five leading bits behind it.
struct MagnitudeBins {
  static constexpr int kShift = 18;
  static constexpr std::uint32_t kFinite = 0x7f800000u >> kShift;  ///< the bins of finite numbers
  static constexpr std::uint32_t of(float value) {
    return (std::bit_cast<std::uint32_t>(value) & 0x7fffffffu) >> kShift;
  }
  /// Where a bin begins; infinite behind the last.
  static constexpr float begin(std::uint32_t bin) {
    return std::bit_cast<float>(std::min(bin, kFinite) << kShift);
  }
};

/// The histogram's numbers. A trivial type: what ranks send each other.
struct MagnitudeCounts {
  static constexpr std::uint32_t kBins = 256;

  std::uint64_t below = 0;       ///< smaller than all bins, zeros among them
  std::uint64_t not_finite = 0;  ///< NaN and infinities, in no bin
  std::uint32_t first = 0;       ///< MagnitudeBins' number of the first bin
  float largest = 0.0f;
  std::array<std::uint64_t, kBins> bins = {};

  /// Makes place for a finite magnitude: the bins are those that end with its own, or higher ones.
  void make_place(float magnitude) {
    largest = std::max(largest, magnitude);
    const std::uint32_t bin = MagnitudeBins::of(magnitude);
    if (bin < first + kBins) return;
    const std::uint32_t by = bin - (first + kBins) + 1, gone = std::min(by, kBins);
    for (std::uint32_t i = 0; i < gone; ++i) below += bins[i];
    std::copy(bins.begin() + gone, bins.end(), bins.begin());
    std::fill(bins.end() - gone, bins.end(), std::uint64_t{0});
    first += by;
  }
  /// `bin`: one of MagnitudeBins, not beyond those that there is place for.
  void add(std::uint32_t bin, std::uint64_t count) {
    if (bin >= first) {
      bins[bin - first] += count;
    } else {
      below += count;
    }
  }
  void merge(const MagnitudeCounts& other) {
    make_place(other.largest);
    below += other.below;
    not_finite += other.not_finite;
    for (std::uint32_t i = 0; i < kBins; ++i) {
      if (other.bins[i] != 0) add(other.first + i, other.bins[i]);
    }
  }

  void add_row(const float* values, std::size_t size);
};

/// Bins are counted in four tables of their own, for a count that comes right behind another one of
/// the same bin would wait for it.
inline void MagnitudeCounts::add_row(const float* values, std::size_t size) {
  using Floats = Native::Batch<float>;
  using Ints = rebind_t<Floats, std::int32_t>;
  constexpr std::size_t kRun = std::size_t{1} << 30;  // the tables hold so many
  for (; size > kRun; values += kRun, size -= kRun) add_row(values, kRun);
  float finite = std::bit_cast<float>(largest_magnitude_bits<Floats>(values, size));
  if (!(finite <= std::numeric_limits<float>::max())) {
    finite = 0.0f;
    for (std::size_t k = 0; k < size; ++k) {
      const float magnitude = std::fabs(values[k]);
      if (magnitude <= std::numeric_limits<float>::max()) finite = std::max(finite, magnitude);
    }
  }
  make_place(finite);

  constexpr std::size_t kTables = 4, kBelow = 0, kBeyond = kBins + 1;
  std::uint32_t tables[kTables][kBins + 2] = {};
  const Ints mask(0x7fffffff), before_first(static_cast<std::int32_t>(first) - 1), none(0),
      beyond(static_cast<std::int32_t>(kBeyond));
  for (std::size_t k = 0; k < size; k += Floats::size) {
    const bool whole = k + Floats::size <= size;
    const Floats lanes =
        whole ? Floats::load_unaligned(values + k) : load_first<Floats>(values + k, size - k);
    const Ints bin = (bits_as<std::int32_t>(lanes) & mask) >> MagnitudeBins::kShift;
    alignas(kCacheLine) std::int32_t places[Floats::size];
    min(max(bin - before_first, none), beyond).store_aligned(places);
    for (std::size_t i = 0; i < (whole ? Floats::size : size - k); ++i) {
      ++tables[i % kTables][places[i]];
    }
  }
  for (const auto& table : tables) {
    below += table[kBelow];
    not_finite += table[kBeyond];
    for (std::uint32_t i = 0; i < kBins; ++i) bins[i] += table[i + 1];
  }
}

}  // namespace detail

class MagnitudeHistogram {
 public:
  /// What it has counted, and the same again.
  using Counts = detail::MagnitudeCounts;
  MagnitudeHistogram() = default;
  explicit MagnitudeHistogram(const Counts& counts) : counts_(counts) {}
  const Counts& counts() const { return counts_; }

  /// The magnitudes of x. NaN and infinities are counted apart. Threads need memory for their own
  /// counts, 2 KiB each, kept for the next time. Error: missing data.
  template <class Executor = Serial>
  void add(MatrixView<const float> x, const Executor& executor = {}) {
    if (x.data() == nullptr && x.rows() != 0 && x.cols() != 0) {
      detail::report_error((detail::Message()
                            << "lumina::MagnitudeHistogram: x is "
                            << detail::Shape{x.rows(), x.cols()} << ", its data is missing")
                               .c_str());
      return;
    }
    constexpr std::size_t kWorthThreads = 1 << 16, kMostTasks = 64;
    const std::size_t tasks = x.rows() * x.cols() < kWorthThreads
                                  ? 1
                                  : std::min({detail::threads_of(executor), kMostTasks, x.rows()});
    const auto add_rows = [&](Counts& to, std::size_t task) {
      const std::size_t begin = x.rows() * task / tasks, end = x.rows() * (task + 1) / tasks;
      if (x.row_stride() == x.cols()) {
        to.add_row(x.row(begin), (end - begin) * x.cols());
        return;
      }
      for (std::size_t row = begin; row < end; ++row) to.add_row(x.row(row), x.cols());
    };
    if (tasks <= 1) {
      if (tasks == 1) add_rows(counts_, 0);
      return;
    }
    if (!own_counts_.grow_to(tasks)) return;
    executor(tasks, [&](std::size_t task) {
      own_counts_.data()[task] = Counts();
      add_rows(own_counts_.data()[task], task);
    });
    for (std::size_t task = 0; task < tasks; ++task) counts_.merge(own_counts_.data()[task]);
  }

  void merge(const MagnitudeHistogram& other) { counts_.merge(other.counts_); }
  void clear() { counts_ = Counts(); }

  /// How many finite magnitudes.
  std::uint64_t count() const {
    std::uint64_t sum = counts_.below;
    for (const std::uint64_t bin : counts_.bins) sum += bin;
    return sum;
  }
  /// The largest one, exactly; 0 of none.
  float largest() const { return counts_.largest; }

  /// A magnitude that this share of all is not larger than: of n, number ⌈share·n⌉ in ascending
  /// order lies in the same bin. Linear between a bin's ends, by the number within it. Where it is
  /// smaller than all bins, less than 1/256 of the largest, the first bin's begin; for a share of 1
  /// the largest one itself; of no magnitudes 0. Error: a share outside (0, 1]; the result is 0.
  float quantile(double share) const {
    if (!(share > 0.0 && share <= 1.0)) {
      detail::report_error("lumina::MagnitudeHistogram: the share of a quantile must be in (0, 1]");
      return 0.0f;
    }
    const std::uint64_t all = count();
    if (all == 0) return 0.0f;
    const auto number = std::clamp<std::uint64_t>(
        static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(all))), 1, all);
    if (number == all) return counts_.largest;
    std::uint64_t before = counts_.below;
    float end = detail::MagnitudeBins::begin(counts_.first);
    for (std::uint32_t i = 0; i < Counts::kBins && before < number; ++i) {
      const float begin = detail::MagnitudeBins::begin(counts_.first + i);
      const float width = detail::MagnitudeBins::begin(counts_.first + i + 1) - begin;
      const std::uint64_t own = counts_.bins[i];
      if (before + own >= number) {
        const double within = static_cast<double>(number - before) / static_cast<double>(own);
        end = static_cast<float>(static_cast<double>(begin) + static_cast<double>(width) * within);
      }
      before += own;
    }
    return std::min(end, counts_.largest);
  }

 private:
  Counts counts_;
  detail::AlignedBuffer<Counts> own_counts_;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
