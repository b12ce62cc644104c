// Kernels that are compiled and looked at, not run: weights encoded with noise, forward
// passes that record, gradients in integers and in floats.
#include <lumina/cuda.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

using namespace lumina;

namespace {

template <class Noise>
void encode(const Noise& noise) {
  cuda::encode_weights(cuda::DeviceView<const float>(), cuda::CodedWeights<8>(), noise, NoiseKey(),
                       cuda::Stream());
}

template <class Pass, class... Products>
void train(const Pass& pass, const Products&... products) {
  const cuda::ForwardRecord record;
  cuda::forward(pass, cuda::DeviceView<float>(), record, cuda::Stream(), cuda::Workspace());
  (cuda::backward(pass, cuda::DeviceView<const float>(), record, cuda::DeviceGradients(),
                  cuda::Stream(), cuda::Workspace(), products),
   ...);
}

}  // namespace

void instantiate(std::span<const float> bias) {
  cuda::encode_weights(cuda::DeviceView<const float>(), cuda::CodedWeights<4>(), cuda::Stream());
  encode(AdditiveWeightNoise{0.1f});
  encode(both(ProgrammingWeightNoise{}, DropConnect{0.1f}));
  encode(SparedInput{PerOutput{MultiplicativeWeightNoise{0.1f}}, 3});

  const Quantizer<8> dac(-1.0f, 1.0f);
  const cuda::DeviceView<const float> x;
  const auto pass = cuda::forward_pass(x, dac, cuda::CodedWeights<8>(),
                                       epilogue(GaussianNoise{0.1f}, Relu{}, dac));
  train(pass, IntegerSplitProducts<1>(), IntegerSplitProducts<3>());
  const auto stages = epilogue(Relu{}, AddBias{bias}, ShotNoiseWithDerivative{0.1f}, dac);
  const auto weight_stages = epilogue(WeightGate<8>{MatrixView<const float>(), bias},
                                      MultiplicativeWeightNoise{0.1f}.gradient_stage());
  train(cuda::forward_pass(cuda::DeviceView<const std::uint8_t>(), dac, cuda::CodedWeights<8>(),
                           stages)
            .with_weight_stages(weight_stages),
        IntegerSplitProducts<2>());
  train(cuda::forward_pass(x, dac, cuda::PackedWeights(), stages), F32Products());
}
