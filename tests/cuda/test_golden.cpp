// The golden vectors (tests/golden/), which an oracle in another language has computed, on a
// device.
#include "golden/golden_checks.hpp"
#include "on_device.hpp"

#include <lumina/cuda.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

using namespace lumina;
using gpu_tests::OnDevice;
using gpu_tests::stream;

namespace {

template <class T>
OnDevice<T> uploaded(std::span<const T> from) {
  OnDevice<T> memory(from.size());
  memory.upload(from);
  return memory;
}

template <class Expected, class Y>
void check(const std::vector<Y>& found, const Expected* expected) {
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    if constexpr (std::is_same_v<Y, float>) {
      CHECK(golden::bits_of(found[i]) == expected[i]);
    } else {
      CHECK(found[i] == expected[i]);
    }
  }
}

}  // namespace

TEST_CASE("Golden on a device: the noise field", "[cuda]") {
  gpu_tests::use(90);
  for (const auto& element : golden::kNoiseField) {
    // A row of its own, and columns up to the element's.
    const NoiseKey key{element.seed, element.stream, element.row_offset + element.row};
    OnDevice<float> normals(element.col + 1);
    REQUIRE(cuda::fill_normals(cuda::device_view(normals.data(), 1, normals.size()), key, stream(),
                               element.draw));
    CHECK(golden::bits_of(normals.download().back()) == element.bits);
  }
}

TEST_CASE("Golden on a device: coded layers", "[cuda]") {
  for (const int capability : {80, 90}) {
    gpu_tests::use(capability);
    golden::for_each_coded_layer(
        [&]<int Bits, class X, class Y>(const char* name,
                                        const golden::CodedLayer<Bits, X, Y>& layer) {
          CAPTURE(capability, name);
          const RuntimeQuantizer dac(layer.dac_bits, layer.dac_lo, layer.dac_hi);
          const RuntimeQuantizer adc(layer.adc_bits, layer.adc_lo, layer.adc_hi);
          std::vector<float> w(layer.out * layer.in);
          std::vector<X> x(layer.batch * layer.in);
          if constexpr (std::is_same_v<X, float>) {
            golden::fill_units(layer.x_seed, layer.batch, layer.in, x.data());
          } else {
            golden::fill_codes(layer.x_seed, x.size(), layer.dac_bits, x.data());
          }
          const auto coded = encode_weights<Bits>(golden::weights_in_floats(layer, w.data()));
          OnDevice<std::byte> memory(cuda::CodedWeights<Bits>::bytes(layer.out, layer.in));
          const cuda::CodedWeights<Bits> weights(memory.data(), layer.out, layer.in);
          REQUIRE(cuda::copy_weights(coded, weights, stream()));
          auto inputs = uploaded<X>(x);
          OnDevice<Y> y(layer.batch * layer.out);
          OnDevice<std::byte> workspace(cuda::coded_workspace_bytes(layer.batch, layer.in));
          REQUIRE(cuda::fused_gemm_noise_quant(
              cuda::device_view<const X>(inputs.data(), layer.batch, layer.in), dac, weights,
              cuda::device_view(y.data(), layer.batch, layer.out), layer.stddev, adc,
              {layer.noise_seed, layer.noise_stream, layer.row_offset}, stream(),
              {workspace.data(), workspace.size()}));
          check(y.download(), layer.outputs);
        });
  }
}

TEST_CASE("Golden on a device: layers in floats", "[cuda]") {
  gpu_tests::use(90);
  std::size_t index = 0;
  for (const golden::F32Layer& layer : golden::kF32Layers) {
    std::vector<float> x(layer.batch * layer.in), w(layer.out * layer.in), bias(layer.out);
    golden::fill_units(layer.x_seed, layer.batch, layer.in, x.data());
    golden::fill_weights(layer.w_seed, layer.out, layer.in, w.data());
    golden::fill_units(layer.bias_seed, 1, layer.out, bias.data());
    auto inputs = uploaded<float>(x), given = uploaded<float>(w), on_device = uploaded<float>(bias);
    OnDevice<std::byte> memory(cuda::PackedWeights::bytes(layer.out, layer.in));
    const cuda::PackedWeights weights(memory.data(), layer.out, layer.in);
    REQUIRE(cuda::pack_weights(cuda::device_view<const float>(given.data(), layer.out, layer.in),
                               weights, stream()));
    OnDevice<float> y(layer.batch * layer.out);
    const auto run = [&](const auto& stages) {
      REQUIRE(cuda::fused_gemm(cuda::device_view<const float>(inputs.data(), layer.batch, layer.in),
                               weights, cuda::device_view(y.data(), layer.batch, layer.out), stages,
                               {layer.noise_seed, layer.noise_stream, layer.row_offset}, stream()));
      return y.download();
    };
    check(run(epilogue()), golden::kF32Sums + index);
    check(run(golden::f32_epilogue({on_device.data(), on_device.size()})),
          golden::kF32Outputs + index);
    index += y.size();
  }
  CHECK(index == std::size(golden::kF32Sums));
}

TEST_CASE("Golden on a device: weights encoded there", "[cuda]") {
  gpu_tests::use(80);
  golden::for_each_coded_layer([&]<int Bits, class X, class Y>(
                                   const char* name, const golden::CodedLayer<Bits, X, Y>& layer) {
    CAPTURE(name);
    std::vector<float> w(layer.out * layer.in);
    golden::weights_in_floats(layer, w.data());
    auto given = uploaded<float>(w);
    OnDevice<std::byte> memory(cuda::CodedWeights<Bits>::bytes(layer.out, layer.in));
    REQUIRE(cuda::encode_weights(cuda::device_view<const float>(given.data(), layer.out, layer.in),
                                 cuda::CodedWeights<Bits>(memory.data(), layer.out, layer.in),
                                 stream()));
    std::vector<std::byte> found = memory.download();
    const auto arrays = cuda::CodedWeights<Bits>(found.data(), layer.out, layer.in).arrays();
    constexpr int kStored = CodedWeights<Bits>::stored_bits;
    const std::size_t panel_size = detail::coded_steps<Bits>(layer.in) * detail::kPanelColumns;
    for (std::size_t row = 0; row < layer.out; ++row) {
      CAPTURE(row);
      CHECK(golden::bits_of(arrays.scales[row]) == golden::bits_of(layer.scales[row]));
      CHECK(arrays.code_sums[row] == layer.code_sums[row]);
      std::size_t different = 0;
      for (std::size_t k = 0; k < layer.in; ++k) {
        const std::int32_t code = detail::unpack_code<kStored>(
            layer.words + row / detail::kPanelColumns * panel_size, row % detail::kPanelColumns, k);
        different += arrays.codes[row * arrays.row_bytes + k] != code ? 1 : 0;
      }
      CHECK(different == 0);
    }
  });
}

TEST_CASE("Golden on a device: a layer on arrays", "[cuda]") {
  using namespace golden;
  gpu_tests::use(90);
  std::vector<float> w(kTiledOut * kTiledIn), x(kTiledBatch * kTiledIn), bias(kTiledOut);
  fill_weights(kTiledW, kTiledOut, kTiledIn, w.data());
  fill_units(kTiledX, kTiledBatch, kTiledIn, x.data());
  fill_units(kTiledBias, 1, kTiledOut, bias.data());
  const Mapping mapping{{kTileInputs, kTiledOut}};
  const auto tiles =
      encode_tiles<4>(MatrixView<const float>(w.data(), kTiledOut, kTiledIn), mapping);
  OnDevice<std::byte> memory(cuda::TiledWeights<4>::bytes(kTiledOut, kTiledIn, mapping));
  const cuda::TiledWeights<4> weights(memory.data(), kTiledOut, kTiledIn, mapping);
  REQUIRE(cuda::copy_weights(tiles, weights, stream()));
  auto inputs = uploaded<float>(x), on_device = uploaded<float>(bias);
  OnDevice<float> y(kTiledBatch * kTiledOut);
  const lumina::SymmetricQuantizer<8> dac(kTiledDac);
  const auto in_array = lumina::array(ReadNoise(kTiledRead), GaussianNoise{kTiledAdditive},
                                      lumina::SymmetricQuantizer<kTiledAdcBits>(kTiledAdc));
  OnDevice<std::byte> workspace(cuda::analog_workspace_bytes(kTiledBatch, weights, dac, in_array));
  const std::span<const float> own_bias(on_device.data(), on_device.size());
  REQUIRE(cuda::analog_gemm(cuda::device_view<const float>(inputs.data(), kTiledBatch, kTiledIn),
                            dac, weights, in_array, digital(AddBias{own_bias}),
                            cuda::device_view(y.data(), kTiledBatch, kTiledOut),
                            NoiseKey{kTiledKey[0], kTiledKey[1], kTiledKey[2]}, stream(),
                            {workspace.data(), workspace.size()}));
  check(y.download(), kTiledOutputs);
}
