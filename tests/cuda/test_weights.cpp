// Weights encoded by the device have the bytes of the CPU's (cuda/encode_weights.hpp).
#include "products.hpp"

#include "support/catch.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

using namespace lumina;
using gpu_tests::Data;
using gpu_tests::OnDevice;
using gpu_tests::Placed;

namespace {

constexpr gpu_tests::Sizes kShapes[] = {
    {1, 1, 1}, {1, 130, 3}, {1, 784, 129}, {1, 0, 5}, {1, 640, 33}};

/// Device memory for weights, full of something else.
template <int Bits>
struct Coded {
  Coded(std::size_t rows, std::size_t cols)
      : memory(cuda::CodedWeights<Bits>::bytes(rows, cols)), weights(memory.data(), rows, cols) {
    memory.upload(std::vector<std::byte>(memory.size(), std::byte{0xa5}));
  }
  OnDevice<std::byte> memory;
  cuda::CodedWeights<Bits> weights;
};

/// encode(w on the device, coded weights there) against `expected`.
template <int Bits, class Encode>
void check(const Data& data, const lumina::CodedWeights<Bits>& expected, const Encode& encode) {
  const std::size_t rows = data.w.rows(), cols = data.w.cols();
  Coded<Bits> copied(rows, cols), encoded(rows, cols);
  REQUIRE(cuda::copy_weights(expected, copied.weights, gpu_tests::stream()));
  Placed<const float> w(rows, cols, data, data.w.data());
  REQUIRE(encode(w.view(), encoded.weights));
  CHECK(encoded.memory.download() == copied.memory.download());
}

template <class Noise>
void check_noise(const Data& data, int bits, const Noise& noise) {
  const auto encode = [&](const auto& w, const auto& to) {
    return cuda::encode_weights(w, to, bits, noise, gpu_tests::kKey, gpu_tests::stream());
  };
  lumina::CodedWeights<8> expected;
  encode_weights(data.w, expected, bits, noise, gpu_tests::kKey);
  check(data, expected, encode);
}

}  // namespace

TEST_CASE("weights encoded on a device", "[cuda]") {
  for (const auto& sizes : kShapes) {
    for (const std::size_t padding : {0, 3}) {
      CAPTURE(sizes.in, sizes.out, padding);
      Data data(sizes);
      data.padding = padding, data.shift = padding;
      if (sizes.out > 2) std::fill_n(&data.w.data()[sizes.in], sizes.in, 0.0f);
      if (sizes.out > 2) std::fill_n(&data.w.data()[2 * sizes.in], sizes.in, 0x1p-149f);
      for (const auto how : {WeightScale::per_output, WeightScale::per_matrix}) {
        check(data, encode_weights<8>(data.w, how), [&](const auto& w, const auto& to) {
          return cuda::encode_weights(w, to, gpu_tests::stream(), how);
        });
        lumina::CodedWeights<4> of_three;
        encode_weights(data.w, of_three, 3, how);
        check(data, of_three, [&](const auto& w, const auto& to) {
          return cuda::encode_weights(w, to, 3, gpu_tests::stream(), how);
        });
      }
      std::vector<float> scales(sizes.out, 0.004f);
      OnDevice<float> on_device(scales.size());
      on_device.upload(scales);
      check(data, encode_weights<6>(data.w, scales), [&](const auto& w, const auto& to) {
        return cuda::encode_weights(
            w, to, 6, cuda::device_view<const float>(on_device.data(), 1, scales.size()),
            gpu_tests::stream());
      });
    }
  }
}

TEST_CASE("weights with noise encoded on a device", "[cuda]") {
  for (const auto& sizes : {kShapes[0], kShapes[2], kShapes[4]}) {
    CAPTURE(sizes.in, sizes.out);
    Data data(sizes);
    if (sizes.out > 2) std::fill_n(&data.w.data()[sizes.in], sizes.in, 0.0f);
    check_noise(data, 8, AdditiveWeightNoise{0.03f});
    check_noise(data, 4, MultiplicativeWeightNoise{0.1f});
    check_noise(data, 8, DropConnect{0.3f});
    check_noise(data, 4, both(ProgrammingWeightNoise{}, DropConnect{0.1f}));
    check_noise(data, 5, PerOutput{AdditiveWeightNoise{0.03f}});
    check_noise(data, 8, SparedInput{PolynomialWeightNoise{0.1f, {1, 2, 3, 4, 5}}, sizes.in - 1});
    check_noise(data, 8, both(DiscretisedWeights{0.1f, 0.02f}, DoReFaWeights{0.1f}));
  }
  const Data data({1, 200, 40});
  const std::vector<float> scales(40, 0.05f);
  OnDevice<float> on_device(scales.size());
  on_device.upload(scales);
  lumina::CodedWeights<8> expected;
  const AdditiveWeightNoise noise{0.02f};
  encode_weights(data.w, expected, 4, noise, gpu_tests::kKey, scales);
  check(data, expected, [&](const auto& w, const auto& to) {
    return cuda::encode_weights(w, to, 4, noise, gpu_tests::kKey,
                                cuda::device_view<const float>(on_device.data(), 1, 40),
                                gpu_tests::stream());
  });
}

TEST_CASE("an output with a weight that is no number is one of NaN", "[cuda]") {
  Data data({1, 100, 4});
  data.w(1, 50) = std::numeric_limits<float>::infinity();
  data.w(3, 99) = std::numeric_limits<float>::quiet_NaN();
  for (const auto how : {WeightScale::per_output, WeightScale::per_matrix}) {
    Coded<8> coded(4, 100);
    Placed<const float> w(4, 100, data, data.w.data());
    REQUIRE(cuda::encode_weights(w.view(), coded.weights, gpu_tests::stream(), how));
    const std::vector<std::byte> bytes = coded.memory.download();
    float scales[4];
    std::memcpy(scales, bytes.data(), sizeof(scales));
    for (int row = 0; row < 4; ++row) {
      CHECK(std::isnan(scales[row]) == (how == WeightScale::per_matrix || row % 2 == 1));
    }
  }
}
