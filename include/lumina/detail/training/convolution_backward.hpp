// The way back through a convolution: the gradient by its products, from which those by filters and
// by pixels come, some patches at a time, in a fixed order.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "../../analog_pass.hpp"
#include "../../config.hpp"
#include "../../convolution.hpp"
#include "../../convolution_gradients.hpp"
#include "../../epilogue.hpp"
#include "../../forward_record.hpp"
#include "../../gradients.hpp"
#include "../../matrix.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/message.hpp"
#include "../engine/call.hpp"
#include "../engine/convolution_call.hpp"
#include "../engine/convolution_loop.hpp"
#include "../engine/convolution_plan.hpp"
#include "../engine/run.hpp"
#include "../engine/tasks.hpp"
#include "../epilogue/sums.hpp"
#include "../rows/matrix.hpp"
#include "../rows/patches.hpp"
#include "../rows/transposed.hpp"
#include "array_backward.hpp"
#include "backward.hpp"
#include "checks.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Sums of floats that go on from those of a matrix: one chain in several pieces.
class ContinuedSums : public IdentitySums<Native> {
 public:
  explicit ContinuedSums(MatrixView<const float> before) : before_(before) {}

  bool begin(std::size_t block, const Range& rows, const SumBlock<float>& sums) const {
    const std::size_t first = block * kBlockColumns;
    const std::size_t columns = std::min(kBlockColumns, before_.cols() - first);
    for (std::size_t row = 0; row < rows.size; ++row) {
      std::copy_n(before_.row(rows.begin + row) + first, columns, sums.first + row * sums.stride);
    }
    return true;
  }

 private:
  MatrixView<const float> before_;
};

/// Adds the gradients of patches to the pixels that they are of. Each pixel gets them in the order
/// of the outputs.
inline void fold_patches(const Convolution& shape, const Convolution::Product& product,
                         const Range& of_patch, const OutputBox& box, const BandBox& band_box,
                         MatrixView<const float> patches, const Range& channels,
                         const Size3& image_size, float* image) {
  std::size_t row = 0;
  for_each_output(box, {0, patches.rows()}, [&](std::size_t d, std::size_t h, std::size_t w) {
    const float* const patch = patches.row(row++);
    const Size3 output{d, h, w};
    for (std::size_t tap = of_patch.begin / product.channels;
         tap * product.channels < of_patch.end(); ++tap) {
      const Size3 at{tap / shape.kernel[2] / shape.kernel[1],
                     tap / shape.kernel[2] % shape.kernel[1], tap % shape.kernel[2]};
      std::size_t pixel = 0;
      bool inside = true;
      for (std::size_t i = 0; i < 3; ++i) {
        const std::ptrdiff_t position =
            band_box.first[i] +
            static_cast<std::ptrdiff_t>(output[i] * shape.stride[i] + at[i] * shape.dilation[i]);
        inside = inside && position >= 0 && position < static_cast<std::ptrdiff_t>(image_size[i]);
        pixel = pixel * image_size[i] + static_cast<std::size_t>(position);
      }
      if (!inside) continue;
      // Channels of the tap that are this task's, and of this part of the patch.
      const std::size_t first = tap * product.channels;
      const std::size_t begin = std::max(of_patch.begin, first + channels.begin);
      const std::size_t end = std::min(of_patch.end(), first + channels.end());
      float* const to = image + pixel * shape.channels + product.first_channel;
      for (std::size_t k = begin; k < end; ++k) to[k - first] += patch[k - of_patch.begin];
    }
  });
}

/// The key of a product's weights, whose first row is that output.
inline NoiseKey key_of_output(const NoiseKey& key, std::size_t output) {
  return {key.seed, key.stream, key.row_offset + output};
}

/// The product's matrix back in torch's order (filter_matrix()).
inline void filters_of_matrix(MatrixView<const float> matrix, const Convolution& shape,
                              std::size_t index, MatrixView<float> filters) {
  const Convolution::Product own = shape.product(index);
  const std::size_t in_group = shape.channels / shape.groups, taps = shape.taps();
  for (std::size_t row = 0; row < matrix.rows(); ++row) {
    const std::size_t output = own.first_output + row;
    const std::size_t first =
        output / (shape.outputs / shape.groups) * in_group - own.first_channel;
    for (std::size_t k = 0; k < filters.cols(); ++k) {
      filters(output, k) = matrix(row, k % taps * own.channels + first + k / taps);
    }
  }
}

/// Where the gradient by a pixel is 0: behind the DAC's range.
template <class Dac>
bool pixel_passes(const Dac& dac, float x) {
  if constexpr (std::is_same_v<Dac, NoDac>) {
    return true;
  } else if constexpr (AnyQuantizer<Dac>) {
    return x >= dac.lo() && x <= dac.hi();
  } else {  // a patch that has chosen its range itself has no input beyond it
    return dac.noise_management != NoiseManagement::none || std::fabs(x) <= dac.range;
  }
}

/// The two products of a convolution, given the gradient by what they yield, of a product and, on
/// arrays, of a part of its inputs.
template <class Pass, class Products>
class PatchGradients {
 public:
  using X = std::remove_const_t<std::remove_pointer_t<decltype(Pass::x.data)>>;
  using Pixels = typename Products::Pixels;
  using Element = typename Pixels::Element;

  PatchGradients(const Pass& pass, const Products& products, MatrixView<float> filters,
                 float* pixels, ConvolutionBackwardWorkspace& memory)
      : pass_(pass),
        products_(products),
        filters_(filters),
        pixels_(pixels),
        memory_(memory),
        plan_(pass.shape, pass.x.size, pass.x.batch, most_rows(pass.shape), kTooMany,
              sizeof(Element)) {}

  /// Room for a piece. False: there is no memory, which is reported.
  bool reserve() {
    const Convolution& shape = pass_.shape;
    const std::size_t rows = most_rows(shape), patch = largest_patch(shape);
    turned_bytes_ = round_up(kTurnedPixels * shape.channels * sizeof(X), kCacheLine);
    return (filters_.data() == nullptr ||
            memory_.filters.grow_to(first_weight(shape.products()))) &&
           memory_.band.grow_to(turned_bytes_ +
                                size_product(plan_.band_elements(), sizeof(Element)) +
                                kBehindRuns) &&
           memory_.patches.grow_to(size_product(rows, stride_of(patch), sizeof(Element)) +
                                   kBehindRuns) &&
           (pixels_ == nullptr || memory_.patch_gradients.grow_to(size_product(rows, patch)));
  }

  /// `gradient` [rows, the product's outputs]; `inputs`: which of its patches'; pack_weights(to),
  /// pack_inputs(patches): for the two products.
  template <class PackWeights, class PackInputs, class WeightStages, class Executor>
  bool add(std::size_t index, MatrixView<const float> gradient, const Range& inputs,
           const PackWeights& pack_weights, const PackInputs& pack_inputs,
           const WeightStages& weight_stages, const NoiseKey& weight_key,
           const Executor& executor) {
    const Convolution& shape = pass_.shape;
    const Convolution::Product own = shape.product(index);
    const std::size_t depth = shape.taps() * own.channels;
    const MatrixView<float> matrix(memory_.filters.data() + first_weight(index) + inputs.begin,
                                   own.outputs, inputs.size, depth);
    if (pixels_ != nullptr) pack_weights(memory_.products.weights);
    for (std::size_t task = 0; task < plan_.tasks(); ++task) {
      const OutputBox box = plan_.box(task);
      const BandBox band_box = plan_.band(box);
      const std::size_t rows = box.rows();
      const MatrixView<const float> own_gradient(gradient.row(plan_.first_row(box)), rows,
                                                 own.outputs, gradient.row_stride());
      if (filters_.data() != nullptr) {
        const MatrixView<const Element> patches = gather(own, box, band_box);
        const MatrixView<const Element> part(patches.data() + inputs.begin, rows, inputs.size,
                                             patches.row_stride());
        if (!pack_inputs(part, memory_.products)) return false;
        const TransposedRows by_output(own_gradient);
        const auto panels = panels_of(memory_.products.inputs);
        const auto multiply = [&](const auto& stages) {
          const auto with = [&](const auto& problem) {
            return run(problem, matrix, stages, NoObserver(), weight_key, executor);
          };
          return task == 0
                     ? with(float_problem(by_output, panels))
                     : with(make_problem<FloatKernel>(by_output, panels, ContinuedSums(matrix)));
        };
        const bool ran = task + 1 == plan_.tasks() ? multiply(weight_stages) : multiply(epilogue());
        if (!ran) return false;
      }
      if (pixels_ != nullptr) {
        const MatrixView<float> by_patch(memory_.patch_gradients.data(), rows, inputs.size);
        if (!run(float_problem(MatrixRows(own_gradient), panels_of(memory_.products.weights)),
                 by_patch, epilogue(), NoObserver(), NoiseKey{}, executor)) {
          return false;
        }
        constexpr std::size_t kChannels = 32;
        run_tasks(executor, rows * inputs.size >= Thresholds::gradients_worth_threads,
                  ceil_div(own.channels, kChannels), [&](std::size_t part) {
                    const std::size_t first = part * kChannels;
                    fold_patches(shape, own, inputs, box, band_box, by_patch,
                                 {first, std::min(kChannels, own.channels - first)}, pass_.x.size,
                                 pixels_ + box.image * pass_.x.pixels() * shape.channels);
                  });
      }
    }
    return true;
  }
  /// After all products and inputs.
  void store_filters() const {
    if (filters_.data() == nullptr) return;
    if (plan_.tasks() == 0)
      std::fill_n(memory_.filters.data(), first_weight(pass_.shape.products()), 0.0f);
    for (std::size_t i = 0; i < pass_.shape.products(); ++i) {
      const Convolution::Product own = pass_.shape.product(i);
      filters_of_matrix({memory_.filters.data() + first_weight(i), own.outputs,
                         pass_.shape.taps() * own.channels},
                        pass_.shape, i, filters_);
    }
  }

 private:
  static std::size_t largest_patch(const Convolution& shape) {
    std::size_t patch = 1;
    for (std::size_t i = 0; i < shape.products(); ++i) {
      patch = std::max(patch, shape.taps() * shape.product(i).channels);
    }
    return patch;
  }
  /// Of a piece's patches: 2^20 inputs, or a row.
  static std::size_t most_rows(const Convolution& shape) {
    return std::max<std::size_t>(1, (std::size_t{1} << 20) / largest_patch(shape));
  }
  /// Where a product's matrix begins.
  std::size_t first_weight(std::size_t product) const {
    std::size_t result = 0;
    for (std::size_t i = 0; i < product; ++i) {
      const Convolution::Product own = pass_.shape.product(i);
      result += own.outputs * pass_.shape.taps() * own.channels;
    }
    return result;
  }
  static std::size_t stride_of(std::size_t depth) {
    return ConvolutionPlan::patch_stride(depth, sizeof(Element));
  }
  MatrixView<const Element> gather(const Convolution::Product& product, const OutputBox& box,
                                   const BandBox& band_box) {
    const std::size_t depth = pass_.shape.taps() * product.channels;
    auto* const band = reinterpret_cast<Element*>(memory_.band.data() + turned_bytes_);
    auto* const patches = reinterpret_cast<Element*>(memory_.patches.data());
    read_band(pass_.x, box.image, band_box, products_.pixels(),
              reinterpret_cast<X*>(memory_.band.data()), band);
    gather_patches(pass_.shape, product, box, band_box, {0, box.rows()},
                   static_cast<const Element*>(band), patches, stride_of(depth));
    return {patches, box.rows(), depth, stride_of(depth)};
  }

  const Pass& pass_;
  const Products& products_;
  MatrixView<float> filters_;
  float* pixels_;
  ConvolutionBackwardWorkspace& memory_;
  ConvolutionPlan plan_;
  std::size_t turned_bytes_ = 0;
};

/// grad_y as rows of outputs.
inline MatrixView<const float> rows_of_images(const ImageView<const float>& images,
                                              AlignedBuffer<float>& memory) {
  const std::size_t rows = size_product(images.batch, images.pixels()), cols = images.channels;
  if (images.layout == ImageLayout::channels_last) return {images.data, rows, cols};
  if (!memory.grow_to(size_product(rows, cols))) return {};
  const std::size_t pixels = images.pixels();
  for (std::size_t n = 0; n < images.batch; ++n) {
    turn(images.data + n * cols * pixels, pixels, cols, pixels, memory.data() + n * pixels * cols,
         cols);
  }
  return {memory.data(), rows, cols};
}

/// The gradients by pixels, channels last, 0 where the DAC clipped, to where they are wanted.
template <class X, class Dac>
void store_pixel_gradients(const ImageView<const X>& x, const Dac& dac, float* pixels,
                           const ImageView<float>& to) {
  const std::size_t count = x.pixels(), channels = x.channels;
  for (std::size_t n = 0; n < x.batch; ++n) {
    float* const own = pixels + n * count * channels;
    if constexpr (std::is_same_v<X, float> && !std::is_same_v<Dac, NoDac>) {
      const float* const image = x.data + n * count * channels;
      for (std::size_t i = 0; i < count * channels; ++i) {
        const std::size_t pixel = i / channels, channel = i % channels;
        const float value =
            image[x.layout == ImageLayout::channels_last ? i : channel * count + pixel];
        if (!pixel_passes(dac, value)) own[i] = 0.0f;
      }
    }
    if (own != to.data + n * count * channels) {
      turn<float>(own, channels, count, channels, to.data + n * count * channels, count);
    }
  }
}

/// Reports the first thing wrong with a backward pass whose images and weights fit.
template <class X>
bool image_gradients_valid(const ImageView<const X>& x, const ImageView<const float>& grad_y,
                           const Convolution& shape, const ImageGradients& gradients, bool has_bias,
                           std::size_t gates, const ForwardRecord& record) {
  const auto refuse = [&](auto... what) __attribute__((noinline)) {
    Message message;
    message << "lumina::backward: x is " << x.batch << " images of " << x.channels << " channels, "
            << x.size << "; ";
    ((message << what), ...);
    return report_false(message);
  };
  const ImageView<float>& input = gradients.input;
  if (input.data != nullptr &&
      (input.batch != x.batch || input.channels != x.channels || input.size != x.size)) {
    return refuse("the gradient by the input is ", input.batch, " of ", input.channels, ", ",
                  input.size);
  }
  const MatrixView<float> filters = gradients.filters;
  if (filters.data() != nullptr &&
      (filters.rows() != shape.outputs || filters.cols() != shape.filter_size())) {
    return refuse("the gradient by the filters is ", Shape{filters.rows(), filters.cols()},
                  " and must be ", Shape{shape.outputs, shape.filter_size()});
  }
  if (!gradients.bias.empty()) {
    if (!has_bias) return refuse("a gradient by the bias is wanted, but there is no AddBias");
    if (gradients.bias.size() != shape.outputs) {
      return refuse("the gradient by the bias is ", gradients.bias.size(), " numbers, not ",
                    shape.outputs);
    }
  }
  const MatrixView<float> arrays[] = {{input.data, 1, input.data != nullptr ? input.elements() : 0},
                                      filters.data() != nullptr ? filters : MatrixView<float>(),
                                      {gradients.bias.data(), 1, gradients.bias.size()}};
  for (std::size_t i = 0; i < 3; ++i) {
    bool apart = !overlap(arrays[i], MatrixView<const X>(x.data, 1, x.elements())) &&
                 !overlap(arrays[i], MatrixView<const float>(grad_y.data, 1, grad_y.elements()));
    for (std::size_t j = 0; j < i; ++j) apart = apart && !overlap(arrays[i], arrays[j]);
    if (!apart) return refuse("a gradient overlaps x, grad_y or another one");
  }
  const std::size_t rows = size_product(grad_y.batch, grad_y.pixels());
  if (record.filled() && record.rows() == rows && record.cols() == shape.outputs &&
      record.gates() == gates) {
    return true;
  }
  return refuse("there was no forward pass: the record is ",
                record.filled() ? "for " : "empty, for ", Shape{record.rows(), record.cols()},
                " with ", record.gates(), " gates");
}

/// Where the gradients by pixels are added up: in place, or in the workspace; null: they are not
/// wanted. False: there is no memory, which is reported.
inline bool pixel_memory(const ImageGradients& gradients, ConvolutionBackwardWorkspace& workspace,
                         float*& pixels) {
  const ImageView<float>& input = gradients.input;
  pixels = input.data;
  if (pixels == nullptr) return true;
  if (input.layout == ImageLayout::channels_first && input.channels != 1) {
    if (!workspace.pixels.grow_to(input.elements())) return false;
    pixels = workspace.pixels.data();
  }
  std::fill_n(pixels, input.elements(), 0.0f);
  return true;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
