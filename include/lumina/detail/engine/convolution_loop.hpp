// The loop of a convolution: a band of pixels behind the DAC, patches of it, and for these the loop
// of a plain call, or of one on arrays.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "../../config.hpp"
#include "../../convolution.hpp"
#include "../../executor.hpp"
#include "../../matrix.hpp"
#include "../base/prefetch.hpp"
#include "../rows/patches.hpp"
#include "call.hpp"
#include "checks.hpp"
#include "convolution_plan.hpp"
#include "problem.hpp"
#include "scratch_memory.hpp"
#include "tasks.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The patches of some rows of a box, `stride` apart, from its band; zeros behind each, for a
/// matrix unit reads on, and behind the last panel's weights are those of the next one.
template <class T>
void gather_patches(const Convolution& shape, const Convolution::Product& product,
                    const OutputBox& box, const BandBox& band_box, const Range& rows, const T* band,
                    T* to, std::size_t stride) {
  const Patches<T> source(shape, band_box.size, product);
  const std::size_t depth = shape.taps() * product.channels;
  for_each_output(box, rows, [&](std::size_t d, std::size_t h, std::size_t w) {
    source.gather(band, d, h, w, to);
    std::fill(to + depth, to + stride, T{});
    to += stride;
  });
}

/// Each pixel is a patch, where it lies.
template <class X, class Y>
constexpr bool pixels_are_patches(const ImageView<X>& x, const ImageView<Y>& y,
                                  const Convolution& shape) {
  constexpr Size3 kOne{1, 1, 1}, kNone{0, 0, 0};
  return shape.groups == 1 && shape.kernel == kOne && shape.stride == kOne &&
         shape.padding == kNone && x.layout == ImageLayout::channels_last &&
         y.layout == ImageLayout::channels_last;
}

/// Where the arrays of a task begin, in bytes, and all of them end. X, Element, Y: of pixels, of
/// patches, of outputs.
template <class X, class Element, class Y>
struct ConvolutionLayout {
  std::size_t turned = 0, band, patches, outputs, end;

  constexpr ConvolutionLayout(const ConvolutionPlan& plan, bool turns_outputs)
      : band(round_up(kTurnedPixels * plan.shape().channels * sizeof(X), kCacheLine)),
        patches(round_up(band + plan.band_elements() * sizeof(Element) + kBehindRuns, kCacheLine)),
        outputs(round_up(
            patches + plan.patch_rows() * plan.patch_elements() * sizeof(Element) + kBehindRuns,
            kCacheLine)),
        end(outputs) {
    if (turns_outputs) {
      end += round_up(plan.patch_rows() * plan.shape().product(0).outputs * sizeof(Y), kCacheLine);
    }
  }
};

/// Each thread wants tasks.
constexpr std::size_t most_rows_of_task(std::size_t rows, std::size_t threads) {
  return threads == 1 ? rows : ceil_div(rows, 4 * threads);
}

/// The plan of a call of some threads with patches of Element.
template <class Element, class X, class Y>
constexpr ConvolutionPlan convolution_plan(const ImageView<X>& x, const ImageView<Y>& y,
                                           const Convolution& shape, std::size_t threads) {
  return {shape,
          x.size,
          x.batch,
          most_rows_of_task(size_product(y.batch, y.pixels()), threads),
          Native::row_scratch_bytes,
          sizeof(Element)};
}

/// `Products`: how patches become outputs (convolution_call.hpp).
template <class X, class Y, class Products>
class ConvolutionLoop {
 public:
  using Pixels = typename Products::Pixels;
  using Element = typename Pixels::Element;

  /// `threads`: how many may run tasks.
  ConvolutionLoop(const ImageView<const X>& x, const ImageView<Y>& y, const Convolution& shape,
                  const Products& products, std::size_t threads)
      : x_(x),
        y_(y),
        products_(products),
        plan_(convolution_plan<Element>(x, y, shape, threads)),
        layout_(plan_, y.layout == ImageLayout::channels_first) {}

  std::size_t tasks() const { return plan_.tasks(); }
  std::size_t bytes() const { return layout_.end; }
  /// With what the product needs of a workspace.
  std::size_t workspace_bytes() const {
    return layout_.end + products_.workspace_bytes(plan_.patch_rows(), plan_.patch_elements());
  }

  /// Whether it has run. `memory`: bytes() of it, at a cache line.
  template <class Executor>
  bool run(std::size_t task, std::byte* memory, const Executor& executor) const {
    const OutputBox box = plan_.box(task);
    const BandBox band_box = plan_.band(box);
    auto* const band = reinterpret_cast<Element*>(memory + layout_.band);
    read_band(x_, box.image, band_box, products_.pixels(),
              reinterpret_cast<X*>(memory + layout_.turned), band);
    const std::size_t rows = box.rows();
    for (std::size_t begin = 0; begin < rows; begin += plan_.patch_rows()) {
      const Range now{begin, std::min(plan_.patch_rows(), rows - begin)};
      for (std::size_t i = 0; i < plan_.shape().products(); ++i) {
        if (!multiply(i, box, band_box, now, memory, executor)) return false;
      }
    }
    return true;
  }

 private:
  /// Rows of a box, one of the products.
  template <class Executor>
  bool multiply(std::size_t index, const OutputBox& box, const BandBox& band_box, const Range& rows,
                std::byte* memory, const Executor& executor) const {
    const Convolution& shape = plan_.shape();
    const Convolution::Product product = shape.product(index);
    const std::size_t depth = shape.taps() * product.channels;
    const std::size_t stride = ConvolutionPlan::patch_stride(depth, sizeof(Element));
    auto* const patches = reinterpret_cast<Element*>(memory + layout_.patches);
    gather_patches(shape, product, box, band_box, rows,
                   reinterpret_cast<const Element*>(memory + layout_.band), patches, stride);
    const std::size_t row = plan_.first_row(box) + rows.begin;
    const MatrixView<const Element> x(patches, rows.size, depth, stride);
    const Origin origin{row, product.first_output / kBlockColumns};
    if (y_.layout == ImageLayout::channels_last) {
      return products_.multiply(index, x,
                                MatrixView<Y>(y_.data + row * shape.outputs + product.first_output,
                                              rows.size, product.outputs, shape.outputs),
                                origin, executor);
    }
    auto* const outputs = reinterpret_cast<Y*>(memory + layout_.outputs);
    const std::size_t pixels = plan_.rows_of_image();
    Y* const to =
        y_.data + (box.image * shape.outputs + product.first_output) * pixels + row % pixels;
    // They lie in a piece for each channel, which no machine foresees.
    for (std::size_t channel = 0; channel < product.outputs; ++channel) {
      prefetch_for_writing(reinterpret_cast<const char*>(to + channel * pixels),
                           rows.size * sizeof(Y));
    }
    if (!products_.multiply(index, x, MatrixView<Y>(outputs, rows.size, product.outputs), origin,
                            executor)) {
      return false;
    }
    turn(outputs, product.outputs, rows.size, product.outputs, to, pixels);
    return true;
  }

  ImageView<const X> x_;
  ImageView<Y> y_;
  const Products& products_;  // of who makes the call
  ConvolutionPlan plan_;
  ConvolutionLayout<X, Element, Y> layout_;
};

/// Whether the call, which was checked but for its workspace, has run.
template <class X, class Y, class Products, class Executor>
bool run_convolution(const ImageView<const X>& x, const ImageView<Y>& y, const Convolution& shape,
                     const Products& products, const Executor& executor) {
  const std::size_t rows = size_product(x.batch, y.pixels());
  if (rows == 0 || shape.outputs == 0) return true;
  if (pixels_are_patches(x, y, shape)) {
    return products.multiply_pixels(MatrixView<const X>(x.data, rows, shape.channels),
                                    MatrixView<Y>(y.data, rows, shape.outputs), executor);
  }
  if constexpr (BringsWorkspace<Executor>) {
    const std::span<std::byte> workspace = executor.workspace();
    const ConvolutionLoop<X, Y, Products> loop(x, y, shape, products, 1);
    if (!workspace_has(loop.workspace_bytes(), workspace, shape.filter_size(),
                       MatrixView<Y>(y.data, rows, shape.outputs))) {
      return false;
    }
    const SerialIn rest(workspace.subspan(loop.bytes()));
    for (std::size_t task = 0; task < loop.tasks(); ++task) {
      if (!loop.run(task, workspace.data(), rest)) return false;
    }
    return true;
  } else {
    const double work = static_cast<double>(rows) * static_cast<double>(shape.outputs) *
                        static_cast<double>(shape.filter_size());
    const bool worth_threads = work >= FloatKernel::worth_threads;
    const ConvolutionLoop<X, Y, Products> loop(x, y, shape, products,
                                               worth_threads ? threads_of(executor) : 1);
    std::atomic<bool> ran{true};
    run_tasks(executor, worth_threads, loop.tasks(), [&](std::size_t task) {
      // The product's own scratch is another block. (In use: a stage makes a call itself.)
      ThreadBlock other;
      ThreadBlock& own = thread_block<ThreadBlockOf::patches>();
      const Lease lease(own.in_use() ? other : own, loop.bytes());
      if (lease.memory == nullptr) {
        report_error("lumina::fused_convolution: there is no memory for a task's pixels");
        ran = false;
      } else if (!loop.run(task, lease.memory, Serial())) {
        ran = false;
      }
    });
    return ran;
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
