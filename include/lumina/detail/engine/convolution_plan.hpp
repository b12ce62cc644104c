// How a convolution is cut into tasks: boxes of outputs whose band of pixels stays near.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "../../config.hpp"
#include "../../convolution.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../rows/patches.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A task's outputs: of an image, in each dimension. They are neighbouring rows of y.
struct OutputBox {
  std::size_t image;
  std::array<Range, 3> outputs;

  constexpr std::size_t rows() const { return outputs[0].size * outputs[1].size * outputs[2].size; }
};

/// f(depth, height, width) of some of a box's outputs, in order; they count within the box.
template <class F>
void for_each_output(const OutputBox& box, const Range& rows, F f) {
  const std::size_t width = box.outputs[2].size, height = box.outputs[1].size;
  std::size_t w = rows.begin % width, h = rows.begin / width % height,
              d = rows.begin / width / height;
  for (std::size_t row = 0; row < rows.size; ++row) {
    f(d, h, w);
    if (++w < width) continue;
    w = 0;
    if (++h < height) continue;
    h = 0;
    ++d;
  }
}

class ConvolutionPlan {
 public:
  /// `most_rows`: of a task; `bytes`: what its band, and its patches, may take; `element`: bytes of
  /// theirs. A task has an output at least.
  constexpr ConvolutionPlan(const Convolution& shape, const Size3& image, std::size_t batch,
                            std::size_t most_rows, std::size_t bytes, std::size_t element)
      : shape_(shape), out_(shape.output_size(image)), batch_(batch) {
    // The whole width first, then height, then depth, so that a box is one piece of y.
    Size3 box{1, 1, 1};
    for (std::size_t dimension = 3; dimension-- > 0;) {
      std::size_t& size = box[dimension];
      for (std::size_t pieces = 1; pieces <= out_[dimension]; ++pieces) {
        size = ceil_div(out_[dimension], pieces);
        if (band_elements(box) * element <= bytes &&
            size_product(box[0], box[1], box[2]) <= most_rows) {
          break;
        }
        if (size == 1) break;
      }
      pieces_[dimension] = size == 0 ? 0 : ceil_div(out_[dimension], size);
      if (size < out_[dimension]) {
        for (std::size_t outer = 0; outer < dimension; ++outer) pieces_[outer] = out_[outer];
        break;
      }
    }
    band_elements_ = band_elements(box);
    for (std::size_t i = 0; i < shape.products(); ++i) {
      patch_elements_ = std::max(patch_elements_, shape.taps() * shape.product(i).channels);
    }
    patch_elements_ = patch_stride(patch_elements_, element);
    const std::size_t box_rows = box[0] * box[1] * box[2];
    const std::size_t at_once =
        std::clamp<std::size_t>(bytes / element / std::max<std::size_t>(patch_elements_, 1), 1,
                                std::max<std::size_t>(box_rows, 1));
    patch_rows_ = ceil_div(box_rows, ceil_div(box_rows, at_once));
  }

  constexpr const Convolution& shape() const { return shape_; }
  constexpr std::size_t tasks() const { return batch_ * pieces_[0] * pieces_[1] * pieces_[2]; }
  /// The most of a task.
  constexpr std::size_t band_elements() const { return band_elements_; }
  /// From a patch to the next.
  constexpr std::size_t patch_elements() const { return patch_elements_; }
  static constexpr std::size_t patch_stride(std::size_t depth, std::size_t element) {
    return round_up(std::max<std::size_t>(depth, 1), kCacheLine / element);
  }
  constexpr std::size_t patch_rows() const { return patch_rows_; }  ///< at once

  OutputBox box(std::size_t task) const {
    OutputBox result{};
    for (std::size_t dimension = 3; dimension-- > 0;) {
      result.outputs[dimension] =
          split_evenly(out_[dimension], pieces_[dimension], task % pieces_[dimension]);
      task /= pieces_[dimension];
    }
    result.image = task;
    return result;
  }
  BandBox band(const OutputBox& box) const {
    BandBox result{};
    for (std::size_t i = 0; i < 3; ++i) {
      result.first[i] = static_cast<std::ptrdiff_t>(box.outputs[i].begin * shape_.stride[i]) -
                        static_cast<std::ptrdiff_t>(shape_.padding[i]);
      result.size[i] = reach(i, box.outputs[i].size);
    }
    return result;
  }
  /// A box's first row of y.
  std::size_t first_row(const OutputBox& box) const {
    return ((box.image * out_[0] + box.outputs[0].begin) * out_[1] + box.outputs[1].begin) *
               out_[2] +
           box.outputs[2].begin;
  }
  /// Some tasks, whose outputs are one piece of y, and their rows of it.
  struct Piece {
    Range tasks, rows;
  };
  /// The task number `first` and those behind it, as long as they have at most `most_rows` rows
  /// together.
  Piece piece(std::size_t first, std::size_t most_rows) const {
    Piece result{{first, 0}, {first_row(box(first)), 0}};
    while (result.tasks.end() < tasks()) {
      const std::size_t rows = result.rows.size + box(result.tasks.end()).rows();
      if (rows > most_rows && result.tasks.size != 0) break;
      result.rows.size = rows;
      ++result.tasks.size;
    }
    return result;
  }
  std::size_t rows_of_image() const { return out_[0] * out_[1] * out_[2]; }

 private:
  /// Pixels that so many outputs see.
  constexpr std::size_t reach(std::size_t dimension, std::size_t outputs) const {
    return (outputs - 1) * shape_.stride[dimension] +
           (shape_.kernel[dimension] - 1) * shape_.dilation[dimension] + 1;
  }
  constexpr std::size_t band_elements(const Size3& box) const {
    return size_product(reach(0, box[0]), reach(1, box[1]), reach(2, box[2]), shape_.channels);
  }

  Convolution shape_;
  Size3 out_, pieces_{};
  std::size_t batch_;
  std::size_t band_elements_ = 0, patch_elements_ = 0, patch_rows_ = 1;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
