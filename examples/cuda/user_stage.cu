// The stages of ../user_stages.hpp, unchanged, on a GPU. A stage's spans are memory of the GPU.
#include <lumina/cuda.hpp>
#include <lumina/lumina.hpp>

#include <cstdio>
#include <cstring>

#include "../user_stages.hpp"
#include "support.hpp"

using namespace lumina;

int main() {
  require_gpu();
  constexpr std::size_t batch = 33, in = 100, out = 70;
  Matrix<float> x(batch, in), w(out, in), expected(batch, out);
  std::vector<float> gain(out);
  FastRng rng(7);
  rng.fill_normal(x.elements());
  rng.fill_normal(w.elements(), 0.0f, 0.1f);
  rng.fill_normal(gain, 1.0f, 0.05f);
  const NoiseKey key{.seed = 2024};
  const auto stages = [](std::span<const float> gains) {
    return epilogue(Amplifier{gains, 0.02f}, Saturation{3.0f}, GaussianNoise{0.05f},
                    Quantizer<6>(-2.0f, 2.0f));
  };

  const DeviceArray<float> inputs{x.elements()}, given{w.elements()}, gains{gain},
      outputs(batch * out);
  const DeviceArray<std::byte> memory(cuda::PackedWeights::bytes(out, in));
  const cuda::PackedWeights weights(memory.data(), out, in);
  const cuda::Stream stream;
  cuda::pack_weights(cuda::device_view<const float>(given.data(), out, in), weights, stream);
  cuda::fused_gemm(cuda::device_view<const float>(inputs.data(), batch, in), weights,
                   cuda::device_view(outputs.data(), batch, out), stages(gains.span()), key,
                   stream);

  fused_gemm(x, pack_weights(w), expected, stages(gain), key);
  const bool equal = std::memcmp(outputs.host().data(), expected.data(), 4 * batch * out) == 0;
  std::printf("amplifier, saturation, noise, 6-bit ADC: all bits %s the CPU's\n",
              equal ? "equal" : "DIFFER from");
  return equal ? 0 : 1;
}
