// What is wrong with the arguments of a call: the first mistake is reported. A check changes
// nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "../../coded_weights.hpp"
#include "../../coded_weights_view.hpp"
#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../../stage_list.hpp"
#include "../../tiled_weights_view.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/message.hpp"
#include "arguments.hpp"
#include "tasks.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// The most inputs of coded weights: so many products of 255 and 127 fit into 32 bits.
inline constexpr std::size_t kMostCodedInputs =
    std::numeric_limits<std::int32_t>::max() / (255 * 127);

namespace detail {

/// Packed or coded weights themselves, other matrices as views.
template <class Weights>
decltype(auto) as_weights(const Weights& weights) {
  if constexpr (std::is_convertible_v<const Weights&, MatrixView<const float>>) {
    return MatrixView<const float>(weights);
  } else {
    return (weights);
  }
}

/// Reports the first thing wrong with a call's operands; `matrix` is weights.
template <class X, class Weights, class Y, class Executor>
bool operands_valid(MatrixView<X> x, const Weights& matrix, MatrixView<Y> y,
                    const Executor& executor) {
  const auto& weights = as_weights(matrix);
  const auto shapes = [&] {
    Message message;
    message << "lumina::fused_gemm: x is " << Shape{x.rows(), x.cols()} << ", w is "
            << Shape{weights.rows(), weights.cols()} << ", y is " << Shape{y.rows(), y.cols()};
    return message;
  };
  if (x.cols() != weights.cols()) {
    return report_false(shapes() << "; x and w must have the same number of columns");
  }
  if (y.rows() != x.rows()) {
    return report_false(shapes() << "; y must have as many rows as x");
  }
  if (y.cols() != weights.rows()) {
    return report_false(shapes() << "; y must have as many columns as w has rows");
  }
  const bool empty = y.rows() == 0 || y.cols() == 0;
  if (!empty && (y.data() == nullptr || (x.data() == nullptr && x.cols() != 0))) {
    return report_false(shapes() << "; the data of x or y is missing");
  }
  if (overlap(x, y)) return report_false(shapes() << "; x and y overlap");
  if constexpr (std::is_convertible_v<const Weights&, MatrixView<const float>>) {
    const MatrixView<const float> w = weights;
    if (!empty && w.data() == nullptr && w.cols() != 0) {
      return report_false(shapes() << "; the data of w is missing");
    }
    if (overlap(w, y)) return report_false(shapes() << "; w and y overlap");
  }
  if constexpr (BringsWorkspace<Executor>) {
    const std::span<std::byte> bytes = executor.workspace();
    const MatrixView<std::byte> workspace(bytes.data(), 1, bytes.size());
    if (overlap(workspace, x) || overlap(workspace, y)) {
      return report_false(shapes() << "; the workspace overlaps x or y");
    }
  }
  return true;
}

/// The quantizer that ends a call's stages; null where there is none.
struct LastQuantizer {
  const UniformQuantizer* quantizer;
  int bits;
};
template <class... Stages>
LastQuantizer last_quantizer(const Epilogue<Stages...>& epilogue) {
  const auto& last = std::get<sizeof...(Stages) - 1>(epilogue.stages());
  return {&last, bits_of(last)};
}
inline LastQuantizer last_quantizer(const StageList& stages) {
  if (stages.size() == 0) return {nullptr, 0};
  return {stages.last().quantizer(), stages.last().bits()};
}

/// Reports too many inputs for sums of codes, and an output of codes whose ADC's do not fit.
template <class Y, class EpilogueT>
bool code_output_valid(const Shape& x, const Shape& w, MatrixView<Y>, const EpilogueT& epilogue) {
  const auto refuse = [&](std::string_view before, auto number, std::string_view behind)
      __attribute__((noinline)) {
    return report_false(Message() << "lumina::fused_gemm: x is " << x << ", w is " << w << "; "
                                  << before << static_cast<std::size_t>(number) << behind);
  };
  if (x.cols > kMostCodedInputs) {
    return refuse("the sums of codes hold ", kMostCodedInputs, " inputs at most");
  }
  if constexpr (!std::is_same_v<Y, float>) {
    const LastQuantizer adc = last_quantizer(epilogue);
    if (adc.quantizer == nullptr) {
      return report_false(Message() << "lumina::fused_gemm: x is " << x << ", w is " << w
                                    << "; an output of codes needs stages that end with a "
                                       "quantizer");
    }
    if (adc.quantizer->is_symmetric()) {
      return refuse("the symmetric ADC has ", adc.bits,
                    " bits and codes with signs; an output of codes needs one whose codes count "
                    "from 0, or take y of float");
    }
    if (const int bits = adc.bits; bits > std::numeric_limits<Y>::digits) {
      return refuse("the ADC has ", bits,
                    sizeof(Y) == 1 ? " bits, the elements of y 8" : " bits, the elements of y 16");
    }
  }
  return true;
}

/// The same, and a DAC whose codes do not fit into 8 bits.
template <class Dac, class Y, class EpilogueT>
bool codes_valid(const Dac& dac, const Shape& x, const Shape& w, MatrixView<Y> y,
                 const EpilogueT& epilogue) {
  if (const int bits = bits_of(dac); bits > 8) {
    return report_false(Message() << "lumina::fused_gemm: x is " << x << ", w is " << w
                                  << "; the DAC has " << static_cast<std::size_t>(bits)
                                  << " bits; codes are multiplied with 8 at most");
  }
  return code_output_valid(x, w, y, epilogue);
}

/// Weights in somebody's memory.
template <class T>
inline constexpr bool is_view_of_weights = false;
template <int Bits>
inline constexpr bool is_view_of_weights<CodedWeightsView<Bits>> = true;
template <int Bits>
inline constexpr bool is_view_of_weights<TiledWeightsView<Bits>> = true;

/// Reports such that begin where vectors cannot be loaded.
template <class Weights>
bool weights_aligned(const Weights& w) {
  if constexpr (is_view_of_weights<Weights>) {
    const auto panels = w.panels();
    for (const void* const array :
         {static_cast<const void*>(panels.words), static_cast<const void*>(panels.scales),
          static_cast<const void*>(panels.code_sums)}) {
      if (reinterpret_cast<std::uintptr_t>(array) % kCacheLine == 0) continue;
      return report_false(Message()
                          << "lumina::fused_gemm: w is " << Shape{w.rows(), w.cols()}
                          << "; its words, scales and code_sums must begin at multiples of "
                          << kCacheLine << " bytes");
    }
  }
  return true;
}

/// Reports a workspace that a call of x [y.rows(), depth], which needs so many bytes, cannot use.
template <class T>
bool workspace_has(std::size_t needed, std::span<std::byte> workspace, std::size_t depth,
                   MatrixView<T> y) {
  const auto calls_message = [&] {
    return Message() << "lumina::fused_gemm: x is " << Shape{y.rows(), depth} << ", y is "
                     << Shape{y.rows(), y.cols()} << "; ";
  };
  if (workspace.size() < needed) {
    return report_false(calls_message() << "the workspace has " << workspace.size()
                                        << " bytes, the call needs " << needed);
  }
  if (reinterpret_cast<std::uintptr_t>(workspace.data()) % kCacheLine != 0) {
    return report_false(calls_message()
                        << "the workspace must begin at a multiple of " << kCacheLine << " bytes");
  }
  return true;
}

template <class ScratchT, class T>
bool workspace_valid(std::span<std::byte> workspace, std::size_t depth, MatrixView<T> y) {
  return workspace_has(ScratchT::bytes(y.rows(), depth), workspace, depth, y);
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
