// Layers on arrays against the plain coded call with Gaussian noise and ADC: tiles, read noise,
// rows that choose their range, the field's usual hardware-aware preset, stages chosen at run time;
// and what putting weights on phase-change memory takes. One thread; ratios within one run.
#include <cstddef>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <lumina/lumina.hpp>

#include "support/contest.hpp"
#include "support/gemm.hpp"
#include "support/markdown.hpp"
#include "support/random_data.hpp"
#include "support/run.hpp"

namespace {

using namespace lumina;

constexpr std::size_t kSets = 4;
constexpr std::size_t kChipOut = 1000, kChipIn = 1000;  // 10⁶ weights
const std::string kPlain = "plain: fused_gemm, Gaussian noise, ADC";

struct Problem {
  explicit Problem(const bench::GemmShape& shape)
      : w(bench::random_matrix(shape.out, shape.in, -1.0f, 1.0f, 1)),
        coded(encode_weights<8>(w)),
        one_array(encode_tiles<8>(w, {{shape.in, shape.out}})),
        arrays(encode_tiles<8>(w, {{256, 512}})),
        sliced(encode_slices<8>(w, {{shape.in, shape.out}}, {.cell_bits = 2, .input_bits = 1})) {
    for (std::size_t set = 0; set < kSets; ++set) {
      x[set] = bench::random_matrix(shape.batch, shape.in, -1.0f, 1.0f, set + 10);
      y[set] = Matrix<float>(shape.batch, shape.out);
    }
  }
  Matrix<float> w;
  Matrix<float> x[kSets], y[kSets];
  CodedWeights<8> coded;
  TiledWeights<8> one_array, arrays;
  SlicedWeights<8> sliced;
};

const SymmetricQuantizer<8> kDac(1.0f), kAdc(10.0f);
const ManagedDac kManaged{.bits = 8, .noise_management = NoiseManagement::abs_max};

/// One column of times, and their ratios to the first.
void print(const bench::Contest& contest, std::ostream& out) {
  bench::MarkdownTable table({contest.name(), "median µs", "best µs", "time / first"});
  for (std::size_t i = 0; i < contest.contestants().size(); ++i) {
    table.add({contest.contestants()[i].title, bench::number(1e6 * contest.median(i)),
               bench::number(1e6 * contest.best(i)),
               i == 0 ? "" : bench::times(contest.time_ratio(i, 0))});
  }
  table.print(out);
  out << contest.rounds() << " rounds.\n\n";
}

bench::Event calls(const bench::GemmShape& shape) {
  const auto contest =
      std::make_shared<bench::Contest>("batch × in × out: " + shape.name(), "operations");
  const auto data = std::make_shared<std::weak_ptr<Problem>>();
  /// run(problem, x, y, key)
  const auto add = [&](const std::string& title, auto run) {
    contest->add({title, shape.operations(), [data, shape, run]() -> bench::Call {
                    std::shared_ptr<Problem> problem = data->lock();
                    if (problem == nullptr) *data = problem = std::make_shared<Problem>(shape);
                    return [problem, run](std::size_t turn) {
                      const std::size_t set = turn % kSets;
                      run(*problem, problem->x[set], problem->y[set], NoiseKey{1, turn});
                    };
                  }});
  };
  const auto on_arrays = [&](const std::string& title, bool several, const auto& dac,
                             const auto& in_array) {
    add(title, [=](Problem& problem, const Matrix<float>& x, Matrix<float>& y, NoiseKey key) {
      analog_gemm(x, dac, several ? problem.arrays : problem.one_array, in_array, digital(), y,
                  key);
    });
  };
  const GaussianNoise additive{0.04f};
  add(kPlain, [](Problem& problem, const Matrix<float>& x, Matrix<float>& y, NoiseKey key) {
    fused_gemm(x, kDac, problem.coded, y,
               epilogue(GaussianNoise{1.0f}, SymmetricQuantizer<8>(30.0f)), key);
  });
  on_arrays("one array", false, kDac, array(additive, kAdc));
  on_arrays("one array, rows choose their range", false, kManaged, array(additive, kAdc));
  on_arrays("one array, constant read noise (row facts)", false, kDac,
            array(ConstantReadNoise(0.0175f), kAdc));
  on_arrays("one array, PCM read noise (one sum)", false, kDac, array(ReadNoise(0.0175f), kAdc));
  on_arrays("arrays of 256 inputs", true, kDac, array(additive, kAdc));
  on_arrays("arrays of 256 inputs, PCM read noise and output noise as one", true, kDac,
            array(independent(ReadNoise(0.0175f), additive), kAdc));
  const auto in_slices = [&](const std::string& title, const auto& dac, const auto& in_array) {
    add(title, [=](Problem& problem, const Matrix<float>& x, Matrix<float>& y, NoiseKey key) {
      analog_gemm(x, dac, problem.sliced, in_array, digital(), y, key);
    });
  };
  in_slices("4 slices × 8 planes, noise and ADC each", Quantizer<8>(0.0f, 1.0f),
            array(GaussianNoise{0.4f}, SymmetricQuantizer<8>(127.0f)));
  in_slices("the same without either: one product", Quantizer<8>(0.0f, 1.0f), array());
  const auto list = [&](const std::string& title, const StageList& stages) {
    add(title, [stages](Problem& problem, const Matrix<float>& x, Matrix<float>& y, NoiseKey key) {
      fused_gemm(x, kDac, problem.coded, y, stages, key);
    });
  };
  const auto composed = [&](const std::string& title, const auto& stages) {
    add(title, [stages](Problem& problem, const Matrix<float>& x, Matrix<float>& y, NoiseKey key) {
      fused_gemm(x, kDac, problem.coded, y, stages, key);
    });
  };
  const Attenuation loss{0.9f};
  const SymmetricQuantizer<8> adc(30.0f);
  composed("plain, 3 stages composed", epilogue(loss, GaussianNoise{1.0f}, adc));
  list("plain, 3 stages in a list", StageList(loss, GaussianNoise{1.0f}, adc));
  composed("plain, 6 stages composed",
           epilogue(loss, ShotNoise{0.1f}, loss, GaussianNoise{1.0f}, adc, Relu{}));
  list("plain, 6 stages in a list",
       StageList(loss, ShotNoise{0.1f}, loss, GaussianNoise{1.0f}, adc, Relu{}));
  return {contest, print};
}

bench::Event programming() {
  const auto contest =
      std::make_shared<bench::Contest>("10⁶ weights on pairs of devices", "weights");
  /// look(chip, to)
  const auto add = [&](const std::string& title, auto look) {
    contest->add({title, 1e6, [look]() -> bench::Call {
                    struct Chip {
                      Matrix<float> w = bench::random_matrix(kChipOut, kChipIn, -1.0f, 1.0f, 1);
                      TiledWeights<8> weights;
                    };
                    const auto chip = std::make_shared<Chip>();
                    return [chip, look](std::size_t turn) { look(chip->w, chip->weights, turn); };
                  }});
  };
  add("encode_tiles",
      [](const Matrix<float>& w, TiledWeights<8>& to, std::size_t) { encode_tiles(w, {}, to); });
  add("Pcm, programmed", [](const Matrix<float>& w, TiledWeights<8>& to, std::size_t turn) {
    Programmed(w, Pcm{}, NoiseKey{1, turn}).at(std::nullopt, to);
  });
  add("Pcm, programmed and taken to another time",
      [](const Matrix<float>& w, TiledWeights<8>& to, std::size_t turn) {
        Programmed(w, Pcm{}, NoiseKey{1, turn}).at(3600.0 + static_cast<double>(turn), to);
      });
  return {contest, print};
}

bench::Event wires() {
  const auto contest =
      std::make_shared<bench::Contest>("wires of an array of 256 × 256", "devices");
  const auto add = [&](const std::string& title, const Wires& own) {
    contest->add({title, 65536.0, [own]() -> bench::Call {
                    const auto g = std::make_shared<Matrix<float>>(
                        bench::random_matrix(256, 256, 0.0f, 25.0f, 1));
                    const auto effective = std::make_shared<Matrix<float>>(256, 256);
                    return [=](std::size_t) {
                      effective_conductances(*g, own, MatrixView<float>(*effective));
                    };
                  }});
  };
  add("1 Ω a segment of columns", {0.0f, 1.0f});
  add("1 Ω a segment", {1.0f, 1.0f});
  return {contest, print};
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<bench::Event> events;
  for (const bench::GemmShape& shape : {bench::GemmShape{256, 784, 512}, {1, 784, 512}}) {
    events.push_back(calls(shape));
  }
  events.push_back(programming());
  events.push_back(wires());
  return bench::run(argc, argv, "Layers on arrays", "", events);
}
