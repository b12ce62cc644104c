// The same keywords heard by convolutions: frames × features are an image, channels last, and the
// codes of one layer's ADC drive the next device.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <lumina/lumina.hpp>

#include "network.hpp"

namespace keywords::convolutions {

inline constexpr lumina::Convolution shape1{1, 8, {1, 5, 3}, {1, 2, 1}},
    shape2{8, 16, {1, 3, 3}, {1, 2, 2}};
inline constexpr lumina::Size3 size0{1, kFrames, kFeatures}, size1 = shape1.output_size(size0),
                                                             size2 = shape2.output_size(size1);
inline constexpr lumina::Quantizer<8> adc1(0.0f, 1.5f), adc2(0.0f, 1.0f);  // ReLUs
inline constexpr auto kLayout = lumina::ImageLayout::channels_last;

template <class T>
constexpr lumina::ImageView<T> image_of(T* data, std::size_t channels, const lumina::Size3& size) {
  return {data, 1, channels, size, kLayout};
}
inline constexpr std::size_t kPixels1 = size1[1] * size1[2], kPixels2 = size2[1] * size2[2];
inline constexpr std::size_t kMaps = 16 * kPixels2;  ///< what the last layer sees

/// The memory that the layers need for one sample, besides the codes between them.
inline constexpr std::size_t kWorkspaceBytes = std::max(
    {lumina::convolution_workspace_bytes(image_of<const std::uint8_t>(nullptr, 1, size0),
                                         image_of<std::uint8_t>(nullptr, 8, size1), shape1),
     lumina::convolution_workspace_bytes(image_of<const std::uint8_t>(nullptr, 8, size1),
                                         image_of<std::uint8_t>(nullptr, 16, size2), shape2),
     lumina::coded_workspace_bytes(1, kMaps)});

/// Codes between the layers.
struct Codes {
  std::uint8_t maps1[8 * kPixels1], maps2[kMaps];
};

/// One sample through the convolutions. `layers`: coded weights maps1, maps2, in whatever form.
template <class Layers>
void run_convolutions(const std::uint8_t* sample, std::uint64_t number, const Layers& layers,
                      Codes& codes, const lumina::SerialIn& executor) {
  const auto stages = [](const auto& adc) {
    return lumina::epilogue(lumina::GaussianNoise{kNoise}, adc);
  };
  const auto key = [number](std::uint64_t stream, std::size_t pixels) {
    return lumina::NoiseKey{.seed = 2, .stream = stream, .row_offset = number * pixels};
  };
  const auto maps1 = image_of(codes.maps1, 8, size1), maps2 = image_of(codes.maps2, 16, size2);
  lumina::fused_convolution(image_of(sample, 1, size0), dac, layers.maps1, maps1, shape1,
                            stages(adc1), key(1, kPixels1), executor);
  lumina::fused_convolution(maps1, adc1, layers.maps2, maps2, shape2, stages(adc2),
                            key(2, kPixels2), executor);
}

/// What the maps mean for each keyword, as floats: the largest is the answer.
template <class Weights>
void run_last_layer(const Codes& codes, std::uint64_t number, const Weights& weights,
                    std::span<const float> bias, float (&scores)[kKeywords],
                    const lumina::SerialIn& executor) {
  lumina::fused_gemm(lumina::MatrixView<const std::uint8_t>(codes.maps2, 1, kMaps), adc2, weights,
                     lumina::MatrixView<float>(scores, 1, kKeywords),
                     lumina::epilogue(lumina::AddBias{bias}, lumina::GaussianNoise{kNoise}),
                     {.seed = 2, .stream = 3, .row_offset = number}, executor);
}

}  // namespace keywords::convolutions
