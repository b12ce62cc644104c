// Every kernel of cuda/fused_gemm.hpp, run by the emulation: the bits of the CPU's calls, in all
// shapes, with all outputs, on both generations of GPUs; nothing written beside y.
#include "products.hpp"

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

using namespace lumina;

namespace {

/// Batch, inputs, outputs: tails of everything, batches of 1, shapes whose tiles suffice for the
/// largest blocks of three multiprocessors.
constexpr gpu_tests::Sizes kShapes[] = {
    {1, 1, 1},     {1, 784, 10},   {2, 3, 5},   {7, 64, 33},    {33, 100, 70},  {64, 128, 64},
    {65, 127, 31}, {70, 160, 129}, {16, 0, 12}, {300, 96, 300}, {129, 513, 257}};

const auto kStages = [] { return epilogue(GaussianNoise{0.1f}, Quantizer<8>(-4.0f, 4.0f)); };

}  // namespace

TEST_CASE("coded products have the CPU's bits", "[cuda]") {
  for (const int capability : {80, 90}) {
    for (const auto& sizes : kShapes) {
      CAPTURE(capability, sizes.batch, sizes.in, sizes.out);
      gpu_tests::use(capability);
      gpu_tests::check_codes<8, float>(sizes, Quantizer<8>(-1.0f, 1.0f), kStages());
    }
  }
}

TEST_CASE("coded products of other weights, DACs and outputs", "[cuda][small]") {
  for (const int capability : {80, 90}) {
    gpu_tests::use(capability);
    const gpu_tests::Sizes sizes{37, 200, 75};
    CAPTURE(capability);
    gpu_tests::check_codes<4, float>(sizes, Quantizer<6>(-1.0f, 1.0f), kStages());
    gpu_tests::check_codes<2, float>(sizes, SymmetricQuantizer<8>(1.0f), kStages());
    gpu_tests::check_codes<8, std::uint8_t>(sizes, SymmetricQuantizer<5>(0.9f), kStages());
    gpu_tests::check_codes<8, std::uint8_t>({129, 64, 256}, Quantizer<8>(0.0f, 1.0f), kStages());
    gpu_tests::check_codes<3, std::uint16_t>(
        sizes, Quantizer<4>(0.0f, 1.0f),
        epilogue(ShotNoise{0.05f}, GaussianNoise{0.1f}, Quantizer<12>(-4.0f, 4.0f)));
    gpu_tests::check_codes<8, float>(sizes, RuntimeQuantizer(7, -1.0f, 1.0f), epilogue());
  }
}

TEST_CASE("several draws, and every kind of stage", "[cuda][small]") {
  for (const int capability : {80, 90}) {
    gpu_tests::use(capability);
    CAPTURE(capability);
    std::vector<float> bias(75);
    FastRng(5).fill_normal(bias);
    gpu_tests::OnDevice<float> on_device(bias.size());
    on_device.upload(bias);
    const auto stages = [&](std::span<const float> own) {
      return epilogue(AddBias{own}, Attenuation{0.85f}, ShotNoise{0.1f}, Relu{},
                      ShotNoiseWithDerivative{0.03f}, GaussianNoise{0.05f},
                      SymmetricQuantizer<6>(3.0f));
    };
    gpu_tests::check_codes<8, float>({37, 200, 75}, Quantizer<8>(-1.0f, 1.0f), stages(bias),
                                     stages({on_device.data(), on_device.size()}));
    gpu_tests::check_floats({37, 200, 75}, NoDac(), stages(bias),
                            stages({on_device.data(), on_device.size()}));
  }
}

TEST_CASE("products of floats are the CPU's chains", "[cuda]") {
  for (const auto& sizes : kShapes) {
    CAPTURE(sizes.batch, sizes.in, sizes.out);
    gpu_tests::use(80);
    gpu_tests::check_floats(sizes, NoDac(), kStages(), kStages());
    gpu_tests::check_floats(sizes, Quantizer<12>(-1.0f, 1.0f), kStages(), kStages());
  }
  gpu_tests::use(90);
  gpu_tests::check_floats({300, 37, 600}, NoDac(), kStages(), kStages());
}

TEST_CASE("extreme inputs", "[cuda][small]") {
  for (const int capability : {80, 90}) {
    gpu_tests::use(capability);
    gpu_tests::Data data({20, 50, 40});
    gpu_tests::put_extremes(data.x);
    gpu_tests::check_codes<8, float>(data, Quantizer<8>(-1.0f, 1.0f), kStages(), kStages());
    gpu_tests::check_floats(data, NoDac(), epilogue(), epilogue());
    gpu_tests::check_floats(data, NoDac(), kStages(), kStages());
  }
}

TEST_CASE("views with strides, rows that begin anywhere", "[cuda][small]") {
  for (const int capability : {80, 90}) {
    gpu_tests::use(capability);
    for (const std::size_t padding : {1, 3, 8, 16}) {
      for (const std::size_t shift : {0, 1, 5}) {
        CAPTURE(capability, padding, shift);
        gpu_tests::Data data({37, 200, 75});
        data.padding = padding, data.shift = shift;
        gpu_tests::check_codes<8, float>(data, Quantizer<8>(-1.0f, 1.0f), kStages(), kStages());
        gpu_tests::check_codes<8, std::uint8_t>(data, Quantizer<8>(-1.0f, 1.0f), kStages(),
                                                kStages());
        gpu_tests::check_floats(data, NoDac(), kStages(), kStages());
      }
    }
  }
}
