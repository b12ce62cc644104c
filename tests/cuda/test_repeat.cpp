// Noise on a device is that of (seed, stream, row, column), and nothing else's.
#include "products.hpp"

#include "../../examples/user_stages.hpp"

#include "support/catch.hpp"

#include <cstddef>
#include <cstring>
#include <vector>

using namespace lumina;
using gpu_tests::OnDevice;
using gpu_tests::stream;

TEST_CASE("normals are those of standard_normal_at", "[cuda]") {
  gpu_tests::use(80);
  for (const std::size_t columns : {1, 31, 128, 129, 300}) {
    for (const std::size_t draw : {0, 3}) {
      CAPTURE(columns, draw);
      const std::size_t rows = 5;
      OnDevice<float> y(rows * columns);
      REQUIRE(cuda::fill_normals(cuda::device_view(y.data(), rows, columns), gpu_tests::kKey,
                                 stream(), draw));
      const std::vector<float> found = y.download();
      std::size_t different = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        const float expected = standard_normal_at(gpu_tests::kKey, i / columns, i % columns, draw);
        different += std::memcmp(&found[i], &expected, sizeof(float)) != 0;
      }
      CHECK(different == 0);
    }
  }
}

TEST_CASE("a batch in shards, and a column in another place, give the same bits", "[cuda]") {
  // 64 rows of 200 columns at once, and by shards, on kernels of both generations.
  const gpu_tests::Data data({64, 90, 200});
  const auto coded = encode_weights<8>(data.w);
  const Quantizer<8> dac(-1.0f, 1.0f), adc(-4.0f, 4.0f);
  OnDevice<std::byte> memory(cuda::CodedWeights<8>::bytes(200, 90));
  const cuda::CodedWeights<8> weights(memory.data(), 200, 90);
  REQUIRE(cuda::copy_weights(coded, weights, stream()));
  gpu_tests::Placed<const float> x(64, 90, data, data.x.data());
  OnDevice<std::byte> workspace(cuda::coded_workspace_bytes(64, 90));
  const auto rows = [&](OnDevice<float>& y, std::size_t first, std::size_t count) {
    const auto all = x.view();
    REQUIRE(cuda::fused_gemm_noise_quant(
        cuda::device_view(all.data() + first * 90, count, 90), dac, weights,
        cuda::device_view(y.data() + first * 200, count, 200), 0.1f, adc,
        NoiseKey{7, 3, 1000 + first}, stream(), {workspace.data(), workspace.size()}));
  };
  OnDevice<float> whole(64 * 200), shards(64 * 200);
  gpu_tests::use(90);
  rows(whole, 0, 64);
  gpu_tests::use(80);
  for (const auto& [first, count] : {std::pair{0, 1}, {1, 30}, {31, 33}}) {
    rows(shards, static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  }
  CHECK(whole.download() == shards.download());
}

TEST_CASE("a stage of the user's runs unchanged", "[cuda]") {
  std::vector<float> gain(75);
  FastRng(3).fill_normal(gain, 1.0f, 0.05f);
  OnDevice<float> on_device(gain.size());
  on_device.upload(gain);
  const auto stages = [](std::span<const float> gains) {
    return epilogue(Amplifier{gains, 0.02f}, Saturation{3.0f}, GaussianNoise{0.05f},
                    Quantizer<6>(-2.0f, 2.0f));
  };
  for (const int capability : {80, 90}) {
    gpu_tests::use(capability);
    gpu_tests::check_codes<8, float>({37, 200, 75}, Quantizer<8>(-1.0f, 1.0f), stages(gain),
                                     stages({on_device.data(), on_device.size()}));
  }
}
