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
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "coded_weights.hpp"
#include "coded_weights_view.hpp"
#include "config.hpp"
#include "detail/base/range.hpp"
#include "detail/engine/arguments.hpp"
#include "detail/engine/call.hpp"
#include "detail/engine/checks.hpp"
#include "detail/epilogue/observer.hpp"
#include "epilogue.hpp"
#include "executor.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// y = epilogue(x·wᵀ). `weights`: PackedWeights, or a matrix or view w [out, in] of floats. Such a
/// one is packed on the way: part by part in each task, or, for large batches, some outputs at a
/// time, which allocates. Without noise stages the key is unused; with them the default one gives
/// each call the same noise.
template <class Weights, class Epilogue, class Executor = Serial>
bool fused_gemm(MatrixView<const float> x, const Weights& weights, MatrixView<float> y,
                const Epilogue& epilogue, const NoiseKey& key = {}, const Executor& executor = {}) {
  return detail::call(x, weights, y, epilogue, detail::NoObserver(), key, executor);
}

/// y = epilogue(DAC(x)·wᵀ) in floats: for DACs and weights with more bits than coded weights take.
/// `weights` as above.
template <detail::AnyQuantizer Dac, detail::FloatWeights Weights, class Epilogue,
          class Executor = Serial>
bool fused_gemm(MatrixView<const float> x, const Dac& dac, const Weights& weights,
                MatrixView<float> y, const Epilogue& epilogue, const NoiseKey& key = {},
                const Executor& executor = {}) {
  return detail::call(x, dac, weights, y, epilogue, detail::NoObserver(), key, executor);
}

/// y = epilogue(DAC(x)·wᵀ) in exact integer arithmetic.
///
///   x    a matrix or view of floats, which the DAC encodes, or of std::uint8_t, codes already
///   dac  Quantizer, SymmetricQuantizer or RuntimeQuantizer of 8 bits at most; for codes it says
///        what they stand for: a symmetric one of b bits has 0 … 2m for −m … m, m = 2^(b−1) − 1
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
  return detail::call(detail::as_view_of<const float, const std::uint8_t>(x), dac, weights,
                      detail::as_view_of<float, std::uint8_t, std::uint16_t>(y), epilogue,
                      detail::NoObserver(), key, executor);
}

/// How much memory SerialIn needs for a call with coded weights, x [batch, in]. It depends on the
/// instruction set; on the scalar one, which microcontrollers have, it is in bytes
///   batch·in, 2048 at most, and 512·batch, 2048 at most, and 1024; each a little rounded up.
constexpr std::size_t coded_workspace_bytes(std::size_t batch, std::size_t in) {
  return detail::CodedScratch::bytes(batch, std::min(in, detail::kTooMany));
}

/// The same for weights of floats, with or without a DAC. (Unpacked ones take a piece of the stack
/// beside: docs/numerics.md, "Memory".)
constexpr std::size_t float_workspace_bytes(std::size_t batch, std::size_t in) {
  return detail::FloatScratch::bytes(batch, std::min(in, detail::kTooMany));
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
