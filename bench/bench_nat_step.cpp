// One step of noise-aware training: weights encoded, forward with DAC, noise and ADC, backward to
// all gradients; against the three bare products of floats that such a step contains, by oneDNN and
// by our own engine. One thread unless said otherwise; ratios within one run.
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <lumina/lumina.hpp>

#include "support/ceilings.hpp"
#include "support/contest.hpp"
#include "support/gemm.hpp"
#include "support/markdown.hpp"
#include "support/onednn.hpp"
#include "support/random_data.hpp"
#include "support/run.hpp"

namespace {

using bench::kNoise;
using lumina::Matrix;

constexpr std::size_t kSets = 4;

const std::string kStep = "lumina: step, gradients of two bytes";
const std::string kStepOne = "lumina: step, gradients of one byte";
const std::string kStepThree = "lumina: step, gradients of three bytes";
const std::string kStepNoisy = "lumina: step, weight noise, gradients of two bytes";
const std::string kStepOfProfile = "lumina: step under the profile lumina_micro_v1";
const std::string kStepFloats = "lumina: step, gradients in floats";
const std::string kStepSplit = "lumina: step, gradients in three bf16";
const std::string kStepTwice = kStep + ", 2 threads";
const std::string kOneDnn = "oneDNN: three bare f32 products";
const std::string kBare = "lumina: three bare f32 products";
const std::string kPeak = "ceiling: FMA";

/// What all contestants share.
struct Problem {
  explicit Problem(const bench::GemmShape& shape)
      : w(bench::random_matrix(shape.out, shape.in, -bound(shape), bound(shape), 1)),
        w_transposed(shape.in, shape.out),
        grad_w(shape.out, shape.in),
        bias(bench::random_matrix(1, shape.out, -0.1f, 0.1f, 2)),
        grad_bias(1, shape.out) {
    for (std::size_t out = 0; out < shape.out; ++out) {
      for (std::size_t in = 0; in < shape.in; ++in) w_transposed(in, out) = w(out, in);
    }
    for (std::size_t set = 0; set < kSets; ++set) {
      x[set] = bench::random_matrix(shape.batch, shape.in, 0.0f, 1.0f, set + 10);
      grad_y[set] = bench::random_matrix(shape.batch, shape.out, -1.0f, 1.0f, set + 20);
      y[set] = Matrix<float>(shape.batch, shape.out);
      grad_x[set] = Matrix<float>(shape.batch, shape.in);
    }
  }
  static float bound(const bench::GemmShape& shape) {
    return std::sqrt(3.0f / static_cast<float>(shape.in));
  }

  lumina::Gradients gradients(std::size_t set) {
    return {grad_x[set].view(), grad_w.view(), grad_bias.elements()};
  }

  Matrix<float> w, w_transposed, grad_w, bias, grad_bias;
  std::array<Matrix<float>, kSets> x, grad_y, y, grad_x;
};

/// A step that did something else than a step would be fast too: its gradients must be near those
/// of the exact product, `scale` being what the readout does to a signal.
void check(Problem& problem, const bench::GemmShape& shape, float scale, const std::string& title) {
  for (std::size_t probe = 0; probe < 16; ++probe) {
    const std::size_t row = probe * 7919 % shape.out, col = probe * 104729 % shape.in;
    double sum = 0.0;
    for (std::size_t i = 0; i < shape.batch; ++i) {
      sum += static_cast<double>(problem.grad_y[0](i, row)) * problem.x[0](i, col);
    }
    sum *= static_cast<double>(scale);
    // Inputs are codes, half a step of 1/255 off at most; no output clips.
    const double tolerance = static_cast<double>(shape.batch) / 510.0 + 1e-3;
    if (!(std::fabs(sum - problem.grad_w(row, col)) <= tolerance)) {
      std::fprintf(stderr, "%s: the gradient by w(%zu, %zu) is %g and should be near %g\n",
                   title.c_str(), row, col, static_cast<double>(problem.grad_w(row, col)), sum);
      std::exit(1);
    }
  }
}

template <class Products = lumina::IntegerSplitProducts<2>, class Executor = lumina::Serial,
          class WeightNoise = lumina::NoWeightNoise>
bench::Call step(const std::shared_ptr<Problem>& problem, const bench::GemmShape& shape,
                 const lumina::Readout& readout, Executor executor = {},
                 const WeightNoise& noise = {}) {
  using Layer = lumina::AnalogLinear<8, WeightNoise>;
  lumina::AnalogLinearConfig config{shape.in, shape.out};
  config.readout = readout;
  config.adc_range = {-8.0f, 8.0f};
  const auto layer = std::make_shared<Layer>(config, shape.batch, noise);
  bench::Call call = [=](std::size_t turn) {
    const std::size_t set = turn % kSets;
    layer->load(problem->w, problem->bias.elements());
    layer->forward(problem->x[set], problem->y[set], {.seed = 1, .stream = turn}, executor);
    layer->backward(problem->x[set], problem->grad_y[set], problem->gradients(set), Products{},
                    executor);
  };
  call(0);
  check(*problem, shape, readout.gain * readout.attenuation, "lumina");
  return call;
}

bench::Call bare(const std::shared_ptr<Problem>& problem) {
  const auto w = std::make_shared<lumina::PackedWeights>(lumina::pack_weights(problem->w));
  const auto w_transposed =
      std::make_shared<lumina::PackedWeights>(lumina::pack_weights(problem->w_transposed));
  const auto inputs = std::make_shared<lumina::PackedWeights>();
  lumina::detail::pack_rows(lumina::MatrixView<const float>(problem->x[0]), *inputs,
                            [](const auto& values) { return values; });
  bench::Call call = [=](std::size_t turn) {
    using namespace lumina;
    using namespace lumina::detail;
    const std::size_t set = turn % kSets;
    fused_gemm(problem->x[set], *w, problem->y[set], epilogue());
    fused_gemm(problem->grad_y[set], *w_transposed, problem->grad_x[set], epilogue());
    const TransposedRows rows(problem->grad_y[set]);
    run(float_problem(rows, panels_of(*inputs)), problem->grad_w.view(), epilogue(), NoObserver{},
        NoiseKey{}, Serial{});
  };
  call(0);
  return call;
}

#if defined(LUMINA_BENCH_ONEDNN)
bench::Call onednn(const std::shared_ptr<Problem>& problem, const bench::GemmShape& shape) {
  using Product = bench::OneDnnProduct<float, float, float>;
  const auto forward = std::make_shared<Product>(problem->w, shape.batch);
  const auto by_input = std::make_shared<Product>(problem->w_transposed, shape.batch);
  const auto by_weights =
      std::make_shared<bench::OneDnnBatchProduct>(shape.batch, shape.out, shape.in);
  struct Arguments {
    bench::OneDnnArguments forward, by_input, by_weights;
  };
  std::vector<Arguments> arguments;
  for (std::size_t set = 0; set < kSets; ++set) {
    const float* const grad_y = problem->grad_y[set].data();
    arguments.push_back(
        {forward->arguments(problem->x[set].data(), problem->y[set].data()),
         by_input->arguments(grad_y, problem->grad_x[set].data()),
         by_weights->arguments(grad_y, problem->x[set].data(), problem->grad_w.data())});
  }
  bench::Call call = [=](std::size_t turn) {
    const Arguments& of_set = arguments[turn % kSets];
    (*forward)(of_set.forward);
    (*by_input)(of_set.by_input);
    (*by_weights)(of_set.by_weights);
  };
  call(0);
  check(*problem, shape, 1.0f, "oneDNN");
  return call;
}
#endif

void print(const bench::Contest& contest, std::ostream& out) {
  const bool has_onednn = contest.there(kOneDnn);
  std::vector<std::string> header{"batch × in × out: " + contest.name(), "median µs", "best µs",
                                  "GFLOP/s of the three products", "of FMA peak"};
  if (has_onednn) header.push_back("time / oneDNN");
  bench::MarkdownTable table(header);
  for (std::size_t i = 0; i < contest.contestants().size(); ++i) {
    std::vector<std::string> row{contest.contestants()[i].title};
    if (contest.there(i)) {
      const bool peak = contest.contestants()[i].title == kPeak;
      row.push_back(peak ? "" : bench::number(1e6 * contest.median(i)));
      row.push_back(peak ? "" : bench::number(1e6 * contest.best(i)));
      row.push_back(bench::number(1e-9 * contest.rate(i)));
      row.push_back(bench::percent(contest.rate_ratio(i, contest.index(kPeak))));
      if (has_onednn) {
        row.push_back(peak ? "" : bench::times(contest.time_ratio(i, contest.index(kOneDnn))));
      }
    }
    table.add(std::move(row));
  }
  table.print(out);
  out << contest.rounds() << " rounds.\n\n";
}

bench::Event event(const bench::GemmShape& shape) {
  const auto contest = std::make_shared<bench::Contest>(shape.name(), "FLOP");
  const auto data = std::make_shared<std::weak_ptr<Problem>>();
  const auto add = [&](const std::string& title, auto make, int threads = 1) {
    const auto prepare = [data, shape, make] {
      std::shared_ptr<Problem> shared = data->lock();
      if (shared == nullptr) *data = shared = std::make_shared<Problem>(shape);
      return make(shared);
    };
    contest->add({title, 3.0 * shape.operations(), prepare, threads});
  };
  using Data = std::shared_ptr<Problem>;
  const lumina::Readout additive{.noise = kNoise};
  add(kStep, [=](const Data& problem) { return step(problem, shape, additive); });
  add(kStepOne, [=](const Data& problem) {
    return step<lumina::IntegerSplitProducts<1>>(problem, shape, additive);
  });
  add(kStepThree, [=](const Data& problem) {
    return step<lumina::IntegerSplitProducts<3>>(problem, shape, additive);
  });
  add(kStepNoisy, [=](const Data& problem) {
    return step<lumina::IntegerSplitProducts<2>>(problem, shape, additive, lumina::Serial{},
                                                 lumina::AdditiveWeightNoise{0.01f});
  });
  add(kStepFloats,
      [=](const Data& problem) { return step<lumina::F32Products>(problem, shape, additive); });
  add(kStepOfProfile, [=](const Data& problem) {
    return step(problem, shape, lumina::Readout::of(lumina::profiles::lumina_micro_v1));
  });
#if defined(LUMINA_ISA_AMX)
  add(kStepSplit, [=](const Data& problem) {
    return step<lumina::Bf16SplitProducts>(problem, shape, additive);
  });
#endif
#if defined(_OPENMP)
  if (shape.batch == 256) {
    add(
        kStepTwice,
        [=](const Data& problem) {
          return step<lumina::IntegerSplitProducts<2>>(problem, shape, additive, lumina::OpenMP{2});
        },
        2);
  }
#endif
  add(kBare, bare);
#if defined(LUMINA_BENCH_ONEDNN)
  add(kOneDnn, [=](const Data& problem) { return onednn(problem, shape); });
#else
  contest->add(bench::not_there(kOneDnn, 3.0 * shape.operations(), "libdnnl-dev"));
#endif
  contest->add({kPeak, bench::kFmaFlops, [] { return [](std::size_t) { bench::fma_burst(); }; }});
  return {contest, print};
}

}  // namespace

int main(int argc, char** argv) {
#if defined(LUMINA_ISA_AMX)
  if (!lumina::detail::amx_bf16_usable()) {
    std::puts("SKIPPED: this CPU has no AMX for bf16, or the system does not let programs use it");
    return 77;
  }
#endif
  std::string libraries;
#if defined(LUMINA_BENCH_ONEDNN)
  bench::prepare_onednn();
  libraries += "; " + bench::onednn_version();
#endif
  std::vector<bench::Event> events;
  for (const bench::GemmShape& shape :
       {bench::GemmShape{32, 784, 512}, {256, 784, 512}, {256, 1024, 1024}}) {
    events.push_back(event(shape));
  }
  return bench::run(argc, argv, "A step of noise-aware training", libraries, events);
}
