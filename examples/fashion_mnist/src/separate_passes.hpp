// What the fused engines are compared with.
#pragma once

#include <lumina/lumina.hpp>

#include <cmath>
#include <cstddef>
#include <span>

#include "analog_network.hpp"

namespace example {

/// AnalogNetwork::run as frameworks do it: product, bias, noise tensor, addition, ADC, ReLU and DAC
/// one after the other in f32, each over a whole matrix, in place. On one thread, with our own
/// kernels.
template <int WeightBits>
class SeparatePasses {
 public:
  SeparatePasses(const AnalogNetwork<WeightBits>& network, std::size_t batch)
      : network_(network),
        h_noise_(batch, network.hidden.bias.size()),
        y_noise_(batch, network.output.bias.size()) {}

  /// fill_normals(matrix, layer) makes a layer's noise, N(0, 1).
  template <class FillNormals>
  void run(lumina::MatrixView<const float> x, lumina::Matrix<float>& h, lumina::Matrix<float>& y,
           const Readout& readout, FillNormals fill_normals) {
    fill_normals(h_noise_, 0);
    read_out(x, network_.hidden, h, h_noise_, readout);
    for (float& v : h.elements()) v = v < 0.0f ? 0.0f : v;
    network_.hidden_dac().apply(h.elements());
    fill_normals(y_noise_, 1);
    read_out(h, network_.output, y, y_noise_, readout);
  }

 private:
  static void read_out(lumina::MatrixView<const float> x, const AnalogLayer<WeightBits>& layer,
                       lumina::Matrix<float>& y, lumina::Matrix<float>& noise,
                       const Readout& readout) {
    lumina::fused_gemm(x, layer.decoded, y, lumina::epilogue(), {});
    const std::size_t outputs = y.cols();
    for (std::size_t row = 0; row < y.rows(); ++row) {
      for (std::size_t col = 0; col < outputs; ++col) y(row, col) += layer.bias[col];
    }
    const float sigma = layer.noise(readout).stddev;
    const std::span<float> values = y.elements();
    const float* const normals = noise.data();
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = std::fma(sigma, normals[i], values[i]);
    }
    layer.adc(readout).apply(values);
  }

  const AnalogNetwork<WeightBits>& network_;
  lumina::Matrix<float> h_noise_, y_noise_;
};

}  // namespace example
