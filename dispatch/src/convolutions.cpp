// Convolutions on arrays: compiled once for each instruction set, as unit.cpp is, which calls it.
#include <stdexcept>
#include <vector>

#include <lumina/lumina.hpp>

#include "arrays.hpp"
#include "products.hpp"
#include "stage_list.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {

Convolution convolution_of(const dispatch::ConvolutionShape& shape) {
  return {shape.channels, shape.outputs,  shape.kernel, shape.stride,
          shape.padding,  shape.dilation, shape.groups};
}

namespace {

using dispatch::ConvolutionCall;
using dispatch::ImageMemory;

template <class T>
ImageView<T> images(const ImageMemory<T>& memory) {
  return {memory.data, memory.batch, memory.channels, memory.size,
          memory.channels_last ? ImageLayout::channels_last : ImageLayout::channels_first};
}
std::size_t rows_of(const ImageView<const float>& y) { return y.batch * y.pixels(); }

std::size_t most_tiles(const std::vector<TiledWeights<8>>& weights) {
  std::size_t most = 0;
  for (const TiledWeights<8>& own : weights) {
    if (own.tiles() > most) most = own.tiles();
  }
  return most;
}

/// f(the DAC): where rows do not choose it, one for each pixel, not for each patch.
template <class F>
void with_dac(const dispatch::Call& call, const F& f) {
  const RuntimeQuantizer dac = RuntimeQuantizer::of(call.dac);
  if (!dac.is_symmetric()) {
    throw std::invalid_argument(
        "lumina::dispatch: the DAC of a convolution on arrays must be "
        "symmetric");
  }
  if (call.noise_management == NoiseManagement::none && call.bound_iterations == 0) return f(dac);
  f(ManagedDac{dac.bits(), dac.hi(), call.noise_management, call.bound_iterations});
}

const std::vector<TiledWeights<8>>& weights_of(const Packed& packed, const Convolution& shape) {
  if (packed.form == Packed::Form::tiles8 && packed.tiles8.size() == shape.products()) {
    return packed.tiles8;
  }
  throw std::invalid_argument(
      "lumina::dispatch: a convolution's weights are those that encode_arrays makes with its "
      "shape");
}

}  // namespace

void run_arrays(const ConvolutionCall& convolution, const Packed& packed, ForwardRecord* record,
                dispatch::StagePlace& place) {
  const dispatch::Call& call = convolution.call;
  const ImageView<float> y = images(convolution.y);
  const Convolution shape = convolution_of(convolution.shape);
  const std::vector<TiledWeights<8>>& weights = weights_of(packed, shape);
  const Lists lists(call, rows_of(y), y.channels, most_tiles(weights), place);
  with_dac(call, [&](const auto& dac) {
    with_sums<SumSets::of_presets>(lists.in_array, [&]<unsigned Set, bool RowFacts>() {
      forward(
          convolution_pass(images(convolution.x), dac, weights, shape,
                           array<Set, RowFacts>(lists.in_array), digital(lists.behind), call.key),
          y, record, any_executor(call));
    });
  });
}

void backward_through_arrays(const ConvolutionCall& convolution, const Packed& packed,
                             const ImageMemory<const float>& grad_y, const ForwardRecord& record,
                             const dispatch::ConvolutionGradientViews& gradients,
                             ConvolutionBackwardWorkspace& workspace, dispatch::StagePlace& place) {
  const dispatch::Call& call = convolution.call;
  const ImageView<const float> gradient = images(grad_y);
  const Convolution shape = convolution_of(convolution.shape);
  const std::vector<TiledWeights<8>>& weights = weights_of(packed, shape);
  const Lists lists(call, rows_of(gradient), gradient.channels, place);
  const ImageGradients to{images(gradients.input),
                          MatrixView<float>(gradients.filters),
                          {gradients.bias, gradients.bias != nullptr ? shape.outputs : 0}};
  // Noise has no part in it, but its stages are there and want their sums.
  constexpr unsigned kAll = Sums::magnitudes | Sums::squared_inputs | Sums::squares;
  with_dac(call, [&](const auto& dac) {
    with_products_of_arrays(call.gradient_products, [&](const auto& products) {
      backward(convolution_pass(images(convolution.x), dac, weights, shape,
                                array<kAll, true>(lists.in_array), digital(lists.behind), call.key),
               gradient, record, to, workspace, products, any_executor(call));
    });
  });
}

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
