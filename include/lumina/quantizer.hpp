// Quantizers: what a DAC and an ADC do to a value.
//
//   Quantizer<Bits>           codes 0 … 2^Bits − 1 over [lo, hi]
//   RuntimeQuantizer          the same, with the number of bits chosen at run time
//   SymmetricQuantizer<Bits>  codes ± (2^(Bits−1) − 1) over [−limit, limit]; 0 is exact: weights
//
// The rule, in float arithmetic with each operation rounded to nearest:
//   encode(v) = clamp(rint((v − lo) / step), 0, max_code), ties to even;  decode(c) = lo + c·step
// with the last one rounded once (an FMA) and step = (hi − lo) / max_code, in double, then rounded.
// ±Inf saturates; encode(NaN) is 0, NaN stays NaN through operator(). The results have the same
// bits in constant expressions, scalar and vector code. Each is also a stage (epilogue.hpp).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include "config.hpp"
#include "detail/arch/native.hpp"
#include "detail/message.hpp"
#include "detail/scalar_math.hpp"
#include "detail/simd.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// In place, f(vector) on all of `values`; the last vector is padded with zeros.
template <class F>
void transform_in_place(std::span<float> values, F f) {
  using Floats = Native::Batch<float>;
  float* const data = values.data();
  const std::size_t whole = values.size() / Floats::size * Floats::size;
  for (std::size_t i = 0; i < whole; i += Floats::size) {
    f(Floats::load_unaligned(data + i)).store_unaligned(data + i);
  }
  if (const std::size_t rest = values.size() - whole; rest != 0) {
    store_first(f(load_first<Floats>(data + whole, rest)), data + whole, rest);
  }
}

/// range / codes, rounded to float; down, where rounding up would carry the highest level,
/// lo + codes·step, beyond float.
constexpr float step_of(double range, double codes, double lo) {
  const auto step = static_cast<float>(range / codes);
  constexpr double kRoundsToInfinity = 0x1.ffffffp+127;
  if (static_cast<double>(step) * codes + lo < kRoundsToInfinity) return step;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(step) - 1);
}

/// clamp(rint(v / step), −top, top) in every lane; NaN stays NaN.
template <class Floats>
[[gnu::always_inline]] inline Floats symmetric_code(const Floats& v, const Floats& step,
                                                    const Floats& top) {
  return round_half_even(clamp_keeping_nan(quotient(v, step), -top, top));
}

/// The arithmetic that Quantizer and RuntimeQuantizer share; max_code at most 65535.
class UniformQuantizer {
 public:
  constexpr float lo() const { return lo_; }
  constexpr float hi() const { return hi_; }
  constexpr float step() const { return step_; }

  constexpr std::uint32_t encode(float v) const {
    if (!(v > lo_)) return 0;  // NaN too
    // A quotient that overflows is infinite at run time, but not a constant expression.
    if (std::is_constant_evaluated() &&
        static_cast<double>(v) - static_cast<double>(lo_) >
            2.0 * static_cast<double>(top_) * static_cast<double>(step_)) {
      return static_cast<std::uint32_t>(top_);
    }
    const float position = (v - lo_) / step_;
    return static_cast<std::uint32_t>(round_half_even(position < top_ ? position : top_));
  }
  constexpr float decode(std::uint32_t code) const {
    return fused_multiply_add(static_cast<float>(code), step_, lo_);
  }
  constexpr float operator()(float v) const { return v != v ? v : decode(encode(v)); }

  /// In place, vectorised.
  void apply(std::span<float> values) const {
    transform_in_place(values, [this](const auto& v) { return this->quantize_lanes(v); });
  }

  /// As a stage of an epilogue.
  static constexpr std::size_t normals_per_element = 0;
  template <class Floats, class Coordinates, class ActiveLanes, class Normals>
  Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&, const Normals&) const {
    return quantize_lanes(values);
  }
  /// Straight through: the gradient passes where the value lies in [lo, hi], and nowhere else.
  template <class Floats>
  auto passes(const Floats& values) const {
    return (values >= Floats(lo_)) & (values <= Floats(hi_));
  }
  /// operator() in every lane.
  template <class Floats>
  [[gnu::always_inline]] Floats quantize_lanes(const Floats& v) const {
    const auto clamp = [this](const Floats& position) __attribute__((always_inline)) {
      return clamp_keeping_nan(position, Floats(0.0f), Floats(top_));
    };
    const Floats code = nearest_codes(std::array<Floats, 1>{v}, clamp)[0];
    return fused_multiply_add(code, Floats(step_), Floats(lo_));
  }
  /// encode in every lane of Count vectors of floats; the codes are vectors of int32.
  template <class Floats, std::size_t Count>
  [[gnu::always_inline]] auto encode_lanes(const std::array<Floats, Count>& values) const {
    // A value below the range, NaN too, is 0.
    const auto clamp = [this](const Floats& position) __attribute__((always_inline)) {
      return min_or_second(max_or_second(position, Floats(0.0f)), Floats(top_));
    };
    const std::array<Floats, Count> codes = nearest_codes(values, clamp);
    std::array<rebind_t<Floats, std::int32_t>, Count> result;
    for (std::size_t i = 0; i < Count; ++i) result[i] = to_small_int(codes[i]);
    return result;
  }

 protected:
  /// An invalid range is an error; should the handler return, the range is [0, 1].
  constexpr UniformQuantizer(std::uint32_t max_code, float lo, float hi)
      : lo_(lo + 0.0f), hi_(hi + 0.0f), top_(static_cast<float>(max_code)) {
    const double range = static_cast<double>(hi) - static_cast<double>(lo);
    step_ = step_of(range, max_code, static_cast<double>(lo));
    constexpr double kLargest = 0x1.fffffep+127;
    if (!(lo < hi)) {
      reject("lumina::Quantizer: lo must be smaller than hi, and neither may be NaN");
    } else if (!(range <= kLargest)) {
      reject("lumina::Quantizer: hi - lo must be finite");
    } else if (!(step_ > 0.0f)) {
      reject("lumina::Quantizer: hi - lo is so small that the step is 0");
    } else if (max_code <= kMostCodesByProduct && step_ > 0x1p-125f && step_ < 0x1p+125f) {
      inverse_step_ = 1.0f / step_;
      surely_nearest_ = 0.5f - top_ * 0x1p-22f;
    }
  }

 private:
  /// With more codes ties are near so often that the quotient is faster.
  static constexpr std::uint32_t kMostCodesByProduct = 4095;

  void reject(const char* message) {  // not constexpr: a wrong constant does not compile
    lo_ = 0.0f;
    hi_ = 1.0f;
    step_ = 1.0f / top_;
    report_error(message);
  }

  template <class Floats, std::size_t Count, class Clamp>
  [[gnu::always_inline]] std::array<Floats, Count> nearest_codes(
      const std::array<Floats, Count>& values, const Clamp& clamp) const {
    // A product instead of the quotient, where it cannot change a code.
    std::array<Floats, Count> codes;
    Floats farthest(0.0f);
    for (std::size_t i = 0; i < Count; ++i) {
      const Floats position = clamp(product(values[i] - Floats(lo_), Floats(inverse_step_)));
      codes[i] = round_half_even(position);
      farthest = max_or_second(farthest, abs(position - codes[i]));  // NaN where the last one is
    }
    if (!all(farthest <= Floats(surely_nearest_))) [[unlikely]] {
      for (std::size_t i = 0; i < Count; ++i) {
        codes[i] = round_half_even(clamp(quotient(values[i] - Floats(lo_), Floats(step_))));
      }
    }
    return codes;
  }

  float lo_;
  float hi_;
  float step_ = 0.0f;
  float top_;
  // offset·inverse_step_ and offset/step_ differ by less than 4·2^-24·max_code: three roundings.
  // Where the product is farther than that from a tie, both have the same nearest integer. The
  // values here say that the product is never to be trusted.
  float inverse_step_ = 0.0f;
  float surely_nearest_ = -1.0f;
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

/// Quantizer with the number of bits, 1 … 16, chosen at run time.
class RuntimeQuantizer : public detail::UniformQuantizer {
 public:
  /// Errors: bits outside 1 … 16, and those of Quantizer.
  constexpr RuntimeQuantizer(int bits, float lo, float hi)
      : UniformQuantizer(codes_below(checked(bits)), lo, hi), bits_(checked_quietly(bits)) {}

  template <int Bits>
  constexpr RuntimeQuantizer(const Quantizer<Bits>& other) : UniformQuantizer(other), bits_(Bits) {}

  constexpr int bits() const { return bits_; }
  constexpr std::uint32_t max_code() const { return codes_below(bits_); }

 private:
  static constexpr std::uint32_t codes_below(int bits) { return (std::uint32_t{1} << bits) - 1; }
  static constexpr int checked_quietly(int bits) { return bits >= 1 && bits <= 16 ? bits : 1; }
  static constexpr int checked(int bits) {
    if (bits < 1 || bits > 16)
      detail::report_error("lumina::RuntimeQuantizer: bits must be in 1..16");
    return checked_quietly(bits);
  }
  int bits_;
};

namespace detail {

template <int Bits>
constexpr int bits_of(const Quantizer<Bits>&) {
  return Bits;
}
constexpr int bits_of(const RuntimeQuantizer& quantizer) { return quantizer.bits(); }

}  // namespace detail

/// Symmetric codes for weights: −max_code … max_code, 2 ≤ Bits ≤ 16.
/// encode(v) = clamp(rint(v / step), −max_code, max_code), step = limit / max_code.
template <int Bits>
class SymmetricQuantizer {
  static_assert(Bits >= 2 && Bits <= 16, "lumina::SymmetricQuantizer: Bits must be in 2..16");

 public:
  static constexpr int bits = Bits;
  static constexpr std::int32_t max_code = (std::int32_t{1} << (Bits - 1)) - 1;

  /// Error: `limit` that is not positive and finite, or too small for float.
  constexpr explicit SymmetricQuantizer(float limit)
      : limit_(limit), step_(detail::step_of(static_cast<double>(limit), max_code, 0.0)) {
    if (!(step_ > 0.0f && limit <= std::numeric_limits<float>::max())) {
      limit_ = 1.0f;
      step_ = 1.0f / static_cast<float>(max_code);
      detail::report_error("lumina::SymmetricQuantizer: limit must be positive and finite");
    }
  }

  constexpr float limit() const { return limit_; }
  constexpr float step() const { return step_; }

  constexpr std::int32_t encode(float v) const {
    if (v != v) return 0;
    constexpr float top = static_cast<float>(max_code);
    if (std::is_constant_evaluated()) {  // as in UniformQuantizer
      if (static_cast<double>(v) > 2.0 * static_cast<double>(top) * static_cast<double>(step_))
        return max_code;
      if (static_cast<double>(v) < -2.0 * static_cast<double>(top) * static_cast<double>(step_))
        return -max_code;
    }
    const float position = v / step_;
    const float clamped = position < -top ? -top : position < top ? position : top;
    return static_cast<std::int32_t>(detail::round_half_even(clamped));
  }
  constexpr float decode(std::int32_t code) const {
    return detail::fused_multiply_add(static_cast<float>(code), step_, 0.0f);
  }
  constexpr float operator()(float v) const { return v != v ? v : decode(encode(v)); }

  /// In place, vectorised.
  void apply(std::span<float> values) const {
    detail::transform_in_place(values, [this](const auto& v) { return this->quantize(v); });
  }

  /// As a stage of an epilogue.
  static constexpr std::size_t normals_per_element = 0;
  template <class Floats, class Coordinates, class ActiveLanes, class Normals>
  Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&, const Normals&) const {
    return quantize(values);
  }
  /// As Quantizer's.
  template <class Floats>
  auto passes(const Floats& values) const {
    return abs(values) <= Floats(limit_);
  }

 private:
  template <class Floats>
  Floats quantize(const Floats& v) const {
    using namespace detail;
    const Floats code = symmetric_code(v, Floats(step_), Floats(static_cast<float>(max_code)));
    return fused_multiply_add(code, Floats(step_), Floats(0.0f));
  }

  float limit_;
  float step_;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
