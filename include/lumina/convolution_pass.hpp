// Training through convolutions: the arguments of fused_convolution as a pass, forward() with a
// record, and the straight-through backward().
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>

#include "analog_gemm.hpp"
#include "analog_pass.hpp"
#include "backward.hpp"
#include "config.hpp"
#include "convolution.hpp"
#include "convolution_gradients.hpp"
#include "detail/engine/convolution_call.hpp"
#include "detail/epilogue/clip_recorder.hpp"
#include "detail/training/convolution_backward.hpp"
#include "executor.hpp"
#include "forward_pass.hpp"
#include "forward_record.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// The arguments of fused_convolution. What is viewed and the weights must live as long as it is
/// used. Made by convolution_pass().
///
/// `weight_stages`: what the gradient by each product's weights, [outputs, inputs] of
/// filter_matrix(), goes through in the end, with `weight_key`, whose rows are the outputs, as the
/// key of its noise.
template <class X, class Dac, class Weights, class EpilogueT, class WeightStages = Epilogue<>>
struct ConvolutionPass {
  ImageView<const X> x;
  Dac dac;
  std::span<const Weights> weights;
  Convolution shape;
  EpilogueT epilogue;
  NoiseKey key;
  WeightStages weight_stages = WeightStages();
  NoiseKey weight_key = {};

  template <class... Stages>
  auto with_weight_stages(const Epilogue<Stages...>& stages,
                          const NoiseKey& stages_key = {}) const {
    return ConvolutionPass<X, Dac, Weights, EpilogueT, Epilogue<Stages...>>{
        x, dac, weights, shape, epilogue, key, stages, stages_key};
  }
};
/// The same on arrays.
template <class X, class Dac, class Weights, class InArray, class Behind>
struct AnalogConvolutionPass {
  ImageView<const X> x;
  Dac dac;
  std::span<const Weights> weights;
  Convolution shape;
  InArray in_array;
  Behind behind;
  NoiseKey key;

  /// The most of a product.
  std::size_t tiles() const {
    std::size_t most = 0;
    for (const Weights& own : weights) most = std::max(most, own.tiles());
    return most;
  }
  /// Bits of a record for each output: those of each array, then those behind them.
  std::size_t array_gates() const { return detail::recorded_gates(in_array.stages); }
  std::size_t gates() const {
    return tiles() * array_gates() + detail::recorded_gates(behind.stages);
  }
};

template <class X, class Dac, class Weights, class... Stages>
requires(detail::AnyQuantizer<Dac> || std::is_same_v<Dac, NoDac>)  //
    auto convolution_pass(const ImageView<X>& x, const Dac& dac, const Weights& weights,
                          const Convolution& shape, const Epilogue<Stages...>& epilogue,
                          const NoiseKey& key = {}) {
  using Pass = ConvolutionPass<std::remove_const_t<X>, Dac, detail::WeightsOfProduct<Weights>,
                               Epilogue<Stages...>>;
  return Pass{x, dac, detail::weights_of_products(weights), shape, epilogue, key};
}
template <class X, ArrayDac Dac, class Weights, StagesInArrays InArray, StagesBehindArrays Behind>
auto convolution_pass(const ImageView<X>& x, const Dac& dac, const Weights& weights,
                      const Convolution& shape, const InArray& in_array, const Behind& behind,
                      const NoiseKey& key = {}) {
  using Pass = AnalogConvolutionPass<std::remove_const_t<X>, Dac, detail::WeightsOfProduct<Weights>,
                                     InArray, Behind>;
  return Pass{x, dac, detail::weights_of_products(weights), shape, in_array, behind, key};
}
template <class X, class Dac, class Weights, class... Rest>
requires(!std::is_lvalue_reference_v<Weights>)  //
    auto convolution_pass(const ImageView<X>& x, const Dac& dac, Weights&& temporary,
                          const Convolution& shape, const Rest&... rest) = delete;

namespace detail {

template <class X, class Dac, class Weights, class EpilogueT, class WeightStages, class Observer>
auto products_of(const ConvolutionPass<X, Dac, Weights, EpilogueT, WeightStages>& pass,
                 const Observer& observer) {
  return PlainProducts<X, Dac, Weights, EpilogueT, Observer>{pass.dac, pass.weights, pass.epilogue,
                                                             observer, pass.key};
}
template <class X, class Dac, class Weights, class InArray, class Behind, class ArrayObserver,
          class OutputObserver>
auto products_of(const AnalogConvolutionPass<X, Dac, Weights, InArray, Behind>& pass,
                 const ArrayObserver& in_array, const OutputObserver& behind) {
  return ArrayProducts<X, Dac, Weights, decltype(InArray::stages), ArrayObserver,
                       decltype(Behind::stages), OutputObserver>{
      pass.dac, pass.weights, pass.in_array.stages, in_array, pass.behind.stages, behind, pass.key};
}

/// The dot products of a pass, rows of outputs.
template <class X, class Dac, class Weights, class EpilogueT, class WeightStages, class Observer,
          class Executor>
bool run_pass(const ConvolutionPass<X, Dac, Weights, EpilogueT, WeightStages>& pass,
              MatrixView<float> y, const Epilogue<>& nothing, const Observer& observer,
              const Executor& executor) {
  const PlainProducts<X, Dac, Weights, Epilogue<>, Observer> products{pass.dac, pass.weights,
                                                                      nothing, observer, pass.key};
  const ImageView<float> images{y.data(), pass.x.batch, pass.shape.outputs,
                                pass.shape.output_size(pass.x.size), ImageLayout::channels_last};
  return run_convolution(pass.x, images, pass.shape, products, executor);
}

/// A pass's call, and its record, where there is one, filled once the call has run to its end.
template <class Pass, class Products, class Executor>
bool run_recorded(const Pass& pass, const ImageView<float>& y, std::size_t gates,
                  ForwardRecord* record, const Products& products, const Executor& executor) {
  if (record != nullptr) {
    const std::size_t rows = size_product(y.batch, y.pixels());
    record->resize(rows, y.channels, gates);
    if (record->rows() != rows || record->cols() != y.channels) return false;  // reported
  }
  const bool ran = call_convolution(pass.x, y, pass.shape, products, executor);
  if (ran && record != nullptr) record->mark_filled();
  return ran;
}

}  // namespace detail

/// y = the pass's call, and what backward() needs to know of it to `record`, whose memory is used
/// again. Errors, and the result, as fused_convolution's.
template <class X, class Dac, class Weights, class EpilogueT, class WeightStages,
          class Executor = Serial>
bool forward(const ConvolutionPass<X, Dac, Weights, EpilogueT, WeightStages>& pass,
             const ImageView<float>& y, ForwardRecord& record, const Executor& executor = {}) {
  const detail::ClipRecorder<EpilogueT> recorder(record);
  return detail::run_recorded(pass, y, detail::recorded_gates(pass.epilogue), &record,
                              detail::products_of(pass, recorder), executor);
}
/// The same with other observers, or fewer.
template <class X, class Dac, class Weights, class EpilogueT, class WeightStages,
          class Executor = Serial>
bool forward(const ConvolutionPass<X, Dac, Weights, EpilogueT, WeightStages>& pass,
             const ImageView<float>& y, const PassObservers& observers,
             const Executor& executor = {}) {
  const detail::ChosenObservers<EpilogueT> chosen{observers};
  if (observers.magnitudes != nullptr) {
    observers.magnitudes->resize(detail::size_product(y.batch, y.pixels()), y.channels);
  }
  return detail::run_recorded(pass, y, detail::recorded_gates(pass.epilogue), observers.record,
                              detail::products_of(pass, chosen), executor);
}
/// On arrays; the record grows with them.
template <class X, class Dac, class Weights, class InArray, class Behind, class Executor = Serial>
bool forward(const AnalogConvolutionPass<X, Dac, Weights, InArray, Behind>& pass,
             const ImageView<float>& y, ForwardRecord& record, const Executor& executor = {}) {
  record.resize(0, 0, 0);
  if (!detail::array_stages_straight(pass.in_array.stages) ||
      !detail::array_stages_straight(pass.behind.stages)) {
    return false;
  }
  const detail::ClipRecorder<decltype(InArray::stages)> in_array(record, 0);
  const detail::ClipRecorder<decltype(Behind::stages)> behind(record,
                                                              pass.tiles() * pass.array_gates());
  return detail::run_recorded(pass, y, pass.gates(), &record,
                              detail::products_of(pass, in_array, behind), executor);
}

/// The same of lists of stages; `record` may be null.
template <class X, class Dac, class Weights, unsigned Set, bool RowFacts, class Executor = Serial>
bool forward(const AnalogConvolutionPass<X, Dac, Weights, ArrayStageList<Set, RowFacts>,
                                         DigitalStageList>& pass,
             const ImageView<float>& y, ForwardRecord* record, const Executor& executor = {}) {
  using List = StageListWith<Set, RowFacts>;
  if (record != nullptr) {
    record->resize(0, 0, 0);
    if (!detail::array_stages_straight(pass.in_array.stages) ||
        !detail::array_stages_straight(pass.behind.stages)) {
      return false;
    }
  }
  const detail::ClipRecorder<List> in_array(record, 0);
  const detail::ClipRecorder<StageList> behind(record, pass.tiles() * pass.array_gates());
  return detail::run_recorded(pass, y, pass.gates(), record,
                              detail::products_of(pass, in_array, behind), executor);
}

/// The gradients of a pass whose forward() has filled `record`, with the same x, weights and key:
/// straight through converters where they did not clip. Each filter's weight is one chain of FMA
/// over the rows of outputs in ascending order; each pixel adds up what its patches bring, of
/// ascending outputs (on arrays: array by array). That is of F32Products; `products` may be
/// IntegerSplitProducts where weights are codes: some patches at a time have their own fixed point,
/// and add up (docs/numerics.md). Errors, before anything is written: those of the call; gradients
/// of other shapes, or that overlap; a record that is not this pass's; a gradient by the bias
/// without an AddBias; more than 32768 outputs of a product where IntegerSplitProducts are to make
/// the gradient by the input. The result: whether it ran.
template <class X, class Dac, class Weights, class EpilogueT, class WeightStages, class Products,
          class Executor = Serial>
requires detail::are_products<Products>
bool backward(const ConvolutionPass<X, Dac, Weights, EpilogueT, WeightStages>& pass,
              const ImageView<const float>& grad_y, const ForwardRecord& record,
              const ImageGradients& gradients, ConvolutionBackwardWorkspace& workspace,
              const Products&, const Executor& executor = {}) {
  constexpr std::size_t kParts = detail::parts_of_products<Products, detail::are_coded<Weights>>();
  static_assert(!detail::BringsWorkspace<Executor>,
                "lumina::backward: convolutions have a workspace of their own");
  const detail::NoObserver nobody;
  const auto products = detail::products_of(pass, nobody);
  const std::size_t rows = detail::size_product(grad_y.batch, grad_y.pixels());
  const std::size_t cols = pass.shape.outputs;
  if (!detail::convolution_valid(pass.x, pass.weights, grad_y, pass.shape) ||
      !products.valid(detail::Shape{rows, detail::deepest(pass.weights)},
                      MatrixView<float>(nullptr, rows, cols)) ||
      !detail::image_gradients_valid(pass.x, grad_y, pass.shape, gradients,
                                     detail::takes_bias(pass.epilogue),
                                     detail::recorded_gates(pass.epilogue), record) ||
      (kParts != 0 && !detail::split_outputs_valid(pass.shape, gradients))) {
    return false;
  }
  float* pixels = nullptr;
  if (!workspace.products.gradient.grow_to(detail::size_product(rows, cols))) return false;
  if (!detail::pixel_memory(gradients, workspace, pixels)) return false;
  const MatrixView<const float> grad = detail::rows_of_images(grad_y, workspace.grad_y);
  const MatrixView<float> gradient(workspace.products.gradient.data(), rows, cols);
  using Pass = ConvolutionPass<X, Dac, Weights, EpilogueT, WeightStages>;
  detail::PatchGradients<Pass, decltype(products)> by_patch(pass, products, gradients.filters,
                                                            pixels, workspace);
  if (grad.rows() != rows || !by_patch.reserve() ||
      !detail::run_gradient_pass(pass, pass.epilogue, grad, record, gradient, nullptr,
                                 gradients.bias.data(), executor)) {
    return false;
  }
  for (std::size_t i = 0; i < pass.weights.size(); ++i) {
    const Weights& own = pass.weights[i];
    const Convolution::Product product = pass.shape.product(i);
    const auto add = [&](auto&& multiply) {
      return by_patch.add(i, {gradient.data() + product.first_output, rows, product.outputs, cols},
                          {0, own.cols()}, multiply, pass.weight_stages,
                          detail::key_of_output(pass.weight_key, product.first_output), executor);
    };
    bool added = false;
    if constexpr (kParts != 0) {
      added = add(detail::SplitPatchProducts<kParts, Weights, Dac>(
          own, own.scales(), pass.dac, {pass.key, 0, product.first_output}, workspace));
    } else {
      const auto pack_weights = [&](PackedWeights& to) { detail::pack_for_backward(own, to); };
      const auto pack_inputs = [&](const auto& patches, BackwardWorkspace& to) {
        if constexpr (decltype(products)::kCodes) {
          detail::pack_quantized_rows(patches, pass.dac, to.inputs);
        } else {
          detail::pack_rows(patches, to.inputs, [](const auto& values) { return values; });
        }
        return true;
      };
      added = add(detail::FloatPatchProducts(pack_weights, pack_inputs, workspace));
    }
    if (!added) return false;
  }
  by_patch.store_filters();
  if (pixels != nullptr) detail::store_pixel_gradients(pass.x, pass.dac, pixels, gradients.input);
  return true;
}
/// On arrays.
template <class X, class Dac, class Weights, class InArray, class Behind, class Products,
          class Executor = Serial>
requires detail::are_products<Products>
bool backward(const AnalogConvolutionPass<X, Dac, Weights, InArray, Behind>& pass,
              const ImageView<const float>& grad_y, const ForwardRecord& record,
              const ImageGradients& gradients, ConvolutionBackwardWorkspace& workspace,
              const Products&, const Executor& executor = {}) {
  constexpr std::size_t kParts =
      detail::parts_of_products<Products, detail::CodesOnArrays<Weights>>();
  static_assert(!detail::BringsWorkspace<Executor>,
                "lumina::backward: convolutions have a workspace of their own");
  const detail::NoObserver nobody;
  const auto products = detail::products_of(pass, nobody, nobody);
  const std::size_t rows = detail::size_product(grad_y.batch, grad_y.pixels());
  const std::size_t cols = pass.shape.outputs;
  if (!detail::convolution_valid(pass.x, pass.weights, grad_y, pass.shape) ||
      !products.valid(detail::Shape{rows, detail::deepest(pass.weights)},
                      MatrixView<float>(nullptr, rows, cols)) ||
      !detail::array_stages_straight(pass.in_array.stages) ||
      !detail::array_stages_straight(pass.behind.stages) ||
      !detail::image_gradients_valid(pass.x, grad_y, pass.shape, gradients,
                                     detail::takes_bias(pass.behind.stages), pass.gates(),
                                     record) ||
      (kParts != 0 && !detail::split_outputs_valid(pass.shape, gradients))) {
    return false;
  }
  float* pixels = nullptr;
  if (!workspace.products.gradient.grow_to(detail::size_product(rows, cols)) ||
      !workspace.products.array_gradient.grow_to(detail::size_product(rows, cols)) ||
      !detail::pixel_memory(gradients, workspace, pixels)) {
    return false;
  }
  const MatrixView<const float> grad = detail::rows_of_images(grad_y, workspace.grad_y);
  const MatrixView<float> by_sum(workspace.products.gradient.data(), rows, cols);
  const MatrixView<float> by_array(workspace.products.array_gradient.data(), rows, cols);
  using Pass = AnalogConvolutionPass<X, Dac, Weights, InArray, Behind>;
  detail::PatchGradients<Pass, decltype(products)> by_patch(pass, products, gradients.filters,
                                                            pixels, workspace);
  if (grad.rows() != rows || !by_patch.reserve()) return false;
  detail::gradient_through(pass.behind.stages, record, pass.tiles() * pass.array_gates(), pass.key,
                           grad, by_sum, nullptr, gradients.bias.data(), executor);
  for (std::size_t tile = 0; tile < pass.tiles(); ++tile) {
    detail::gradient_through(pass.in_array.stages, record, tile * pass.array_gates(), pass.key,
                             MatrixView<const float>(by_sum), by_array, nullptr, nullptr, executor);
    for (std::size_t i = 0; i < pass.weights.size(); ++i) {
      const Weights& own = pass.weights[i];
      if (tile >= own.tiles()) continue;
      const Convolution::Product product = pass.shape.product(i);
      const auto add = [&](auto&& multiply) {
        return by_patch.add(i,
                            {by_array.data() + product.first_output, rows, product.outputs, cols},
                            {own.first_input(tile), own.input_count(tile)}, multiply, epilogue(),
                            NoiseKey{}, executor);
      };
      const auto& dac = detail::ideal_dac(pass.dac);
      bool added = false;
      if constexpr (kParts != 0) {
        const detail::WeightTile array(detail::whole_weights(own), tile);
        const auto scales = detail::scales_of_tile(array, workspace.products.sums);
        added = scales.size() == own.rows() &&
                add(detail::SplitPatchProducts<kParts, std::remove_const_t<decltype(array)>,
                                               std::remove_cvref_t<decltype(dac)>>(
                    array, scales, dac, {pass.key, tile, product.first_output}, workspace));
      } else {
        const auto pack_weights = [&](PackedWeights& to) {
          detail::pack_tile_for_backward(own, tile, to);
        };
        const auto pack_inputs = [&](const auto& patches, BackwardWorkspace& to) {
          return detail::pack_array_inputs(patches, dac, to);
        };
        added = add(detail::FloatPatchProducts(pack_weights, pack_inputs, workspace));
      }
      if (!added) return false;
    }
  }
  by_patch.store_filters();
  if (pixels != nullptr) {
    detail::store_pixel_gradients(pass.x, detail::ideal_dac(pass.dac), pixels, gradients.input);
  }
  return true;
}
/// Either with F32Products.
template <class Pass, class Executor = Serial>
requires(!detail::are_products<Executor>)  //
    bool backward(const Pass& pass, const ImageView<const float>& grad_y,
                  const ForwardRecord& record, const ImageGradients& gradients,
                  ConvolutionBackwardWorkspace& workspace, const Executor& executor = {}) {
  return backward(pass, grad_y, record, gradients, workspace, F32Products(), executor);
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
