// Stages that change nothing and take down what passes (report.hpp): between those of an array.
// Memory: for each row and block of columns, which one task has, a place for each array and one for
// the outputs; so threads need no agreement, and what was taken down by a call that repeats a row
// is what the last one did.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../layer_report.hpp"
#include "../../quantizer.hpp"
#include "../../stage.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../base/scalar_math.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

struct ReportCounts {
  std::uint32_t below, above, not_numbers;
};
/// What an array did in a row and block of columns; of the outputs: `signal` alone. Squares of
/// floats are exact as doubles, so their sums are the same with and without FMA.
struct ReportSlot {
  double signal, error, output_error, device_squares;
  ReportCounts adc;
  std::uint32_t outputs;
};
/// The exact products that have entered an array, until they leave it.
using ReportVector = std::array<float, kPanelColumns>;

struct ReportMemory {
  ReportSlot* slots;        ///< [row][block][array, and the outputs]
  ReportVector* vectors;    ///< [row][block]
  std::uint8_t* adc_codes;  ///< [array][code]: 1 where it has occurred
  std::size_t blocks, arrays, adc_code_count;

  std::size_t place(const Coordinates& at) const {
    return at.row * blocks + at.column / kBlockColumns;
  }
  ReportSlot& slot(const Coordinates& at, std::size_t array) const {
    return slots[place(at) * (arrays + 1) + array];
  }
};

struct ReportScales {
  const float* first;  ///< s [array][output]
  std::size_t padded_outputs;
};

/// A vector's lanes that exist, and 0 in the place of the others.
template <class Floats>
[[gnu::always_inline]] inline std::array<float, Floats::size> lanes_of(const Floats& values,
                                                                       const ActiveLanes& active) {
  alignas(kCacheLine) std::array<float, Floats::size> lanes;
  values.store_aligned(lanes.data());
  if (active.count < Floats::size) [[unlikely]] {
    std::fill(lanes.begin() + active.count, lanes.end(), 0.0f);
  }
  return lanes;
}

/// Four lanes at a time, in pairs: the same for vectors of any length, and no long chain.
template <std::size_t Size, class F>
[[gnu::always_inline]] inline void add_fours(double& sum, const std::array<float, Size>& lanes,
                                             F f) {
  static_assert(Size % 4 == 0);
  double result = sum;
  for (std::size_t i = 0; i < Size; i += 4) {
    result += (f(lanes[i]) + f(lanes[i + 1])) + (f(lanes[i + 2]) + f(lanes[i + 3]));
  }
  sum = result;
}
inline double exact(float value) { return static_cast<double>(value); }
inline double exact_square(float value) { return exact(value) * exact(value); }

/// What a converter does with a vector of values, and which codes occur.
template <class Floats>
[[gnu::always_inline]] inline void count_conversions(const Floats& values,
                                                     const ActiveLanes& active,
                                                     const UniformQuantizer& converter,
                                                     ReportCounts& counts, std::uint8_t* used) {
  using Ints = rebind_t<Floats, std::int32_t>;
  const std::uint32_t there = 0xffffffffu >> (32 - active.count);
  const auto count = [](std::uint32_t bits) {
    return static_cast<std::uint32_t>(std::popcount(bits));
  };
  const std::uint32_t numbers = bits_of_mask<Floats>(values <= values) & there;  // not NaN
  counts.below += count(bits_of_mask<Floats>(values < Floats(converter.lo())) & there);
  counts.above += count(bits_of_mask<Floats>(values > Floats(converter.hi())) & there);
  counts.not_numbers += count(there & ~numbers);
  alignas(kCacheLine) std::array<std::int32_t, Ints::size> codes;
  converter.encode_lanes(std::array<Floats, 1>{values})[0].store_aligned(codes.data());
  for (std::size_t i = 0; i < active.count; ++i) {
    if ((numbers >> i & 1) == 0) continue;
    // Threads may take down the same one.
    std::uint8_t* const own = used + codes[i];
    if (__atomic_load_n(own, __ATOMIC_RELAXED) == 0) __atomic_store_n(own, 1, __ATOMIC_RELAXED);
  }
}

/// A stage whose derivative is 1. (Those below are no part of the loop's code: inlined into each of
/// its vectors they push the noise's generators out of the registers, which doubles the time.)
struct ReportTap {
  static constexpr std::size_t normals_per_element = 0;
  template <class Floats>
  Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

/// Behind the product.
struct ArrayTap : ReportTap {
  ReportMemory memory;
  static constexpr unsigned sums = Sums::squared_inputs;

  explicit ArrayTap(const ReportMemory& own) : memory(own) {}
  template <class Floats>
  [[gnu::noinline]] Floats apply(const Floats& values, const Coordinates& at,
                                 const ActiveLanes& active, const std::array<Floats, 0>&,
                                 const Facts<Floats>& facts) const {
    ReportSlot& slot = memory.slot(at, at.tile);
    if (at.column % kBlockColumns == 0) slot = {};
    values.store_unaligned(memory.vectors[memory.place(at)].data());
    add_fours(slot.signal, lanes_of(values, active), exact_square);
    add_fours(slot.device_squares, lanes_of(facts.squared_inputs, active), exact);
    slot.outputs += static_cast<std::uint32_t>(active.count);
    return values;
  }
};

/// In front of the ADC.
struct ConverterTap : ReportTap {
  ReportMemory memory;
  UniformQuantizer adc;

  ConverterTap(const ReportMemory& own, const UniformQuantizer& converter)
      : memory(own), adc(converter) {}
  template <class Floats>
  [[gnu::noinline]] Floats apply(const Floats& values, const Coordinates& at,
                                 const ActiveLanes& active, const std::array<Floats, 0>&) const {
    count_conversions(values, active, adc, memory.slot(at, at.tile).adc,
                      memory.adc_codes + at.tile * memory.adc_code_count);
    return values;
  }
};

/// In the end of an array.
struct OutputErrorTap : ReportTap {
  ReportMemory memory;
  ReportScales scales;
  static constexpr bool row_facts = true;

  OutputErrorTap(const ReportMemory& own, const ReportScales& of_weights)
      : memory(own), scales(of_weights) {}
  template <class Floats>
  [[gnu::noinline]] Floats apply(const Floats& values, const Coordinates& at,
                                 const ActiveLanes& active, const std::array<Floats, 0>&,
                                 const Facts<Floats>& facts) const {
    ReportSlot& slot = memory.slot(at, at.tile);
    const Floats worth =
        product(Floats::load_unaligned(scales.first + at.tile * scales.padded_outputs + at.column),
                Floats(facts.row.range));
    const Floats error = values - Floats::load_unaligned(memory.vectors[memory.place(at)].data());
    add_fours(slot.error, lanes_of(error, active), exact_square);
    add_fours(slot.output_error, lanes_of(product(worth, error), active), exact_square);
    return values;
  }
};

/// In front of the digital stages.
struct OutputTap : ReportTap {
  ReportMemory memory;

  explicit OutputTap(const ReportMemory& own) : memory(own) {}
  template <class Floats>
  [[gnu::noinline]] Floats apply(const Floats& values, const Coordinates& at,
                                 const ActiveLanes& active, const std::array<Floats, 0>&) const {
    ReportSlot& slot = memory.slot(at, memory.arrays);
    if (at.column % kBlockColumns == 0) slot = {};
    add_fours(slot.signal, lanes_of(values, active), exact_square);
    return values;
  }
};

/// A report's memory for a call, and what comes of it.
class ReportBuilder {
 public:
  ReportBuilder(LayerReport& report, std::size_t rows, std::size_t cols, std::size_t arrays,
                std::size_t dac_codes, std::size_t adc_codes)
      : report_(report),
        rows_(rows),
        cols_(cols),
        arrays_(arrays),
        dac_codes_(dac_codes),
        adc_codes_(adc_codes) {
    places_ = size_product(rows, ceil_div(cols, kBlockColumns));
    const std::size_t slots = size_product(places_, arrays + 1, sizeof(ReportSlot)),
                      vectors = size_product(places_, sizeof(ReportVector)),
                      used = size_product(arrays, dac_codes + adc_codes);
    has_memory_ = report.scratch_.grow_to(slots + vectors + used);
    vectors_at_ = slots;
    codes_at_ = slots + vectors;
    if (has_memory_) std::fill_n(report.scratch_.data(), slots + vectors + used, std::byte{0});
  }

  bool has_memory() const { return has_memory_; }
  ReportMemory memory() const {
    std::byte* const first = report_.scratch_.data();
    return {reinterpret_cast<ReportSlot*>(first),
            reinterpret_cast<ReportVector*>(first + vectors_at_),
            reinterpret_cast<std::uint8_t*>(first + codes_at_) + arrays_ * dac_codes_,
            ceil_div(cols_, kBlockColumns),
            arrays_,
            adc_codes_};
  }
  std::uint8_t* dac_codes(std::size_t array) const {
    return reinterpret_cast<std::uint8_t*>(report_.scratch_.data() + codes_at_) +
           array * dac_codes_;
  }
  ArrayReport& array(std::size_t index) const { return report_.arrays_.data()[index]; }

  /// What the call has taken down.
  bool add_sums() {
    if (!begin()) return false;
    report_.rows_ += rows_;
    const ReportSlot* slot = memory().slots;
    for (std::size_t place = 0; place < places_; ++place, ++slot) {  // the outputs' is the last
      for (std::size_t i = 0; i < arrays_; ++i, ++slot) {
        ArrayReport& own = array(i);
        own.outputs += slot->outputs;
        own.signal += slot->signal;
        own.error += slot->error;
        own.output_error += slot->output_error;
        own.device_squares += slot->device_squares;
        own.adc.add(slot->adc.below, slot->adc.above, slot->adc.not_numbers);
        if (adc_codes_ != 0) own.adc.conversions += slot->outputs;
      }
      report_.sum_of_squares_ += slot->signal;
    }
    return true;
  }

  /// Codes of this call and those before.
  void count_codes() {
    std::uint8_t* const used = report_.used_.data();
    const std::uint8_t* const now = dac_codes(0);
    for (std::size_t i = 0; i < arrays_ * (dac_codes_ + adc_codes_); ++i) used[i] |= now[i];
    const auto count = [](const std::uint8_t* first, std::size_t codes) {
      return static_cast<std::size_t>(std::count(first, first + codes, 1));
    };
    for (std::size_t i = 0; i < arrays_; ++i) {
      array(i).dac.codes_used = count(used + i * dac_codes_, dac_codes_);
      array(i).adc.codes_used = count(used + arrays_ * dac_codes_ + i * adc_codes_, adc_codes_);
    }
  }

 private:
  /// Anew, where the report is of another layer.
  bool begin() {
    if (report_.count_ == arrays_ && report_.dac_codes_ == dac_codes_ &&
        report_.adc_codes_ == adc_codes_) {
      return true;
    }
    report_.clear();
    const std::size_t codes = arrays_ * (dac_codes_ + adc_codes_);
    if (!report_.arrays_.grow_to(arrays_) || !report_.used_.grow_to(codes)) return false;
    std::fill_n(report_.used_.data(), codes, std::uint8_t{0});
    report_.count_ = arrays_;
    report_.dac_codes_ = dac_codes_;
    report_.adc_codes_ = adc_codes_;
    for (std::size_t i = 0; i < arrays_; ++i) {
      array(i) = {};
      array(i).dac.codes = dac_codes_;
      array(i).adc.codes = adc_codes_;
    }
    return true;
  }

  LayerReport& report_;
  std::size_t rows_, cols_, arrays_, dac_codes_, adc_codes_;
  std::size_t places_ = 0, vectors_at_ = 0, codes_at_ = 0;
  bool has_memory_ = false;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
