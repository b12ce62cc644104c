// Weights as a device with few bits holds them: symmetric codes, and a scale for each output.
//
//   w(out, in) ≈ scale[out] · code(out, in),   |code| ≤ 2^(Bits−1) − 1,   2 ≤ Bits ≤ 8
//
// Encoded once for each update of the weights, used for many calls. Codes of 8 to 5 bits are stored
// in 8 bits, those of 4 and 3 bits in 4, those of 2 bits in 2 (detail/pack_codes.hpp).
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "config.hpp"
#include "detail/message.hpp"
#include "detail/pack_codes.hpp"
#include "detail/pieces.hpp"
#include "detail/products.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// Whose largest magnitude becomes the largest code.
enum class WeightScale {
  per_output,  ///< that of the output's own row of w: a scale for each output
  per_matrix,  ///< that of w: one scale for all
};

/// Coded weights w [out, in], packed. Made by encode_weights.
template <int Bits>
class CodedWeights {
  static_assert(Bits >= 2 && Bits <= 8, "lumina::CodedWeights: Bits must be in 2..8");

 public:
  static constexpr int bits = Bits;
  static constexpr int stored_bits = detail::stored_bits(Bits);
  static constexpr std::int32_t max_code = (std::int32_t{1} << (Bits - 1)) - 1;

  CodedWeights() = default;

  std::size_t rows() const { return shape_.rows; }  ///< outputs
  std::size_t cols() const { return shape_.cols; }  ///< inputs

  /// What code 1 is worth, for each output; 0 where a row of w is all zeros.
  std::span<const float> scales() const { return {scales_.data(), rows()}; }

  std::int32_t code(std::size_t row, std::size_t col) const {
    return detail::unpack_code<stored_bits>(panel(row / detail::kPanelColumns),
                                            row % detail::kPanelColumns, col);
  }
  /// All codes, [out, in].
  Matrix<std::int8_t> codes() const {
    return map<std::int8_t>([this](std::size_t row, std::size_t col) {
      return static_cast<std::int8_t>(code(row, col));
    });
  }
  /// The weights that the codes stand for, [out, in].
  Matrix<float> decode() const {
    return map<float>([this](std::size_t row, std::size_t col) {
      return detail::product(static_cast<float>(code(row, col)), scales_.data()[row]);
    });
  }

  /// For the engine: the panel of outputs 32·index … 32·index + 31, panel_size() words in steps()
  /// rows, see detail/pack_codes.hpp.
  const std::int32_t* panel(std::size_t index) const {
    return words_.data() + index * panel_size();
  }
  std::size_t panel_size() const { return steps() * detail::kPanelColumns; }
  std::size_t steps() const {
    return detail::divide_rounding_up(cols(), detail::kCodesPerWord<stored_bits>);
  }
  detail::CodePanels<stored_bits> panels() const {
    return {words_.data(), panel_size(), scales_.data(), code_sums_.data()};
  }

  template <int B>
  friend void encode_weights(MatrixView<const float> w, CodedWeights<B>& coded, WeightScale how);
  template <int B>
  friend void encode_weights(MatrixView<const float> w, CodedWeights<B>& coded,
                             std::span<const float> scales);

 private:
  template <class T, class F>
  Matrix<T> map(F f) const {
    Matrix<T> result(rows(), cols());
    for (std::size_t row = 0; row < rows(); ++row) {
      for (std::size_t col = 0; col < cols(); ++col) result(row, col) = f(row, col);
    }
    return result;
  }

  void resize(std::size_t rows, std::size_t cols, std::span<const float> scales = {});
  void pack(MatrixView<const float> w);

  detail::Extent shape_;
  detail::AlignedBuffer<std::int32_t> words_;
  detail::AlignedBuffer<float> scales_;
  detail::AlignedBuffer<std::int32_t> code_sums_;
};

namespace detail {

/// Weights as large as the largest magnitude get the code ±max_code. The smallest denormal float is
/// the smallest scale: it represents weights exactly for which max_code would be too fine.
inline float weight_scale(std::uint32_t largest_magnitude_bits, std::int32_t max_code) {
  const auto limit = std::bit_cast<float>(largest_magnitude_bits);
  if (limit == 0.0f) return 0.0f;
  return std::max(step_of(limit, max_code, 0.0), std::numeric_limits<float>::denorm_min());
}

/// Reports the first weight that is not a finite number, or missing data.
inline bool weights_encodable(MatrixView<const float> w) {
  if (w.data() == nullptr && w.rows() != 0 && w.cols() != 0) {
    report_error((Message() << "lumina::encode_weights: the data of w " << Shape{w.rows(), w.cols()}
                            << " is missing")
                     .c_str());
    return false;
  }
  constexpr auto kInfinite = std::bit_cast<std::uint32_t>(std::numeric_limits<float>::infinity());
  for (std::size_t row = 0; row < w.rows(); ++row) {
    if (largest_magnitude_bits(w.row(row), w.cols()) < kInfinite) continue;
    std::size_t col = 0;
    while (std::abs(w(row, col)) <= std::numeric_limits<float>::max()) ++col;
    report_error((Message() << "lumina::encode_weights: w is " << Shape{w.rows(), w.cols()}
                            << "; w(" << row << ", " << col << ") is infinite or NaN")
                     .c_str());
    return false;
  }
  return true;
}

}  // namespace detail

/// `scales`, which may be the old ones, become the new ones; without any, the caller fills them in.
template <int Bits>
void CodedWeights<Bits>::resize(std::size_t rows, std::size_t cols, std::span<const float> scales) {
  shape_ = detail::Extent(rows, cols);
  // AMX reads whole blocks of 16 rows of words, so up to 15 behind the last panel.
  constexpr std::size_t kBehind = 15 * detail::kPanelColumns;
  const std::size_t words = detail::panel_count(rows) * panel_size() + kBehind;
  if (words_.size() != words) words_ = detail::AlignedBuffer<std::int32_t>(words);
  std::fill_n(words_.data() + (words - kBehind), kBehind, 0);

  const std::size_t padded_rows = detail::round_up(rows, detail::kNoisePanelColumns);
  detail::AlignedBuffer<float> old_scales;
  if (scales_.size() != padded_rows) {
    old_scales = std::move(scales_);
    scales_ = detail::AlignedBuffer<float>(padded_rows);
    code_sums_ = detail::AlignedBuffer<std::int32_t>(padded_rows);
  }
  if (!scales.empty()) std::memmove(scales_.data(), scales.data(), scales.size_bytes());
  std::fill_n(scales_.data() + rows, padded_rows - rows, 0.0f);
  code_sums_.fill_with_zeros();
}

/// scales_ are there.
template <int Bits>
void CodedWeights<Bits>::pack(MatrixView<const float> w) {
  for (std::size_t first = 0; first < w.rows(); first += detail::kPanelColumns) {
    detail::pack_code_panel<Bits>(
        w, first, std::min(detail::kPanelColumns, w.rows() - first), scales_.data() + first,
        words_.data() + first / detail::kPanelColumns * panel_size(), code_sums_.data() + first);
  }
}

/// Encodes w [out, in] into `coded`, whose memory is used again where the size is the same.
/// Error: a weight that is infinite or NaN; `coded` is as before then.
template <int Bits>
void encode_weights(MatrixView<const float> w, CodedWeights<Bits>& coded,
                    WeightScale how = WeightScale::per_output) {
  if (!detail::weights_encodable(w)) return;
  coded.resize(w.rows(), w.cols());
  std::uint32_t largest_of_all = 0;
  for (std::size_t row = 0; row < w.rows(); ++row) {
    const std::uint32_t largest = detail::largest_magnitude_bits(w.row(row), w.cols());
    largest_of_all = std::max(largest_of_all, largest);
    coded.scales_.data()[row] = detail::weight_scale(largest, CodedWeights<Bits>::max_code);
  }
  if (how == WeightScale::per_matrix) {
    std::fill_n(coded.scales_.data(), w.rows(),
                detail::weight_scale(largest_of_all, CodedWeights<Bits>::max_code));
  }
  coded.pack(w);
}

/// The same with scales of the caller's, one for each output: weights beyond ±max_code·scale
/// saturate. Errors: also a number of scales other than w.rows(), and a scale that is not positive
/// and finite.
template <int Bits>
void encode_weights(MatrixView<const float> w, CodedWeights<Bits>& coded,
                    std::span<const float> scales) {
  const auto message = [&] {
    return detail::Message() << "lumina::encode_weights: w is "
                             << detail::Shape{w.rows(), w.cols()};
  };
  if (scales.size() != w.rows()) {
    detail::report_error(
        (message() << ", there are " << scales.size() << " scales; w needs one for each row")
            .c_str());
    return;
  }
  for (std::size_t row = 0; row < w.rows(); ++row) {
    if (scales[row] > 0.0f && scales[row] <= std::numeric_limits<float>::max()) continue;
    detail::report_error(
        (message() << "; scales[" << row << "] is not positive and finite").c_str());
    return;
  }
  if (!detail::weights_encodable(w)) return;
  coded.resize(w.rows(), w.cols(), scales);
  coded.pack(w);
}

/// Encodes w [out, in].
template <int Bits>
CodedWeights<Bits> encode_weights(MatrixView<const float> w,
                                  WeightScale how = WeightScale::per_output) {
  CodedWeights<Bits> coded;
  encode_weights(w, coded, how);
  return coded;
}
template <int Bits>
CodedWeights<Bits> encode_weights(MatrixView<const float> w, std::span<const float> scales) {
  CodedWeights<Bits> coded;
  encode_weights(w, coded, scales);
  return coded;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
