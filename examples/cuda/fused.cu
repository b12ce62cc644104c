// A layer on a GPU, in integers, and on the CPU: the same bits.
#include <lumina/cuda.hpp>
#include <lumina/lumina.hpp>

#include <cstdio>
#include <cstring>

#include "support.hpp"

using namespace lumina;

int main() {
  require_gpu();
  constexpr std::size_t batch = 256, in = 784, out = 512;
  Matrix<float> x(batch, in), w(out, in), expected(batch, out);
  FastRng rng(42);
  rng.fill_normal(x.elements());
  rng.fill_normal(w.elements(), 0.0f, 0.05f);
  const Quantizer<8> dac(-3.0f, 3.0f), adc(-4.0f, 4.0f);
  const NoiseKey key{.seed = 1};
  const auto coded = encode_weights<8>(w);

  const DeviceArray<float> inputs{x.elements()}, outputs(batch * out);
  const DeviceArray<std::byte> memory(cuda::CodedWeights<8>::bytes(out, in));
  const DeviceArray<std::byte> workspace(cuda::coded_workspace_bytes(batch, in));
  const cuda::CodedWeights<8> weights(memory.data(), out, in);
  const cuda::Stream stream;  // the default one
  cuda::copy_weights(coded, weights, stream);
  cuda::fused_gemm_noise_quant(cuda::device_view<const float>(inputs.data(), batch, in), dac,
                               weights, cuda::device_view(outputs.data(), batch, out), 0.1f, adc,
                               key, stream, {workspace.data(), workspace.size()});

  fused_gemm_noise_quant(x, dac, coded, expected, 0.1f, adc, key);
  const bool equal = std::memcmp(outputs.host().data(), expected.data(), 4 * batch * out) == 0;
  std::printf("y(0, 0) = %+.4f; all bits %s the CPU's\n", outputs.host()[0],
              equal ? "equal" : "DIFFER from");
  return equal ? 0 : 1;
}
