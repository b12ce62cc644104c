// The fused call against the matrix products and separate passes of others, and against what the
// core could do at best. One thread unless said otherwise; ratios within one run.
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <lumina/lumina.hpp>

#include "support/ceilings.hpp"
#include "support/contest.hpp"
#include "support/markdown.hpp"
#include "support/not_there.hpp"
#include "support/onednn.hpp"
#include "support/openblas.hpp"
#include "support/random_data.hpp"
#include "support/run.hpp"
#include "support/separate_passes.hpp"

namespace {

using lumina::Matrix;
using lumina::MatrixView;

constexpr float kNoise = 0.1f;
constexpr lumina::Quantizer<8> kAdc(-4.0f, 4.0f);

const std::string kFused = "lumina: fused, noise and 8-bit ADC";
const std::string kFusedTwice = "lumina: fused, noise and 8-bit ADC, 2 threads";
const std::string kPeak = "ceiling: FMA";
const std::string kPeakTwice = "ceiling: FMA, 2 threads";
const std::string kReads = "ceiling: reading the weights";
const std::string kReadsL2 = "ceiling: reading half of L2";
const std::string kOneDnn = "oneDNN: bare product";

struct Shape {
  std::size_t batch, in, out;

  std::string name() const {
    return std::to_string(batch) + " × " + std::to_string(in) + " × " + std::to_string(out);
  }
  double flops() const { return 2.0 * static_cast<double>(batch * in * out); }
  double weight_bytes() const { return 4.0 * static_cast<double>(in * out); }
};

/// The data that a contest's contestants share.
class Problem {
 public:
  static constexpr std::size_t kInputSets = 4;

  explicit Problem(const Shape& shape) : w(weights(shape)), packed(lumina::pack_weights(w)) {
    for (std::size_t set = 0; set < kInputSets; ++set) {
      x[set] = bench::random_matrix(shape.batch, shape.in, 0.0f, 1.0f, set + 2);
      y[set] = Matrix<float>(shape.batch, shape.out);
    }
  }

  MatrixView<const float> input(std::size_t turn) const { return x[turn % kInputSets]; }
  MatrixView<float> output(std::size_t turn) { return y[turn % kInputSets]; }
  std::span<float> outputs(std::size_t turn) {
    Matrix<float>& m = y[turn % kInputSets];
    return {m.data(), m.rows() * m.cols()};
  }

  Matrix<float> w;
  lumina::PackedWeights packed;
  std::array<Matrix<float>, kInputSets> x, y;

 private:
  /// Outputs have a standard deviation near 0.6, whatever the depth: they fit the ADC's range.
  static Matrix<float> weights(const Shape& shape) {
    const float bound = std::sqrt(3.0f / static_cast<float>(shape.in));
    return bench::random_matrix(shape.out, shape.in, -bound, bound, 1);
  }
};

/// Ends the program when a contestant's output is not the product, give or take `tolerance`: being
/// fast at something else does not count.
void check(Problem& problem, const bench::Call& call, float tolerance, const std::string& title) {
  call(0);
  const MatrixView<const float> x = problem.input(0), y = problem.output(0);
  for (std::size_t probe = 0; probe < 64; ++probe) {
    const std::size_t row = probe * 7919 % y.rows(), col = probe * 104729 % y.cols();
    double exact = 0.0;
    for (std::size_t k = 0; k < x.cols(); ++k) {
      exact += static_cast<double>(x(row, k)) * static_cast<double>(problem.w(col, k));
    }
    if (!(std::fabs(y(row, col) - exact) < static_cast<double>(tolerance))) {
      std::fprintf(stderr, "%s: y(%zu, %zu) is %g and should be near %g\n", title.c_str(), row, col,
                   static_cast<double>(y(row, col)), exact);
      std::exit(1);
    }
  }
}

/// Builds a contest; its data come to life with the first contestant that is prepared, and go with
/// the last one.
class Builder {
 public:
  explicit Builder(const Shape& shape)
      : shape_(shape), contest_(std::make_shared<bench::Contest>(shape.name(), "FLOP")) {}

  /// `make`, given the data, returns the call.
  void add(const std::string& title, float tolerance,
           std::function<bench::Call(std::shared_ptr<Problem>)> make, int threads = 1) {
    const auto prepare = [title, tolerance, make = std::move(make), data = data_, shape = shape_] {
      std::shared_ptr<Problem> problem = data->lock();
      if (problem == nullptr) *data = problem = std::make_shared<Problem>(shape);
      bench::Call call = make(problem);
      if (tolerance > 0.0f) check(*problem, call, tolerance, title);
      return call;
    };
    contest_->add({title, shape_.flops(), prepare, threads});
  }
  void add_ceiling(const std::string& title, double work, bench::Call call, int threads = 1) {
    contest_->add({title, work, [call = std::move(call)] { return call; }, threads});
  }
  void add_not_there(const std::string& title, const std::string& package) {
    contest_->add(bench::not_there(title, shape_.flops(), package));
  }
  std::shared_ptr<bench::Contest> contest() const { return contest_; }

 private:
  Shape shape_;
  std::shared_ptr<bench::Contest> contest_;
  std::shared_ptr<std::weak_ptr<Problem>> data_ = std::make_shared<std::weak_ptr<Problem>>();
};

constexpr float kRounding = 1e-3f;
constexpr float kHalfStep = 4.0f / 255.0f + kRounding;
constexpr float kFarthestNoise = 6.7f * kNoise + kHalfStep;

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
    builder.add_not_there(kFusedTwice, "OpenMP");
#endif
  }
}

void add_onednn(Builder& builder, const Shape& shape) {
  const std::string in_passes_title = "oneDNN: product, noise pass, ADC pass";
#if defined(LUMINA_BENCH_ONEDNN)
  const auto product = [shape](const std::shared_ptr<Problem>& problem) {
    auto matmul = std::make_shared<bench::OneDnnProduct>(problem->w, shape.batch);
    std::vector<bench::OneDnnProduct::Arguments> arguments;
    for (std::size_t set = 0; set < Problem::kInputSets; ++set) {
      arguments.push_back(matmul->arguments(problem->x[set].data(), problem->y[set].data()));
    }
    return [=](std::size_t turn) { (*matmul)(arguments[turn % Problem::kInputSets]); };
  };
  builder.add(kOneDnn, kRounding, product);
  builder.add(in_passes_title, kFarthestNoise, [product](const auto& problem) {
    return in_passes<bench::FastNoise>(problem, product(problem));
  });
#else
  static_cast<void>(shape);
  builder.add_not_there(kOneDnn, "libdnnl-dev");
  builder.add_not_there(in_passes_title, "libdnnl-dev");
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
  builder.add_not_there("OpenBLAS: bare product", "libopenblas-dev");
  builder.add_not_there(title, "libopenblas-dev");
  builder.add_not_there(standard_title, "libopenblas-dev");
#endif
}

void add_ceilings(Builder& builder, const Shape& shape, bool with_threads) {
  builder.add_ceiling(kPeak, bench::kFmaFlops, [](std::size_t) { bench::fma_burst(); });
  if (with_threads) {
#if defined(_OPENMP)
    builder.add_ceiling(
        kPeakTwice, 2 * 16 * bench::kFmaFlops,
        [](std::size_t) { lumina::OpenMP{2}(32, [](std::size_t) { bench::fma_burst(); }); }, 2);
#endif
  }
  if (shape.batch == 1) {
    // The packed weights themselves, so that both meet the same pages and cache sets.
    builder.add(kReads, 0.0f, [](const std::shared_ptr<Problem>& problem) {
      const std::size_t count = problem->w.rows() * problem->w.cols();
      return [=](std::size_t) { bench::read_all(problem->packed.panel(0), count); };
    });
    const std::size_t count = (bench::l2_bytes() == 0 ? 256 << 10 : bench::l2_bytes()) / 8;
    const auto half = std::make_shared<Matrix<float>>(bench::random_matrix(1, count, -1, 1, 9));
    builder.add_ceiling(kReadsL2, 4.0 * static_cast<double>(count),
                        [half, count](std::size_t) { bench::read_all(half->data(), count); });
  }
}

void print(const bench::Contest& contest, const Shape& shape, std::ostream& out) {
  using bench::number;
  const bool reads = contest.there(kReads);
  const std::size_t peak = contest.index(kPeak), read = contest.index(kReads);
  const std::size_t onednn = contest.index(kOneDnn);

  std::vector<std::string> header{"batch × in × out: " + contest.name(), "median µs", "best µs",
                                  "GFLOP/s", "of FMA peak"};
  if (reads) header.insert(header.end(), {"weights GB/s", "of reading them"});
  header.push_back("time / oneDNN");
  bench::MarkdownTable table(header);

  for (std::size_t i = 0; i < contest.contestants().size(); ++i) {
    const bench::Contestant& contestant = contest.contestants()[i];
    std::vector<std::string> row{contestant.title};
    if (contest.there(i)) {
      const bool is_peak = contestant.title == kPeak || contestant.title == kPeakTwice;
      const bool is_read = contestant.title == kReads, is_l2 = contestant.title == kReadsL2;
      const bool works = !is_peak && !is_read && !is_l2;
      row.push_back(works || is_read ? number(1e6 * contest.median(i)) : "");
      row.push_back(works || is_read ? number(1e6 * contest.best(i)) : "");
      row.push_back(works || is_peak ? number(1e-9 * contest.rate(i)) : "");
      row.push_back(works || is_peak ? bench::percent(contest.rate_ratio(i, peak)) : "");
      if (reads) {
        const double bytes = is_l2 ? contestant.work : shape.weight_bytes();
        row.push_back(is_peak ? "" : number(1e-9 * bytes / contest.median(i)));
        row.push_back(works || is_read ? bench::percent(contest.time_ratio(read, i)) : "");
      }
      row.push_back(works && contest.there(kOneDnn) ? bench::times(contest.time_ratio(i, onednn))
                                                    : "");
    }
    table.add(std::move(row));
  }
  table.print(out);
  out << contest.rounds() << " rounds.";
  if (contest.there(kFusedTwice)) {
    const std::size_t one = contest.index(kFused), two = contest.index(kFusedTwice);
    out << " Two threads are " << bench::times(contest.time_ratio(one, two)) << " as fast as one ("
        << bench::times(contest.best(one) / contest.best(two))
        << " in the best rounds); where nothing but FMA is done, "
        << bench::times(contest.rate_ratio(contest.index(kPeakTwice), peak)) << '.';
  }
  out << "\n\n";
}

bench::Event event(const Shape& shape) {
  const bool with_threads = shape.batch == 256;
  Builder builder(shape);
  add_lumina(builder, with_threads);
  builder.add("lumina: product, noise pass, ADC pass", kFarthestNoise, [](const auto& problem) {
    return in_passes<bench::FastNoise>(problem, lumina_product(problem));
  });
  add_onednn(builder, shape);
  add_openblas(builder);
  add_ceilings(builder, shape, with_threads);
  return {builder.contest(),
          [shape](const auto& contest, auto& out) { print(contest, shape, out); }};
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
  for (const Shape& shape :
       {Shape{1, 784, 512}, Shape{8, 784, 512}, Shape{32, 784, 512}, Shape{256, 784, 512},
        Shape{1, 4096, 4096}, Shape{32, 4096, 4096}, Shape{1024, 1024, 1024}}) {
    events.push_back(event(shape));
  }
  return bench::run(argc, argv, "Fused product, noise and ADC", libraries, events);
}
