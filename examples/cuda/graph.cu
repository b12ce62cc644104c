// Two layers captured once in a graph and replayed for each batch: the codes of the first one's ADC
// drive the second.
#include <lumina/cuda.hpp>
#include <lumina/lumina.hpp>

#include <cstdint>
#include <cstdio>

#include "support.hpp"

using namespace lumina;

int main() {
  require_gpu();
  constexpr std::size_t batch = 64, in = 784, hidden = 512, out = 10;
  Matrix<float> x(batch, in), w1(hidden, in), w2(out, hidden);
  Matrix<std::uint8_t> h(batch, hidden), expected(batch, out);
  FastRng rng(42);
  rng.fill_normal(w1.elements(), 0.0f, 0.05f);
  rng.fill_normal(w2.elements(), 0.0f, 0.05f);
  const auto coded1 = encode_weights<4>(w1), coded2 = encode_weights<4>(w2);
  const Quantizer<8> dac(-3.0f, 3.0f), relu(0.0f, 4.0f), adc(-4.0f, 4.0f);
  const NoiseKey key1{.seed = 1, .stream = 1}, key2{.seed = 1, .stream = 2};

  const DeviceArray<float> inputs(batch * in);
  const DeviceArray<std::uint8_t> middle(batch * hidden), outputs(batch * out);
  const DeviceArray<std::byte> memory1(cuda::CodedWeights<4>::bytes(hidden, in)),
      memory2(cuda::CodedWeights<4>::bytes(out, hidden)),
      workspace(cuda::coded_workspace_bytes(batch, in));
  const cuda::CodedWeights<4> weights1(memory1.data(), hidden, in),
      weights2(memory2.data(), out, hidden);

  cudaStream_t handle;
  require(cudaStreamCreate(&handle));
  const cuda::Stream stream{handle};
  cuda::copy_weights(coded1, weights1, stream);
  cuda::copy_weights(coded2, weights2, stream);

  cudaGraph_t graph;
  cudaGraphExec_t replay;
  require(cudaStreamBeginCapture(handle, cudaStreamCaptureModeGlobal));
  cuda::fused_gemm_noise_quant(cuda::device_view<const float>(inputs.data(), batch, in), dac,
                               weights1, cuda::device_view(middle.data(), batch, hidden), 0.1f,
                               relu, key1, stream, {workspace.data(), workspace.size()});
  cuda::fused_gemm_noise_quant(cuda::device_view<const std::uint8_t>(middle.data(), batch, hidden),
                               relu, weights2, cuda::device_view(outputs.data(), batch, out), 0.1f,
                               adc, key2, stream);
  require(cudaStreamEndCapture(handle, &graph));
  require(cudaGraphInstantiate(&replay, graph, 0));

  std::size_t different = 0;
  for (int step = 0; step < 3; ++step) {
    rng.fill_normal(x.elements());
    require(
        cudaMemcpyAsync(inputs.data(), x.data(), 4 * batch * in, cudaMemcpyHostToDevice, handle));
    require(cudaGraphLaunch(replay, handle));
    require(cudaStreamSynchronize(handle));

    fused_gemm_noise_quant(x, dac, coded1, h, 0.1f, relu, key1);
    fused_gemm_noise_quant(h, relu, coded2, expected, 0.1f, adc, key2);
    const std::vector<std::uint8_t> codes = outputs.host();
    for (std::size_t i = 0; i < codes.size(); ++i) different += codes[i] != expected.data()[i];
  }
  std::printf("three batches through the graph: %zu codes differ from the CPU's\n", different);
  require(cudaGraphExecDestroy(replay));
  require(cudaGraphDestroy(graph));
  require(cudaStreamDestroy(handle));
  return different == 0 ? 0 : 1;
}
