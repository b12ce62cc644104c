// Convolutions of one, two or three dimensions: images, the shape of a convolution, and its filters
// as weights of rows. A convolution is a product: each pixel of the result is a row of y, whose
// inputs are the pixels under the kernel, a patch.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/base/range.hpp"
#include "detail/layout/code_panels.hpp"
#include "detail/layout/float_panels.hpp"
#include "matrix.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// How pixels and channels lie in memory, image after image: NCHW or NHWC (with one or three
/// dimensions NCL, NLC, NCDHW, NDHWC).
enum class ImageLayout { channels_first, channels_last };

/// Depth, height and width; what has fewer dimensions has 1 in front.
using Size3 = std::array<std::size_t, 3>;

/// `batch` images in one piece of memory. Copying a view copies no pixels.
template <class T>
struct ImageView {
  T* data = nullptr;
  std::size_t batch = 0, channels = 0;
  Size3 size = {1, 1, 1};
  ImageLayout layout = ImageLayout::channels_first;

  /// Of one image.
  constexpr std::size_t pixels() const { return detail::size_product(size[0], size[1], size[2]); }
  constexpr std::size_t elements() const {
    return detail::size_product(batch, channels, size[0], size[1], size[2]);
  }
  /// Element (n, c, d, h, w).
  constexpr T& operator()(std::size_t n, std::size_t c, std::size_t d, std::size_t h,
                          std::size_t w) const {
    const std::size_t pixel = (d * size[1] + h) * size[2] + w;
    return layout == ImageLayout::channels_first ? data[(n * channels + c) * pixels() + pixel]
                                                 : data[(n * pixels() + pixel) * channels + c];
  }
  constexpr operator ImageView<const T>() const requires(!std::is_const_v<T>) {
    return {data, batch, channels, size, layout};
  }
};

/// The shape of a convolution, as torch.nn.Conv3d has it. All sizes of a kernel, strides and
/// dilations are at least 1; `groups` divides channels and outputs.
struct Convolution {
  std::size_t channels, outputs;
  Size3 kernel;
  Size3 stride = {1, 1, 1}, padding = {0, 0, 0}, dilation = {1, 1, 1};
  std::size_t groups = 1;

  constexpr std::size_t taps() const {
    return detail::size_product(kernel[0], kernel[1], kernel[2]);
  }
  /// Inputs of an output: columns of its filters.
  constexpr std::size_t filter_size() const {
    return detail::size_product(channels / groups, taps());
  }
  /// Of the result of an image; 0 where the kernel is larger than the padded image.
  constexpr Size3 output_size(const Size3& image) const {
    Size3 result{};
    for (std::size_t i = 0; i < 3; ++i) {
      const std::size_t reach = (kernel[i] - 1) * dilation[i] + 1,
                        padded = image[i] + 2 * padding[i];
      result[i] = padded < reach ? 0 : (padded - reach) / stride[i] + 1;
    }
    return result;
  }

  /// How many products it is. With several groups each 128 outputs are one, of the channels of all
  /// of their groups, with weights of 0 where a channel is not the output's group's.
  constexpr std::size_t products() const {
    return groups == 1 ? 1 : detail::ceil_div(outputs, detail::kBlockColumns);
  }
  struct Product {
    std::size_t first_output, outputs, first_channel, channels;
  };
  constexpr Product product(std::size_t index) const {
    if (groups == 1) return {0, outputs, 0, channels};
    const std::size_t first = index * detail::kBlockColumns;
    const std::size_t end =
        first + detail::kBlockColumns < outputs ? first + detail::kBlockColumns : outputs;
    const std::size_t of_group = outputs / groups, in_group = channels / groups;
    const std::size_t first_group = first / of_group, end_group = (end - 1) / of_group + 1;
    return {first, end - first, first_group * in_group, (end_group - first_group) * in_group};
  }
};

namespace detail {

inline bool filters_valid(MatrixView<const float> filters, const Convolution& convolution) {
  const std::size_t groups = convolution.groups;
  if (groups != 0 && convolution.outputs != 0 && convolution.channels % groups == 0 &&
      convolution.outputs % groups == 0 && filters.rows() == convolution.outputs &&
      filters.cols() == convolution.filter_size() &&
      (filters.data() != nullptr || filters.cols() == 0)) {
    return true;
  }
  report_error((Message() << "lumina::filter_matrix: filters are "
                          << Shape{filters.rows(), filters.cols()}
                          << (filters.data() == nullptr ? ", their data is missing" : "") << "; "
                          << convolution.channels << " channels and " << convolution.outputs
                          << " outputs in " << groups << " groups with " << convolution.taps()
                          << " taps need [outputs, channels / groups * taps] without rest")
                   .c_str());
  return false;
}

/// filter_matrix() to `to`, which has its shape.
inline void write_filter_matrix(MatrixView<const float> filters, const Convolution& convolution,
                                std::size_t product, MatrixView<float> to) {
  const Convolution::Product own = convolution.product(product);
  const std::size_t in_group = convolution.channels / convolution.groups,
                    of_group = convolution.outputs / convolution.groups, taps = convolution.taps();
  for (std::size_t row = 0; row < to.rows(); ++row) {
    const std::size_t output = own.first_output + row;
    const std::size_t first = output / of_group * in_group - own.first_channel;
    std::fill_n(to.row(row), to.cols(), 0.0f);
    for (std::size_t channel = 0; channel < in_group; ++channel) {
      for (std::size_t tap = 0; tap < taps; ++tap) {
        to(row, tap * own.channels + first + channel) = filters(output, channel * taps + tap);
      }
    }
  }
}

}  // namespace detail

/// Filters [outputs, channels / groups · taps], in torch's order (input = channel·taps + tap, tap =
/// (d·kernel height + h)·kernel width + w), as the weights of a product [its outputs, taps · its
/// channels]: input = tap·channels + channel. Errors: filters of another shape, without data;
/// groups that do not divide; the result is empty then.
inline Matrix<float> filter_matrix(MatrixView<const float> filters, const Convolution& convolution,
                                   std::size_t product = 0) {
  if (!detail::filters_valid(filters, convolution)) return {};
  const Convolution::Product own = convolution.product(product);
  Matrix<float> result(own.outputs, convolution.taps() * own.channels);
  detail::write_filter_matrix(filters, convolution, product, result);
  return result;
}

/// The weights of all of a convolution's products: make(w, first_output) of each, w [outputs, in]
/// of filter_matrix(); say
///   convolution_weights(filters, convolution,
///                       [](MatrixView<const float> w, std::size_t) { return encode_weights<8>(w);
///                       });
template <class Make>
auto convolution_weights(MatrixView<const float> filters, const Convolution& convolution,
                         const Make& make) {
  using Weights = decltype(make(MatrixView<const float>(), std::size_t{}));
  std::vector<Weights> result;
  if (!detail::filters_valid(filters, convolution)) return result;
  for (std::size_t i = 0; i < convolution.products(); ++i) {
    const Matrix<float> w = filter_matrix(filters, convolution, i);
    result.push_back(make(MatrixView<const float>(w), convolution.product(i).first_output));
  }
  return result;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
