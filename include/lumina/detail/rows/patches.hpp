// Patches: the pixels under a convolution's kernel, gathered row by row from a band of the image,
// in which each pixel has met the DAC once, channel beside channel.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../config.hpp"
#include "../../convolution.hpp"
#include "../../quantizer.hpp"
#include "../base/prefetch.hpp"
#include "../isa/native.hpp"
#include "../simd/transpose.hpp"
#include "encoded.hpp"
#include "quantized.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What becomes of pixels in a band. `zero`: of those that padding adds.
template <class T>
struct CopiedPixels {
  using Element = T;
  T zero;

  void operator()(const T* from, std::size_t count, T* to) const { std::copy_n(from, count, to); }
};
/// The code, counted from the lowest one, that a DAC makes of 0. (A SymmetricQuantizer's own
/// encode() has a sign.)
inline std::uint8_t code_of_zero(const UniformQuantizer& dac) {
  return static_cast<std::uint8_t>(dac.encode(0.0f));
}
struct EncodedPixels {
  using Element = std::uint8_t;
  UniformQuantizer dac;
  std::uint8_t zero;

  explicit EncodedPixels(const UniformQuantizer& quantizer)
      : dac(quantizer), zero(code_of_zero(quantizer)) {}
  void operator()(const float* from, std::size_t count, std::uint8_t* to) const {
    const std::size_t whole = count / kCacheLine * kCacheLine;
    encode_floats<Native>(dac, from, whole, to);
    if (whole == count) return;
    float rest[kCacheLine] = {};
    std::uint8_t codes[kCacheLine];
    std::copy(from + whole, from + count, rest);
    encode_floats<Native>(dac, rest, kCacheLine, codes);
    std::copy_n(codes, count - whole, to + whole);
  }
};
struct QuantizedPixels {
  using Element = float;
  UniformQuantizer dac;
  float zero;

  explicit QuantizedPixels(const UniformQuantizer& quantizer)
      : dac(quantizer), zero(quantizer(0.0f)) {}
  void operator()(const float* from, std::size_t count, float* to) const {
    std::copy_n(from, count, to);
    dac.apply({to, count});
  }
};

/// Rows to columns: to[col · to_stride + row].
template <class T>
void turn(const T* from, std::size_t from_stride, std::size_t rows, std::size_t cols, T* to,
          std::size_t to_stride) {
  const auto piece = [&](std::size_t row, std::size_t height, std::size_t col, std::size_t width) {
    for (std::size_t i = col; i < col + width; ++i) {
      for (std::size_t j = row; j < row + height; ++j) {
        to[i * to_stride + j] = from[j * from_stride + i];
      }
    }
  };
  if constexpr (std::is_same_v<T, float>) {
    constexpr std::size_t kSide = 4;
    const auto square = [&](std::size_t row, std::size_t col) __attribute__((always_inline)) {
      const auto turned = transposed_4x4<Native::Quad>(from + row * from_stride + col, from_stride);
      for (std::size_t i = 0; i < kSide; ++i) {
        turned[i].store_unaligned(to + (col + i) * to_stride + row);
      }
    };
    // What lies far apart few at a time: lines of images are often in each other's cache's way.
    const std::size_t whole_rows = rows / kSide * kSide, whole_cols = cols / kSide * kSide;
    if (from_stride > to_stride) {
      for (std::size_t row = 0; row < whole_rows; row += kSide) {
        for (std::size_t col = 0; col < whole_cols; col += kSide) square(row, col);
      }
    } else {
      for (std::size_t col = 0; col < whole_cols; col += kSide) {
        for (std::size_t row = 0; row < whole_rows; row += kSide) square(row, col);
      }
    }
    piece(whole_rows, rows - whole_rows, 0, cols);
    piece(0, whole_rows, whole_cols, cols - whole_cols);
  } else {
    piece(0, rows, 0, cols);
  }
}

/// The pixels of an image that some outputs see, [depth, height, width, channels] with what padding
/// adds. `size`: in pixels; `first`: the image's pixel that is its first one, perhaps in front of
/// the image.
struct BandBox {
  std::array<std::ptrdiff_t, 3> first;
  Size3 size;

  constexpr std::size_t pixels() const { return size[0] * size[1] * size[2]; }
};

/// Pixels whose channels are turned at once.
inline constexpr std::size_t kTurnedPixels = 32;

/// Fills a band with what `pixels` makes of image number `n`. `turned`: room for kTurnedPixels of
/// all channels.
template <class X, class Pixels>
void read_band(const ImageView<const X>& image, std::size_t n, const BandBox& box,
               const Pixels& pixels, X* turned, typename Pixels::Element* band) {
  const std::size_t channels = image.channels, line = box.size[2] * channels;
  const auto inside = [&](std::ptrdiff_t at, std::size_t dimension) {
    return at >= 0 && at < static_cast<std::ptrdiff_t>(image.size[dimension]);
  };
  // The part of each line that lies in the image.
  const auto width = static_cast<std::ptrdiff_t>(image.size[2]);
  const auto band_width = static_cast<std::ptrdiff_t>(box.size[2]);
  const std::ptrdiff_t begin = std::clamp<std::ptrdiff_t>(-box.first[2], 0, band_width);
  const std::ptrdiff_t end = std::clamp(width - box.first[2], begin, band_width);
  const auto count = static_cast<std::size_t>(end - begin);
  const std::size_t in_front = static_cast<std::size_t>(begin) * channels;

  for (std::size_t d = 0; d < box.size[0]; ++d) {
    for (std::size_t h = 0; h < box.size[1]; ++h, band += line) {
      const std::ptrdiff_t depth = box.first[0] + static_cast<std::ptrdiff_t>(d);
      const std::ptrdiff_t height = box.first[1] + static_cast<std::ptrdiff_t>(h);
      if (!inside(depth, 0) || !inside(height, 1) || count == 0) {
        std::fill_n(band, line, pixels.zero);
        continue;
      }
      std::fill_n(band, in_front, pixels.zero);
      std::fill(band + in_front + count * channels, band + line, pixels.zero);
      const X* const from =
          &image(n, 0, static_cast<std::size_t>(depth), static_cast<std::size_t>(height),
                 static_cast<std::size_t>(box.first[2] + begin));
      typename Pixels::Element* const to = band + in_front;
      if (image.layout == ImageLayout::channels_last || channels == 1) {
        pixels(from, count * channels, to);
        continue;
      }
      for (std::size_t i = 0; i < count; i += kTurnedPixels) {
        // Each channel's next pixels, or those of its next line.
        for (std::size_t channel = 0; channel < channels; ++channel) {
          prefetch_to_second_level(from + channel * image.pixels() + i + kTurnedPixels,
                                   kTurnedPixels * sizeof(X));
        }
        const std::size_t now = std::min(kTurnedPixels, count - i);
        turn(from + i, image.pixels(), channels, now, turned, channels);
        pixels(turned, now * channels, to + i * channels);
      }
    }
  }
}

/// What a copied run may read and write behind its end: it is copied in pieces of so many bytes.
inline constexpr std::size_t kBehindRuns = 32;

/// Patches from a band: [tap, channel] of `channels` channels from `first_channel` on.
template <class T>
class Patches {
 public:
  Patches(const Convolution& shape, const Size3& band, const Convolution::Product& product)
      : shape_(shape), band_(band), product_(product) {
    // Taps side by side are one run where all of their channels are wanted.
    if (product.channels == shape.channels && shape.dilation[2] == 1) {
      run_ = shape.kernel[2] * shape.channels;
      runs_ = 1;
    } else {
      run_ = product.channels;
      runs_ = shape.kernel[2];
    }
  }

  /// The patch of output (d, h, w) of those that the band is for, to `to`, and up to kBehindRuns
  /// bytes behind it.
  void gather(const T* band, std::size_t d, std::size_t h, std::size_t w, T* to) const {
    const T* const first = band +
                           pixel(d * shape_.stride[0], h * shape_.stride[1], w * shape_.stride[2]) +
                           product_.first_channel;
    for (std::size_t i = 0; i < shape_.kernel[0]; ++i) {
      for (std::size_t j = 0; j < shape_.kernel[1]; ++j) {
        const T* from = first + pixel(i * shape_.dilation[0], j * shape_.dilation[1], 0);
        for (std::size_t k = 0; k < runs_; ++k) {
          copy(from, to);
          from += shape_.dilation[2] * shape_.channels;
          to += run_;
        }
      }
    }
  }

 private:
  std::size_t pixel(std::size_t d, std::size_t h, std::size_t w) const {
    return ((d * band_[1] + h) * band_[2] + w) * shape_.channels;
  }
  [[gnu::always_inline]] void copy(const T* from, T* to) const {
    if constexpr (Native::unrolls_vectors) {
      constexpr std::size_t kPiece = kBehindRuns / sizeof(T);
      for (std::size_t i = 0; i < run_; i += kPiece) std::memcpy(to + i, from + i, kBehindRuns);
    } else {
      std::copy_n(from, run_, to);
    }
  }

  Convolution shape_;
  Size3 band_;
  Convolution::Product product_;
  std::size_t run_, runs_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
