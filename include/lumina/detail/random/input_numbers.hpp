// The random numbers of a row's inputs.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../isa/native.hpp"
#include "../layout/float_panels.hpp"
#include "noise_field.hpp"
#include "noise_generator.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The numbers of a draw of a row's inputs, one after the other, from any input on.
template <bool Uniform>
class InputNumbers {
 public:
  InputNumbers() = default;
  InputNumbers(const NoiseField::Row& row, std::size_t first)
      : row_(row), next_(first), end_(first / kBlockColumns * kBlockColumns) {
    while (end_ <= next_) draw();
  }

  void fill(float* to, std::size_t count) {
    while (count != 0) {
      if (next_ == end_) draw();
      const std::size_t own = std::min(end_ - next_, count);
      std::copy_n(round_ + kNormalsPerRound - (end_ - next_), own, to);
      next_ += own;
      to += own;
      count -= own;
    }
  }

 private:
  using Generator = NoiseGenerator<Native>;

  void draw() {
    if (end_ % kBlockColumns == 0) generator_ = Generator(row_.seed_of(end_ / kBlockColumns));
    Generator::store(Uniform ? generator_.next_uniform_round() : generator_.next_round(), round_);
    end_ += kNormalsPerRound;
  }

  NoiseField::Row row_{0};
  std::size_t next_ = 0, end_ = 0;  ///< round_ has those up to `end_`
  Generator generator_;
  float round_[kNormalsPerRound];
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
