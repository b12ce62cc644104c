// Weights that another tool has quantized: signed codes, and what code 1 is worth.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#include "coded_weights.hpp"
#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/base/range.hpp"
#include "detail/packing/code_panels.hpp"
#include "detail/packing/row_blocks.hpp"
#include "detail/rows/codes.hpp"
#include "matrix.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

inline Message codes_error(MatrixView<const std::int8_t> codes) {
  return Message() << "lumina::coded_weights_of: codes are " << Shape{codes.rows(), codes.cols()};
}

/// Reports the first code beyond ±max_code.
inline bool codes_valid(MatrixView<const std::int8_t> codes, std::int32_t max_code) {
  if (codes.data() == nullptr && codes.rows() != 0 && codes.cols() != 0) {
    report_error((codes_error(codes) << ", their data is missing").c_str());
    return false;
  }
  for (std::size_t row = 0; row < codes.rows(); ++row) {
    const std::int8_t* const first = codes.row(row);
    const std::int8_t* const end = first + codes.cols();
    const std::int8_t* const found = std::find_if(
        first, end, [max_code](std::int32_t code) { return code > max_code || code < -max_code; });
    if (found == end) continue;
    const std::int32_t code = *found;
    report_error((codes_error(codes)
                  << "; codes(" << row << ", " << static_cast<std::size_t>(found - first) << ") is "
                  << (code < 0 ? "-" : "") << static_cast<std::size_t>(code < 0 ? -code : code)
                  << ", beyond +-" << static_cast<std::size_t>(max_code))
                     .c_str());
    return false;
  }
  return true;
}

/// Reports a wrong number of scales, and the first one that is not positive and finite. Of rows
/// without codes but 0 it may be 0, as encode_weights leaves it.
inline bool code_scales_valid(MatrixView<const std::int8_t> codes, std::span<const float> scales) {
  if (scales.size() != 1 && scales.size() != codes.rows()) {
    report_error((codes_error(codes) << ", there are " << scales.size()
                                     << " scales; they need one for each row, or one for all")
                     .c_str());
    return false;
  }
  for (std::size_t i = 0; i < scales.size(); ++i) {
    if (scales[i] > 0.0f && scales[i] <= std::numeric_limits<float>::max()) continue;
    const auto is_zero = [](std::int8_t code) { return code == 0; };
    if (scales[i] == 0.0f && scales.size() == codes.rows() &&
        std::all_of(codes.row(i), codes.row(i) + codes.cols(), is_zero)) {
      continue;
    }
    report_error(
        (codes_error(codes) << "; scales[" << i << "] is not positive and finite").c_str());
    return false;
  }
  return true;
}

}  // namespace detail

/// Puts codes [out, in] into `coded`, whose memory is used again where it is large enough: the
/// weights scale·code. `scales`: what code 1 is worth, for each output, or one for all; positive,
/// or 0 for an output whose codes are all 0.
/// They may be those of `coded`.
/// Errors: a code beyond ±(2^(Bits−1) − 1), which −128 is of 8 bits; another number of scales; a
/// scale that is negative, infinite, NaN, or 0 for other codes. `coded` is as before then.
template <int Bits>
void coded_weights_of(MatrixView<const std::int8_t> codes, std::span<const float> scales,
                      CodedWeights<Bits>& coded) {
  if (!detail::codes_valid(codes, CodedWeights<Bits>::max_code) ||
      !detail::code_scales_valid(codes, scales)) {
    return;
  }
  const float scale = scales.size() == 1 ? scales[0] : 0.0f;
  const detail::CodedArrays to = detail::reshape(coded, codes.rows(), codes.cols());
  if (to.words == nullptr) return;
  if (scales.size() == 1) {
    std::fill_n(to.scales, codes.rows(), scale);
  } else if (!scales.empty()) {  // those of `coded` are as many as it has now, at their place
    std::memmove(to.scales, scales.data(), scales.size_bytes());
  }
  to.fill_behind(codes.rows(), detail::panel_count(codes.rows()) * coded.panel_size());
  // As encode_weights has codes made of floats: of the codes themselves, where code 1 is worth 1.
  using detail::kPanelColumns;
  std::array<float, kPanelColumns> ones;
  ones.fill(1.0f);
  for (std::size_t first = 0; first < codes.rows(); first += kPanelColumns) {
    const std::size_t count = std::min(kPanelColumns, codes.rows() - first);
    detail::CodePanelWriter<CodedWeights<Bits>::stored_bits> writer(
        ones.data(), count, CodedWeights<Bits>::max_code,
        to.words + first / kPanelColumns * coded.panel_size());
    detail::for_each_block(detail::CodeRows(codes), {first, count},
                           [&](MatrixView<const float> block) { writer.write(block); });
    writer.store_sums(to.code_sums + first);
  }
}

/// The same in weights of their own.
template <int Bits>
CodedWeights<Bits> coded_weights_of(MatrixView<const std::int8_t> codes,
                                    std::span<const float> scales) {
  CodedWeights<Bits> coded;
  coded_weights_of(codes, scales, coded);
  return coded;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
