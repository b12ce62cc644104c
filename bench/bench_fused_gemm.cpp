// The fused call against the matrix products and separate passes of others, and against what the
// core could do at best. One thread unless said otherwise; ratios within one run.
#include <cstddef>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <lumina/lumina.hpp>

#include "support/ceilings.hpp"
#include "support/contest.hpp"
#include "support/gemm.hpp"
#include "support/onednn.hpp"
#include "support/openblas.hpp"
#include "support/run.hpp"
#include "support/separate_passes.hpp"

namespace {

using bench::kAdc;
using bench::kFarthestNoise;
using bench::kHalfStep;
using bench::kNoise;
using bench::kRounding;
using lumina::MatrixView;

const std::string kFused = "lumina: fused, noise and 8-bit ADC";
const std::string kFusedTwice = "lumina: fused, noise and 8-bit ADC, 2 threads";
const std::string kPeak = "ceiling: FMA";
const std::string kPeakTwice = "ceiling: FMA, 2 threads";
const std::string kReads = "ceiling: reading the weights";
const std::string kOneDnn = "oneDNN: bare product";

using Problem = bench::GemmData;
using Contest = bench::GemmContest<Problem>;

auto exact(const Problem& problem) {
  return [&problem](std::size_t row, std::size_t col) {
    const MatrixView<const float> x = problem.input(0);
    double sum = 0.0;
    for (std::size_t k = 0; k < x.cols(); ++k) {
      sum += static_cast<double>(x(row, k)) * static_cast<double>(problem.w(col, k));
    }
    return sum;
  };
}

/// A contest with this file's ways to check and to count.
class Builder {
 public:
  explicit Builder(const bench::GemmShape& shape) : contest(shape, "FLOP") {}

  void add(const std::string& title, float tolerance, Contest::Make make, int threads = 1) {
    const bench::GemmShape shape = contest.shape();
    contest.add(
        title, {.weight_bytes = sizeof(float) * shape.weights(), .reading = kReads},
        std::move(make),
        [shape, tolerance](Problem& problem, const std::string& who) {
          bench::check_outputs(problem.output(0), shape, exact(problem), tolerance, who);
        },
        threads);
  }

  Contest contest;
};

/// `product(turn)` writes problem.output(turn); noise and quantization follow as passes.
template <class Noise, class Product>
bench::Call in_passes(const std::shared_ptr<Problem>& problem, Product product) {
  bench::SeparatePasses<Noise> passes(problem->outputs(0).size(), kNoise, kAdc);
  return [problem, product = std::move(product),
          passes = std::move(passes)](std::size_t turn) mutable {
    product(turn);
    passes(problem->outputs(turn));
  };
}

auto lumina_product(const std::shared_ptr<Problem>& problem) {
  return [problem](std::size_t turn) {
    lumina::fused_gemm(problem->input(turn), problem->packed, problem->output(turn),
                       lumina::epilogue(), {});
  };
}

template <class Executor>
auto lumina_fused(const std::shared_ptr<Problem>& problem, float noise, Executor executor) {
  return [=](std::size_t turn) {
    lumina::fused_gemm_noise_quant(problem->input(turn), problem->packed, problem->output(turn),
                                   noise, kAdc, {.seed = 1, .stream = turn}, executor);
  };
}

void add_lumina(Builder& builder, bool with_threads) {
  builder.add(kFused, kFarthestNoise,
              [](const auto& problem) { return lumina_fused(problem, kNoise, lumina::Serial{}); });
  builder.add("lumina: fused, 8-bit ADC, no noise", kHalfStep,
              [](const auto& problem) { return lumina_fused(problem, 0.0f, lumina::Serial{}); });
  builder.add("lumina: bare product", kRounding,
              [](const auto& problem) { return lumina_product(problem); });
  if (with_threads) {
#if defined(_OPENMP)
    builder.add(
        kFusedTwice, kFarthestNoise,
        [](const auto& problem) { return lumina_fused(problem, kNoise, lumina::OpenMP{2}); }, 2);
#else
    builder.contest.add_not_there(kFusedTwice, "OpenMP");
#endif
  }
}

void add_onednn(Builder& builder) {
  const std::string in_passes_title = "oneDNN: product, noise pass, ADC pass";
#if defined(LUMINA_BENCH_ONEDNN)
  const auto product = [](const std::shared_ptr<Problem>& problem) {
    return bench::onednn_call(problem, problem->w, problem->x, problem->y);
  };
  builder.add(kOneDnn, kRounding, product);
  builder.add(in_passes_title, kFarthestNoise, [product](const auto& problem) {
    return in_passes<bench::FastNoise>(problem, product(problem));
  });
#else
  builder.contest.add_not_there(kOneDnn, "libdnnl-dev");
  builder.contest.add_not_there(in_passes_title, "libdnnl-dev");
#endif
}

void add_openblas(Builder& builder) {
  const std::string title = "OpenBLAS: product, noise pass, ADC pass";
  const std::string standard_title = "OpenBLAS: product, std::normal_distribution pass, ADC pass";
#if defined(LUMINA_BENCH_OPENBLAS)
  const auto product = [](const std::shared_ptr<Problem>& problem) {
    return [problem](std::size_t turn) {
      bench::openblas_product(problem->input(turn), problem->w, problem->output(turn));
    };
  };
  builder.add("OpenBLAS: bare product", kRounding, product);
  builder.add(title, kFarthestNoise, [product](const auto& problem) {
    return in_passes<bench::FastNoise>(problem, product(problem));
  });
  builder.add(standard_title, kFarthestNoise, [product](const auto& problem) {
    return in_passes<bench::StandardNoise>(problem, product(problem));
  });
#else
  builder.contest.add_not_there("OpenBLAS: bare product", "libopenblas-dev");
  builder.contest.add_not_there(title, "libopenblas-dev");
  builder.contest.add_not_there(standard_title, "libopenblas-dev");
#endif
}

void add_ceilings(Contest& contest, bool with_threads) {
  contest.add_peak(kPeak, bench::kFmaFlops, bench::fma_burst);
  if (with_threads) contest.add_peak_twice(kPeakTwice, bench::kFmaFlops, bench::fma_burst);
  if (contest.shape().batch == 1) {
    // The packed weights themselves, so that both meet the same pages and cache sets.
    const std::size_t count = contest.shape().in * contest.shape().out;
    contest.add_reading(kReads, count,
                        [](const Problem& problem) { return problem.packed.panel(0); });
    contest.add_reading_half_of_l2();
  }
}

void print(const bench::Contest& contest, const std::vector<bench::GemmLine>& lines,
           std::ostream& out) {
  bench::print_table(
      contest, lines,
      {.rate = "GFLOP/s", .peaks = {{"of FMA peak", kPeak}}, .times = {{"time / oneDNN", kOneDnn}}},
      out);
  bench::print_threads(contest, {kFused, kFusedTwice}, {kPeak, kPeakTwice}, "FMA", out);
  out << "\n\n";
}

bench::Event event(const bench::GemmShape& shape) {
  const bool with_threads = shape.batch == 256;
  Builder builder(shape);
  add_lumina(builder, with_threads);
  builder.add("lumina: product, noise pass, ADC pass", kFarthestNoise, [](const auto& problem) {
    return in_passes<bench::FastNoise>(problem, lumina_product(problem));
  });
  add_onednn(builder);
  add_openblas(builder);
  add_ceilings(builder.contest, with_threads);
  return {builder.contest.contest(),
          [lines = builder.contest.lines()](const auto& contest, auto& out) {
            print(contest, lines, out);
          }};
}

}  // namespace

int main(int argc, char** argv) {
  std::string libraries;
#if defined(LUMINA_BENCH_ONEDNN)
  bench::prepare_onednn();
  libraries += "; " + bench::onednn_version();
#endif
#if defined(LUMINA_BENCH_OPENBLAS)
  bench::prepare_openblas();
  libraries += "; " + bench::openblas_version();
#endif

  std::vector<bench::Event> events;
  for (const bench::GemmShape& shape : bench::kGemmShapes) events.push_back(event(shape));
  return bench::run(argc, argv, "Fused product, noise and ADC", libraries, events);
}
