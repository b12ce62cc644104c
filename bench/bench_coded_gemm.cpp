// The fused call with coded weights against oneDNN's bare product of bytes, our own engine for
// floats, and what the core could do at best. One thread unless said otherwise; ratios within one
// run.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <lumina/lumina.hpp>

#include "support/contest.hpp"
#include "support/gemm.hpp"
#include "support/integer_ceilings.hpp"
#include "support/markdown.hpp"
#include "support/onednn.hpp"
#include "support/run.hpp"

namespace {

using bench::kAdc;
using bench::kFarthestNoise;
using bench::kHalfStep;
using bench::kNoise;
using bench::kRounding;
using lumina::Matrix;

constexpr lumina::Quantizer<8> kDac(0.0f, 1.0f);

std::string of_bits(int bits) { return std::to_string(bits) + "-bit weights"; }
std::string fused(int bits) { return "lumina: " + of_bits(bits) + ", DAC, noise and ADC"; }
std::string reads(int bits) { return "ceiling: reading the " + of_bits(bits); }

const std::string kFusedTwice = fused(8) + ", 2 threads";
const std::string kFloats = "lumina: f32 engine, noise and ADC";
// Without VNNI oneDNN adds pairs of products in 16 bits, which saturate with inputs of 8 bits. With
// 7 bits it does the same work and is exact.
#if defined(LUMINA_ISA_VNNI) || !defined(__x86_64__)
constexpr int kOneDnnBits = 8;
const std::string kOneDnn = "oneDNN: bare u8·s8 product";
#else
constexpr int kOneDnnBits = 7;
const std::string kOneDnn = "oneDNN: bare u8·s8 product, exact with 7-bit inputs only";
#endif
const std::string kAmxPeak = "ceiling: AMX";
#if defined(LUMINA_BENCH_DOT_PRODUCTS)
const std::string kPeak = std::string("ceiling: ") + bench::kDotName;
#else
const std::string kPeak = "ceiling: none";
#endif
const std::string kPeakTwice = kPeak + ", 2 threads";

/// The data of floats, the same in codes, and places for codes and sums.
class Problem : public bench::GemmData {
 public:
  explicit Problem(const bench::GemmShape& shape)
      : GemmData(shape),
        coded_(lumina::encode_weights<8>(w), lumina::encode_weights<4>(w),
               lumina::encode_weights<2>(w)) {
    for (std::size_t set = 0; set < kInputSets; ++set) {
      x_codes[set] = Matrix<std::uint8_t>(shape.batch, shape.in);
      onednn_codes[set] = Matrix<std::uint8_t>(shape.batch, shape.in);
      for (std::size_t i = 0; i < x[set].elements().size(); ++i) {
        const std::uint32_t code = kDac.encode(x[set].data()[i]);
        x_codes[set].data()[i] = static_cast<std::uint8_t>(code);
        onednn_codes[set].data()[i] = static_cast<std::uint8_t>(code >> (8 - kOneDnnBits));
      }
      y_codes[set] = Matrix<std::uint8_t>(shape.batch, shape.out);
      sums[set] = Matrix<std::int32_t>(shape.batch, shape.out);
    }
  }

  template <int Bits>
  const lumina::CodedWeights<Bits>& coded() const {
    return std::get<lumina::CodedWeights<Bits>>(coded_);
  }

  void spoil_outputs() {
    GemmData::spoil_outputs();
    std::ranges::fill(y_codes[0].elements(), std::uint8_t{0});
    std::ranges::fill(sums[0].elements(), -1);
  }

  std::array<Matrix<std::uint8_t>, kInputSets> x_codes, y_codes, onednn_codes;
  std::array<Matrix<std::int32_t>, kInputSets> sums;

 private:
  std::tuple<lumina::CodedWeights<8>, lumina::CodedWeights<4>, lumina::CodedWeights<2>> coded_;
};

using Contest = bench::GemmContest<Problem>;
using Data = std::shared_ptr<Problem>;

/// Σ code(x)·code(w).
template <int Bits>
double sum_of_codes(const Matrix<std::uint8_t>& x_codes, const lumina::CodedWeights<Bits>& w,
                    std::size_t row, std::size_t col) {
  std::int64_t sum = 0;
  for (std::size_t k = 0; k < w.cols(); ++k) {
    sum += std::int64_t{x_codes(row, k)} * w.code(col, k);
  }
  return static_cast<double>(sum);
}

/// What the codes of the first inputs and of the weights stand for, multiplied.
template <int Bits>
auto exact(const Problem& problem) {
  static_assert(kDac.lo() == 0.0f);  // otherwise the sum of the weights' codes counts too
  return [&problem](std::size_t row, std::size_t col) {
    return sum_of_codes(problem.x_codes[0], problem.coded<Bits>(), row, col) *
           static_cast<double>(kDac.step()) *
           static_cast<double>(problem.coded<Bits>().scales()[col]);
  };
}

template <int Bits>
bench::GemmLine line(const Contest& contest) {
  return {.weight_bytes = contest.shape().weights() * Bits / 8, .reading = reads(Bits)};
}

/// A contestant that writes floats.
template <int Bits>
void add(Contest& contest, const std::string& title, float tolerance, Contest::Make make,
         int threads = 1) {
  contest.add(
      title, line<Bits>(contest), std::move(make),
      [shape = contest.shape(), tolerance](Problem& problem, const std::string& who) {
        bench::check_outputs(problem.y[0], shape, exact<Bits>(problem), tolerance, who);
      },
      threads);
}

template <int Bits, class Executor = lumina::Serial>
auto coded_call(const Data& problem, float noise, Executor executor = {}) {
  return [=](std::size_t turn) {
    lumina::fused_gemm_noise_quant(problem->input(turn), kDac, problem->coded<Bits>(),
                                   problem->output(turn), noise, kAdc, {.seed = 1, .stream = turn},
                                   executor);
  };
}

void add_coded(Contest& contest, bool with_threads) {
  const auto fused_call = [&]<int Bits>(std::integral_constant<int, Bits>) {
    add<Bits>(contest, fused(Bits), kFarthestNoise,
              [](const Data& problem) { return coded_call<Bits>(problem, kNoise); });
  };
  fused_call(std::integral_constant<int, 8>{});
  fused_call(std::integral_constant<int, 4>{});
  fused_call(std::integral_constant<int, 2>{});
  add<8>(contest, "lumina: 8-bit weights, DAC and ADC, no noise", kHalfStep,
         [](const Data& problem) { return coded_call<8>(problem, 0.0f); });
  add<8>(contest, "lumina: 8-bit weights, DAC, bare product", kRounding, [](const Data& problem) {
    return [problem](std::size_t turn) {
      lumina::fused_gemm(problem->input(turn), kDac, problem->coded<8>(), problem->output(turn),
                         lumina::epilogue());
    };
  });
  // As in the middle of a network whose layers hand on codes.
  contest.add(
      "lumina: 8-bit weights, codes to codes, noise and ADC", line<8>(contest),
      [](const Data& problem) {
        return [problem](std::size_t turn) {
          const std::size_t set = turn % Problem::kInputSets;
          lumina::fused_gemm_noise_quant(problem->x_codes[set], kDac, problem->coded<8>(),
                                         problem->y_codes[set], kNoise, kAdc,
                                         {.seed = 1, .stream = turn});
        };
      },
      [shape = contest.shape()](Problem& problem, const std::string& title) {
        const auto decoded = [&](std::size_t row, std::size_t col) {
          return kAdc.decode(problem.y_codes[0](row, col));
        };
        bench::check_outputs(decoded, shape, exact<8>(problem), kFarthestNoise, title);
      });
  if (with_threads) {
#if defined(_OPENMP)
    add<8>(
        contest, kFusedTwice, kFarthestNoise,
        [](const Data& problem) { return coded_call<8>(problem, kNoise, lumina::OpenMP{2}); }, 2);
#else
    contest.add_not_there(kFusedTwice, "OpenMP");
#endif
  }
}

/// Our own engine with floats that have not been coded.
void add_floats(Contest& contest) {
  contest.add(
      kFloats, {.weight_bytes = contest.shape().weights() * sizeof(float)},
      [](const Data& problem) {
        return [problem](std::size_t turn) {
          lumina::fused_gemm_noise_quant(problem->input(turn), problem->packed,
                                         problem->output(turn), kNoise, kAdc,
                                         {.seed = 1, .stream = turn});
        };
      },
      [shape = contest.shape()](Problem& problem, const std::string& title) {
        // 8-bit codes change the product by less than this.
        constexpr float kCoding = 0.02f;
        bench::check_outputs(problem.y[0], shape, exact<8>(problem), kFarthestNoise + kCoding,
                             title);
      });
}

/// oneDNN's bare product: its sums must be exact. Returns where the name of its kernel will stand.
std::shared_ptr<const std::string> add_onednn(Contest& contest) {
  const auto kernel = std::make_shared<std::string>();
#if defined(LUMINA_BENCH_ONEDNN)
  contest.add(
      kOneDnn, line<8>(contest),
      [kernel](const Data& problem) {
        return bench::onednn_call(problem, problem->coded<8>().codes(), problem->onednn_codes,
                                  problem->sums, kernel.get());
      },
      [shape = contest.shape()](Problem& problem, const std::string& title) {
        const auto exact_sum = [&](std::size_t row, std::size_t col) {
          return sum_of_codes(problem.onednn_codes[0], problem.coded<8>(), row, col);
        };
        bench::check_outputs(problem.sums[0], shape, exact_sum, 0.0, title);
      });
#else
  contest.add_not_there(kOneDnn, "libdnnl-dev");
#endif
  return kernel;
}

template <int Bits>
void add_reading(Contest& contest) {
  using lumina::detail::kPanelColumns;
  const std::size_t panels = (contest.shape().out + kPanelColumns - 1) / kPanelColumns;
  const std::size_t steps = (contest.shape().in * Bits + 31) / 32;
  contest.add_reading(reads(Bits), panels * steps * kPanelColumns,
                      [](const Problem& problem) { return problem.coded<Bits>().panel(0); });
}

void add_ceilings(Contest& contest, bool with_threads) {
#if defined(LUMINA_BENCH_DOT_PRODUCTS)
  contest.add_peak(kPeak, bench::kDotOperations, bench::dot_burst);
  if (with_threads) contest.add_peak_twice(kPeakTwice, bench::kDotOperations, bench::dot_burst);
#else
  static_cast<void>(with_threads);
#endif
#if defined(LUMINA_ISA_AMX)
  contest.add_peak(kAmxPeak, bench::kAmxOperations, bench::amx_burst);
#endif
  if (contest.shape().batch == 1) {
    add_reading<8>(contest);
    add_reading<4>(contest);
    add_reading<2>(contest);
    contest.add_reading_half_of_l2();
  }
}

void print(const bench::Contest& contest, const bench::GemmShape& shape,
           const std::vector<bench::GemmLine>& lines, const std::string& onednn_kernel,
           std::ostream& out) {
  bench::print_table(contest, lines,
                     {.rate = "GOP/s",
                      .peaks = {{"of integer peak", kPeak}, {"of AMX peak", kAmxPeak}},
                      .times = {{"time / oneDNN", kOneDnn}},
                      .speedups = {{"speed / f32 engine", kFloats}}},
                     out);
  bench::print_threads(contest, {fused(8), kFusedTwice}, {kPeak, kPeakTwice}, "dot products", out);
  if (shape.batch == 1) {
    const std::size_t eight = contest.index(fused(8));
    out << " With 4-bit weights the call is "
        << bench::times(contest.time_ratio(eight, contest.index(fused(4))))
        << " as fast as with 8 bits, with 2-bit weights "
        << bench::times(contest.time_ratio(eight, contest.index(fused(2)))) << '.';
  }
  if (!onednn_kernel.empty()) out << " oneDNN's kernel is " << onednn_kernel << '.';
  out << "\n\n";
}

bench::Event event(const bench::GemmShape& shape) {
  const bool with_threads = shape.batch == 256;
  Contest contest(shape, "OP");
  add_coded(contest, with_threads);
  add_floats(contest);
  const auto onednn_kernel = add_onednn(contest);
  add_ceilings(contest, with_threads);
  return {contest.contest(),
          [shape, lines = contest.lines(), onednn_kernel](const auto& measured, auto& out) {
            print(measured, shape, lines, *onednn_kernel, out);
          }};
}

}  // namespace

int main(int argc, char** argv) {
#if defined(LUMINA_ISA_AMX)
  if (!lumina::detail::amx_usable()) {
    std::puts("SKIPPED: this CPU has no AMX, or the system does not let programs use it");
    return 77;
  }
#endif
  std::string libraries;
#if defined(LUMINA_BENCH_ONEDNN)
  bench::prepare_onednn();
  libraries += "; " + bench::onednn_version();
#endif

  std::vector<bench::Event> events;
  for (const bench::GemmShape& shape : bench::kGemmShapes) events.push_back(event(shape));
  return bench::run(argc, argv, "Fused product of codes, noise and ADC", libraries, events);
}
