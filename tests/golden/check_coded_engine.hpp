// The coded engine: its outputs, and the weights in the form that it reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <lumina/fused_gemm.hpp>

#include "bits.hpp"
#include "coded_vectors.hpp"
#include "operands.hpp"

namespace golden {

/// Memory for the largest layer.
struct CodedWorkspace {
  float x[kMaxCodedX];
  std::uint8_t x_codes[kMaxCodedX];
  float y[kMaxCodedY];
  std::uint8_t y8[kMaxCodedY];
  std::uint16_t y16[kMaxCodedY];

  template <class X>
  X* x_of() {
    if constexpr (std::is_same_v<X, float>) {
      return x;
    } else {
      return x_codes;
    }
  }
  template <class Y>
  Y* y_of() {
    if constexpr (std::is_same_v<Y, float>) {
      return y;
    } else if constexpr (std::is_same_v<Y, std::uint8_t>) {
      return y8;
    } else {
      return y16;
    }
  }
};

/// f(name, layer) for each layer: they differ in their types.
template <class F>
void for_each_coded_layer(F f) {
  f("coded, 8 bits, bytes out", kCoded8);
  f("coded, 5 bits, floats out", kCoded5);
  f("coded, 4 bits, 16-bit codes out", kCoded4);
  f("coded, 2 bits, bytes in and out", kCoded2);
}

template <class Report, int Bits, class X, class Y, class Weights>
void check_coded_layer(Report&& report, const char* name, const CodedLayer<Bits, X, Y>& layer,
                       CodedWorkspace& memory, const Weights& weights) {
  const lumina::RuntimeQuantizer dac(layer.dac_bits, layer.dac_lo, layer.dac_hi),
      adc(layer.adc_bits, layer.adc_lo, layer.adc_hi);
  X* const inputs = memory.x_of<X>();
  if constexpr (std::is_same_v<X, float>) {
    fill_units(layer.x_seed, layer.batch, layer.in, inputs);
  } else {
    fill_codes(layer.x_seed, layer.batch * layer.in, layer.dac_bits, inputs);
  }
  const lumina::MatrixView<const X> x(inputs, layer.batch, layer.in);
  const lumina::MatrixView<Y> y(memory.y_of<Y>(), layer.batch, layer.out);
  lumina::fused_gemm_noise_quant(x, dac, weights, y, layer.stddev, adc,
                                 {layer.noise_seed, layer.noise_stream, layer.row_offset});
  for (std::size_t i = 0; i < layer.batch * layer.out; ++i) {
    if constexpr (std::is_same_v<Y, float>) {
      report(name, i, layer.outputs[i], bits_of(y.data()[i]));
    } else {
      report(name, i, layer.outputs[i], y.data()[i]);
    }
  }
}

/// weights_of(layer): what fused_gemm shall take, say encode_weights of the layer's weights, or
/// what refers to its words, scales and sums of codes where they lie.
template <class Report, class WeightsOf>
void check_coded_engine(Report&& report, CodedWorkspace& memory, WeightsOf&& weights_of) {
  for_each_coded_layer([&](const char* name, const auto& layer) {
    check_coded_layer(report, name, layer, memory, weights_of(layer));
  });
}

/// w [kMaxCodedW]: memory. The result: the layer's weights in floats.
template <int Bits, class X, class Y>
lumina::MatrixView<const float> weights_in_floats(const CodedLayer<Bits, X, Y>& layer, float* w) {
  fill_weights(layer.w_seed, layer.out, layer.in, w);
  return {w, layer.out, layer.in};
}

/// encode_weights; it allocates.
template <class Report>
void check_weight_encoding(Report&& report, float* w) {
  for_each_coded_layer([&]<int Bits, class X, class Y>(const char*,
                                                       const CodedLayer<Bits, X, Y>& layer) {
    const auto coded = lumina::encode_weights<Bits>(weights_in_floats(layer, w));
    const auto panels = coded.panels();
    const std::size_t outputs = lumina::detail::round_up(layer.out, lumina::detail::kBlockColumns);
    report("words of weights", 0, layer.word_count,
           panels.panel_size * lumina::detail::panel_count(layer.out));
    for (std::size_t i = 0; i < layer.word_count; ++i) {
      report("word of weights", i, static_cast<std::uint32_t>(layer.words[i]),
             static_cast<std::uint32_t>(panels.words[i]));
    }
    for (std::size_t i = 0; i < outputs; ++i) {
      report("scale of weights", i, bits_of(layer.scales[i]), bits_of(panels.scales[i]));
      report("sum of codes", i, static_cast<std::uint32_t>(layer.code_sums[i]),
             static_cast<std::uint32_t>(panels.code_sums[i]));
    }
  });
}

}  // namespace golden
