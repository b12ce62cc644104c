// Images for tests, and random convolutions over them.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>

#include <lumina/convolution.hpp>

#include "random_matrix.hpp"

namespace test {

/// A random convolution of random images.
struct Problem {
  lumina::Convolution shape{};
  lumina::Size3 size{1, 1, 1};
  std::size_t batch;
  lumina::ImageLayout x_layout, y_layout;

  explicit Problem(Engine& engine)
      : batch(integer(engine, 1, 3)), x_layout(layout(engine)), y_layout(layout(engine)) {
    constexpr std::size_t kGroups[] = {1, 1, 1, 2, 3, 8};
    shape.groups = kGroups[integer(engine, 0, 5)];
    shape.channels = shape.groups * integer(engine, 1, 9);
    shape.outputs = shape.groups * integer(engine, 1, integer(engine, 0, 3) == 0 ? 50 : 9);
    shape.kernel = shape.stride = shape.dilation = {1, 1, 1};
    for (std::size_t i = integer(engine, 0, 2); i < 3; ++i) {
      shape.kernel[i] = integer(engine, 1, 3);
      shape.stride[i] = integer(engine, 1, 3);
      shape.dilation[i] = integer(engine, 1, 2);
      shape.padding[i] = integer(engine, 0, 4);
      size[i] = integer(engine, 1, 9);
      const std::size_t reach = (shape.kernel[i] - 1) * shape.dilation[i] + 1;
      if (size[i] + 2 * shape.padding[i] < reach) size[i] = reach;
    }
  }

  TestMatrix filters(Engine& engine) const {
    TestMatrix result(shape.outputs, shape.filter_size());
    result.fill_uniform(engine);
    return result;
  }
  std::string text() const {
    std::string result = std::to_string(batch) + " images, " + std::to_string(shape.channels) +
                         " channels to " + std::to_string(shape.outputs) + " in " +
                         std::to_string(shape.groups) + " groups";
    for (std::size_t i = 0; i < 3; ++i) {
      result += "; " + std::to_string(size[i]) + ": kernel " + std::to_string(shape.kernel[i]) +
                ", stride " + std::to_string(shape.stride[i]) + ", padding " +
                std::to_string(shape.padding[i]) + ", dilation " +
                std::to_string(shape.dilation[i]);
    }
    return result;
  }

 private:
  static lumina::ImageLayout layout(Engine& engine) {
    return integer(engine, 0, 1) == 0 ? lumina::ImageLayout::channels_first
                                      : lumina::ImageLayout::channels_last;
  }
};

/// Images in memory of exactly their size.
template <class T>
class Images {
 public:
  /// Poisoned.
  Images(std::size_t batch, std::size_t channels, const lumina::Size3& size,
         lumina::ImageLayout layout)
      : elements_(1, batch * channels * size[0] * size[1] * size[2]),
        view_{elements_.view().data(), batch, channels, size, layout} {}
  /// The result of a problem.
  Images(const Problem& problem, lumina::ImageLayout layout)
      : Images(problem.batch, problem.shape.outputs, problem.shape.output_size(problem.size),
               layout) {}
  /// Random, in [−1, 1] or any codes.
  Images(Engine& engine, std::size_t batch, std::size_t channels, const lumina::Size3& size,
         lumina::ImageLayout layout)
      : Images(batch, channels, size, layout) {
    elements_.fill([&] {
      if constexpr (std::is_same_v<T, float>) {
        return uniform(engine, -1.0f, 1.0f);
      } else {
        return static_cast<T>(engine());
      }
    });
  }

  const lumina::ImageView<T>& view() { return view_; }
  lumina::ImageView<const T> view() const { return view_; }
  /// All elements, as they lie.
  lumina::MatrixView<const T> row() { return elements_.constant(); }
  bool untouched() const { return elements_.untouched(); }

  /// The same pixels, whatever the layouts.
  void copy(const Images& other) {
    const auto& [d, h, w] = view_.size;
    for (std::size_t n = 0; n < view_.batch; ++n) {
      for (std::size_t c = 0; c < view_.channels; ++c) {
        for (std::size_t i = 0; i < d * h * w; ++i) {
          view_(n, c, i / w / h, i / w % h, i % w) = other.view_(n, c, i / w / h, i / w % h, i % w);
        }
      }
    }
  }

 private:
  TestMatrixOf<T> elements_;
  lumina::ImageView<T> view_;
};

}  // namespace test
