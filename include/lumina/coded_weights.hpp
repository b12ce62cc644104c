// Weights as a device with few bits holds them: symmetric codes, and a scale for each output.
//
//   w(out, in) ≈ scale[out] · code(out, in),   |code| ≤ 2^(Bits−1) − 1,   2 ≤ Bits ≤ 8
//
// Encoded once for each update of the weights, used for many calls. Codes of 8 to 5 bits are stored
// in 8 bits, those of 4 and 3 bits in 4, those of 2 bits in 2 (detail/packing/code_panels.hpp).
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "coded_weights_view.hpp"
#include "config.hpp"
#include "detail/base/range.hpp"
#include "detail/packing/code_panels.hpp"
#include "detail/packing/row_blocks.hpp"
#include "detail/rows/matrix.hpp"
#include "detail/rows/weight_checks.hpp"
#include "detail/rows/weight_rows.hpp"
#include "detail/rows/weight_scale.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "transposed.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// Whose largest magnitude becomes the largest code.
enum class WeightScale {
  per_output,  ///< that of the output's own row of w: a scale for each output
  per_matrix,  ///< that of w: one scale for all
};

template <int Bits>
class CodedWeights;

namespace detail {

template <int Bits, class Weights = MatrixView<const float>>
class WeightEncoder;

/// Where the arrays of coded weights lie, to be written.
struct CodedArrays {
  std::int32_t* words = nullptr;
  float* scales = nullptr;
  std::int32_t* code_sums = nullptr;

  /// Zeros behind `rows` scales and sums, and behind so many words.
  void fill_behind(std::size_t rows, std::size_t word_count) const {
    std::fill_n(words + word_count, kMaxWordsBehind, 0);
    std::fill_n(scales + rows, padded_outputs(rows) - rows, 0.0f);
    std::fill_n(code_sums + rows, padded_outputs(rows) - rows, 0);
  }
};

/// Gives `coded` this shape, and room where it has too little; where its arrays lie. Without words
/// there was no memory, which has been reported, and `coded` is empty.
template <int Bits>
CodedArrays reshape(CodedWeights<Bits>& coded, std::size_t rows, std::size_t cols);

}  // namespace detail

/// Coded weights w [out, in], packed. Made by encode_weights.
template <int Bits>
class CodedWeights {
  static_assert(Bits >= 2 && Bits <= 8, "lumina::CodedWeights: Bits must be in 2..8");

 public:
  static constexpr int bits = Bits;
  static constexpr int stored_bits = detail::stored_bits(Bits);
  static constexpr std::int32_t max_code = (std::int32_t{1} << (Bits - 1)) - 1;

  CodedWeights() = default;
  CodedWeights(CodedWeights&&) noexcept = default;
  CodedWeights& operator=(CodedWeights&&) noexcept = default;
  /// Memory of its own, with the same codes. (Without exceptions and memory: an error, and none.)
  CodedWeights(const CodedWeights& other)
      : words_(other.words_.copy()),
        scales_(other.scales_.copy()),
        code_sums_(other.code_sums_.copy()) {
    if (words_.size() == other.words_.size() && scales_.size() == other.scales_.size() &&
        code_sums_.size() == other.code_sums_.size()) {
      shape_ = detail::Extent(other.rows(), other.cols());
    }
  }
  CodedWeights& operator=(const CodedWeights& other) { return *this = CodedWeights(other); }

  std::size_t rows() const { return shape_.rows; }  ///< outputs
  std::size_t cols() const { return shape_.cols; }  ///< inputs

  /// The weights as they lie in memory, valid until they are encoded again. (Not those of a
  /// temporary, as all that looks into it.)
  CodedWeightsView<Bits> view() const& {
    return {rows(),
            cols(),
            {words_.data(), words_.size()},
            {scales_.data(), scales_.size()},
            {code_sums_.data(), code_sums_.size()}};
  }
  CodedWeightsView<Bits> view() const&& = delete;
  operator CodedWeightsView<Bits>() const { return view(); }

  /// What code 1 is worth, for each output; 0 where a row of w is all zeros.
  std::span<const float> scales() const& { return {scales_.data(), rows()}; }
  std::span<const float> scales() const&& = delete;

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

  /// For the engine, as in CodedWeightsView.
  const std::int32_t* panel(std::size_t index) const& {
    return words_.data() + index * panel_size();
  }
  const std::int32_t* panel(std::size_t index) const&& = delete;
  std::size_t panel_size() const { return steps() * detail::kPanelColumns; }
  std::size_t steps() const { return detail::coded_steps<Bits>(cols()); }
  detail::CodePanels<stored_bits> panels() const& {
    return {words_.data(), panel_size(), scales_.data(), code_sums_.data()};
  }
  detail::CodePanels<stored_bits> panels() const&& = delete;

 private:
  template <int, class>
  friend class detail::WeightEncoder;
  friend detail::CodedArrays detail::reshape<Bits>(CodedWeights& coded, std::size_t rows,
                                                   std::size_t cols);

  template <class T, class F>
  Matrix<T> map(F f) const {
    Matrix<T> result(rows(), cols());
    for (std::size_t row = 0; row < rows(); ++row) {
      for (std::size_t col = 0; col < cols(); ++col) result(row, col) = f(row, col);
    }
    return result;
  }

  detail::Extent shape_;
  detail::AlignedBuffer<std::int32_t> words_;
  detail::AlignedBuffer<float> scales_;
  detail::AlignedBuffer<std::int32_t> code_sums_;
  detail::AlignedBuffer<float> next_scales_;  ///< those of an encoding that may still fail
};

namespace detail {

template <int Bits>
CodedArrays reshape(CodedWeights<Bits>& coded, std::size_t rows, std::size_t cols) {
  coded.shape_ = Extent();
  const std::size_t padded_rows = padded_outputs(rows);
  const std::size_t words = size_product(panel_count(rows), coded_steps<Bits>(cols), kPanelColumns);
  if (!coded.words_.grow_to(words + kMaxWordsBehind) || !coded.scales_.grow_to(padded_rows) ||
      !coded.code_sums_.grow_to(padded_rows)) {
    return {};
  }
  coded.shape_ = Extent(rows, cols);
  return {coded.words_.data(), coded.scales_.data(), coded.code_sums_.data()};
}

/// Encodes w into `coded`, in two steps: the scales, which reports what is wrong and leaves `coded`
/// as it was; then the codes, up to ±max_code.
template <int Bits, class Weights>
class WeightEncoder {
 public:
  WeightEncoder(const Weights& w, CodedWeights<Bits>& coded,
                std::int32_t max_code = CodedWeights<Bits>::max_code)
      : w_(w), coded_(coded), max_code_(max_code) {}

  /// Scales for the largest magnitudes of w.
  bool choose_scales(WeightScale how) {
    return choose_scales(
        how, [](std::size_t, float) {}, [](std::size_t, float largest) { return largest; });
  }
  /// The same, once each row was looked at, look(row, its largest magnitude), for the largest
  /// magnitudes that limit(row, largest magnitude) leaves of w.
  template <class Look, class Limit>
  bool choose_scales(WeightScale how, Look look, Limit limit) {
    if (!coded_.next_scales_.grow_to(padded_outputs(w_.rows()))) return false;
    float* const scales = coded_.next_scales_.data();
    const bool finite = scan([&](std::size_t row, std::uint32_t largest) {
      scales[row] = std::bit_cast<float>(largest);
      look(row, scales[row]);
    });
    if (!finite) return false;
    largest_ = 0;
    for (std::size_t row = 0; row < w_.rows(); ++row) {
      const auto largest = std::bit_cast<std::uint32_t>(limit(row, scales[row]));
      largest_ = std::max(largest_, largest);
      scales[row] = weight_scale(largest, max_code_);
    }
    if (how == WeightScale::per_matrix) {
      std::fill_n(scales, w_.rows(), weight_scale(largest_, max_code_));
    }
    return true;
  }

  /// Scales of the caller's; they may be those of `coded`.
  bool use_scales(std::span<const float> scales) {
    if (!weight_scales_valid(w_, scales)) return false;
    if (!scan([](std::size_t, std::uint32_t) {})) return false;
    if (!coded_.next_scales_.grow_to(padded_outputs(w_.rows()))) return false;
    std::copy(scales.begin(), scales.end(), coded_.next_scales_.data());
    return true;
  }

  /// max |w|, after the scales.
  float largest_magnitude() const { return std::bit_cast<float>(largest_); }

  /// The scales, before encode().
  const float* scales() const { return coded_.next_scales_.data(); }

  /// The codes of `rows`, those of w.
  template <RowSource Rows>
  void encode(const Rows& rows) {
    if (resize()) write(rows, max_code_);
  }

  /// The codes of `rows` that do not lie on the levels of the scales, with all the codes that the
  /// type has: scale_of(row) is what code 1 is worth.
  template <RowSource Rows, class ScaleOf>
  void encode_between_levels(const Rows& rows, ScaleOf scale_of) {
    if (!resize()) return;
    for (std::size_t row = 0; row < w_.rows(); ++row) coded_.scales_.data()[row] = scale_of(row);
    write(rows, CodedWeights<Bits>::max_code);
  }

 private:
  template <RowSource Rows>
  void write(const Rows& rows, std::int32_t max_code) {
    // The last panel first: the scales' pass over w has left its end in the cache.
    for (std::size_t panel = panel_count(w_.rows()); panel-- > 0;) {
      const std::size_t first = panel * kPanelColumns;
      const std::size_t count = std::min(kPanelColumns, w_.rows() - first);
      CodePanelWriter<stored_bits(Bits)> writer(coded_.scales_.data() + first, count, max_code,
                                                coded_.words_.data() + panel * coded_.panel_size());
      for_each_block(rows, {first, count},
                     [&](MatrixView<const float> block) { writer.write(block); });
      writer.store_sums(coded_.code_sums_.data() + first);
    }
  }

  /// f(row, its largest magnitude as bits) until a weight is not finite; then the result is false.
  template <class F>
  bool scan(F f) {
    const auto keep = [&](std::size_t row, std::uint32_t largest) {
      largest_ = std::max(largest_, largest);
      f(row, largest);
    };
    return weights_there(w_) && for_each_magnitude(w_, {0, w_.cols()}, keep);
  }

  /// Room for codes and sums, the scales, and zeros behind all of them; false where there is none.
  bool resize() {
    const CodedArrays arrays = reshape(coded_, w_.rows(), w_.cols());
    if (arrays.words == nullptr) return false;
    std::copy_n(coded_.next_scales_.data(), w_.rows(), arrays.scales);
    arrays.fill_behind(w_.rows(), panel_count(w_.rows()) * coded_.panel_size());
    return true;
  }

  Weights w_;
  CodedWeights<Bits>& coded_;
  std::int32_t max_code_;
  std::uint32_t largest_ = 0;  ///< of all weights, as bits
};

/// Reports a number of bits that weights of `Most` bits do not have.
template <int Most>
bool weight_bits_valid(MatrixView<const float> w, int bits) {
  if (bits >= 2 && bits <= Most) return true;
  report_error(
      (encoding_error(w) << "; bits must be in 2.." << static_cast<std::size_t>(Most)).c_str());
  return false;
}

}  // namespace detail

/// Encodes w [out, in] into `coded`, whose memory is used again where it is large enough.
/// Error: a weight that is infinite or NaN; `coded` is as before then.
template <int Bits>
void encode_weights(MatrixView<const float> w, CodedWeights<Bits>& coded,
                    WeightScale how = WeightScale::per_output) {
  detail::WeightEncoder<Bits> encoder(w, coded);
  if (encoder.choose_scales(how)) encoder.encode(detail::MatrixRows(w));
}

/// The same with w [out, in] that lies as its transpose: nothing is copied.
template <int Bits>
void encode_weights(const TransposedView& w, CodedWeights<Bits>& coded,
                    WeightScale how = WeightScale::per_output) {
  detail::WeightEncoder<Bits, TransposedView> encoder(w, coded);
  if (!encoder.choose_scales(how)) return;
  encoder.encode(detail::rows_of_weights(w, {0, w.cols()}));
}

/// The same with codes of `bits` ≤ Bits, 2 or more, chosen at run time: the type says how codes are
/// stored, `bits` how large they become. Error: also other `bits`.
template <int Bits>
void encode_weights(MatrixView<const float> w, CodedWeights<Bits>& coded, int bits,
                    WeightScale how = WeightScale::per_output) {
  if (!detail::weight_bits_valid<Bits>(w, bits)) return;
  detail::WeightEncoder<Bits> encoder(w, coded, detail::max_weight_code(bits));
  if (encoder.choose_scales(how)) encoder.encode(detail::MatrixRows(w));
}

/// The same with scales of the caller's, one for each output: weights beyond ±max_code·scale
/// saturate. Errors: also a number of scales other than w.rows(), and a scale that is not positive
/// and finite.
template <int Bits>
void encode_weights(MatrixView<const float> w, CodedWeights<Bits>& coded,
                    std::span<const float> scales) {
  detail::WeightEncoder<Bits> encoder(w, coded);
  if (encoder.use_scales(scales)) encoder.encode(detail::MatrixRows(w));
}

template <int Bits>
void encode_weights(MatrixView<const float> w, CodedWeights<Bits>& coded, int bits,
                    std::span<const float> scales) {
  if (!detail::weight_bits_valid<Bits>(w, bits)) return;
  detail::WeightEncoder<Bits> encoder(w, coded, detail::max_weight_code(bits));
  if (encoder.use_scales(scales)) encoder.encode(detail::MatrixRows(w));
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
LUMINA_FLOATS_AS_BEFORE
