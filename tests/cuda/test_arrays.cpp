// cuda/analog_gemm.hpp, run by the emulation, against the oracle of layers on arrays: the same
// bits, nothing written beside y.
#include "on_device.hpp"
#include "products.hpp"

#include <lumina/array_stages.hpp>
#include <lumina/converters.hpp>
#include <lumina/cuda/analog_gemm.hpp>
#include <lumina/ir_drop.hpp>
#include <lumina/read_noise.hpp>
#include <lumina/reference_analog.hpp>
#include <lumina/reference_array_stages.hpp>
#include <lumina/reference_converters.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

using namespace lumina;
using gpu_tests::Data;
using gpu_tests::kKey;
using gpu_tests::Sizes;

namespace {

/// A call on the device, with memory of its own.
template <int Bits>
struct OnArrays {
  OnArrays(const Data& of, const Mapping& mapping)
      : data(of),
        host(encode_tiles<Bits>(data.w, mapping)),
        memory(cuda::TiledWeights<Bits>::bytes(data.w.rows(), data.w.cols(), mapping)),
        device(memory.data(), data.w.rows(), data.w.cols(), mapping) {
    REQUIRE(cuda::copy_weights(host, device, gpu_tests::stream()));
  }

  /// Of x of floats, or of codes where `X` is std::uint8_t.
  template <class Y, class X, class Dac, class InArray, class HostStages, class DeviceStages>
  void check(const Matrix<X>& x, const Dac& dac, const InArray& in_array, const HostStages& on_host,
             const DeviceStages& on_device) const {
    const std::size_t batch = x.rows(), out = data.w.rows();
    Matrix<Y> expected(batch, out);
    reference::analog_gemm(MatrixView<const X>(x), dac, host, in_array, on_host,
                           MatrixView<Y>(expected), kKey);
    gpu_tests::OnDevice<std::byte> workspace(
        cuda::analog_workspace_bytes(batch, device, dac, in_array));
    gpu_tests::Placed<const X> placed(batch, x.cols(), data, x.data());
    gpu_tests::Placed<Y> y(batch, out, data);
    REQUIRE(cuda::analog_gemm(placed.view(), dac, device, in_array, on_device, y.view(), kKey,
                              gpu_tests::stream(), {workspace.data(), workspace.size()}));
    CHECK(y.differing(expected) == 0);
  }
  template <class Y = float, class Dac, class InArray, class Behind>
  void check(const Dac& dac, const InArray& in_array, const Behind& behind) const {
    check<Y>(data.x, dac, in_array, behind, behind);
  }

  Data data;
  lumina::TiledWeights<Bits> host;
  gpu_tests::OnDevice<std::byte> memory;
  cuda::TiledWeights<Bits> device;
};

const RuntimeQuantizer kDac = RuntimeQuantizer::symmetric(8, 1.0f);
const RuntimeQuantizer kAdc = RuntimeQuantizer::symmetric(8, 4.0f);
const ManagedDac kAbsMax{8, 1.0f, NoiseManagement::abs_max};

}  // namespace

TEST_CASE("arrays of all shapes have the oracle's bits", "[cuda]") {
  const auto in_array = array(GaussianNoise{0.1f}, kAdc);
  const auto behind = digital(ShotNoise{0.05f}, Relu{});
  struct Case {
    Sizes sizes;
    Mapping mapping;
  };
  const Case cases[] = {
      {{1, 1, 1}, {}},
      {{1, 784, 10}, {{256, 512}, TileScale::per_column, TileSplit::maximal}},
      {{7, 300, 33}, {{64, 512}, TileScale::per_column, TileSplit::maximal}},
      {{40, 300, 70}, {{64, 32}, TileScale::per_tile, TileSplit::equal}},
      {{33, 127, 64}, {{128, 512}, TileScale::per_tile, TileSplit::maximal}},
      {{65, 129, 129}, {{128, 64}, TileScale::per_column, TileSplit::equal}},
      {{3, 0, 12}, {}},
      {{130, 140, 70}, {{130, 512}, TileScale::per_column, TileSplit::maximal}},
      {{2, 5, 40}, {{1, 16}, TileScale::per_column, TileSplit::maximal}},
  };
  for (const auto& [sizes, mapping] : cases) {
    CAPTURE(sizes.batch, sizes.in, sizes.out, mapping.tile.inputs);
    const OnArrays<8> layer(Data(sizes), mapping);
    layer.check(kDac, in_array, behind);
    layer.check(kAbsMax, in_array, behind);
  }
}

TEST_CASE("arrays of other weights and DACs, strides, extreme inputs", "[cuda]") {
  const auto in_array = array(GaussianNoise{0.1f}, kAdc);
  const auto behind = digital(ShotNoise{0.05f}, Relu{});
  const Mapping mapping{{100, 512}, TileScale::per_column, TileSplit::maximal};
  Data data({37, 230, 75});
  data.padding = 3, data.shift = 1;
  gpu_tests::put_extremes(data.x);
  OnArrays<4>(data, mapping).check(RuntimeQuantizer(7, -0.25f, 1.0f), in_array, behind);
  data.padding = 16, data.shift = 0;
  const OnArrays<2> layer(data, mapping);
  layer.check(RuntimeQuantizer(8, 0.5f, 1.0f), in_array, behind);
  layer.check(kAbsMax, in_array, behind);
  layer.check(ManagedDac{5, 0.7f, NoiseManagement::none}, in_array, behind);
}

TEST_CASE("x and y of codes", "[cuda]") {
  const auto in_array = array(GaussianNoise{0.1f}, kAdc);
  Matrix<std::uint8_t> codes(37, 230);
  FastRng rng(1);
  for (std::uint8_t& code : codes.elements()) {
    code = static_cast<std::uint8_t>(rng.uniform() * 254.0f);
  }
  for (const std::size_t out : {75u, 96u}) {
    Data data({37, 230, out});
    data.padding = out == 96 ? 8 : 0;
    std::vector<float> bias(out);
    rng.fill_normal(bias);
    gpu_tests::OnDevice<float> own(out);
    own.upload(bias);
    const Mapping mapping{{100, 512}, TileScale::per_column, TileSplit::equal};
    const OnArrays<8> layer(data, mapping);
    const auto behind = [&](std::span<const float> of) {
      return digital(AddBias{of}, GaussianNoise{0.3f}, Quantizer<8>(-6.0f, 6.0f));
    };
    layer.check<std::uint8_t>(codes, kDac, in_array, behind(bias),
                              behind({own.data(), own.size()}));
  }
  const OnArrays<8> layer(Data({37, 230, 75}), {{100, 512}});
  layer.check<std::uint16_t>(kDac, in_array, digital(Quantizer<11>(-6.0f, 6.0f)));
}

TEST_CASE("stages of arrays that want sums and facts of rows", "[cuda]") {
  const Mapping mapping{{100, 512}, TileScale::per_column, TileSplit::maximal};
  const OnArrays<8> layer(Data({37, 230, 75}), mapping);
  layer.check(kDac, array(ReadNoise(0.05f), kAdc), digital());
  layer.check(kAbsMax, array(ReadNoise(0.05f), kAdc), digital());
  layer.check(kDac, array(ConstantReadNoise(0.05f), IntensityNoise{0.2f}, kAdc), digital());
  layer.check(RuntimeQuantizer(7, -0.25f, 1.0f), array(BalancedShotNoise(0.05f)), digital());

  const auto all = array(IrDrop{2.0f, 3000.0f}, ReadNoise(0.05f), ProportionalReadNoise(0.1f),
                         ConstantReadNoise(0.02f), BalancedShotNoise(0.03f), kAdc);
  layer.check(kAbsMax, all, digital(Relu{}));
  const OnArrays<8> large(Data({130, 160, 70}), mapping);
  large.check(kDac, all, digital(Relu{}));
  large.check(kDac, array(ReadNoise(0.05f), kAdc), digital());
}

TEST_CASE("stages of each array's own", "[cuda]") {
  const Mapping mapping{{100, 512}, TileScale::per_column, TileSplit::maximal};
  const OnArrays<8> layer(Data({37, 230, 75}), mapping);
  layer.check(kDac,
              array(ColumnGain{Mismatch{0.02f, NoiseKey{5}}}, IntensityNoise{0.2f},
                    StochasticQuantizer(kAdc)),
              digital(GaussianNoise{0.1f}));
}

TEST_CASE("sums of weights of 4 and 2 bits", "[cuda]") {
  const Mapping mapping{{100, 512}, TileScale::per_column, TileSplit::maximal};
  const auto noise = array(ProportionalReadNoise(0.1f), IrDrop{2.0f, 3000.0f});
  OnArrays<4>(Data({37, 230, 75}), mapping).check(kDac, noise, digital());
  OnArrays<2>(Data({37, 230, 75}), mapping).check(kDac, noise, digital());
}

TEST_CASE("bound management computes rows again", "[cuda]") {
  const Mapping mapping{{100, 512}, TileScale::per_column, TileSplit::maximal};
  const RuntimeQuantizer narrow = RuntimeQuantizer::symmetric(8, 1.2f);
  for (const int iterations : {1, 4}) {
    const OnArrays<8> layer(Data({35, 230, 40}), mapping);
    const ManagedDac dac{8, 0.5f, NoiseManagement::none, iterations};
    layer.check(dac, array(GaussianNoise{0.1f}, narrow), digital(GaussianNoise{0.1f}));
    const ManagedDac abs_max{8, 0.5f, NoiseManagement::abs_max, iterations};
    layer.check(abs_max, array(ReadNoise(0.02f), narrow), digital());
  }
}

TEST_CASE("DACs that are noisy or round at random", "[cuda]") {
  const Mapping mapping{{100, 512}, TileScale::per_column, TileSplit::maximal};
  const OnArrays<8> layer(Data({20, 230, 40}), mapping);
  const auto in_array = array(GaussianNoise{0.1f}, kAdc);
  layer.check(NoisyDac(kDac, 0.05f), in_array, digital());
  layer.check(StochasticDac(RuntimeQuantizer(5, -0.25f, 1.0f)), in_array, digital());
  layer.check(NoisyDac(StochasticDac(ManagedDac{6, 1.0f, NoiseManagement::abs_max, 2}), 0.05f),
              array(IrDrop{2.0f, 3000.0f}, ReadNoise(0.02f), kAdc), digital());
}

TEST_CASE("what is wrong with calls on arrays is reported", "[cuda]") {
  const auto in_array = array(GaussianNoise{0.1f}, kAdc);
  const OnArrays<8> layer(Data({3, 230, 75}), {{100, 512}});
  gpu_tests::Placed<const float> x(3, 230, layer.data, layer.data.x.data());
  gpu_tests::Placed<const float> other(3, 229, layer.data);
  gpu_tests::Placed<float> y(3, 75, layer.data);
  gpu_tests::OnDevice<std::byte> memory(
      cuda::analog_workspace_bytes(3, layer.device, kDac, in_array));
  // 3 rows, 3 arrays: 72 bytes of numbers, three times 128 of codes.
  REQUIRE(memory.size() == 128 + 3 * 3 * 128);
  const cuda::Workspace all{memory.data(), memory.size()};
  const auto call = [&](auto& of, const auto& dac, const cuda::Workspace& workspace) {
    return cuda::analog_gemm(of.view(), dac, layer.device, in_array, digital(), y.view(), kKey,
                             gpu_tests::stream(), workspace);
  };
  test::expect_error(
      [&] {
        call(x, kDac, {memory.data(), memory.size() - 1});
      },
      {"lumina::cuda::analog_gemm", "x is [3, 230], w is [75, 230]",
       "workspace has 1279 bytes, the call needs 1280"});
  test::expect_error([&] { call(other, kDac, all); }, {"x is [3, 229], w is [75, 230]"});
  test::expect_error([&] { call(x, Quantizer<9>(0.0f, 1.0f), all); }, {"the DAC has 9 bits"});
  test::expect_error([&] { call(x, ManagedDac{9}, all); }, {"ManagedDac: it has 9 bits"});
  test::expect_error([&] { call(x, NoisyDac(kDac, -1.0f), all); }, {"NoisyDac: stddev"});
  test::expect_error(
      [&] {
        cuda::TiledWeights<8>(memory.data(), 75, 230, {{0, 1}});
      },
      {"w is [75, 230]; a tile has 0 inputs"});
  const cuda::TiledWeights<8> otherwise(memory.data(), 75, 230, {{200, 512}});
  test::expect_error([&] { cuda::copy_weights(layer.host, otherwise, gpu_tests::stream()); },
                     {"w is [75, 230] on 3 arrays", "on 2 arrays of 200 inputs at most"});
}
