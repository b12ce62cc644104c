// Convolutions of 8-bit codes with DAC, noise and ADC against our own product of codes that were
// unfolded beforehand, and against oneDNN's bare convolution of floats. One thread; ratios within
// one run.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <lumina/lumina.hpp>

#include "support/contest.hpp"
#include "support/markdown.hpp"
#include "support/not_there.hpp"
#include "support/random_data.hpp"
#include "support/run.hpp"
#if defined(LUMINA_BENCH_ONEDNN)
#include "support/onednn_convolution.hpp"
#endif

namespace {

using namespace lumina;

constexpr std::size_t kSets = 2;
constexpr Quantizer<8> kDac(0.0f, 1.0f);
constexpr SymmetricQuantizer<8> kAdc(8.0f);
constexpr GaussianNoise kNoise{0.3f};
const std::string kUnfolded = "lumina: coded product of codes unfolded beforehand",
                  kLast = "lumina: fused_convolution, NHWC",
                  kFirst = "lumina: fused_convolution, NCHW",
                  kOneDnn = "oneDNN: bare f32 convolution";

struct Shape {
  std::string name;
  std::size_t batch;
  Size3 size;
  Convolution convolution;

  double operations() const {
    const Size3 out = convolution.output_size(size);
    return 2.0 * static_cast<double>(batch * out[1] * out[2] * convolution.outputs *
                                     convolution.filter_size());
  }
};

struct Problem {
  explicit Problem(const Shape& own)
      : shape(own),
        filters(bench::random_matrix(own.convolution.outputs, own.convolution.filter_size(), -1.0f,
                                     1.0f, 1)),
        weights(convolution_weights(
            filters, own.convolution,
            [](MatrixView<const float> w, std::size_t) { return encode_weights<8>(w); })) {
    const Size3 out = own.convolution.output_size(own.size);
    const std::size_t pixels = own.size[1] * own.size[2];
    for (std::size_t set = 0; set < kSets; ++set) {
      x[set] =
          bench::random_matrix(own.batch, own.convolution.channels * pixels, 0.0f, 1.0f, set + 10);
      y[set] = Matrix<float>(own.batch, own.convolution.outputs * out[1] * out[2]);
      if (own.convolution.groups != 1) continue;
      Matrix<std::uint8_t> codes(own.batch, x[set].cols());
      for (std::size_t i = 0; i < codes.elements().size(); ++i) {
        codes.data()[i] = static_cast<std::uint8_t>(kDac.encode(x[set].data()[i]));
      }
      unfolded[set] = unfold({codes.data(), own.batch, own.convolution.channels, own.size});
    }
  }
  /// Straightforwardly.
  Matrix<std::uint8_t> unfold(const ImageView<const std::uint8_t>& codes) const {
    const Convolution& c = shape.convolution;
    const Size3 out = c.output_size(shape.size);
    Matrix<std::uint8_t> result(shape.batch * out[1] * out[2], c.filter_size());
    for (std::size_t row = 0; row < result.rows(); ++row) {
      const std::size_t n = row / out[2] / out[1], h = row / out[2] % out[1], w = row % out[2];
      for (std::size_t k = 0; k < result.cols(); ++k) {
        const std::size_t tap = k / c.channels;
        const std::size_t i = h * c.stride[1] + tap / c.kernel[2],
                          j = w * c.stride[2] + tap % c.kernel[2];
        const bool inside = i >= c.padding[1] && i < shape.size[1] + c.padding[1] &&
                            j >= c.padding[2] && j < shape.size[2] + c.padding[2];
        result(row, k) =
            inside ? codes(n, k % c.channels, 0, i - c.padding[1], j - c.padding[2]) : 0;
      }
    }
    return result;
  }

  Shape shape;
  Matrix<float> filters;
  std::vector<CodedWeights<8>> weights;
  std::array<Matrix<float>, kSets> x, y;
  std::array<Matrix<std::uint8_t>, kSets> unfolded;
};

bench::Event convolution(const Shape& shape) {
  const auto contest = std::make_shared<bench::Contest>(shape.name, "operations");
  const auto data = std::make_shared<std::weak_ptr<Problem>>();
  const auto lend = [data, shape] {
    std::shared_ptr<Problem> problem = data->lock();
    if (problem == nullptr) *data = problem = std::make_shared<Problem>(shape);
    return problem;
  };
  const auto stages = epilogue(kNoise, kAdc);
  if (shape.convolution.groups == 1) {
    contest->add({kUnfolded, shape.operations(), [=]() -> bench::Call {
                    return [problem = lend(), stages](std::size_t turn) {
                      const Matrix<std::uint8_t>& x = problem->unfolded[turn % kSets];
                      const MatrixView<float> y(problem->y[turn % kSets].data(), x.rows(),
                                                problem->shape.convolution.outputs);
                      fused_gemm(x, kDac, problem->weights[0], y, stages, NoiseKey{1, turn});
                    };
                  }});
  }
  for (const ImageLayout layout : {ImageLayout::channels_last, ImageLayout::channels_first}) {
    contest->add({layout == ImageLayout::channels_last ? kLast : kFirst, shape.operations(),
                  [=]() -> bench::Call {
                    return [problem = lend(), stages, layout](std::size_t turn) {
                      const Shape& own = problem->shape;
                      const Convolution& c = own.convolution;
                      const ImageView<const float> x{problem->x[turn % kSets].data(), own.batch,
                                                     c.channels, own.size, layout};
                      const ImageView<float> y{problem->y[turn % kSets].data(), own.batch,
                                               c.outputs, c.output_size(own.size), layout};
                      fused_convolution(x, kDac, problem->weights, y, c, stages, NoiseKey{1, turn});
                    };
                  }});
  }
#if defined(LUMINA_BENCH_ONEDNN)
  contest->add({kOneDnn, shape.operations(), [=]() -> bench::Call {
                  const auto problem = lend();
                  const auto peer = std::make_shared<bench::OneDnnConvolution>(
                      problem->shape.convolution, problem->shape.batch, problem->shape.size,
                      problem->filters.data());
                  std::vector<bench::OneDnnArguments> arguments;
                  for (const Matrix<float>& x : problem->x) {
                    arguments.push_back(peer->arguments(x.data()));
                  }
                  return [problem, peer, arguments](std::size_t turn) {
                    (*peer)(arguments[turn % kSets]);
                  };
                }});
#else
  contest->add(bench::not_there(kOneDnn, shape.operations(), "libdnnl-dev"));
#endif
  return {contest, [](const bench::Contest& run, std::ostream& out) {
            const std::size_t last = run.contestants().size() - 1;
            bench::MarkdownTable table({run.name(), "median µs", "best µs", "Gop/s",
                                        "time / unfolded", "oneDNN's time / its"});
            for (std::size_t i = 0; i <= last; ++i) {
              table.add({run.contestants()[i].title, bench::number(1e6 * run.median(i)),
                         bench::number(1e6 * run.best(i)),
                         bench::number(run.contestants()[i].work / run.median(i) / 1e9),
                         i == 0 ? "" : bench::times(run.time_ratio(i, 0)),
                         i == last ? "" : bench::times(run.time_ratio(last, i))});
            }
            table.print(out);
            out << run.rounds() << " rounds.\n\n";
          }};
}

}  // namespace

int main(int argc, char** argv) {
  const Size3 one{1, 1, 1}, three{1, 3, 3}, none{0, 0, 0}, around{0, 1, 1};
  const std::vector<Shape> shapes = {
      {"64 to 64 channels, 3 × 3, 32 × 32, batch 32",
       32,
       {1, 32, 32},
       {64, 64, three, one, around}},
      {"64 to 64 channels, 3 × 3, 32 × 32, batch 1", 1, {1, 32, 32}, {64, 64, three, one, around}},
      {"64 to 128 channels, 1 × 1, 32 × 32, batch 32", 32, {1, 32, 32}, {64, 128, one, one, none}},
      {"3 to 64 channels, 7 × 7 in steps of 2, 112 × 112, batch 4",
       4,
       {1, 112, 112},
       {3, 64, {1, 7, 7}, {1, 2, 2}, {0, 3, 3}}},
      {"128 channels depthwise, 3 × 3, 32 × 32, batch 32",
       32,
       {1, 32, 32},
       {128, 128, three, one, around, one, 128}},
  };
#if defined(LUMINA_BENCH_ONEDNN)
  bench::prepare_onednn();
#endif
  std::vector<bench::Event> events;
  for (const Shape& shape : shapes) events.push_back(convolution(shape));
  return bench::run(argc, argv, "Convolutions", "", events);
}
