// Products of floats with weights that nobody has packed, every stage, a DAC and the generator: all
// bits must be the host's. (With an FMA on both: docs/numerics.md, section 4.)
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include <lumina/lumina.hpp>

#include "support/console.hpp"

namespace {

using namespace lumina;

constexpr std::size_t kBatch = 5, kIn = 150, kOut = 37;

alignas(kWorkspaceAlignment) std::byte workspace[float_workspace_bytes(kBatch, kIn)];
float x[kBatch * kIn], w[kOut * kIn], y[kBatch * kOut], bias[kOut];

void report(const char* what) {
  console::write(what);
  for (std::size_t i = 0; i < kBatch * kOut; ++i) {
    console::write(i % kOut == 0 ? "\n" : " ");
    console::write_word(std::bit_cast<std::uint32_t>(y[i]));
  }
  console::write("\n");
}

}  // namespace

int main() {
  FastRng rng(5);
  rng.fill_normal(x);
  rng.fill_normal(w, 0.0f, 0.1f);
  rng.fill_normal(bias);
  x[3] = 1e-41f;  // a denormal stays what it is
  const MatrixView<const float> inputs(x, kBatch, kIn), weights(w, kOut, kIn);
  const MatrixView<float> outputs(y, kBatch, kOut);
  const SerialIn executor(workspace);
  const NoiseKey key{.seed = 1, .stream = 2, .row_offset = 3};

  fused_gemm(inputs, weights, outputs, epilogue(), {}, executor);
  report("products");
  fused_gemm(
      inputs, weights, outputs,
      epilogue(AddBias{bias}, Relu{}, Attenuation{0.85f}, ShotNoise{0.1f}, GaussianNoise{0.05f}),
      key, executor);
  report("stages");
  fused_gemm(inputs, Quantizer<12>(-2.0f, 2.0f), weights, outputs,
             epilogue(GaussianNoise{0.1f}, SymmetricQuantizer<9>(3.0f)), key, executor);
  report("converters");
  return 0;
}
