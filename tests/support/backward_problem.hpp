// forward() and backward() against the oracle, bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <lumina/backward.hpp>
#include <lumina/reference_backward.hpp>

#include "catch.hpp"
#include "random_matrix.hpp"
#include "same_bits.hpp"
#include "shared_kernels.hpp"

namespace test {

struct LayerShape {
  std::size_t batch, in, out;
  std::size_t gap = 0;  ///< between rows; each matrix gets another multiple of it
};

/// Which gradients are wanted.
struct Wanted {
  bool input = true, weights = true, bias = true;
};

template <class Pass>
inline constexpr bool has_bias =
    lumina::detail::has_bias<std::remove_cvref_t<decltype(Pass::epilogue)>>;

/// What a layer's call writes.
struct LayerOutputs {
  TestMatrix y, input, weights, bias;

  explicit LayerOutputs(const LayerShape& shape)
      : y(shape.batch, shape.out, shape.out + shape.gap),
        input(shape.batch, shape.in, shape.in + 2 * shape.gap),
        weights(shape.out, shape.in, shape.in + 3 * shape.gap),
        bias(1, shape.out) {}

  lumina::Gradients gradients(const Wanted& wanted) {
    lumina::Gradients result;
    if (wanted.input) result.input = input;
    if (wanted.weights) result.weights = weights;
    if (wanted.bias) result.bias = {bias.view().data(), bias.view().cols()};
    return result;
  }
};

/// The library's outputs equal the oracle's, and what is not wanted stays as it was.
inline void check_outputs(LayerOutputs& actual, LayerOutputs& expected, const Wanted& wanted) {
  REQUIRE(difference(actual.y, expected.y) == "");
  if (wanted.input) REQUIRE(difference(actual.input, expected.input) == "");
  if (wanted.weights) REQUIRE(difference(actual.weights, expected.weights) == "");
  if (wanted.bias) REQUIRE(difference(actual.bias, expected.bias) == "");
  REQUIRE((wanted.input ? actual.input.gaps_untouched() : actual.input.untouched()));
  REQUIRE((wanted.weights ? actual.weights.gaps_untouched() : actual.weights.untouched()));
  REQUIRE((wanted.bias ? actual.bias.gaps_untouched() : actual.bias.untouched()));
  REQUIRE(actual.y.gaps_untouched());
}

/// `w`: the values of the pass's weights. The record and the workspace may have served others. A
/// gradient by the bias is wanted only where there is one.
template <class Pass, class Executor = lumina::Serial, class Products = lumina::F32Products>
void check_backward(const Pass& pass, lumina::MatrixView<const float> w,
                    lumina::MatrixView<const float> grad_y, std::size_t gap,
                    lumina::ForwardRecord& record, lumina::BackwardWorkspace& workspace,
                    Wanted wanted = {}, const Executor& executor = {},
                    const Products& products = {}) {
  wanted.bias = wanted.bias && has_bias<Pass>;
  const LayerShape shape{pass.x.rows(), pass.x.cols(), w.rows(), gap};
  CAPTURE(shape.batch, shape.in, shape.out, gap, wanted.input, wanted.weights, wanted.bias);
  LayerOutputs actual(shape), expected(shape);
  lumina::forward(pass, actual.y, record, executor);
  lumina::backward(pass, grad_y, record, actual.gradients(wanted), workspace, products, executor);
  lumina::reference::forward_and_backward(pass, w, grad_y, expected.y, expected.gradients(wanted),
                                          products);
  check_outputs(actual, expected, wanted);
}

/// Half of the outputs, and more, reach a stage's limits exactly or lie beyond: dot products of
/// small integers. Or any floats, with some that are infinite or NaN.
enum class Values { floats, integers, special };

inline float draw(Engine& engine, Values kind) {
  switch (kind) {
    case Values::integers:
      return static_cast<float>(integer(engine, 0, 4)) - 2.0f;
    case Values::special:
      if (integer(engine, 0, 39) == 0) return any_float(engine);
      [[fallthrough]];
    default:
      return uniform(engine, -2.0f, 2.0f);
  }
}

/// A layer without DAC with random operands.
struct FloatLayer {
  LayerShape shape;
  TestMatrix x, w, grad_y, bias;
  lumina::NoiseKey key;

  FloatLayer(Engine& engine, const LayerShape& layer, Values kind)
      : shape(layer),
        x(layer.batch, layer.in, layer.in + layer.gap),
        w(layer.out, layer.in),
        grad_y(layer.batch, layer.out, layer.out + 5 * layer.gap),
        bias(1, layer.out),
        key{engine(), engine(), engine()} {
    x.fill([&] { return draw(engine, kind); });
    w.fill([&] { return draw(engine, kind == Values::integers ? kind : Values::floats); });
    grad_y.fill([&] { return uniform(engine, -1.0f, 1.0f); });
    bias.fill([&] { return draw(engine, kind == Values::integers ? kind : Values::floats); });
  }
  std::span<const float> columns() { return {bias.view().data(), shape.out}; }
};

}  // namespace test
