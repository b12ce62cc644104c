// The numbers of a report (report.hpp), and what follows from them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "config.hpp"
#include "detail/base/aligned_buffer.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

class ReportBuilder;

/// 10·log10(signal / error); infinite without errors, NaN without either.
inline double decibels(double signal, double error) { return 10.0 * std::log10(signal / error); }
/// (SINAD − 1.76 dB) / 6.02 dB (IEEE Std 1241-2010, effective number of bits): the bits of an ideal
/// converter with that ratio, for a sine of its full range. `db`: of the signal that there is.
inline double effective_bits(double db) { return (db - 1.76) / 6.02; }

}  // namespace detail

/// What something costs each time, in SI units. What is 0 costs nothing.
struct ArrayCosts {
  double read_volts = 0.0;    ///< V, at an input x̂ = 1
  double on_siemens = 25e-6;  ///< S of a fully-on device: g_max
  double read_seconds = 0.0;  ///< how long the inputs are applied, and the outputs converted
  double dac_joules = 0.0;    ///< J for each conversion
  double adc_joules = 0.0;    ///< J for each conversion
};

/// What converters did.
struct ConverterReport {
  std::uint64_t conversions = 0;
  std::uint64_t below = 0, above = 0;  ///< beyond the range's ends: clipped
  std::uint64_t not_numbers = 0;
  std::size_t codes = 0, codes_used = 0;  ///< how many there are, and have occurred

  void add(std::uint64_t more_below, std::uint64_t more_above, std::uint64_t more_not_numbers) {
    below += more_below;
    above += more_above;
    not_numbers += more_not_numbers;
  }
  /// The share that was clipped, 0 … 1.
  double clipped() const {
    return conversions == 0 ? 0.0
                            : static_cast<double>(below + above) / static_cast<double>(conversions);
  }
};

/// What one of the arrays along the inputs did (all outputs' of that number), in currents of one
/// fully-on device at full input: ŷ is the exact product of codes, and a what leaves the array.
struct ArrayReport {
  std::uint64_t outputs = 0;
  double signal = 0.0;          ///< Σ ŷ²
  double error = 0.0;           ///< Σ (a − ŷ)²
  double output_error = 0.0;    ///< Σ (r·s·(a − ŷ))², in units of y
  double device_squares = 0.0;  ///< Σ over outputs of Σ |ŵ|·x̂²
  ConverterReport dac, adc;     ///< of the ADC: none where the array's last stage is another one

  double snr_db() const { return detail::decibels(signal, error); }
  double effective_bits() const { return detail::effective_bits(snr_db()); }
  /// What the devices turned into heat, Σ V²·x̂²·g·t, g = |ŵ|·g_max: of a pair the device that is
  /// on. (V is the amplitude's; the two of a pair that idle at g_min are not counted.)
  double device_joules(const ArrayCosts& costs) const {
    return costs.read_volts * costs.read_volts * costs.on_siemens * costs.read_seconds *
           device_squares;
  }
  double energy_joules(const ArrayCosts& costs) const {
    return device_joules(costs) + costs.dac_joules * static_cast<double>(dac.conversions) +
           costs.adc_joules * static_cast<double>(adc.conversions);
  }
};

/// What a layer did since it was made, or cleared. It moves, does not copy.
class LayerReport {
 public:
  std::uint64_t rows() const { return rows_; }
  std::span<const ArrayReport> arrays() const& { return {arrays_.data(), count_}; }
  std::span<const ArrayReport> arrays() const&& = delete;

  /// Σ v² of what enters the digital stages, v = Σ r·s·a, without the arrays' errors, as if those
  /// of one had nothing to do with those of another.
  double signal() const { return std::max(sum_of_squares_ - error(), 0.0); }
  double error() const {
    double sum = 0.0;
    for (const ArrayReport& array : arrays()) sum += array.output_error;
    return sum;
  }
  double snr_db() const { return detail::decibels(signal(), error()); }
  double effective_bits() const { return detail::effective_bits(snr_db()); }

  double energy_joules(const ArrayCosts& costs) const {
    double sum = 0.0;
    for (const ArrayReport& array : arrays()) sum += array.energy_joules(costs);
    return sum;
  }
  /// Of one row: arrays along the inputs work one after the other, each once for each of `planes`
  /// of the input.
  double latency_seconds(const ArrayCosts& costs, std::size_t planes = 1) const {
    return static_cast<double>(count_ * planes) * costs.read_seconds;
  }

  /// As if it was new; memory is kept.
  void clear() {
    count_ = 0;
    rows_ = 0;
    sum_of_squares_ = 0.0;
  }

 private:
  friend class detail::ReportBuilder;

  detail::AlignedBuffer<ArrayReport> arrays_;
  detail::AlignedBuffer<std::uint8_t> used_;  ///< codes that have occurred: DACs', then ADCs'
  detail::AlignedBuffer<std::byte> scratch_;  ///< of the call at hand
  std::size_t count_ = 0, dac_codes_ = 0, adc_codes_ = 0;
  std::uint64_t rows_ = 0;
  double sum_of_squares_ = 0.0;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
