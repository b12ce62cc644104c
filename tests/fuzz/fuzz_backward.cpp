// forward() and backward() with each kind of operands: outputs and gradients are the oracle's; a
// refused forward pass leaves no filled record, a refused backward pass has written nothing.
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <lumina/backward.hpp>
#include <lumina/reference_backward.hpp>
#include <lumina/weight_noise.hpp>

#include "support/check.hpp"
#include "support/input.hpp"
#include "support/problem.hpp"
#include "support/split_bound.hpp"
#include "support/stages.hpp"

namespace {

using fuzz::Input;
using fuzz::require;
using lumina::Gradients;
using lumina::MatrixView;
using test::TestMatrix;

/// What is wrong with a call of backward(), should something be.
enum class Fault {
  none,
  grad_rows,
  no_grad,
  input_cols,
  weight_rows,
  bias_size,
  overlap,
  other_record
};
constexpr std::array kFaults{
    Fault::none,        Fault::none,      Fault::none,      Fault::none,        Fault::none,
    Fault::none,        Fault::none,      Fault::grad_rows, Fault::no_grad,     Fault::input_cols,
    Fault::weight_rows, Fault::bias_size, Fault::overlap,   Fault::other_record};

struct Outputs {
  TestMatrix y, input, weights, bias;

  Outputs(const fuzz::Dimensions& shape, std::size_t gap)
      : y(shape.batch, shape.out, shape.out + gap),
        input(shape.batch, shape.in, shape.in + 2 * gap),
        weights(shape.out, shape.in, shape.in + 3 * gap),
        bias(1, shape.out) {}

  Gradients gradients(unsigned wanted) {
    Gradients result;
    if ((wanted & 1) != 0) result.input = input;
    if ((wanted & 2) != 0) result.weights = weights;
    if ((wanted & 4) != 0) result.bias = {bias.view().data(), bias.view().cols()};
    return result;
  }
  bool gradients_untouched() const {
    return input.untouched() && weights.untouched() && bias.untouched();
  }
};

/// The memory of many calls: that of one must not show in the next.
struct Kept {
  lumina::ForwardRecord record;
  lumina::BackwardWorkspace workspace;
};

template <class Pass>
class Calls {
 public:
  Calls(Input& input, const fuzz::Dimensions& shape, const Pass& pass, MatrixView<const float> w,
        bool valid)
      : input_(input),
        shape_(shape),
        pass_(pass),
        w_(w),
        valid_(valid),
        how_(input.flag() ? fuzz::OnError::throws : fuzz::OnError::returns),
        grad_y_(fuzz::matrix(input, shape.batch, shape.out)),
        actual_(shape, fuzz::gap(input)) {}

  void check() {
    for (int times = input_.byte() % 2; times >= 0; --times) {  // twice: again with used memory
      actual_ = Outputs(shape_, fuzz::gap(input_));
      if (!forward()) return;
      backward();
    }
  }

 private:
  /// Whether it was not refused.
  bool forward() {
    bool valid = valid_, perhaps = false;
    std::size_t reports = 0;
    if (input_.rarely(4)) {
      fuzz::Workspace workspace(input_, workspace_bytes());
      const bool computes = shape_.batch != 0 && shape_.out != 0;
      perhaps = valid && computes && workspace.aligned() && !workspace.surely_enough();
      valid = valid && (!computes || workspace.aligned());
      reports = fuzz::reports_of(how_, [&] {
        return lumina::forward(pass_, actual_.y, kept_.record, workspace.executor());
      });
    } else {
      const fuzz::AnyOrder executor{input_.byte()};
      reports = fuzz::reports_of(
          how_, [&] { return lumina::forward(pass_, actual_.y, kept_.record, executor); });
    }
    if (!perhaps)
      require((reports != 0) == !valid, "forward: what is wrong, and only that, is refused");
    require(kept_.record.filled() == (reports == 0), "a refused forward pass has filled no record");
    if (reports == 0) return true;
    require(actual_.y.untouched(), "a refused forward pass has written nothing");
    const Gradients gradients = actual_.gradients(3);
    const std::size_t again = fuzz::reports_of(
        how_, [&] { lumina::backward(pass_, grad_y_, kept_.record, gradients, kept_.workspace); });
    require(again != 0 && actual_.gradients_untouched(),
            "there was no forward pass to go back from");
    return false;
  }

  std::size_t workspace_bytes() const {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(pass_.weights)>,
                                 lumina::PackedWeights>) {
      return lumina::float_workspace_bytes(shape_.batch, shape_.in);
    } else {
      return lumina::coded_workspace_bytes(shape_.batch, shape_.in);
    }
  }

  void backward() {
    const unsigned wanted = input_.byte() % 8;
    const Fault fault = input_.one_of(kFaults);
    fuzz::note("wanted", wanted);
    fuzz::note("fault", static_cast<int>(fault));
    Gradients gradients = actual_.gradients(wanted);
    MatrixView<const float> grad_y = grad_y_;
    lumina::ForwardRecord other;
    const lumina::ForwardRecord* record = &kept_.record;
    const auto [batch, in, out] = shape_;
    bool valid = true;
    switch (fault) {
      case Fault::none:
        break;
      case Fault::grad_rows:
        if (batch == 0) break;
        grad_y = {grad_y.data(), batch - 1, out, grad_y.row_stride()};
        valid = false;
        break;
      case Fault::no_grad:
        grad_y = {nullptr, batch, out, grad_y.row_stride()};
        valid = batch == 0 || out == 0;
        break;
      case Fault::input_cols:
        if (in == 0 || (wanted & 1) == 0) break;
        gradients.input = {gradients.input.data(), batch, in - 1, gradients.input.row_stride()};
        valid = gradients.input.data() == nullptr;
        break;
      case Fault::weight_rows:
        if (out == 0 || (wanted & 2) == 0) break;
        gradients.weights = {gradients.weights.data(), out - 1, in, gradients.weights.row_stride()};
        valid = gradients.weights.data() == nullptr;
        break;
      case Fault::bias_size:
        if (out < 2 || (wanted & 4) == 0) break;
        gradients.bias = gradients.bias.first(out - 1);
        valid = false;
        break;
      case Fault::overlap:
        if (out == 0 || in < out || batch == 0 || (wanted & 1) == 0) break;
        gradients.bias = {gradients.input.data(), out};
        valid = false;
        break;
      case Fault::other_record:
        other.resize(batch, out, kept_.record.gates());
        record = &other;
        valid = false;
        break;
    }
    const auto order = input_.byte();
    with_products(order % 4, [&](const auto& products) {
      compare(grad_y, *record, gradients, wanted, valid, fuzz::AnyOrder{order}, products);
    });
  }

 private:
  /// f(products): of codes in integers, too.
  template <class F>
  static void with_products(int choice, const F& f) {
    if constexpr (lumina::detail::are_coded<std::remove_cvref_t<decltype(Pass::weights)>>) {
      if (choice == 1) return f(lumina::IntegerSplitProducts<1>{});
      if (choice == 2) return f(lumina::IntegerSplitProducts<2>{});
      if (choice == 3) return f(lumina::IntegerSplitProducts<3>{});
    }
    f(lumina::F32Products{});
  }

  template <class Products>
  void compare(MatrixView<const float> grad_y, const lumina::ForwardRecord& record,
               const Gradients& gradients, unsigned wanted, bool valid,
               const fuzz::AnyOrder& executor, const Products& products) {
    const std::size_t reports = fuzz::reports_of(how_, [&] {
      lumina::backward(pass_, grad_y, record, gradients, kept_.workspace, products, executor);
    });
    require((reports != 0) == !valid, "backward: what is wrong, and only that, is refused");
    if (reports != 0) {
      require(actual_.gradients_untouched(), "a refused backward pass has written nothing");
      return;
    }

    Outputs expected(shape_, 0);
    lumina::reference::forward_and_backward(pass_, w_, grad_y_, expected.y,
                                            expected.gradients(wanted), products);
    const auto same = [](TestMatrix& a, TestMatrix& b, bool wanted_one, const char* what) {
      if (!wanted_one) return require(a.untouched(), what);
      fuzz::require_same(test::difference(a, b), what);
      require(a.gaps_untouched(), what);
    };
    same(actual_.y, expected.y, true, "y is the oracle's");
    same(actual_.input, expected.input, (wanted & 1) != 0, "the gradient by x is the oracle's");
    same(actual_.weights, expected.weights, (wanted & 2) != 0, "the gradient by w is the oracle's");
    same(actual_.bias, expected.bias, (wanted & 4) != 0,
         "the gradient by the bias is the oracle's");
  }

  Input& input_;
  fuzz::Dimensions shape_;
  const Pass& pass_;
  MatrixView<const float> w_;
  bool valid_;
  fuzz::OnError how_;
  TestMatrix grad_y_;
  Outputs actual_;
  Kept kept_;
};

/// f(stages, whether they are valid): gates, of which a record keeps bits.
template <class F>
void with_gates(Input& input, std::size_t out, F f) {
  using namespace lumina;
  fuzz::StageParameters stages(input, out);
  f(epilogue(AddBias{stages.columns()}, Attenuation{stages.factor}, ShotNoise{stages.shot},
             GaussianNoise{stages.gaussian}, stages.picky, Relu{}, stages.adc),
    stages.valid);
}
/// A stage whose derivative needs what entered it, which is computed again.
template <class F>
void with_values(Input& input, std::size_t out, F f) {
  using namespace lumina;
  fuzz::StageParameters stages(input, out);
  f(epilogue(AddBias{stages.columns()}, Attenuation{stages.factor},
             ShotNoiseWithDerivative{stages.shot}, GaussianNoise{stages.gaussian},
             SymmetricQuantizer<6>(3.0f), stages.picky),
    stages.valid);
}

/// Weights of finite numbers: of codes, but for the oracle as well.
TestMatrix finite_weights(Input& input, const fuzz::Dimensions& shape) {
  TestMatrix w = fuzz::matrix(input, shape.out, shape.in);
  for (std::size_t row = 0; row < shape.out; ++row) {
    for (std::size_t col = 0; col < shape.in; ++col) {
      if (!(std::fabs(w(row, col)) < 1e30f)) w(row, col) = 1.0f;
    }
  }
  return w;
}

template <class Pass>
void check(Input& input, const fuzz::Dimensions& shape, const Pass& pass, MatrixView<const float> w,
           bool valid) {
  Calls<Pass>(input, shape, pass, w, valid).check();
}

void check_plain_floats(Input& input, const fuzz::Dimensions& shape) {
  TestMatrix x = fuzz::matrix(input, shape.batch, shape.in);
  TestMatrix w = fuzz::matrix(input, shape.out, shape.in);
  const lumina::PackedWeights packed = lumina::pack_weights(w);
  with_values(input, shape.out, [&](const auto& stages, bool valid) {
    check(input, shape, lumina::forward_pass(x, packed, stages, fuzz::noise_key(input)), w, valid);
  });
}

void check_quantized_floats(Input& input, const fuzz::Dimensions& shape) {
  TestMatrix x = fuzz::matrix(input, shape.batch, shape.in);
  TestMatrix w = fuzz::matrix(input, shape.out, shape.in);
  const lumina::RuntimeQuantizer dac = fuzz::converter(input);
  const lumina::PackedWeights packed = lumina::pack_weights(w);
  with_gates(input, shape.out, [&](const auto& stages, bool valid) {
    check(input, shape, lumina::forward_pass(x, dac, packed, stages, fuzz::noise_key(input)), w,
          valid);
  });
}

/// The gradient by the weights is one by noisy weights.
void check_noisy_codes(Input& input, const fuzz::Dimensions& shape) {
  TestMatrix x = fuzz::matrix(input, shape.batch, shape.in);
  TestMatrix w = finite_weights(input, shape);
  const lumina::RuntimeQuantizer dac = fuzz::converter(input, 8);
  const lumina::MultiplicativeWeightNoise noise{static_cast<float>(input.byte()) / 256.0f};
  const lumina::NoiseKey key = fuzz::noise_key(input);
  const auto coded = lumina::encode_weights<8>(w, noise, key);
  with_gates(input, shape.out, [&](const auto& stages, bool valid) {
    const auto pass = lumina::forward_pass(x, dac, coded, stages, fuzz::noise_key(input));
    check(input, shape, pass.with_weight_stages(lumina::epilogue(noise.gradient_stage()), key),
          coded.decode(), valid);
  });
}

void check_codes_as_inputs(Input& input, const fuzz::Dimensions& shape) {
  test::TestMatrixOf<std::uint8_t> x(shape.batch, shape.in, shape.in + fuzz::gap(input));
  test::Engine engine(input.byte());
  x.fill([&] { return static_cast<std::uint8_t>(engine()); });
  TestMatrix w = finite_weights(input, shape);
  const lumina::RuntimeQuantizer dac = fuzz::converter(input, 8);
  const auto coded = lumina::encode_weights<4>(w);
  with_values(input, shape.out, [&](const auto& stages, bool valid) {
    check(input, shape, lumina::forward_pass(x, dac, coded, stages, fuzz::noise_key(input)),
          coded.decode(), valid);
  });
}

void check_split_products(Input& input, const fuzz::Dimensions& shape) {
  TestMatrix x = fuzz::matrix(input, shape.batch, shape.in);
  TestMatrix w = finite_weights(input, shape);
  TestMatrix grad_y = fuzz::matrix(input, shape.batch, shape.out);
  const lumina::RuntimeQuantizer dac = fuzz::converter(input, 8);
  const auto coded = lumina::encode_weights<4>(w);
  TestMatrix y(shape.batch, shape.out);
  const auto pass =
      lumina::forward_pass(x, dac, coded, lumina::epilogue(lumina::Relu{}), fuzz::noise_key(input));
  lumina::ForwardRecord record;
  lumina::forward(pass, y, record);
  fuzz::check_split(pass, grad_y, record);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::notes.clear();
  Input input(data, size);
  const std::uint8_t form = input.byte() % 5;
  fuzz::note("form", form);
  const fuzz::Dimensions shape = fuzz::dimensions(input, 3000, std::size_t{1} << 20);
  switch (form) {
    case 0:
      check_plain_floats(input, shape);
      break;
    case 1:
      check_quantized_floats(input, shape);
      break;
    case 2:
      check_noisy_codes(input, shape);
      break;
    case 3:
      check_codes_as_inputs(input, shape);
      break;
    default:
      check_split_products(input, shape);
  }
  return 0;
}
