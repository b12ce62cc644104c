// What the backward pass of a convolution writes, and its memory.
#pragma once

#include <cstddef>

#include "config.hpp"
#include "convolution.hpp"
#include "detail/base/aligned_buffer.hpp"
#include "detail/base/kept.hpp"
#include "detail/engine/arguments.hpp"
#include "detail/training/code_columns.hpp"
#include "gradients.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// Where backward() of a convolution writes. What has no data is not computed.
struct ImageGradients {
  ImageView<float> input = {};           ///< of the size of x, in any layout
  detail::KeptView<float> filters = {};  ///< [outputs, channels / groups · taps], torch's order
  detail::KeptSpan<float> bias = {};     ///< [outputs]
};

/// Its memory. Grows where it must, so later calls of the same shapes allocate nothing. Of patches
/// there is a piece at a time, of 2^18 inputs or of one row; channels that lie apart take grad_y's
/// and x's size besides.
struct ConvolutionBackwardWorkspace {
  BackwardWorkspace products;
  detail::CodeColumns weights;                   // of a product, for IntegerSplitProducts
  detail::AlignedBuffer<float> grad_y;           // [rows, outputs] where channels are turned
  detail::AlignedBuffer<float> filters;          // the products' matrices
  detail::AlignedBuffer<std::byte> band;         // of a piece
  detail::AlignedBuffer<std::byte> patches;      // of a piece
  detail::AlignedBuffer<float> patch_gradients;  // of a piece
  detail::AlignedBuffer<float> pixels;           // of x, where channels are turned
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
