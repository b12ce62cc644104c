// Gradients of convolutions against the oracle, bit for bit.
#pragma once

#include <span>
#include <vector>

#include <lumina/convolution_pass.hpp>
#include <lumina/reference_convolution_backward.hpp>

#include "catch.hpp"
#include "executors.hpp"
#include "images.hpp"
#include "random_matrix.hpp"
#include "same_bits.hpp"

namespace test {

inline const lumina::NoiseKey kKey{8, 9, 10};

/// What a backward pass writes.
struct Results {
  Images<float> input;
  TestMatrix filters;
  std::vector<float> bias;

  Results(const Problem& problem)
      : input(problem.batch, problem.shape.channels, problem.size, problem.y_layout),
        filters(problem.shape.outputs, problem.shape.filter_size()),
        bias(problem.shape.outputs) {}
  lumina::ImageGradients gradients() { return {input.view(), filters.view(), bias}; }
};

template <class Pass, class Products = lumina::F32Products>
void check_gradients(const Pass& pass, const Problem& problem, Engine& engine, const char* what,
                     const Products& products = {}) {
  INFO(what);
  const Images<float> grad_y(engine, problem.batch, problem.shape.outputs,
                             problem.shape.output_size(problem.size), problem.y_layout);
  Images<float> y(problem, problem.y_layout), expected_y(problem, problem.y_layout);
  lumina::ForwardRecord record;
  REQUIRE(forward(pass, y.view(), record, Backwards()));
  Results results(problem), expected(problem);
  lumina::ConvolutionBackwardWorkspace workspace;
  REQUIRE(
      backward(pass, grad_y.view(), record, results.gradients(), workspace, products, Backwards()));
  lumina::reference::forward_and_backward(pass, grad_y.view(), expected_y.view(),
                                          expected.gradients(), products);
  REQUIRE(difference(y.row(), expected_y.row()) == "");
  REQUIRE(difference(results.input.row(), expected.input.row()) == "");
  REQUIRE(difference(results.filters.constant(), expected.filters.constant()) == "");
  REQUIRE(difference(std::span<const float>(results.bias), expected.bias) == "");
}

}  // namespace test
