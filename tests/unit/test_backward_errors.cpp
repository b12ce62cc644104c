// What backward() and forward() refuse, and that nothing is written then.
#include <lumina/backward.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "support/backward_problem.hpp"
#include "support/expect_error.hpp"

using namespace lumina;
using namespace test;

namespace {

/// A layer of 4 × 6 inputs and 5 outputs that has gone forward. What backward() is to be called
/// with can be changed before it is.
struct Layer {
  static constexpr std::size_t kBatch = 4, kIn = 6, kOut = 5;
  TestMatrix x{kBatch, kIn}, w{kOut, kIn}, grad_y{kBatch, kOut};
  LayerOutputs outputs{{kBatch, kIn, kOut}};
  std::vector<float> bias = std::vector<float>(kOut, 0.1f);
  PackedWeights packed;
  ForwardRecord record;
  BackwardWorkspace workspace;

  auto stages() const {
    return epilogue(AddBias{bias}, Relu{}, GaussianNoise{0.1f}, Quantizer<8>(-1.0f, 1.0f));
  }
  auto pass() { return forward_pass(x, packed, stages(), {1, 2, 3}); }

  Layer() {
    Engine engine(1);
    x.fill_uniform(engine);
    w.fill_uniform(engine);
    grad_y.fill_uniform(engine);
    pack_weights(w, packed);
    forward(pass(), outputs.y, record);
  }

  template <class Pass>
  void refuses(const Pass& pass_to_use, MatrixView<const float> grad, const ForwardRecord& of,
               const Gradients& gradients, std::initializer_list<std::string_view> parts) {
    expect_error([&] { backward(pass_to_use, grad, of, gradients, workspace); }, parts);
    CHECK(outputs.input.untouched());
    CHECK(outputs.weights.untouched());
    CHECK(outputs.bias.untouched());
  }
  void refuses(const Gradients& gradients, std::initializer_list<std::string_view> parts) {
    refuses(pass(), grad_y, record, gradients, parts);
  }
  Gradients gradients() { return outputs.gradients({}); }
};

}  // namespace

TEST_CASE("backward refuses what no forward pass has filled", "[backward][errors]") {
  Layer layer;
  const auto pass = layer.pass();
  SECTION("an empty record") {
    layer.refuses(pass, layer.grad_y, ForwardRecord(), layer.gradients(),
                  {"lumina::backward", "x is [4, 6], w is [5, 6], grad_y is [4, 5]",
                   "there was no forward pass", "empty", "[0, 0]"});
  }
  SECTION("a record with room, but of no pass") {
    ForwardRecord record;
    record.resize(4, 5, 2);
    layer.refuses(pass, layer.grad_y, record, layer.gradients(),
                  {"there was no forward pass", "empty, for [4, 5] with 2 gates"});
  }
  SECTION("a record of another shape") {
    Layer other;
    TestMatrix y(3, 5);
    const MatrixView<const float> x(other.x.constant().data(), 3, 6);
    forward(forward_pass(x, other.packed, other.stages()), y, other.record);
    layer.refuses(pass, layer.grad_y, other.record, layer.gradients(),
                  {"there was no forward pass", "the record is for [3, 5] with 2 gates"});
  }
  SECTION("a record of an epilogue with fewer gates") {
    Layer other;
    forward(forward_pass(other.x, other.packed, epilogue(Relu{})), other.outputs.y, other.record);
    layer.refuses(pass, layer.grad_y, other.record, layer.gradients(),
                  {"there was no forward pass", "for [4, 5] with 1 gates"});
  }
  SECTION("a record whose last forward pass failed") {
    TestMatrix y(4, 6);
    expect_error([&] { forward(pass, y, layer.record); }, {"lumina::fused_gemm", "y is [4, 6]"});
    CHECK(y.untouched());
    CHECK(!layer.record.filled());
    layer.refuses(pass, layer.grad_y, layer.record, layer.gradients(),
                  {"there was no forward pass"});
  }
  SECTION("a record whose last forward pass had a stage that does not fit") {
    const std::vector<float> short_bias(4);
    const auto bad = forward_pass(layer.x, layer.packed,
                                  epilogue(AddBias{short_bias}, Relu{}, Quantizer<8>(-1.0f, 1.0f)));
    TestMatrix y(4, 5);
    expect_error([&] { forward(bad, y, layer.record); }, {"lumina::AddBias", "4 elements"});
    CHECK(y.untouched());
    layer.refuses(pass, layer.grad_y, layer.record, layer.gradients(),
                  {"there was no forward pass"});
  }
}

TEST_CASE("backward refuses shapes that do not fit", "[backward][errors]") {
  Layer layer;
  const auto pass = layer.pass();
  SECTION("grad_y") {
    TestMatrix fewer_rows(3, 5), more_columns(4, 6);
    layer.refuses(pass, fewer_rows, layer.record, layer.gradients(),
                  {"grad_y is [3, 5]", "grad_y must be [4, 5]"});
    layer.refuses(pass, more_columns, layer.record, layer.gradients(),
                  {"grad_y is [4, 6]", "grad_y must be [4, 5]"});
  }
  SECTION("x and w") {
    TestMatrix narrow(5, 3);
    const PackedWeights packed = pack_weights(narrow.fill([] { return 1.0f; }));
    layer.refuses(forward_pass(layer.x, packed, layer.stages()), layer.grad_y, layer.record,
                  layer.gradients(), {"x is [4, 6], w is [5, 3]", "as many columns"});
  }
  SECTION("the gradient by the input") {
    TestMatrix wrong(6, 4);
    Gradients gradients = layer.gradients();
    gradients.input = wrong;
    layer.refuses(gradients, {"the gradient by the input is [6, 4] and must be [4, 6]"});
    CHECK(wrong.untouched());
  }
  SECTION("the gradient by the weights") {
    TestMatrix wrong(6, 5);
    Gradients gradients = layer.gradients();
    gradients.weights = wrong;
    layer.refuses(gradients, {"the gradient by the weights is [6, 5] and must be [5, 6]"});
    CHECK(wrong.untouched());
  }
  SECTION("the gradient by the bias") {
    TestMatrix wrong(1, 6);
    Gradients gradients = layer.gradients();
    gradients.bias = {wrong.view().data(), 6};
    layer.refuses(gradients, {"the gradient by the bias is [1, 6] and must be [1, 5]"});
    CHECK(wrong.untouched());
  }
  SECTION("a stage of the gradient by the weights") {
    const std::vector<float> scales(4, 0.1f);
    layer.refuses(pass.with_weight_stages(epilogue(WeightGate<4>{layer.w, scales})), layer.grad_y,
                  layer.record, layer.gradients(),
                  {"lumina::WeightGate", "w is [5, 6] with 4 scales, the gradient is [5, 6]"});
  }
}

TEST_CASE("backward refuses a gradient by a bias that is not there", "[backward][errors]") {
  Layer layer;
  const auto pass = forward_pass(layer.x, layer.packed, epilogue(Relu{}));
  forward(pass, layer.outputs.y, layer.record);
  layer.refuses(pass, layer.grad_y, layer.record, layer.gradients(),
                {"a gradient by the bias is wanted, but there is no AddBias"});
  backward(pass, layer.grad_y, layer.record, layer.outputs.gradients({true, true, false}),
           layer.workspace);
  CHECK(!layer.outputs.input.untouched());
}

TEST_CASE("backward refuses missing data", "[backward][errors]") {
  Layer layer;
  const auto pass = layer.pass();
  SECTION("of grad_y") {
    layer.refuses(pass, MatrixView<const float>(nullptr, 4, 5), layer.record, layer.gradients(),
                  {"the data of grad_y is missing"});
  }
  SECTION("of x") {
    const auto without =
        forward_pass(MatrixView<const float>(nullptr, 4, 6), layer.packed, layer.stages());
    layer.refuses(without, layer.grad_y, layer.record, layer.gradients(),
                  {"x is [4, 6]", "the data of x is missing"});
  }
}

TEST_CASE("backward refuses gradients that overlap", "[backward][errors]") {
  Layer layer;
  const auto pass = layer.pass();
  Gradients gradients = layer.gradients();
  TestMatrix copy(4, 6);
  SECTION("x, and the gradient by the input") {
    gradients.input = {const_cast<float*>(layer.x.constant().data()), 4, 6};
    layer.refuses(gradients, {"the gradient by the input overlaps x or grad_y"});
  }
  SECTION("a part of x, and the gradient by the bias") {
    gradients.bias = {layer.x.view().data() + 19, 5};
    layer.refuses(gradients, {"the gradient by the bias overlaps x or grad_y"});
  }
  SECTION("grad_y, and the gradient by the weights") {
    TestMatrix memory(5, 6);
    memory.fill([] { return 1.0f; });
    gradients.weights = memory;
    layer.refuses(pass, MatrixView<const float>(memory.view().data() + 10, 4, 5), layer.record,
                  gradients, {"the gradient by the weights overlaps x or grad_y"});
  }
  SECTION("two gradients") {
    gradients.weights = layer.outputs.weights;
    gradients.bias = {layer.outputs.weights.view().data() + 25, 5};
    layer.refuses(gradients, {"two of the gradients overlap"});
    gradients = layer.gradients();
    gradients.bias = {layer.outputs.input.view().data(), 5};
    layer.refuses(gradients, {"two of the gradients overlap"});
    TestMatrix both(9, 6);
    gradients = layer.gradients();
    gradients.input = {both.view().data(), 4, 6};
    gradients.weights = {both.view().data() + 23, 5, 6};
    layer.refuses(gradients, {"two of the gradients overlap"});
    CHECK(both.untouched());
  }
  SECTION("codes as x, and a gradient in the same memory") {
    const auto coded = encode_weights<8>(layer.w);
    const auto* const codes = reinterpret_cast<const std::uint8_t*>(copy.view().data());
    const MatrixView<const std::uint8_t> x(codes, 4, 6);
    const auto coded_pass =
        forward_pass(x, Quantizer<8>(0.0f, 1.0f), coded, layer.stages(), {1, 2, 3});
    forward(coded_pass, layer.outputs.y, layer.record);
    gradients.input = copy;
    layer.refuses(coded_pass, layer.grad_y, layer.record, gradients,
                  {"the gradient by the input overlaps x or grad_y"});
    CHECK(copy.untouched());
  }
}

TEST_CASE("Neighbouring gradients do not overlap", "[backward][errors]") {
  Layer layer;
  std::vector<float> memory(4 * 6 + 5 * 6 + 5);
  const Gradients gradients{.input = {memory.data(), 4, 6},
                            .weights = {memory.data() + 24, 5, 6},
                            .bias = {memory.data() + 54, 5}};
  CHECK(errors_of([&] {
          backward(layer.pass(), layer.grad_y, layer.record, gradients, layer.workspace);
        }).empty());
}

TEST_CASE("product_backward refuses what backward does", "[backward][errors]") {
  Layer layer;
  const MatrixView<const float> x = layer.x, w = layer.w, grad_y = layer.grad_y;
  const auto refuses = [&](MatrixView<const float> grad, MatrixView<const float> of_x,
                           MatrixView<const float> of_w, const Gradients& gradients,
                           std::initializer_list<std::string_view> parts) {
    expect_error([&] { product_backward(grad, of_x, of_w, gradients, layer.workspace); }, parts);
    CHECK(layer.outputs.input.untouched());
    CHECK(layer.outputs.weights.untouched());
  };
  const Gradients both{layer.outputs.input.view(), layer.outputs.weights.view(), {}};
  refuses(grad_y, {x.data(), 4, 5}, w, both, {"lumina::product_backward", "[4, 5]", "[5, 6]"});
  refuses({grad_y.data(), 3, 5}, x, w, both, {"grad_y must be [4, 5]"});
  refuses({nullptr, 4, 5}, x, w, both, {"the data of grad_y is missing"});
  refuses(grad_y, {nullptr, 4, 6}, w, both, {"the data of x is missing"});
  refuses(grad_y, x, {nullptr, 5, 6}, both, {"lumina::product_backward: w is [5, 6]", "missing"});
  refuses(grad_y, x, w, {layer.outputs.weights.view(), {}, {}}, {"by the input", "[4, 6]"});
  refuses(grad_y, x, w, {layer.x.view(), {}, {}}, {"overlaps x or grad_y"});
  const std::span<float> bias(layer.outputs.bias.view().row(0), 5);
  refuses(grad_y, x, w, {{}, {}, bias}, {"there is no AddBias"});
}

TEST_CASE("After an error the record and the workspace serve again", "[backward][errors]") {
  Layer layer;
  layer.refuses(layer.pass(), MatrixView<const float>(nullptr, 4, 5), layer.record,
                layer.gradients(), {"missing"});
  check_backward(layer.pass(), layer.w, layer.grad_y, 0, layer.record, layer.workspace);
}

TEST_CASE("forward reports what fused_gemm reports", "[backward][errors]") {
  Layer layer;
  TestMatrix y(4, 5);
  SECTION("x and y overlap") {
    const MatrixView<float> same(layer.x.view().data(), 4, 5);
    expect_error([&] { forward(layer.pass(), same, layer.record); }, {"x and y overlap"});
  }
  SECTION("more bits than codes have") {
    const auto coded = encode_weights<8>(layer.w);
    const auto pass =
        forward_pass(layer.x, Quantizer<9>(0.0f, 1.0f), coded, layer.stages(), {1, 2, 3});
    expect_error([&] { forward(pass, y, layer.record); }, {"the DAC has 9 bits"});
    CHECK(y.untouched());
    CHECK(!layer.record.filled());
  }
  SECTION("a stage's strength") {
    const auto pass = forward_pass(layer.x, layer.packed, epilogue(ShotNoiseWithDerivative{kNaN}));
    expect_error([&] { forward(pass, y, layer.record); }, {"lumina::ShotNoise: strength"});
    CHECK(y.untouched());
    CHECK(!layer.record.filled());
  }
}
