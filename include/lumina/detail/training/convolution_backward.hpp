// The way back through a convolution: the gradient by its products, from which those by filters and
// by pixels come, some patches at a time, in a fixed order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../convolution.hpp"
#include "../../convolution_gradients.hpp"
#include "../../forward_record.hpp"
#include "../../gradients.hpp"
#include "../../matrix.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/message.hpp"
#include "../engine/convolution_call.hpp"
#include "../engine/convolution_loop.hpp"
#include "../engine/convolution_plan.hpp"
#include "../engine/tasks.hpp"
#include "../rows/patches.hpp"
#include "checks.hpp"
#include "integer_split.hpp"
#include "patch_products.hpp"
#include "pixel_gradients.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

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

/// The most inputs of a product's patch.
inline std::size_t largest_patch(const Convolution& shape) {
  std::size_t patch = 1;
  for (std::size_t i = 0; i < shape.products(); ++i) {
    patch = std::max(patch, shape.taps() * shape.product(i).channels);
  }
  return patch;
}
/// The rows of a piece, whose patches are gathered at once, near the core: of 2^18 inputs, 1024 at
/// most, one at least.
inline std::size_t most_patch_rows(const Convolution& shape) {
  return std::clamp<std::size_t>((std::size_t{1} << 18) / largest_patch(shape), 1, 1024);
}

/// The gradients of a convolution, given the one by what its products yield, of a product and, on
/// arrays, of a part of its inputs. `Products`: how patches are made.
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
        most_rows_(most_patch_rows(pass.shape)),
        plan_(pass.shape, pass.x.size, pass.x.batch, most_rows_, kTooMany, sizeof(Element)) {}

  /// Room for a piece. False: there is no memory, which is reported.
  bool reserve() {
    const Convolution& shape = pass_.shape;
    const std::size_t patch = largest_patch(shape);
    turned_bytes_ = round_up(kTurnedPixels * shape.channels * sizeof(X), kCacheLine);
    return (filters_.data() == nullptr ||
            memory_.filters.grow_to(first_weight(shape.products()))) &&
           memory_.band.grow_to(turned_bytes_ +
                                size_product(plan_.band_elements(), sizeof(Element)) +
                                kBehindRuns) &&
           memory_.patches.grow_to(size_product(most_rows_, stride_of(patch), sizeof(Element)) +
                                   kBehindRuns) &&
           (pixels_ == nullptr || memory_.patch_gradients.grow_to(size_product(most_rows_, patch)));
  }

  /// `gradient` [rows, the product's outputs]; `inputs`: which of its patches'; `multiply`: the two
  /// products.
  template <class Multiply, class WeightStages, class Executor>
  bool add(std::size_t index, MatrixView<const float> gradient, const Range& inputs,
           Multiply&& multiply, const WeightStages& weight_stages, const NoiseKey& weight_key,
           const Executor& executor) {
    const Convolution& shape = pass_.shape;
    const Convolution::Product own = shape.product(index);
    const std::size_t depth = shape.taps() * own.channels;
    const MatrixView<float> matrix(memory_.filters.data() + first_weight(index) + inputs.begin,
                                   own.outputs, inputs.size, depth);
    if (pixels_ != nullptr && !multiply.prepare_weights(most_rows_, executor)) return false;
    for (std::size_t task = 0; task < plan_.tasks();) {
      const auto piece = plan_.piece(task, multiply.joins_tasks ? most_rows_ : 0);
      task = piece.tasks.end();
      const std::size_t rows = piece.rows.size;
      const MatrixView<const float> own_gradient(gradient.row(piece.rows.begin), rows, own.outputs,
                                                 gradient.row_stride());
      if (filters_.data() != nullptr) {
        const MatrixView<const Element> patches = gather(own, piece);
        const MatrixView<const Element> part(patches.data() + inputs.begin, rows, inputs.size,
                                             patches.row_stride());
        if (!multiply.by_weights(own_gradient, part, piece.rows, task == plan_.tasks(), matrix,
                                 weight_stages, weight_key, executor)) {
          return false;
        }
      }
      if (pixels_ != nullptr) {
        const MatrixView<float> by_patch(memory_.patch_gradients.data(), rows, inputs.size);
        if (!multiply.by_patches(own_gradient, piece.rows, by_patch, executor)) return false;
        fold(own, piece, inputs, by_patch, executor);
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
  MatrixView<const Element> gather(const Convolution::Product& product,
                                   const ConvolutionPlan::Piece& piece) {
    const std::size_t depth = pass_.shape.taps() * product.channels, stride = stride_of(depth);
    auto* const band = reinterpret_cast<Element*>(memory_.band.data() + turned_bytes_);
    auto* const patches = reinterpret_cast<Element*>(memory_.patches.data());
    for_each_box(piece, [&](const OutputBox& box, std::size_t row) {
      const BandBox band_box = plan_.band(box);
      read_band(pass_.x, box.image, band_box, products_.pixels(),
                reinterpret_cast<X*>(memory_.band.data()), band);
      gather_patches(pass_.shape, product, box, band_box, {0, box.rows()},
                     static_cast<const Element*>(band), patches + row * stride, stride);
    });
    return {patches, piece.rows.size, depth, stride};
  }
  /// Adds the gradients by a piece's patches, or of that part of them, to the pixels.
  template <class Executor>
  void fold(const Convolution::Product& product, const ConvolutionPlan::Piece& piece,
            const Range& inputs, MatrixView<const float> by_patch, const Executor& executor) const {
    constexpr std::size_t kChannels = 32;
    run_tasks(executor, by_patch.rows() * inputs.size >= Thresholds::gradients_worth_threads,
              ceil_div(product.channels, kChannels), [&](std::size_t part) {
                const std::size_t first = part * kChannels;
                const Range channels{first, std::min(kChannels, product.channels - first)};
                for_each_box(piece, [&](const OutputBox& box, std::size_t row) {
                  const MatrixView<const float> own(by_patch.row(row), box.rows(), inputs.size,
                                                    by_patch.row_stride());
                  fold_patches(pass_.shape, product, inputs, box, plan_.band(box), own, channels,
                               pass_.x.size,
                               pixels_ + box.image * pass_.x.pixels() * pass_.shape.channels);
                });
              });
  }
  /// f(a task's box, its first row in the piece), in order.
  template <class F>
  void for_each_box(const ConvolutionPlan::Piece& piece, const F& f) const {
    for (std::size_t task = piece.tasks.begin; task < piece.tasks.end(); ++task) {
      const OutputBox box = plan_.box(task);
      f(box, plan_.first_row(box) - piece.rows.begin);
    }
  }

  const Pass& pass_;
  const Products& products_;
  MatrixView<float> filters_;
  float* pixels_;
  ConvolutionBackwardWorkspace& memory_;
  std::size_t most_rows_;
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

/// Reports more outputs than IntegerSplitProducts have sums for.
inline bool split_outputs_valid(const Convolution& shape, const ImageGradients& gradients) {
  const std::size_t outputs = shape.product(0).outputs;
  if (gradients.input.data == nullptr || outputs <= kMostSplitDepth) return true;
  return report_false(Message() << "lumina::backward: the convolution's product has " << outputs
                                << " outputs; with IntegerSplitProducts there are at most "
                                << kMostSplitDepth);
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
