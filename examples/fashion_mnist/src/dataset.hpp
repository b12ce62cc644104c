// Labelled images in memory, as bytes: four times smaller than floats.
#pragma once

#include <lumina/matrix.hpp>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "idx_file.hpp"

namespace example {

inline constexpr std::size_t kPixels = 28 * 28;
inline constexpr std::size_t kClasses = 10;

struct Dataset {
  std::vector<std::uint8_t> pixels;  ///< [size(), kPixels]
  std::vector<std::uint8_t> labels;  ///< [size()], each below kClasses

  std::size_t size() const { return labels.size(); }

  /// All images as bytes, [size(), kPixels], 0 black, 255 white.
  lumina::MatrixView<const std::uint8_t> bytes() const { return {pixels.data(), size(), kPixels}; }

  /// The images with these numbers as rows of `out` [numbers.size(), kPixels], 0 black, 1 white.
  void images(std::span<const std::size_t> numbers, lumina::MatrixView<float> out) const {
    for (std::size_t row = 0; row < numbers.size(); ++row) {
      const std::uint8_t* const image = pixels.data() + numbers[row] * kPixels;
      for (std::size_t i = 0; i < kPixels; ++i) {
        out(row, i) = static_cast<float>(image[i]) / 255.0f;
      }
    }
  }

  /// The first `count` images, as above.
  lumina::Matrix<float> first_images(std::size_t count) const {
    std::vector<std::size_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), std::size_t{0});
    lumina::Matrix<float> out(count, kPixels);
    images(numbers, out);
    return out;
  }
};

/// The part "train" or "t10k" of the data set in `directory`.
inline Dataset load_dataset(const std::string& directory, const std::string& part) {
  IdxFile images = read_idx(directory + "/" + part + "-images-idx3-ubyte.gz");
  IdxFile labels = read_idx(directory + "/" + part + "-labels-idx1-ubyte.gz");
  if (images.shape != std::vector<std::size_t>{labels.elements.size(), 28, 28}) {
    throw std::runtime_error(directory + ": images and labels of " + part + " do not fit");
  }
  for (const std::uint8_t label : labels.elements) {
    if (label >= kClasses) throw std::runtime_error(directory + ": a label is not a class");
  }
  return {std::move(images.elements), std::move(labels.elements)};
}

}  // namespace example
