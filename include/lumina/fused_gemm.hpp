// The engine's calls: y = epilogue(x·wᵀ), or epilogue(DAC(x)·wᵀ) with coded weights, each output
// written once.
//
//   x [batch, in]   w [out, in]   y [batch, out]
//
// Errors (see set_error_handler; nothing is written to y): shapes that do not fit, x or w
// overlapping y, missing data, a stage that does not fit the output; with coded weights also more
// inputs than 32-bit sums can hold, and a DAC or an ADC with more bits than its codes' type. The
// result of a call says whether it has run: false where a handler of errors returned.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "coded_weights.hpp"
#include "coded_weights_view.hpp"
#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/engine/arguments.hpp"
#include "detail/engine/loop.hpp"
#include "detail/engine/scratch.hpp"
#include "detail/isa/native.hpp"
#include "detail/packing/float_panels.hpp"
#include "detail/packing/unpacked_weights.hpp"
#include "detail/rows/quantized.hpp"
#include "epilogue.hpp"
#include "executor.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

inline bool report_false(const Message& message) {
  report_error(message.c_str());
  return false;
}

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

/// Weights that are multiplied as floats.
template <class T>
concept FloatWeights =
    std::is_same_v<T, PackedWeights> || std::is_convertible_v<const T&, MatrixView<const float>>;

/// Chunks of rows beyond which packing w once is less work than packing pieces of it for each.
inline constexpr std::size_t kMaxUnpackedChunks = 2;
/// Weights whose packing is worth several threads.
inline constexpr std::size_t kPackingWorthThreads = std::size_t{1} << 16;

/// pack_weights, by the executor.
template <class Executor>
PackedWeights pack_weights_by(const Executor& executor, MatrixView<const float> w) {
  PackedWeights packed;
  float* const panels = reshape(packed, w.rows(), w.cols());
  if (panels == nullptr) return packed;
  const auto body = [&](std::size_t panel) {
    const std::size_t first = panel * kPanelColumns;
    const std::size_t count = std::min(kPanelColumns, w.rows() - first);
    pack_panel({w.row(first), count, w.cols(), w.row_stride()},
               panels + panel * packed.panel_size());
  };
  if (w.rows() * w.cols() < kPackingWorthThreads) {
    Serial()(panel_count(w.rows()), body);
  } else {
    executor(panel_count(w.rows()), body);
  }
  return packed;
}

/// f(weights) with the form in which w is multiplied best with `rows` rows of x: as it is, or, for
/// many, packed.
template <class Executor, class F>
bool with_weights(MatrixView<const float> w, std::size_t rows, const Executor& executor, F f) {
  if constexpr (!BringsWorkspace<Executor>) {
    if (rows > kMaxUnpackedChunks * Native::chunk_tiles * Native::max_tile_rows) {
      return f(pack_weights_by(executor, w));
    }
  }
  return f(UnpackedWeights(w));
}
/// f(weights).
template <class Executor, class F>
bool with_weights(const PackedWeights& weights, std::size_t, const Executor&, F f) {
  return f(weights);
}

}  // namespace detail

/// y = epilogue(x·wᵀ). `weights`: PackedWeights, or a matrix or view w [out, in] of floats. Such a
/// one is packed on the way: piece by piece in each task, or, for large batches, once as a whole,
/// which allocates. Without noise stages the key is unused; with them the default one gives each
/// call the same noise.
template <class Weights, class Epilogue, class Executor = Serial>
bool fused_gemm(MatrixView<const float> x, const Weights& weights, MatrixView<float> y,
                const Epilogue& epilogue, const NoiseKey& key = {}, const Executor& executor = {}) {
  if (!detail::operands_valid(x, weights, y, executor) ||
      !detail::stage_valid_for(epilogue, y.rows(), y.cols())) {
    return false;
  }
  return detail::with_weights(weights, x.rows(), executor, [&](const auto& form) {
    using Operands = detail::FloatOperands<detail::Native, std::decay_t<decltype(form)>>;
    return detail::run_fused_gemm<detail::Native>(Operands(x, form), y, epilogue, key, executor);
  });
}

/// y = epilogue(DAC(x)·wᵀ) in floats: for DACs and weights with more bits than coded weights take.
/// `weights` as above.
template <detail::AnyQuantizer Dac, detail::FloatWeights Weights, class Epilogue,
          class Executor = Serial>
bool fused_gemm(MatrixView<const float> x, const Dac& dac, const Weights& weights,
                MatrixView<float> y, const Epilogue& epilogue, const NoiseKey& key = {},
                const Executor& executor = {}) {
  if (!detail::operands_valid(x, weights, y, executor) ||
      !detail::stage_valid_for(epilogue, y.rows(), y.cols())) {
    return false;
  }
  return detail::with_weights(weights, x.rows(), executor, [&](const auto& form) {
    using Rows = detail::QuantizedRows<detail::Native>;
    using Operands = detail::PreparedOperands<detail::Native, Rows, std::decay_t<decltype(form)>>;
    return detail::run_fused_gemm<detail::Native>(Operands(Rows(x, dac), form), y, epilogue, key,
                                                  executor);
  });
}

/// The most inputs of coded weights: so many products of 255 and 127 fit into 32 bits.
inline constexpr std::size_t kMostCodedInputs =
    std::numeric_limits<std::int32_t>::max() / (255 * 127);

namespace detail {

/// Reports a DAC whose codes do not fit into 8 bits or an output of codes whose ADC's do not fit,
/// and too many inputs.
template <class Dac, class Y, class EpilogueT>
bool codes_valid(const Dac& dac, const Shape& x, const Shape& w, MatrixView<Y>,
                 const EpilogueT& epilogue) {
  const auto refuse = [&](std::string_view before, auto number, std::string_view behind)
      __attribute__((noinline)) {
    return report_false(Message() << "lumina::fused_gemm: x is " << x << ", w is " << w << "; "
                                  << before << static_cast<std::size_t>(number) << behind);
  };
  if (const int bits = bits_of(dac); bits > 8) {
    return refuse("the DAC has ", bits, " bits; codes are multiplied with 8 at most");
  }
  if (x.cols > kMostCodedInputs) {
    return refuse("the sums of codes hold ", kMostCodedInputs, " inputs at most");
  }
  if constexpr (!std::is_same_v<Y, float>) {
    constexpr std::size_t kLast = std::tuple_size_v<std::decay_t<decltype(epilogue.stages())>> - 1;
    const auto& adc = std::get<kLast>(epilogue.stages());
    if (adc.is_symmetric()) {
      return refuse("the symmetric ADC has ", bits_of(adc),
                    " bits and codes with signs; an output of codes needs one whose codes count "
                    "from 0, or take y of float");
    }
    if (const int bits = bits_of(adc); bits > std::numeric_limits<Y>::digits) {
      return refuse("the ADC has ", bits,
                    sizeof(Y) == 1 ? " bits, the elements of y 8" : " bits, the elements of y 16");
    }
  }
  return true;
}

/// What a call with coded weights takes as x, and as y.
template <class T>
concept CodedInput = is_view_of_any<T, const float, const std::uint8_t>;
template <class T>
concept CodedOutput = is_view_of_any<T, float, std::uint8_t, std::uint16_t>;

template <class T>
inline constexpr bool is_coded_weights = false;
template <int Bits>
inline constexpr bool is_coded_weights<CodedWeights<Bits>> = true;
template <int Bits>
inline constexpr bool is_coded_weights<CodedWeightsView<Bits>> = true;
template <class T>
concept CodedMatrix = is_coded_weights<T>;

/// Reports weights in somebody's memory that begin where vectors cannot be loaded.
template <int Bits>
bool weights_aligned(const CodedWeights<Bits>&) {
  return true;
}
template <int Bits>
bool weights_aligned(const CodedWeightsView<Bits>& w) {
  const auto panels = w.panels();
  for (const void* const array :
       {static_cast<const void*>(panels.words), static_cast<const void*>(panels.scales),
        static_cast<const void*>(panels.code_sums)}) {
    if (reinterpret_cast<std::uintptr_t>(array) % kCacheLine == 0) continue;
    return report_false(Message() << "lumina::fused_gemm: w is " << Shape{w.rows(), w.cols()}
                                  << "; its words, scales and code_sums must begin at multiples of "
                                  << kCacheLine << " bytes");
  }
  return true;
}

}  // namespace detail

/// y = epilogue(DAC(x)·wᵀ) in exact integer arithmetic.
///
///   x    a matrix or view of floats, which the DAC encodes, or of std::uint8_t, codes already
///   dac  Quantizer, SymmetricQuantizer or RuntimeQuantizer of 8 bits at most; for codes it says
///   what
///        they stand for: a symmetric one of b bits has 0 … 2m for −m … m, m = 2^(b−1) − 1
///   w    CodedWeights, or a CodedWeightsView of such in somebody's memory
///   y    of float, std::uint8_t or std::uint16_t; integers take the codes of the ADC, a Quantizer
///        or RuntimeQuantizer (not a symmetric one) that is the last stage
///
/// With S = Σ code(x)·code(w), what enters the epilogue is
/// fma(S, dac.step()·scale, (dac.offset()·scale)·Σ code(w)): exactly 0 for a row of zeros behind a
/// symmetric DAC.
template <detail::CodedInput X, detail::AnyQuantizer Dac, detail::CodedMatrix Weights,
          detail::CodedOutput Y, class Epilogue, class Executor = Serial>
bool fused_gemm(X&& x, const Dac& dac, const Weights& weights, Y&& y, const Epilogue& epilogue,
                const NoiseKey& key = {}, const Executor& executor = {}) {
  const auto x_view = detail::as_view_of<const float, const std::uint8_t>(x);
  const auto y_view = detail::as_view_of<float, std::uint8_t, std::uint16_t>(y);
  if (!detail::operands_valid(x_view, weights, y_view, executor) ||
      !detail::codes_valid(dac, {x_view.rows(), x_view.cols()}, {weights.rows(), weights.cols()},
                           y_view, epilogue) ||
      !detail::stage_valid_for(epilogue, y_view.rows(), y_view.cols()) ||
      !detail::weights_aligned(weights)) {
    return false;
  }
  using Element = std::remove_const_t<std::remove_pointer_t<decltype(x_view.data())>>;
  return detail::run_fused_gemm<detail::Native>(
      detail::CodedOperands<detail::Native, Weights::stored_bits, Element>(x_view, dac,
                                                                           weights.panels()),
      y_view, epilogue, key, executor);
}

/// How much memory SerialIn needs for a call with coded weights, x [batch, in]. It depends on the
/// instruction set; on the scalar one, which microcontrollers have, it is in bytes
///   batch·in, 2048 at most, and 512·batch, 2048 at most, and 1024; each a little rounded up.
constexpr std::size_t coded_workspace_bytes(std::size_t batch, std::size_t in) {
  using Operands = detail::CodedOperands<detail::Native, 8, float>;
  return detail::TaskArrays<Operands>::bytes(batch, std::min(in, detail::kTooMany));
}

/// The same for weights of floats, with or without a DAC. (Unpacked ones take a piece of the stack
/// beside: docs/numerics.md, "Memory".)
constexpr std::size_t float_workspace_bytes(std::size_t batch, std::size_t in) {
  using Rows = detail::QuantizedRows<detail::Native>;
  using Operands = detail::PreparedOperands<detail::Native, Rows>;
  return detail::TaskArrays<Operands>::bytes(batch, std::min(in, detail::kTooMany));
}

namespace detail {

/// f(the epilogue of fused_gemm_noise_quant).
template <class Adc, class F>
bool with_noise_quant(float noise_stddev, const Adc& adc, F f) {
  return noise_stddev == 0.0f ? f(epilogue(adc)) : f(epilogue(GaussianNoise{noise_stddev}, adc));
}

}  // namespace detail

/// y = adc(x·wᵀ + noise_stddev·N(0, 1)); the normal of y(row, col) is standard_normal_at(key, row,
/// col). noise_stddev = 0 draws none. `adc`: any quantizer.
template <detail::AnyQuantizer Adc, class Executor = Serial>
bool fused_gemm_noise_quant(MatrixView<const float> x, const PackedWeights& w, MatrixView<float> y,
                            float noise_stddev, const Adc& adc, const NoiseKey& key,
                            const Executor& executor = {}) {
  return detail::with_noise_quant(noise_stddev, adc, [&](const auto& stages) {
    return fused_gemm(x, w, y, stages, key, executor);
  });
}
/// The same with weights w [out, in] that are packed on the way.
template <detail::AnyQuantizer Adc, class Executor = Serial>
bool fused_gemm_noise_quant(MatrixView<const float> x, MatrixView<const float> w,
                            MatrixView<float> y, float noise_stddev, const Adc& adc,
                            const NoiseKey& key, const Executor& executor = {}) {
  return detail::with_noise_quant(noise_stddev, adc, [&](const auto& stages) {
    return fused_gemm(x, w, y, stages, key, executor);
  });
}
/// Both with the number of bits written out, fused_gemm_noise_quant<8>(…).
template <int Bits, class Executor = Serial>
bool fused_gemm_noise_quant(MatrixView<const float> x, const PackedWeights& w, MatrixView<float> y,
                            float noise_stddev, const Quantizer<Bits>& adc, const NoiseKey& key,
                            const Executor& executor = {}) {
  return fused_gemm_noise_quant<Quantizer<Bits>>(x, w, y, noise_stddev, adc, key, executor);
}
template <int Bits, class Executor = Serial>
bool fused_gemm_noise_quant(MatrixView<const float> x, MatrixView<const float> w,
                            MatrixView<float> y, float noise_stddev, const Quantizer<Bits>& adc,
                            const NoiseKey& key, const Executor& executor = {}) {
  return fused_gemm_noise_quant<Quantizer<Bits>>(x, w, y, noise_stddev, adc, key, executor);
}

/// y = adc(DAC(x)·wᵀ + noise_stddev·N(0, 1)) with coded weights; x, dac and y as in fused_gemm.
template <detail::CodedInput X, detail::AnyQuantizer Dac, detail::CodedMatrix Weights,
          detail::CodedOutput Y, detail::AnyQuantizer Adc, class Executor = Serial>
bool fused_gemm_noise_quant(X&& x, const Dac& dac, const Weights& weights, Y&& y,
                            float noise_stddev, const Adc& adc, const NoiseKey& key,
                            const Executor& executor = {}) {
  return detail::with_noise_quant(noise_stddev, adc, [&](const auto& stages) {
    return fused_gemm(x, dac, weights, y, stages, key, executor);
  });
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
