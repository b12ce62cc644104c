// A keyword-sized network: 25 frames of 10 features, three hidden layers, 12 keywords, on a device
// with 4-bit weights, 8-bit converters and noise. Layers chain in integers: the codes of one
// layer's ADC drive the next device.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <lumina/lumina.hpp>

namespace keywords {

inline constexpr std::size_t kFrames = 25, kFeatures = 10;
inline constexpr std::size_t kInputs = kFrames * kFeatures, kHidden = 144, kKeywords = 12;

inline constexpr lumina::Quantizer<8> dac(0.0f, 1.0f);  // what the codes of a sample stand for
inline constexpr lumina::Quantizer<8> adc1(0.0f, 1.5f), adc2(0.0f, 1.0f),
    adc3(0.0f, 0.7f);  // ReLUs
inline constexpr float kNoise = 0.01f;

/// The memory that the layers need for one sample, besides the codes between them.
inline constexpr std::size_t kWorkspaceBytes =
    std::max(lumina::coded_workspace_bytes(1, kInputs), lumina::coded_workspace_bytes(1, kHidden));

/// Codes between the layers.
struct Codes {
  std::uint8_t hidden1[kHidden], hidden2[kHidden], hidden3[kHidden];
};

/// One sample through the hidden layers. `layers`: coded weights hidden1, hidden2, hidden3, in
/// whatever form. `number`: which sample it is; each has noise of its own.
template <class Layers>
void run_hidden_layers(const std::uint8_t* sample, std::uint64_t number, const Layers& layers,
                       Codes& codes, const lumina::SerialIn& executor) {
  using Row = lumina::MatrixView<const std::uint8_t>;
  using Output = lumina::MatrixView<std::uint8_t>;
  const auto layer = [&](Row x, const auto& before, const auto& weights, Output y, const auto& adc,
                         std::uint64_t stream) {
    lumina::fused_gemm(x, before, weights, y, lumina::epilogue(lumina::GaussianNoise{kNoise}, adc),
                       {.seed = 1, .stream = stream, .row_offset = number}, executor);
  };
  const Output h1(codes.hidden1, 1, kHidden), h2(codes.hidden2, 1, kHidden),
      h3(codes.hidden3, 1, kHidden);
  layer({sample, 1, kInputs}, dac, layers.hidden1, h1, adc1, 1);
  layer(h1, adc1, layers.hidden2, h2, adc2, 2);
  layer(h2, adc2, layers.hidden3, h3, adc3, 3);
}

/// What hidden3 means for each keyword, as floats: the largest is the answer.
template <class Weights>
void run_last_layer(const Codes& codes, std::uint64_t number, const Weights& weights,
                    std::span<const float> bias, float (&scores)[kKeywords],
                    const lumina::SerialIn& executor) {
  lumina::fused_gemm(lumina::MatrixView<const std::uint8_t>(codes.hidden3, 1, kHidden), adc3,
                     weights, lumina::MatrixView<float>(scores, 1, kKeywords),
                     lumina::epilogue(lumina::AddBias{bias}, lumina::GaussianNoise{kNoise}),
                     {.seed = 1, .stream = 4, .row_offset = number}, executor);
}

}  // namespace keywords
