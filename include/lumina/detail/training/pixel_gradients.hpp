// From the gradients by patches to those by the pixels that they are of.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>

#include "../../config.hpp"
#include "../../convolution.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../base/range.hpp"
#include "../engine/convolution_plan.hpp"
#include "../isa/native.hpp"
#include "../rows/patches.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// to[i] += values[i].
inline void add_floats(const float* values, std::size_t count, float* to) {
  using Floats = Native::Batch<float>;
  std::size_t i = 0;
  for (; i + Floats::size <= count; i += Floats::size) {
    (Floats::load_unaligned(to + i) + Floats::load_unaligned(values + i)).store_unaligned(to + i);
  }
  for (; i < count; ++i) to[i] += values[i];
}

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
      if (begin < end) add_floats(patch + begin - of_patch.begin, end - begin, to + begin - first);
    }
  });
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

/// The gradients by pixels, channels last, 0 where the DAC clipped, to where they are wanted.
template <class X, class Dac>
void store_pixel_gradients(const ImageView<const X>& x, const Dac& dac, float* pixels,
                           const ImageView<float>& to) {
  const std::size_t count = x.pixels(), channels = x.channels, all = count * channels;
  const bool alike = x.layout == to.layout || channels == 1;
  const bool channels_last = to.layout == ImageLayout::channels_last;
  const std::size_t outer = alike ? 1 : channels_last ? count : channels;
  const std::size_t inner = all / std::max<std::size_t>(outer, 1);
  for (std::size_t n = 0; n < x.batch; ++n) {
    float* const own = pixels + n * all;
    float* const result = to.data + n * all;
    if (own != result) turn<float>(own, channels, count, channels, result, count);
    if constexpr (std::is_same_v<X, float> && !std::is_same_v<Dac, NoDac>) {
      const float* const image = x.data + n * all;
      for (std::size_t i = 0; i < outer; ++i) {
        for (std::size_t j = 0; j < inner; ++j) {
          float& gradient = result[i * inner + j];
          gradient = pixel_passes(dac, image[j * outer + i]) ? gradient : 0.0f;
        }
      }
    }
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
