// Straight-through gradients of a fused call on a GPU, with the bits of lumina::backward().
//
//   const auto pass = cuda::forward_pass(x, dac, weights, epilogue, key);
//   cuda::forward(pass, y, record, stream, workspace);
//   … grad_y …
//   cuda::backward(pass, grad_y, record, {input, weights, bias}, stream, workspace);
//
// As every call: on the stream when it returns, nothing allocated, nothing waited for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "../backward.hpp"
#include "../config.hpp"
#include "../detail/base/range.hpp"
#include "../detail/engine/checks.hpp"
#include "../detail/training/backward.hpp"
#include "../detail/training/checks.hpp"
#include "../epilogue.hpp"
#include "../gradients.hpp"
#include "coded_weights.hpp"
#include "detail/checks.hpp"
#include "detail/float_gradients.hpp"
#include "detail/gradient_kernel.hpp"
#include "detail/integer_gradients.hpp"
#include "detail/pieces.hpp"
#include "device_view.hpp"
#include "forward_pass.hpp"
#include "forward_record.hpp"
#include "platform/platform.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace cuda {

/// Where backward() writes. What has no data is not computed.
struct DeviceGradients {
  DeviceView<float> input = {};    ///< [batch, in]
  DeviceView<float> weights = {};  ///< [out, in]
  DeviceView<float> bias = {};     ///< [1, out]
};

}  // namespace cuda

namespace detail::gpu {

template <class Weights>
inline constexpr bool are_codes = false;
template <int Bits>
inline constexpr bool are_codes<cuda::CodedWeights<Bits>> = true;

/// The memory of a backward pass.
template <class Pass, class Products>
struct BackwardMemory {
  using EpilogueT = std::remove_cvref_t<decltype(std::declval<Pass>().epilogue)>;
  static constexpr bool kOwnBias = bias_gradient_of<EpilogueT> == BiasGradient::own;

  std::size_t stride;  ///< of rows of the gradient
  float* gradient;     ///< [batch, stride], by the dot products
  float* by_bias;      ///< as the gradient, where it must be
  std::byte* operands;
  std::size_t operand_bytes, bytes;

  BackwardMemory(const Pass& pass, void* memory) {
    const std::size_t batch = pass.x.rows(), in = pass.x.cols(), out = pass.weights.rows();
    Pieces pieces(memory);
    stride = round_up(out, std::size_t{4});
    gradient = pieces.take<float>(size_product(batch, stride));
    by_bias = kOwnBias ? pieces.take<float>(size_product(batch, stride)) : nullptr;
    if constexpr (is_integer_split<Products>) {
      operand_bytes = std::max(integer_gradients_bytes<int{Products::parts}>(batch, in, out),
                               cuda::coded_workspace_bytes(batch, in));
    } else {
      operand_bytes =
          std::max(float_gradients_bytes(batch, in, out), cuda::float_workspace_bytes(batch, in));
    }
    operands = pieces.take<std::byte>(operand_bytes);
    bytes = pieces.used();
  }
};

template <class Products, class Pass>
bool backward_valid(const Call& call, const Pass& pass, const MatrixView<const float>& grad_y,
                    const cuda::ForwardRecord& record, const cuda::DeviceGradients& gradients) {
  const Shape x{pass.x.rows(), pass.x.cols()}, w{pass.weights.rows(), pass.weights.cols()};
  const MatrixView<float>& bias = gradients.bias.addresses();
  if (bias.data() != nullptr && bias.rows() != 1) {
    return call.refuse(Message() << "the gradient by the bias is "
                                 << Shape{bias.rows(), bias.cols()} << " and must be "
                                 << Shape{1, w.rows});
  }
  const Gradients of_host{gradients.input.addresses(), gradients.weights.addresses(),
                          std::span<float>(bias.data(), bias.data() != nullptr ? bias.cols() : 0)};
  if (!gradients_valid("lumina::cuda::backward", pass.x.addresses(), w, grad_y, of_host,
                       takes_bias(pass.epilogue)) ||
      !record_valid(call, pass, record) || !stage_valid_for(pass.epilogue, x.rows, w.rows) ||
      (gradients.weights.data() != nullptr &&
       !stage_valid_for(pass.weight_stages, w.rows, w.cols)) ||
      !sizes_valid(call, grad_y, x.cols) ||
      !sizes_valid(call, MatrixView<const float>(nullptr, x.rows, x.cols), w.rows)) {
    return false;
  }
  if constexpr (is_integer_split<Products>) {
    if (!codes_valid(pass.dac, x, w, MatrixView<float>(), pass.epilogue)) return false;
    if (gradients.input.data() != nullptr && w.rows > kMostSplitDepth) {
      return call.refuse(Message() << "with IntegerSplitProducts there are at most "
                                   << kMostSplitDepth << " outputs");
    }
  }
  return true;
}

/// From grad_y to the gradients by the dot products and by the bias.
template <class Pass, class Memory>
Error step_back(const Pass& pass, const FloatMatrix& grad_y, const cuda::ForwardRecord& record,
                const Memory& memory, float* bias, StreamHandle stream) {
  using EpilogueT = typename Memory::EpilogueT;
  constexpr BiasGradient kBias = bias_gradient_of<EpilogueT>;
  using Step = GradientStep<EpilogueT>;
  const Step step(pass.epilogue, GateWords(record), pass.key, grad_y, memory.gradient,
                  bias != nullptr ? memory.by_bias : nullptr, memory.stride);
  constexpr std::size_t kThreads = 128;
  if (step.threads() != 0) {
    const LaunchShape shape{static_cast<unsigned>(ceil_div(step.threads(), kThreads)), 1, kThreads,
                            0, true};
    const Error error = launch(&step_gradient<Step>, shape, stream, step);
    if (error != kSuccess) return error;
  }
  if (bias == nullptr || grad_y.columns == 0) return kSuccess;
  const float* const own = kBias == BiasGradient::own ? memory.by_bias : memory.gradient;
  const FloatMatrix added = kBias == BiasGradient::grad_y
                                ? grad_y
                                : FloatMatrix{own, memory.stride, grad_y.rows, grad_y.columns};
  return launch(
      &add_rows<float>,
      {static_cast<unsigned>(ceil_div(grad_y.columns, std::size_t{32})), 1, 256, kAddShared, true},
      stream, added, bias);
}

template <class Products, class Pass>
bool run_backward(const Pass& pass, const cuda::DeviceView<const float>& grad_y,
                  const cuda::ForwardRecord& record, const cuda::DeviceGradients& gradients,
                  const cuda::Stream& stream, const cuda::Workspace& workspace) {
  using Memory = BackwardMemory<Pass, Products>;
  const MatrixView<const float>& from = grad_y.addresses();
  const Call call("lumina::cuda::backward", shapes_of(pass.x.addresses(), pass.weights, from));
  if (!backward_valid<Products>(call, pass, from, record, gradients)) return false;
  const std::size_t in = pass.x.cols(), out = pass.weights.rows();
  const Memory memory(pass, workspace.data);
  const auto all = {named("x", pass.x),
                    Named{"the memory of w", pass.weights.memory(),
                          std::remove_cvref_t<decltype(pass.weights)>::bytes(out, in), 128},
                    named("grad_y", grad_y),
                    named(record),
                    named("the gradient by the input", gradients.input),
                    named("the gradient by the weights", gradients.weights),
                    named("the gradient by the bias", gradients.bias)};
  Device device;
  if (!call.on_device(device) || !call.memory_valid(device, all) ||
      !call.workspace_valid(device, workspace, memory.bytes, all)) {
    return false;
  }

  const FloatMatrix steps_from{from.data(), from.row_stride(), from.rows(), from.cols()};
  const FloatMatrix gradient{memory.gradient, memory.stride, from.rows(), from.cols()};
  using EpilogueT = typename Memory::EpilogueT;
  if constexpr (GradientStep<EpilogueT>::Chain::any_needs_values) {
    const auto values = cuda::device_view(memory.gradient, from.rows(), from.cols(), memory.stride);
    if (!run_pass(pass, values, epilogue(), Unobserved(), stream,
                  {memory.operands, memory.operand_bytes})) {
      return false;
    }
  }
  return call.launched(in_turn(
      [&] {
        return step_back(pass, steps_from, record, memory, gradients.bias.data(), stream.handle);
      },
      [&] {
        const MatrixView<float>& input = gradients.input.addresses();
        if (input.data() == nullptr || input.rows() == 0 || input.cols() == 0) return kSuccess;
        const auto stages = input_stages(pass.x.addresses(), pass.dac);
        if constexpr (is_integer_split<Products>) {
          return integer_input_gradient<int{Products::parts}>(
              gradient, pass.weights.arrays(), input, stages, pass.key, memory.operands, device,
              stream.handle);
        } else {
          return float_input_gradient(gradient, pass.weights, input, stages, memory.operands,
                                      device, stream.handle);
        }
      },
      [&] {
        const MatrixView<float>& by_weights = gradients.weights.addresses();
        if (by_weights.data() == nullptr || out == 0 || in == 0) return kSuccess;
        if constexpr (is_integer_split<Products>) {
          return integer_weight_gradient<int{Products::parts}>(
              gradient, pass.x.addresses(), pass.dac, by_weights, pass.weight_stages,
              pass.weight_key, pass.key, memory.operands, device, stream.handle);
        } else {
          return float_weight_gradient(gradient, pass.x.addresses(), pass.dac, by_weights,
                                       pass.weight_stages, pass.weight_key, memory.operands, device,
                                       stream.handle);
        }
      }));
}

}  // namespace detail::gpu

namespace cuda {

/// The products of backward(), where nobody chooses others.
template <class Weights>
using DeviceProducts =
    std::conditional_t<detail::gpu::are_codes<Weights>, IntegerSplitProducts<2>, F32Products>;
template <class Pass>
using DeviceProductsOf =
    DeviceProducts<std::remove_cvref_t<decltype(std::declval<Pass>().weights)>>;

/// How much memory backward() needs for a pass: about a float for each output, and the two operands
/// of the larger product, in bytes (Parts for each number of the gradient) or in floats.
template <class Pass, class Products = DeviceProductsOf<Pass>>
std::size_t backward_workspace_bytes(const Pass& pass, const Products& = {}) {
  return detail::gpu::BackwardMemory<Pass, Products>(pass, nullptr).bytes;
}

/// The gradients of a pass whose forward() has filled `record`, with the same x, weights and key.
/// `products`: IntegerSplitProducts of coded weights, F32Products of packed ones. `workspace`:
/// backward_workspace_bytes().
///
/// Errors, before anything is written: those of lumina::backward and of fused_gemm. (Whether the
/// record was filled, nobody knows.) The result: whether it is on the stream.
template <class Pass, class Products = DeviceProductsOf<Pass>>
bool backward(const Pass& pass, DeviceView<const float> grad_y, const ForwardRecord& record,
              const DeviceGradients& gradients, const Stream& stream, const Workspace& workspace,
              const Products& = {}) {
  constexpr bool kAreCodes = detail::gpu::are_codes<std::remove_cvref_t<decltype(pass.weights)>>;
  static_assert(detail::is_integer_split<Products> || std::is_same_v<Products, F32Products>,
                "lumina::cuda::backward: the products are F32Products or IntegerSplitProducts");
  static_assert(kAreCodes == detail::is_integer_split<Products>,
                "lumina::cuda::backward: coded weights take IntegerSplitProducts, packed ones "
                "F32Products");
  return detail::gpu::run_backward<Products>(pass, grad_y, record, gradients, stream, workspace);
}

}  // namespace cuda
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
