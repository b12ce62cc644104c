// How a convolution's patches become outputs: the plain products and those on arrays; and what may
// be wrong with a call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "../../config.hpp"
#include "../../convolution.hpp"
#include "../../executor.hpp"
#include "../../quantizer.hpp"
#include "../../weights.hpp"
#include "../base/message.hpp"
#include "../rows/array_input.hpp"
#include "../rows/codes.hpp"
#include "../rows/patches.hpp"
#include "array_call.hpp"
#include "call.hpp"
#include "checks.hpp"
#include "convolution_loop.hpp"
#include "float_weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A convolution's weights: those of its products, or where there is one, its own.
template <class Weights>
auto weights_of_products(const Weights& weights) {
  if constexpr (requires {
                  weights.data();
                  weights[0].rows();
                }) {
    return std::span<const typename Weights::value_type>(weights.data(), weights.size());
  } else {
    return std::span<const Weights>(&weights, 1);
  }
}
template <class Weights>
using WeightsOfProduct =
    typename decltype(weights_of_products(std::declval<const Weights&>()))::value_type;

/// Products of floats, `Dac` perhaps NoDac; or of codes.
template <class X, class Dac, class Weights, class Stages, class Observer>
struct PlainProducts {
  static constexpr bool kCodes = !std::is_same_v<Weights, PackedWeights>;
  static constexpr bool kNoDac = !AnyQuantizer<Dac>;
  using Pixels = std::conditional_t<
      kCodes, std::conditional_t<std::is_same_v<X, float>, EncodedPixels, CopiedPixels<X>>,
      std::conditional_t<kNoDac, CopiedPixels<float>, QuantizedPixels>>;
  using Element = typename Pixels::Element;

  const Dac& dac;
  std::span<const Weights> weights;
  const Stages& stages;
  const Observer& observer;
  const NoiseKey& key;

  Pixels pixels() const {
    if constexpr (kNoDac) {
      return Pixels{0.0f};
    } else if constexpr (kCodes && !std::is_same_v<X, float>) {
      return Pixels{code_of_zero(dac)};
    } else {
      return Pixels(dac);
    }
  }
  template <class Y>
  bool valid(const Shape& patches, MatrixView<Y> y) const {
    const Shape w{y.cols(), patches.cols};
    if constexpr (kCodes) {
      if (!codes_valid(dac, patches, w, y, stages)) return false;
      for (const Weights& own : weights) {
        if (!weights_aligned(own)) return false;
      }
    }
    return stage_valid_for(stages, y.rows(), y.cols());
  }
  std::size_t workspace_bytes(std::size_t rows, std::size_t depth) const {
    return kCodes ? CodedScratch::bytes(rows, depth) : FloatScratch::bytes(rows, depth);
  }
  /// Pixels that are patches themselves.
  template <class Y, class Executor>
  bool multiply_pixels(MatrixView<const X> x, MatrixView<Y> y, const Executor& executor) const {
    if constexpr (kNoDac) {
      return call(x, weights[0], y, stages, observer, key, executor);
    } else {
      return call(x, dac, weights[0], y, stages, observer, key, executor);
    }
  }
  template <class Y, class Executor>
  bool multiply(std::size_t product, MatrixView<const Element> x, MatrixView<Y> y,
                const Origin& origin, const Executor& executor) const {
    if constexpr (kCodes) {
      using Rows = std::conditional_t<CodesInPlace<Native>::possible, CodesInPlace<Native>,
                                      EncodedRows<Native, Element>>;
      const auto rows = [&] {
        if constexpr (CodesInPlace<Native>::possible) {
          return Rows(x);
        } else {
          return Rows(x, dac);
        }
      }();
      return run(coded_problem(rows, dac, weights[product], origin), y, stages, observer, key,
                 executor);
    } else {
      return run(float_problem(MatrixRows(x), panels_of(weights[product]), origin), y, stages,
                 observer, key, executor);
    }
  }
};

/// Products on arrays. Where each patch has a DAC of its own, or codes are not multiplied, it is
/// behind the patches.
template <class X, class Dac, class Weights, class InArray, class ArrayObserver, class Behind,
          class OutputObserver>
struct ArrayProducts {
  static constexpr bool kEncodes = AnyQuantizer<Dac> && !std::is_same_v<Weights, TiledFloats>;
  using Pixels =
      std::conditional_t<kEncodes && std::is_same_v<X, float>, EncodedPixels, CopiedPixels<X>>;
  using Element = typename Pixels::Element;

  const Dac& dac;
  std::span<const Weights> weights;
  const InArray& in_array;
  const ArrayObserver& array_observer;
  const Behind& behind;
  const OutputObserver& output_observer;
  const NoiseKey& key;

  Pixels pixels() const {
    if constexpr (std::is_same_v<Pixels, EncodedPixels>) {
      return Pixels(dac);
    } else if constexpr (!std::is_same_v<X, float>) {
      return Pixels{code_of_zero(ideal_dac(dac))};
    } else {
      return Pixels{0.0f};
    }
  }
  template <class Y>
  bool valid(const Shape& patches, MatrixView<Y> y) const {
    for (const Weights& own : weights) {
      if (!array_stages_valid(patches, dac, own, y, in_array, behind)) return false;
    }
    return true;
  }
  std::size_t workspace_bytes(std::size_t rows, std::size_t) const {
    using Parts = ArrayParts<Weights, Element, InputOf<Dac>, InArray>;
    std::size_t most = 0;
    for (const Weights& own : weights) {
      most = std::max(most, ArrayLayout<typename Parts::Kernel, typename Parts::Rows>::bytes(
                                rows, own.panels().inputs));
    }
    return most;
  }
  template <class Y, class Executor>
  bool multiply_pixels(MatrixView<const X> x, MatrixView<Y> y, const Executor& executor) const {
    return run_arrays(x, dac, weights[0], y, in_array, array_observer, behind, output_observer, key,
                      executor);
  }
  template <class Y, class Executor>
  bool multiply(std::size_t product, MatrixView<const Element> x, MatrixView<Y> y,
                const Origin& origin, const Executor& executor) const {
    return run_arrays(x, dac, weights[product], y, in_array, array_observer, behind,
                      output_observer, key, executor, origin);
  }
};

/// Sizes as errors print them: "2 x 3 x 4".
inline Message& operator<<(Message& message, const Size3& size) {
  return message << size[0] << " x " << size[1] << " x " << size[2];
}

/// Reports the first thing wrong with the images and the weights of a convolution.
template <class X, class Weights, class Y>
bool convolution_valid(const ImageView<const X>& x, std::span<const Weights> weights,
                       const ImageView<Y>& y, const Convolution& shape) {
  const auto refuse = [&](auto... what) __attribute__((noinline)) {
    Message message;
    message << "lumina::fused_convolution: x is " << x.batch << " images of " << x.channels
            << " channels, " << x.size << "; the kernel is " << shape.kernel;
    ((message << what), ...);
    return report_false(message);
  };
  for (std::size_t i = 0; i < 3; ++i) {
    if (shape.kernel[i] == 0 || shape.stride[i] == 0 || shape.dilation[i] == 0) {
      return refuse("; its sizes, strides and dilations must be at least 1");
    }
    constexpr std::size_t kMost = std::size_t{1} << 24;
    if (shape.kernel[i] > kMost || shape.stride[i] > kMost || shape.dilation[i] > kMost ||
        shape.padding[i] > kMost || x.size[i] > kTooMany / 4) {
      return refuse("; sizes, strides, paddings and dilations must be at most ", kMost);
    }
  }
  if (shape.groups == 0 || shape.channels % shape.groups != 0 ||
      shape.outputs % shape.groups != 0) {
    return refuse("; ", shape.groups, " groups must divide ", shape.channels, " channels and ",
                  shape.outputs, " outputs");
  }
  if (x.channels != shape.channels) {
    return refuse("; the convolution has ", shape.channels, " channels");
  }
  const Size3 out = shape.output_size(x.size);
  for (std::size_t i = 0; i < 3; ++i) {
    if (out[i] == 0) {
      return refuse(", dilated by ", shape.dilation, ": larger than the image, which is padded by ",
                    shape.padding);
    }
  }
  if (y.batch != x.batch || y.channels != shape.outputs || y.size != out) {
    return refuse("; y is ", y.batch, " images of ", y.channels, " channels, ", y.size,
                  "; it needs ", x.batch, " of ", shape.outputs, ", ", out);
  }
  if (size_product(x.elements(), sizeof(X)) == kTooMany ||
      size_product(y.elements(), sizeof(Y)) == kTooMany ||
      size_product(shape.taps(), shape.channels) > kTooMany / 8) {
    return refuse("; x or y (", y.size, ") are more bytes than memory has addresses");
  }
  if (y.elements() != 0 && (y.data == nullptr || (x.data == nullptr && x.elements() != 0))) {
    return refuse("; the data of x or y is missing");
  }
  if (overlap(MatrixView<const X>(x.data, 1, x.elements()),
              MatrixView<Y>(y.data, 1, y.elements()))) {
    return refuse("; x and y overlap");
  }
  if (weights.size() != shape.products()) {
    return refuse("; there are the weights of ", weights.size(), " products, it is ",
                  shape.products());
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const Convolution::Product own = shape.product(i);
    const Shape needed{own.outputs, size_product(shape.taps(), own.channels)};
    if (weights[i].rows() != needed.rows || weights[i].cols() != needed.cols) {
      return refuse("; the weights are ", Shape{weights[i].rows(), weights[i].cols()},
                    ", it needs ", needed);
    }
  }
  return true;
}

/// The most inputs of a product.
template <class Weights>
std::size_t deepest(std::span<const Weights> weights) {
  std::size_t depth = 0;
  for (const Weights& own : weights) depth = std::max(depth, own.cols());
  return depth;
}

/// y = what `products` make of the patches of x.
template <class X, class Y, class Products, class Executor>
bool call_convolution(const ImageView<const X>& x, const ImageView<Y>& y, const Convolution& shape,
                      const Products& products, const Executor& executor) {
  if (!convolution_valid(x, products.weights, y, shape)) return false;
  const std::size_t rows = size_product(y.batch, y.pixels());
  return products.valid(Shape{rows, deepest(products.weights)},
                        MatrixView<Y>(y.data, rows, shape.outputs)) &&
         run_convolution(x, y, shape, products, executor);
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
