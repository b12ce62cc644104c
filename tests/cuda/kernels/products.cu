// Kernels that are compiled and looked at, not run: products of codes with every output, products
// of floats, normals.
#include <lumina/cuda.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

using namespace lumina;

namespace {

template <class Y, class Stages>
void codes(const Stages& stages) {
  const cuda::CodedWeights<8> weights;
  const Quantizer<8> dac(-1.0f, 1.0f);
  cuda::fused_gemm(cuda::DeviceView<const float>(), dac, weights, cuda::DeviceView<Y>(), stages,
                   NoiseKey(), cuda::Stream(), cuda::Workspace());
  cuda::fused_gemm(cuda::DeviceView<const std::uint8_t>(), dac, weights, cuda::DeviceView<Y>(),
                   stages, NoiseKey(), cuda::Stream());
}

}  // namespace

void instantiate(std::span<const float> bias) {
  const Quantizer<8> adc(-4.0f, 4.0f);
  codes<float>(epilogue(GaussianNoise{0.1f}, adc));
  codes<std::uint8_t>(epilogue(GaussianNoise{0.1f}, adc));
  codes<std::uint16_t>(epilogue(AddBias{bias}, ShotNoise{0.1f}, GaussianNoise{0.1f}, adc));
  const auto stages = epilogue(AddBias{bias}, Relu{}, GaussianNoise{0.1f}, adc);
  cuda::fused_gemm(cuda::DeviceView<const float>(), cuda::PackedWeights(),
                   cuda::DeviceView<float>(), stages, NoiseKey(), cuda::Stream());
  cuda::fused_gemm(cuda::DeviceView<const float>(), Quantizer<12>(-1.0f, 1.0f),
                   cuda::PackedWeights(), cuda::DeviceView<float>(), epilogue(), NoiseKey(),
                   cuda::Stream(), cuda::Workspace());
  cuda::fill_normals(cuda::DeviceView<float>(), NoiseKey(), cuda::Stream());
  cuda::pack_weights(cuda::DeviceView<const float>(), cuda::PackedWeights(), cuda::Stream());
}
