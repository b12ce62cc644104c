// fused_gemm with weights of floats, packed or as they lie, with and without a DAC: each output is
// the oracle's, and a refused call has written nothing.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <lumina/fused_gemm.hpp>
#include <lumina/reference.hpp>

#include "support/check.hpp"
#include "support/input.hpp"
#include "support/problem.hpp"
#include "support/stages.hpp"

namespace {

using fuzz::Input;
using fuzz::require;
using lumina::MatrixView;
using test::TestMatrix;

/// What is wrong with a call's matrices, should something be.
enum class Fault { none, x_cols, y_rows, y_cols, no_x, no_y, no_w, y_in_x, y_in_w };
constexpr std::array kFaults{Fault::none,   Fault::none,   Fault::none,   Fault::none,  Fault::none,
                             Fault::none,   Fault::none,   Fault::x_cols, Fault::none,  Fault::none,
                             Fault::y_rows, Fault::y_cols, Fault::no_x,   Fault::no_y,  Fault::no_w,
                             Fault::y_in_x, Fault::none,   Fault::none,   Fault::y_in_w};

struct Problem {
  fuzz::Dimensions shape;
  TestMatrix x, w, y;
  lumina::NoiseKey key;
  std::optional<lumina::RuntimeQuantizer> dac;
  bool packed;
  Fault fault;

  explicit Problem(Input& input)
      : shape(fuzz::dimensions(input, 40000, std::size_t{1} << 20)),
        x(fuzz::matrix(input, shape.batch, shape.in)),
        w(fuzz::matrix(input, shape.out, shape.in)),
        y(shape.batch, shape.out, shape.out + fuzz::gap(input)),
        key(fuzz::noise_key(input)),
        packed(input.flag()),
        fault(input.one_of(kFaults)) {
    if (input.flag()) dac = fuzz::converter(input);
    fuzz::note("packed", packed);
    fuzz::note("fault", static_cast<int>(fault));
  }

  /// The views of the call: those of the problem, or wrong ones. `valid`: whether they still are
  /// right.
  struct Views {
    MatrixView<const float> x, w;
    MatrixView<float> y;
    bool valid = true;
  };
  Views views() {
    Views call{x, w, y};
    const auto [batch, in, out] = shape;
    const bool writes = batch != 0 && out != 0, reads = writes && in != 0;
    switch (fault) {
      case Fault::none:
        break;
      case Fault::x_cols:
        if (in == 0) break;
        call.x = {call.x.data(), batch, in - 1, call.x.row_stride()};
        call.valid = false;
        break;
      case Fault::y_rows:
        if (batch == 0) break;
        call.y = {call.y.data(), batch - 1, out, call.y.row_stride()};
        call.valid = false;
        break;
      case Fault::y_cols:
        if (out == 0) break;
        call.y = {call.y.data(), batch, out - 1, call.y.row_stride()};
        call.valid = false;
        break;
      case Fault::no_x:
        call.x = {nullptr, batch, in, call.x.row_stride()};
        call.valid = !reads;
        break;
      case Fault::no_y:
        call.y = {nullptr, batch, out, call.y.row_stride()};
        call.valid = !writes;
        break;
      case Fault::no_w:
        call.w = {nullptr, out, in, call.w.row_stride()};
        call.valid = packed || !reads;
        break;
      case Fault::y_in_x:
        if (!reads || in < out) break;
        call.y = {x.view().data() + (in - out), batch, out, x.view().row_stride()};
        call.valid = false;
        break;
      case Fault::y_in_w:
        if (!reads || in < out || out < batch || packed) break;
        call.y = {w.view().data(), batch, out, w.view().row_stride()};
        call.valid = false;
        break;
    }
    return call;
  }
};

template <class Stages, class Executor>
bool call(const Problem& problem, const Problem::Views& views, const lumina::PackedWeights& packed,
          const Stages& stages, const Executor& executor) {
  const auto with = [&](const auto& weights) {
    if (problem.dac) {
      return lumina::fused_gemm(views.x, *problem.dac, weights, views.y, stages, problem.key,
                                executor);
    } else {
      return lumina::fused_gemm(views.x, weights, views.y, stages, problem.key, executor);
    }
  };
  return problem.packed ? with(packed) : with(views.w);
}

template <class Stages>
void expect(Problem& problem, MatrixView<float> y, const Stages& stages) {
  const auto [batch, in, out] = problem.shape;
  TestMatrix x(batch, in);
  for (std::size_t row = 0; row < batch; ++row) {
    for (std::size_t k = 0; k < in; ++k) {
      x(row, k) = problem.dac ? (*problem.dac)(problem.x(row, k)) : problem.x(row, k);
    }
  }
  lumina::reference::fused_gemm(x, problem.w, y, stages, problem.key);
}

template <class Stages>
void check(Input& input, Problem& problem, const Stages& stages, bool stages_valid) {
  const Problem::Views views = problem.views();
  const auto how = input.flag() ? fuzz::OnError::throws : fuzz::OnError::returns;
  const lumina::PackedWeights packed = lumina::pack_weights(problem.w);

  bool valid = views.valid && stages_valid, perhaps = false;
  std::size_t reports = 0;
  if (input.flag()) {
    fuzz::Workspace workspace(input,
                              lumina::float_workspace_bytes(problem.shape.batch, problem.shape.in));
    const bool computes = problem.shape.batch != 0 && problem.shape.out != 0;
    perhaps = valid && computes && workspace.aligned() && !workspace.surely_enough();
    valid = valid && (!computes || workspace.aligned());
    reports = fuzz::reports_of(
        how, [&] { return call(problem, views, packed, stages, workspace.executor()); });
  } else {
    const fuzz::AnyOrder executor{input.byte()};
    reports = fuzz::reports_of(how, [&] { return call(problem, views, packed, stages, executor); });
  }

  // A call that needs less memory than the largest of its kind may do with less.
  if (!perhaps) require((reports != 0) == !valid, "what is wrong, and only that, is refused");
  require(problem.y.gaps_untouched(), "nobody writes between rows");
  if (reports != 0) {
    require(problem.y.untouched(), "a refused call has written nothing");
    return;
  }
  if (problem.fault == Fault::no_y) return;
  TestMatrix expected(problem.shape.batch, problem.shape.out);
  expect(problem, expected, stages);
  fuzz::require_same(test::difference(problem.y, expected), "y is the oracle's");
}

void check_noise_quant(Input& input, Problem& problem) {
  const float stddev = fuzz::strength(input);
  const lumina::Quantizer<5> adc(-1.0f, 2.0f);
  const Problem::Views views = problem.views();
  const auto how = input.flag() ? fuzz::OnError::throws : fuzz::OnError::returns;
  fuzz::note("stddev", stddev);
  const std::size_t reports = fuzz::reports_of(how, [&] {
    if (problem.packed) {
      const lumina::PackedWeights packed = lumina::pack_weights(problem.w);
      return lumina::fused_gemm_noise_quant(views.x, packed, views.y, stddev, adc, problem.key);
    } else {
      return lumina::fused_gemm_noise_quant(views.x, views.w, views.y, stddev, adc, problem.key);
    }
  });
  const bool valid = views.valid && fuzz::strength_valid(stddev);
  require((reports != 0) == !valid, "what is wrong, and only that, is refused");
  require(problem.y.gaps_untouched() && (valid || problem.y.untouched()), "nothing written beside");
  if (!valid || problem.fault == Fault::no_y) return;
  TestMatrix expected(problem.shape.batch, problem.shape.out);
  lumina::reference::fused_gemm_noise_quant(problem.x, problem.w, expected, stddev, adc,
                                            problem.key);
  fuzz::require_same(test::difference(problem.y, expected), "y is the oracle's");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::notes.clear();
  Input input(data, size);
  const std::uint8_t form = input.byte();
  Problem problem(input);
  if (form % 8 == 0) {
    check(input, problem, lumina::epilogue(), true);
  } else if (form % 8 == 1) {
    check_noise_quant(input, problem);
  } else {
    using namespace lumina;
    fuzz::StageParameters stages(input, problem.shape.out);
    check(input, problem,
          epilogue(AddBias{stages.columns()}, Attenuation{stages.factor}, ShotNoise{stages.shot},
                   GaussianNoise{stages.gaussian}, stages.picky, Relu{}, stages.adc),
          stages.valid);
  }
  return 0;
}
