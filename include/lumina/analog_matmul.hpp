// Products of two activations on analog hardware, as attention has them: the second one is encoded
// in the call, as weights are, into codes whose memory is used again.
//
//   lumina::CodedOperand<8> codes;
//   lumina::analog_matmul(q, dac, k, codes, scores, epilogue(GaussianNoise{0.05f}, adc), key);
//   lumina::analog_matmul(p, dac, transposed(v), codes, y, epilogue(…), key);
//
//   a [m, k]   b [n, k], or [k, n] as transposed(b)   y [m, n]
//
// y = epilogue(DAC(a)·B̂ᵀ) with B̂ what the symmetric codes of b stand for: each row of b (column of
// transposed(b)) at a scale of its own, or all at one, or in a range that is given, as a converter
// has it. Only with the last one do codes of some tokens not depend on what others there are, so
// that a causal attention over transposed(v) is causal to the last bit. On arrays, with a
// TiledOperand, it is analog_gemm with array(…) and digital(…). Heads of an attention are views
// with a stride.
//
// Training: an object of the call, whose gradients are straight through codes and converters.
//
//   const auto pass = lumina::matmul_pass(q, dac, k, codes, epilogue(…), key);
//   lumina::forward(pass, scores, record);
//   lumina::backward(pass, grad_scores, record, {.input = grad_q, .weights = grad_k}, workspace);
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "analog_gemm.hpp"
#include "analog_pass.hpp"
#include "backward.hpp"
#include "border.hpp"
#include "coded_weights.hpp"
#include "config.hpp"
#include "detail/base/kept.hpp"
#include "detail/base/range.hpp"
#include "detail/engine/arguments.hpp"
#include "detail/rows/weight_rows.hpp"
#include "detail/training/matmul_operand.hpp"
#include "executor.hpp"
#include "forward_pass.hpp"
#include "forward_record.hpp"
#include "fused_gemm.hpp"
#include "gradients.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "tiled_weights.hpp"
#include "transposed.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// How the second operand is encoded, as weights or by a converter, and its codes: those of the
/// last call. One object serves any number of calls, one after the other, and grows with the
/// largest b.
template <int Bits>
class CodedOperand : public detail::OperandMemory {
 public:
  explicit CodedOperand(WeightScale scale = WeightScale::per_output)
      : OperandMemory(0.0f), scale_(scale) {}
  explicit CodedOperand(const SymmetricQuantizer<Bits>& dac)
      : OperandMemory(dac.limit()), step_(dac.step()) {}

  const CodedWeights<Bits>& codes() const& { return codes_; }
  const CodedWeights<Bits>& codes() const&& = delete;

  /// For the calls below. `b` [n, k]: a MatrixView<const float> or a TransposedView. Error: an
  /// element that is infinite or NaN. The result: whether b was encoded.
  template <class B>
  bool encode(const B& b) {
    detail::WeightEncoder<Bits, B> encoder(b, codes_);
    if (limit() == 0.0f) {
      if (!encoder.choose_scales(scale_)) return false;
    } else {
      const float* const steps = scales(1, b.rows(), step_);
      if (steps == nullptr && b.rows() != 0) return false;  // no memory: reported
      if (!encoder.use_scales({steps, b.rows()})) return false;
    }
    encoder.encode(detail::rows_of_weights(b, {0, b.cols()}));
    return codes_.rows() == b.rows();
  }

 private:
  WeightScale scale_ = WeightScale::per_output;
  float step_ = 0.0f;
  CodedWeights<Bits> codes_;
};

/// The same on arrays (tiled_weights.hpp); a fully-on device stands for the converter's limit.
template <int Bits>
class TiledOperand : public detail::OperandMemory {
 public:
  explicit TiledOperand(const Mapping& mapping = {}) : OperandMemory(0.0f), mapping_(mapping) {}
  explicit TiledOperand(const SymmetricQuantizer<Bits>& dac, const Mapping& mapping = {})
      : OperandMemory(dac.limit()), mapping_(mapping) {}

  const TiledWeights<Bits>& codes() const& { return codes_; }
  const TiledWeights<Bits>& codes() const&& = delete;

  template <class B>
  bool encode(const B& b) {
    detail::TiledEncoder<Bits, B> encoder(b, mapping_, codes_);
    if (limit() == 0.0f) {
      if (!encoder.choose_scales()) return false;
    } else {
      const std::size_t tiles = encoder.inputs().count;
      const float* const limits = scales(tiles, b.rows(), limit());
      if (limits == nullptr && b.rows() != 0) return false;  // no memory: reported
      if (!encoder.use_scales({limits, tiles, b.rows()})) return false;
    }
    encoder.encode();
    return codes_.rows() == b.rows();
  }

 private:
  Mapping mapping_;
  TiledWeights<Bits> codes_;
};

/// y = epilogue(DAC(a)·B̂ᵀ). `a`, `dac`, `y`, `epilogue`: as of fused_gemm with coded weights.
///
/// Errors, with nothing written to y: shapes that do not fit, b overlapping y, b with missing data
/// or an element that is infinite or NaN, and those of fused_gemm. The result: whether it has run.
template <detail::CodedInput A, detail::AnyQuantizer Dac, detail::MatmulOperand B, int Bits,
          detail::CodedOutput Y, class Epilogue, class Executor = Serial>
bool analog_matmul(A&& a, const Dac& dac, B&& b, CodedOperand<Bits>& operand, Y&& y,
                   const Epilogue& epilogue, const NoiseKey& key = {},
                   const Executor& executor = {}) {
  const auto left = detail::as_view_of<const float, const std::uint8_t>(a);
  const auto to = detail::as_view_of<float, std::uint8_t, std::uint16_t>(y);
  return detail::with_encoded(left, detail::operand_view(b), operand, to, [&] {
    return fused_gemm(left, dac, operand.codes(), to, epilogue, key, executor);
  });
}

/// The same on arrays, each with noise and an ADC of its own: `dac`, `in_array`, `behind` as of
/// analog_gemm.
template <detail::CodedInput A, ArrayDac Dac, detail::MatmulOperand B, int Bits,
          StagesInArrays InArray, StagesBehindArrays Behind, detail::CodedOutput Y,
          class Executor = Serial>
bool analog_matmul(A&& a, const Dac& dac, B&& b, TiledOperand<Bits>& operand,
                   const InArray& in_array, const Behind& behind, Y&& y, const NoiseKey& key = {},
                   const Executor& executor = {}) {
  const auto left = detail::as_view_of<const float, const std::uint8_t>(a);
  const auto to = detail::as_view_of<float, std::uint8_t, std::uint16_t>(y);
  return detail::with_encoded(left, detail::operand_view(b), operand, to, [&] {
    return analog_gemm(left, dac, operand.codes(), in_array, behind, to, key, executor);
  });
}

/// The arguments of analog_matmul, for forward() and backward(). Views and the reference to the
/// operand's codes must live as long as it is used; other calls may use the codes in between, for
/// backward() encodes b again. Made by matmul_pass().
template <class A, class Dac, class B, class Operand, class... Stages>
struct MatmulPass {
  MatrixView<const A> a;
  Dac dac;
  B b;
  Operand& operand;
  std::tuple<Stages...> stages;  ///< an epilogue; or those in arrays, those behind them
  NoiseKey key;

  /// The pass that multiplies the codes as they are now.
  auto on_codes() const {
    return std::apply(
        [this](const Stages&... own) {
          if constexpr (sizeof...(Stages) == 1) {
            return forward_pass(a, dac, operand.codes(), own..., key);
          } else {
            return analog_pass(a, dac, operand.codes(), own..., key);
          }
        },
        stages);
  }
};

/// No temporary a or b: they are used again by backward().
template <detail::CodedInput A, detail::AnyQuantizer Dac, detail::MatmulOperand B, int Bits,
          class Epilogue>
requires(detail::stays<A>&& detail::stays<B>)  //
    auto matmul_pass(A&& a, const Dac& dac, B&& b, CodedOperand<Bits>& operand,
                     const Epilogue& epilogue, const NoiseKey& key = {}) {
  const auto left = detail::as_view_of<const float, const std::uint8_t>(a);
  const auto right = detail::operand_view(b);
  using Element = std::remove_const_t<std::remove_pointer_t<decltype(left.data())>>;
  return MatmulPass<Element, Dac, std::remove_const_t<decltype(right)>, CodedOperand<Bits>,
                    Epilogue>{left, dac, right, operand, {epilogue}, key};
}
template <detail::CodedInput A, ArrayDac Dac, detail::MatmulOperand B, int Bits,
          StagesInArrays InArray, StagesBehindArrays Behind>
requires(detail::stays<A>&& detail::stays<B>)  //
    auto matmul_pass(A&& a, const Dac& dac, B&& b, TiledOperand<Bits>& operand,
                     const InArray& in_array, const Behind& behind, const NoiseKey& key = {}) {
  const auto left = detail::as_view_of<const float, const std::uint8_t>(a);
  const auto right = detail::operand_view(b);
  using Element = std::remove_const_t<std::remove_pointer_t<decltype(left.data())>>;
  return MatmulPass<Element, Dac, std::remove_const_t<decltype(right)>, TiledOperand<Bits>, InArray,
                    Behind>{left, dac, right, operand, {in_array, behind}, key};
}

/// y = the pass's call, and what backward() needs to know of it to `record`. Errors, and the
/// result, as analog_matmul's; the record is empty then.
template <class A, class Dac, class B, class Operand, class... Stages, class Executor = Serial>
bool forward(const MatmulPass<A, Dac, B, Operand, Stages...>& pass, MatrixView<float> y,
             ForwardRecord& record, const Executor& executor = {}) {
  record.resize(0, 0, 0);
  return detail::with_encoded(pass.a, pass.b, pass.operand, y,
                              [&] { return forward(pass.on_codes(), y, record, executor); });
}

/// The gradients of a pass whose forward() has filled `record`, with the same a, b and key:
/// `gradients.input` by a, [m, k], `gradients.weights` by b, in b's own shape: [n, k], or [k, n]
/// of a transposed one. With g the gradient by the dot products they are g·B̂ where a lies in the
/// DAC's range, and gᵀ·DAC(a) where b lies in its own. Errors, before anything is written: as those
/// of lumina::backward (there b is w); a gradient that overlaps b. The result: whether it ran.
template <class A, class Dac, class B, class Operand, class... Stages, class Executor = Serial>
bool backward(const MatmulPass<A, Dac, B, Operand, Stages...>& pass, MatrixView<const float> grad_y,
              const ForwardRecord& record, const Gradients& gradients, BackwardWorkspace& workspace,
              const Executor& executor = {}) {
  if (!detail::matmul_gradients_valid(pass.a, pass.b, grad_y, gradients)) return false;
  if (!pass.operand.encode(pass.b)) return false;
  const auto run = [&](const Gradients& to) {
    if constexpr (sizeof...(Stages) == 1) {
      return backward(pass.on_codes(), grad_y, record, to, workspace, F32Products(), executor);
    } else {
      return backward(pass.on_codes(), grad_y, record, to, workspace, executor);
    }
  };
  if constexpr (std::same_as<B, TransposedView>) {
    if (gradients.weights.data() == nullptr) return run(gradients);
    const std::size_t rows = pass.b.rows(), cols = pass.b.cols();
    if (!pass.operand.gradient().grow_to(detail::size_product(rows, cols))) return false;
    const MatrixView<float> turned(pass.operand.gradient().data(), rows, cols);
    Gradients to = gradients;
    to.weights = turned;
    if (!run(to)) return false;
    for (std::size_t k = 0; k < cols; ++k) {
      for (std::size_t n = 0; n < rows; ++n) gradients.weights(k, n) = turned(n, k);
    }
  } else {
    if (!run(gradients)) return false;
  }
  detail::close_beyond(pass.operand.limit(), detail::lying(pass.b), gradients.weights);
  return true;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
