// What enters ADCs, counted while a pass runs, for their ranges.
//
//   AdcCalibration seen(weights.tiles());
//   forward(pass, y, PassObservers{nullptr, nullptr, &seen});      // for each batch
//   const float limit = seen.histogram(tile).quantile(0.999);
//
// Counts are integers, so threads and the split into batches cannot matter.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "config.hpp"
#include "detail/base/aligned_buffer.hpp"
#include "detail/base/message.hpp"
#include "detail/base/range.hpp"
#include "magnitude_histogram.hpp"
#include "matrix.hpp"
#include "stage.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// The magnitudes of what enters the last gate of a pass's stages, for each array or for all alike.
/// Takes 64 KiB for each while it looks on, and some 4 ns a value: threads count into the same
/// numbers. The memory is allocated by the constructor. (Counts are words of the machine: of 32
/// bits they hold 4 billion values of a bin.)
class AdcCalibration {
 public:
  /// `arrays`: how many have ranges of their own; arrays beyond them count as the last one.
  explicit AdcCalibration(std::size_t arrays = 1) : counts_(detail::size_product(arrays, kPlaces)) {
    if (counts_.size() == detail::size_product(arrays, kPlaces)) arrays_ = arrays;
    if (arrays == 0) detail::report_error("lumina::AdcCalibration: there must be an array");
    clear();
  }

  std::size_t arrays() const { return arrays_; }
  void clear() { counts_.fill_with_zeros(); }

  /// The magnitudes seen so far. MagnitudeHistogram::largest() is the end of the largest one's bin,
  /// up to 1/32 beyond it. Error: no such array.
  MagnitudeHistogram histogram(std::size_t array = 0) const {
    if (array >= arrays_) {
      detail::report_error((detail::Message() << "lumina::AdcCalibration: there is no array "
                                              << array << ", only " << arrays_)
                               .c_str());
      return MagnitudeHistogram();
    }
    using Bins = detail::MagnitudeBins;
    const std::size_t* const counts = counts_.data() + array * kPlaces;
    MagnitudeHistogram::Counts result;
    for (std::uint32_t bin = Bins::kFinite; bin-- > 0;) {
      if (counts[bin] == 0) continue;
      if (bin != 0 && result.largest == 0.0f) result.make_place(end_of(bin));
      result.add(bin, counts[bin]);
    }
    result.not_finite = counts[Bins::kFinite];
    return MagnitudeHistogram(result);
  }

  /// For observers: the next values.
  template <class Floats>
  void add(const Floats& values, const Coordinates& at, const ActiveLanes& active) {
    alignas(detail::kCacheLine) float lanes[Floats::size];
    values.store_aligned(lanes);
    add_lanes(lanes, std::min(Floats::size, active.count), at.tile);
  }

 private:
  /// (In one place: an epilogue would have it in each of its vectors.)
  [[gnu::noinline]] void add_lanes(const float* lanes, std::size_t count, std::size_t tile) {
    std::size_t* const counts = counts_.data() + std::min(tile, arrays_ - 1) * kPlaces;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t bin =
          std::min(detail::MagnitudeBins::of(lanes[i]), detail::MagnitudeBins::kFinite);
      __atomic_fetch_add(counts + bin, std::size_t{1}, __ATOMIC_RELAXED);
    }
  }

  static constexpr std::size_t kPlaces = detail::MagnitudeBins::kFinite + 1;

  /// The largest float of a bin.
  static float end_of(std::uint32_t bin) {
    constexpr std::uint32_t kLast = (std::uint32_t{1} << detail::MagnitudeBins::kShift) - 1;
    return std::bit_cast<float>((bin << detail::MagnitudeBins::kShift) | kLast);
  }

  detail::AlignedBuffer<std::size_t> counts_;
  std::size_t arrays_ = 0;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
