// The fused calls on a GPU: microseconds of each by shape, one JSON object a line, and whether rows
// that are compared with the CPU's have its bits. bench/cuda/report.py makes a table of it, beside
// its peers.
#include <lumina/cuda.hpp>
#include <lumina/lumina.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <vector>

#include "replay.hpp"

using namespace lumina;

namespace {

struct Sizes {
  std::size_t batch, in, out;
};
constexpr Sizes kShapes[] = {{32, 784, 512},    {256, 784, 512},    {1024, 1024, 1024},
                             {256, 4096, 4096}, {8192, 1024, 1024}, {4096, 4096, 4096}};
constexpr NoiseKey kKey{7, 0, 1000};
constexpr float kSigma = 0.1f;
/// Rows that the CPU computes too.
constexpr std::size_t kCompared = 16;

template <class T>
using Array = DeviceArray<T>;

/// Whether some rows of y, spread over all, are those that compute(row, to) makes.
template <class Y, class Compute>
bool rows_equal(const Array<Y>& y, const Sizes& sizes, const Compute& compute) {
  Matrix<Y> expected(1, sizes.out), found(1, sizes.out);
  for (std::size_t i = 0; i < kCompared; ++i) {
    const std::size_t row = i * (sizes.batch - 1) / (kCompared - 1);
    compute(row, expected.view());
    require(cudaMemcpy(found.data(), y.data() + row * sizes.out, sizes.out * sizeof(Y),
                       cudaMemcpyDeviceToHost));
    if (std::memcmp(found.data(), expected.data(), sizes.out * sizeof(Y)) != 0) return false;
  }
  return true;
}

void report(const char* what, const Sizes& sizes, double us, const char* bits) {
  std::printf("{\"case\": \"%s\", \"shape\": [%zu, %zu, %zu], \"us\": %.3f, \"bits\": \"%s\"}\n",
              what, sizes.batch, sizes.in, sizes.out, us, bits);
  std::fflush(stdout);
}

void measure(const Sizes& sizes, cudaStream_t handle) {
  const auto [batch, in, out] = sizes;
  const cuda::Stream stream{handle};
  const Quantizer<8> dac(-1.0f, 1.0f), adc(-4.0f, 4.0f);
  const auto noise = GaussianNoise{kSigma};
  Matrix<float> x(batch, in), w(out, in);
  Matrix<std::uint8_t> codes(batch, in);
  FastRng rng(1);
  for (float& v : x.elements()) v = rng.uniform() * 2.2f - 1.1f;
  rng.fill_normal(w.elements(), 0.0f, 1.2f / __builtin_sqrtf(static_cast<float>(in)));
  for (std::size_t i = 0; i < batch * in; ++i) {
    codes.data()[i] = static_cast<std::uint8_t>(dac.encode(x.data()[i]));
  }
  const auto coded = encode_weights<8>(w);
  const Array<float> inputs(x.elements()), given(w.elements()), y(batch * out);
  const Array<std::uint8_t> x_codes(codes.elements()), y_codes(batch * out);
  const Array<std::byte> memory(cuda::CodedWeights<8>::bytes(out, in)),
      panels(cuda::PackedWeights::bytes(out, in)), scratch(cuda::coded_workspace_bytes(batch, in));
  const cuda::CodedWeights<8> weights(memory.data(), out, in);
  const cuda::PackedWeights packed(panels.data(), out, in);
  cuda::copy_weights(coded, weights, stream);
  cuda::pack_weights(cuda::device_view<const float>(given.data(), out, in), packed, stream);
  const auto xv = cuda::device_view<const float>(inputs.data(), batch, in);
  const auto cv = cuda::device_view<const std::uint8_t>(x_codes.data(), batch, in);
  const auto yv = cuda::device_view(y.data(), batch, out);
  const auto yc = cuda::device_view(y_codes.data(), batch, out);
  const cuda::Workspace workspace{scratch.data(), scratch.size()};
  const auto expect = [&](const auto& stages) {
    return [&, stages](std::size_t row, auto to) {
      fused_gemm(MatrixView<const float>(x.view().row(row), 1, in), dac, coded, to, stages,
                 NoiseKey{kKey.seed, kKey.stream, kKey.row_offset + row});
    };
  };
  const auto run = [&](const char* what, const auto& call, const auto& equal) {
    require(cudaMemsetAsync(y.data(), 0xff, 4 * y.size(), handle));
    call();
    require(cudaStreamSynchronize(handle));
    const char* const bits = equal() ? "equal" : "DIFFER";
    report(what, sizes, replayed_us(handle, call), bits);
  };
  const auto y_equals = [&](const auto& stages) {
    return [&, stages] { return rows_equal(y, sizes, expect(stages)); };
  };

  const auto stages = epilogue(noise, adc);
  run(
      "codes", [&] { cuda::fused_gemm(cv, dac, weights, yv, stages, kKey, stream, workspace); },
      y_equals(stages));
  run(
      "codes, no noise",
      [&] { cuda::fused_gemm(cv, dac, weights, yv, epilogue(adc), kKey, stream, workspace); },
      y_equals(epilogue(adc)));
  run(
      "codes to codes",
      [&] { cuda::fused_gemm(cv, dac, weights, yc, stages, kKey, stream, workspace); },
      [&] { return rows_equal(y_codes, sizes, expect(stages)); });
  run(
      "DAC and codes",
      [&] { cuda::fused_gemm(xv, dac, weights, yv, stages, kKey, stream, workspace); },
      y_equals(stages));
  run(
      "floats", [&] { cuda::fused_gemm(xv, packed, yv, stages, kKey, stream); },
      [&] {
        const PackedWeights on_host = pack_weights(w);
        return rows_equal(y, sizes, [&](std::size_t row, auto to) {
          fused_gemm(MatrixView<const float>(x.view().row(row), 1, in), on_host, to, stages,
                     NoiseKey{kKey.seed, kKey.stream, kKey.row_offset + row});
        });
      });

  // The kernels of older GPUs, whatever this one is.
  detail::gpu::Device device;
  require(detail::gpu::device_facts(device.facts));
  device.has_tensor_memory = false;
  const auto arrays = weights.arrays();
  const detail::gpu::CodeOperands operands{{x_codes.data(), in, static_cast<int>(batch)},
                                           {arrays.codes, arrays.row_bytes, static_cast<int>(out)},
                                           static_cast<int>(in)};
  const detail::gpu::Finish finish(stages, detail::gpu::CodeSums(dac, arrays),
                                   detail::gpu::FloatSink(yv.addresses()), kKey, batch, out);
  run(
      "codes on mma.sync",
      [&] { require(detail::gpu::multiply_codes_on(operands, finish, device, handle)); },
      y_equals(stages));
}

/// A step of noise-aware training: weights encoded, forward with noise and ADC, all gradients.
void measure_step(const Sizes& sizes, cudaStream_t handle) {
  const auto [batch, in, out] = sizes;
  const cuda::Stream stream{handle};
  const Quantizer<8> dac(0.0f, 1.0f), adc(-8.0f, 8.0f);
  Matrix<float> x(batch, in), w(out, in), g(batch, out);
  FastRng rng(1);
  for (float& v : x.elements()) v = rng.uniform();
  rng.fill_normal(w.elements(), 0.0f, 0.05f);
  rng.fill_normal(g.elements());
  const Array<float> inputs(x.elements()), given(w.elements()), gradient(g.elements()),
      y(batch * out), by_input(batch * in), by_weights(out * in);
  const Array<std::byte> memory(cuda::CodedWeights<8>::bytes(out, in)),
      gates(cuda::ForwardRecord::bytes(batch, out, 1));
  const cuda::CodedWeights<8> weights(memory.data(), out, in);
  const auto pass = cuda::forward_pass(cuda::device_view<const float>(inputs.data(), batch, in),
                                       dac, weights, epilogue(GaussianNoise{kSigma}, adc), kKey);
  const cuda::ForwardRecord record(gates.data(), batch, out, 1);
  const Array<std::byte> scratch(
      std::max(cuda::coded_workspace_bytes(batch, in), cuda::backward_workspace_bytes(pass)));
  const cuda::Workspace workspace{scratch.data(), scratch.size()};
  cuda::DeviceGradients gradients;
  gradients.input = cuda::device_view(by_input.data(), batch, in);
  gradients.weights = cuda::device_view(by_weights.data(), out, in);
  const auto step = [&] {
    cuda::encode_weights(cuda::device_view<const float>(given.data(), out, in), weights, stream);
    cuda::forward(pass, cuda::device_view(y.data(), batch, out), record, stream, workspace);
    cuda::backward(pass, cuda::device_view<const float>(gradient.data(), batch, out), record,
                   gradients, stream, workspace);
  };
  report("NAT step", sizes, replayed_us(handle, step), "");
}

}  // namespace

int main() {
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, 0) != cudaSuccess) {
    std::puts("SKIPPED: there is no GPU");
    return 77;
  }
  std::printf("{\"device\": \"%s\", \"multiprocessors\": %d}\n", properties.name,
              properties.multiProcessorCount);
  cudaStream_t stream;
  require(cudaStreamCreate(&stream));
  for (const Sizes& sizes : kShapes) measure(sizes, stream);
  for (const Sizes& sizes : {kShapes[1], kShapes[4]}) measure_step(sizes, stream);

  const Sizes field{16384, 1, 4096};
  const Array<float> normals(field.batch * field.out);
  const auto view = cuda::device_view(normals.data(), field.batch, field.out);
  const auto fill = [&] { cuda::fill_normals(view, kKey, cuda::Stream{stream}); };
  fill();
  require(cudaStreamSynchronize(stream));
  const bool equal = rows_equal(normals, field, [&](std::size_t row, MatrixView<float> to) {
    for (std::size_t i = 0; i < field.out; ++i) to(0, i) = standard_normal_at(kKey, row, i);
  });
  report("normals", field, replayed_us(stream, fill), equal ? "equal" : "DIFFER");
  report(
      "fill", field,
      replayed_us(stream,
                  [&] { require(cudaMemsetAsync(normals.data(), 1, 4 * normals.size(), stream)); }),
      "");
  require(cudaStreamDestroy(stream));
}
