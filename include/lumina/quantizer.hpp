// Quantizers: what a DAC and an ADC do to a value.
//
//   Quantizer<Bits>           codes 0 … 2^Bits − 1 over [lo, hi]
//   SymmetricQuantizer<Bits>  codes ± (2^(Bits−1) − 1) over [−limit, limit]; 0 is exact
//   RuntimeQuantizer          either, with the number of bits chosen at run time
//
// The rule, in float arithmetic with each operation rounded to nearest:
//   encode(v) = clamp(rint((v − offset) / step), bottom, top), ties to even
//   decode(c) = offset + c·step, rounded once (an FMA)
// Quantizer: offset lo, codes 0 … top, step (hi − lo) / top; SymmetricQuantizer: offset 0, codes
// −top … top, step limit / top; in double, then rounded. ±Inf saturates; encode(NaN) is 0, NaN
// stays NaN through operator(). The results have the same bits in constant expressions, scalar and
// vector code. Each is also a stage (epilogue.hpp), and a DAC (fused_gemm.hpp).
//
// 0 is no level of a Quantizer over [−r, r] but lies in the middle between two, so a row of zeros
// becomes ± half a step. Where 0 must stay 0 (padding, dead units of a ReLU), take the symmetric
// one, which has one level fewer.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include "border.hpp"
#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/base/scalar_math.hpp"
#include "detail/simd/nearest_code.hpp"
#include "detail/simd/vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// range / codes, rounded to float; down, where rounding up would carry the highest level,
/// lo + codes·step, beyond float.
constexpr float step_of(double range, double codes, double lo) {
  const auto step = static_cast<float>(range / codes);
  constexpr double kRoundsToInfinity = 0x1.ffffffp+127;
  // Differences, not the sum: they are exact where it matters, and a tiny lo decides a tie.
  if (static_cast<double>(step) * codes - kRoundsToInfinity < -lo) return step;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(step) - 1);
}

/// The arithmetic that all quantizers share; codes of at most 16 bits.
class UniformQuantizer {
 public:
  /// SymmetricQuantizer with a limit that is known to be valid: kernels have nobody to report to.
  static constexpr UniformQuantizer symmetric_with_valid_limit(std::int32_t max_code, float limit) {
    return UniformQuantizer(ValidLimit(), max_code, limit);
  }

  constexpr float lo() const { return lo_; }
  constexpr float hi() const { return hi_; }
  constexpr float step() const { return step_; }
  /// What code 0 stands for: lo(), or 0 where codes have signs.
  constexpr float offset() const { return offset_; }
  /// The lowest code: 0, or −top where codes have signs.
  constexpr std::int32_t lowest() const { return static_cast<std::int32_t>(bottom_); }
  constexpr std::int32_t highest() const { return static_cast<std::int32_t>(top_); }
  constexpr bool is_symmetric() const { return bottom_ != 0.0f; }

  /// Codes are counted from the lowest one, which is 0 here also where codes have signs.
  constexpr std::uint32_t encode(float v) const {
    return static_cast<std::uint32_t>(signed_code(v) - lowest());
  }
  constexpr float decode(std::uint32_t code) const {
    return value_of(static_cast<float>(code) + bottom_);
  }
  constexpr float operator()(float v) const {
    return v != v ? v : value_of(static_cast<float>(signed_code(v)));
  }

  /// In place, vectorised.
  void apply(std::span<float> values) const {
    // In loops over constant counts, of which compilers make vectors: who includes this file for
    // its converters alone shall not pay for the native ones.
    for (; values.size() >= 64; values = values.subspan(64)) quantize_block<64>(values.data());
    for (; values.size() >= 16; values = values.subspan(16)) quantize_block<16>(values.data());
    if (values.empty()) return;
    float rest[16] = {};
    for (std::size_t i = 0; i < values.size(); ++i) rest[i] = values[i];
    quantize_block<16>(rest);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = rest[i];
  }

  /// As a stage of an epilogue.
  static constexpr std::size_t normals_per_element = 0;
  template <class Floats, class Coordinates, class ActiveLanes, class Normals>
  constexpr Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&,
                         const Normals&) const {
    return quantize_lanes(values);
  }
  /// Straight through: the gradient passes where the value lies in [lo, hi], and nowhere else.
  template <class Floats>
  constexpr auto passes(const Floats& values) const {
    return (values >= Floats(lo_)) & (values <= Floats(hi_));
  }
  /// operator() in every lane.
  template <class Floats>
  [[gnu::always_inline]] constexpr Floats quantize_lanes(const Floats& v) const {
    return values_of_lanes(nearest_.code_or_nan(v));
  }
  /// encode in every lane of Count vectors of floats; the codes are vectors of int32.
  template <class Floats, std::size_t Count>
  [[gnu::always_inline]] constexpr auto encode_lanes(
      const std::array<Floats, Count>& values) const {
    std::array<rebind_t<Floats, std::int32_t>, Count> codes;
    for (std::size_t i = 0; i < Count; ++i) {
      codes[i] = bits_as<std::int32_t>(nearest_.raised_code(values[i])) -
                 rebind_t<Floats, std::int32_t>(kRaisedZero + lowest());
    }
    return codes;
  }
  /// The same with signs, where codes have any, as floats.
  template <class Floats, std::size_t Count>
  [[gnu::always_inline]] constexpr std::array<Floats, Count> codes_of_lanes(
      const std::array<Floats, Count>& values) const {
    std::array<Floats, Count> codes;
    for (std::size_t i = 0; i < Count; ++i) codes[i] = nearest_.code(values[i]);
    return codes;
  }
  /// What codes with their signs, as floats, stand for.
  template <class Floats>
  [[gnu::always_inline]] constexpr Floats values_of_lanes(const Floats& codes) const {
    return fused_multiply_add(codes, Floats(step_), Floats(offset_));
  }

 protected:
  /// Codes 0 … max_code over [lo, hi]. An invalid range is an error; should the handler return, the
  /// range is [0, 1].
  constexpr UniformQuantizer(std::uint32_t max_code, float lo, float hi)
      : lo_(lo + 0.0f), hi_(hi + 0.0f), offset_(lo_), top_(static_cast<float>(max_code)) {
    const double range = static_cast<double>(hi) - static_cast<double>(lo);
    step_ = step_of(range, max_code, static_cast<double>(lo));
    constexpr double kLargest = 0x1.fffffep+127;
    if (!(lo < hi)) {
      reject("lumina::Quantizer: lo must be smaller than hi, and neither may be NaN");
    } else if (!(range <= kLargest)) {
      reject("lumina::Quantizer: hi - lo must be finite");
    } else if (!(step_ > 0.0f)) {
      reject("lumina::Quantizer: hi - lo is so small that the step is 0");
    }
    nearest_ = {step_, offset_, bottom_, top_};
  }
  /// Codes −max_code … max_code over [−limit, limit]; should the handler return, the limit is 1.
  constexpr UniformQuantizer(std::int32_t max_code, float limit)
      : UniformQuantizer(ValidLimit(), max_code, limit) {
    if (!(step_ > 0.0f && limit <= std::numeric_limits<float>::max())) {
      lo_ = -1.0f;
      hi_ = 1.0f;
      step_ = 1.0f / top_;
      nearest_ = {step_, offset_, bottom_, top_};
      report_error("lumina::SymmetricQuantizer: limit must be positive and finite");
    }
  }

  constexpr std::int32_t signed_code(float v) const {
    if (v != v) return 0;
    if (std::is_constant_evaluated()) {
      // A quotient that overflows is infinite at run time, but not a constant expression.
      const double distance = static_cast<double>(v) - static_cast<double>(offset_);
      const double far = 2.0 * static_cast<double>(top_) * static_cast<double>(step_);
      if (distance > far) return static_cast<std::int32_t>(top_);
      if (distance < -far) return lowest();
    }
    const float position = (v - offset_) / step_;
    const float clamped = position < bottom_ ? bottom_ : position < top_ ? position : top_;
    return static_cast<std::int32_t>(round_half_even(clamped));
  }
  constexpr float value_of(float code) const { return fused_multiply_add(code, step_, offset_); }

 private:
  struct ValidLimit {};
  constexpr UniformQuantizer(ValidLimit, std::int32_t max_code, float limit)
      : lo_(-limit),
        hi_(limit),
        step_(step_of(static_cast<double>(limit), max_code, 0.0)),
        bottom_(-static_cast<float>(max_code)),
        top_(static_cast<float>(max_code)) {
    nearest_ = {step_, offset_, bottom_, top_};
  }

  void reject(const char* message) {  // not constexpr: a wrong constant does not compile
    lo_ = 0.0f;
    hi_ = 1.0f;
    offset_ = 0.0f;
    step_ = 1.0f / top_;
    report_error(message);
  }

  /// operator(), as NearestCode has it, in place.
  template <std::size_t Count>
  void quantize_block(float* values) const {
    const UniformQuantizer q = *this;  // writing floats does not change it
    for (std::size_t i = 0; i < Count; ++i)
      values[i] = q.value_of(q.nearest_.code_or_nan(values[i]));
  }

  float lo_;
  float hi_;
  float offset_ = 0.0f;
  float step_ = 0.0f;
  float bottom_ = 0.0f;
  float top_;
  NearestCode nearest_;
};

}  // namespace detail

/// A DAC or ADC of `Bits` bits, 1 ≤ Bits ≤ 16, over [lo, hi].
template <int Bits>
class Quantizer : public detail::UniformQuantizer {
  static_assert(Bits >= 1 && Bits <= 16, "lumina::Quantizer: Bits must be in 1..16");

 public:
  static constexpr int bits = Bits;
  static constexpr std::uint32_t max_code = (std::uint32_t{1} << Bits) - 1;

  /// Error: lo >= hi, NaN, a range that is infinite or too small for float.
  constexpr Quantizer(float lo, float hi) : UniformQuantizer(max_code, lo, hi) {}
};

/// Codes with signs, so that 0 is exact: −max_code … max_code, 2 ≤ Bits ≤ 16, for weights, and for
/// a DAC or an ADC that keeps zeros. encode(v) = clamp(rint(v / step), −max_code, max_code), step =
/// limit / max_code.
template <int Bits>
class SymmetricQuantizer : public detail::UniformQuantizer {
  static_assert(Bits >= 2 && Bits <= 16, "lumina::SymmetricQuantizer: Bits must be in 2..16");

 public:
  static constexpr int bits = Bits;
  static constexpr std::int32_t max_code = (std::int32_t{1} << (Bits - 1)) - 1;

  /// Error: `limit` that is not positive and finite, or too small for float.
  constexpr explicit SymmetricQuantizer(float limit) : UniformQuantizer(max_code, limit) {}

  constexpr float limit() const { return hi(); }

  constexpr std::int32_t encode(float v) const { return signed_code(v); }
  constexpr float decode(std::int32_t code) const { return value_of(static_cast<float>(code)); }
};

/// Quantizer, or SymmetricQuantizer, with the number of bits chosen at run time.
class RuntimeQuantizer : public detail::UniformQuantizer {
 public:
  /// Errors: bits outside 1 … 16, and those of Quantizer.
  constexpr RuntimeQuantizer(int bits, float lo, float hi)
      : UniformQuantizer(codes_below(checked(bits, 1)), lo, hi), bits_(checked_quietly(bits, 1)) {}

  template <int Bits>
  constexpr RuntimeQuantizer(const Quantizer<Bits>& other) : UniformQuantizer(other), bits_(Bits) {}
  template <int Bits>
  constexpr RuntimeQuantizer(const SymmetricQuantizer<Bits>& other)
      : UniformQuantizer(other), bits_(Bits) {}

  /// SymmetricQuantizer. Its codes, of encode() and decode() here, are counted from the lowest one:
  /// 0 … 2m stand for −m … m, m = 2^(bits−1) − 1.
  /// Errors: bits outside 2 … 16, and those of SymmetricQuantizer.
  static constexpr RuntimeQuantizer symmetric(int bits, float limit) {
    return RuntimeQuantizer(checked(bits, 2), limit);
  }

  /// What border.hpp has as plain numbers. Errors: a symmetric range that is not [−hi, hi]; those
  /// of the two above.
  static constexpr RuntimeQuantizer of(const Converter& converter) {
    if (!converter.symmetric) return {converter.bits, converter.lo, converter.hi};
    if (converter.lo != -converter.hi) {
      detail::report_error(
          "lumina::RuntimeQuantizer: the range of a symmetric converter must be [-hi, hi]");
    }
    return symmetric(converter.bits, converter.hi);
  }

  constexpr int bits() const { return bits_; }
  constexpr std::uint32_t max_code() const {
    return codes_below(bits_) - (is_symmetric() ? std::uint32_t{1} : std::uint32_t{0});
  }

 private:
  constexpr RuntimeQuantizer(int bits, float limit)
      : UniformQuantizer(static_cast<std::int32_t>(codes_below(bits - 1)), limit), bits_(bits) {}

  static constexpr std::uint32_t codes_below(int bits) { return (std::uint32_t{1} << bits) - 1; }
  static constexpr int checked_quietly(int bits, int fewest) {
    return bits >= fewest && bits <= 16 ? bits : fewest;
  }
  static constexpr int checked(int bits, int fewest) {
    if (bits < fewest || bits > 16) {
      detail::report_error(fewest == 1
                               ? "lumina::RuntimeQuantizer: bits must be in 1..16"
                               : "lumina::RuntimeQuantizer::symmetric: bits must be in 2..16");
    }
    return checked_quietly(bits, fewest);
  }
  int bits_;
};

namespace detail {

/// A DAC or an ADC: the quantizers above and what derives from them.
template <class T>
concept AnyQuantizer = std::derived_from<T, UniformQuantizer>;

/// A stage that is an ADC: behind it there are levels from lo() to hi(), and no currents.
template <class T>
concept Converts = AnyQuantizer<T> || requires {
  requires T::converts;
};

template <int Bits>
constexpr int bits_of(const Quantizer<Bits>&) {
  return Bits;
}
template <int Bits>
constexpr int bits_of(const SymmetricQuantizer<Bits>&) {
  return Bits;
}
constexpr int bits_of(const RuntimeQuantizer& quantizer) { return quantizer.bits(); }

template <class T>
inline constexpr bool has_signed_codes = requires(const T quantizer) {
  { quantizer.encode(0.0f) } -> std::same_as<std::int32_t>;
};

}  // namespace detail

/// In the place of a DAC: x enters the product as it is.
struct NoDac {};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
