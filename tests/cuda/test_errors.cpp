// What a call on a device refuses, by which words, and that nothing is written then.
#include "products.hpp"

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

using namespace lumina;
using gpu_tests::OnDevice;
using gpu_tests::stream;

namespace {

/// A call [5, 20] · [20, 7] of which one argument at a time is wrong.
struct Operands {
  OnDevice<float> x{5 * 20}, y{5 * 7};
  OnDevice<std::byte> memory{cuda::CodedWeights<8>::bytes(7, 20)};
  OnDevice<std::byte> scratch{cuda::coded_workspace_bytes(5, 20)};
  cuda::DeviceView<const float> inputs = cuda::device_view<const float>(x.data(), 5, 20);
  cuda::DeviceView<float> outputs = cuda::device_view(y.data(), 5, 7);
  cuda::CodedWeights<8> weights{memory.data(), 7, 20};
  cuda::Workspace workspace{scratch.data(), scratch.size()};

  Operands() { y.upload(std::vector<float>(y.size(), 5.0f)); }

  std::string refused() {
    const Quantizer<8> dac(-1.0f, 1.0f), adc(-4.0f, 4.0f);
    std::string message = "nothing was refused";
    try {
      cuda::fused_gemm_noise_quant(inputs, dac, weights, outputs, 0.1f, adc, NoiseKey{1}, stream(),
                                   workspace);
    } catch (const std::invalid_argument& error) {
      message = error.what();
    }
    for (const float v : y.download()) CHECK(v == 5.0f);
    return message;
  }
};

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("shapes that do not fit", "[cuda]") {
  gpu_tests::use(90);
  Operands operands;
  operands.inputs = cuda::device_view<const float>(operands.x.data(), 5, 19);
  CHECK(contains(operands.refused(), "x is [5, 19], w is [7, 20], y is [5, 7]"));
}

TEST_CASE("memory that is missing, or not the device's", "[cuda]") {
  gpu_tests::use(90);
  std::vector<float> of_host(100);
  SECTION("a null pointer") {
    Operands operands;
    operands.weights = cuda::CodedWeights<8>(nullptr, 7, 20);
    CHECK(contains(operands.refused(), "the memory of w is a null pointer"));
  }
  SECTION("x of the host") {
    Operands operands;
    operands.inputs = cuda::device_view<const float>(of_host.data(), 5, 20);
    CHECK(contains(operands.refused(), "x is not in the memory of device 0"));
  }
  SECTION("y of the host") {
    Operands operands;
    operands.outputs = cuda::device_view(of_host.data(), 5, 7);
    CHECK(contains(operands.refused(), "y is not in the memory of device 0"));
  }
  SECTION("weights that begin anywhere") {
    Operands operands;
    operands.weights = cuda::CodedWeights<8>(operands.memory.data() + 4, 7, 20);
    CHECK(contains(operands.refused(), "the memory of w must begin at a multiple of 128 bytes"));
  }
}

TEST_CASE("a workspace that is too small, missing, or somebody else's", "[cuda]") {
  gpu_tests::use(90);
  Operands operands;
  SECTION("too small") {
    operands.workspace.bytes -= 1;
    CHECK(contains(operands.refused(), "the workspace has 159 bytes, the call needs 160"));
  }
  SECTION("missing") {
    operands.workspace.data = nullptr;
    CHECK(contains(operands.refused(), "the workspace is a null pointer"));
  }
  SECTION("that of w") {
    operands.workspace.data = operands.memory.data();
    CHECK(contains(operands.refused(), "the workspace overlaps the memory of w"));
  }
}

#if defined(LUMINA_GPU_PLATFORM)
TEST_CASE("a device that is too old", "[cuda]") {
  gpu_tests::use(75);
  Operands operands;
  CHECK(contains(operands.refused(), "device 0 has compute capability 7.5, it needs 8.0"));
}
#endif

TEST_CASE("outputs that do not hold the ADC's codes, and DACs of too many bits", "[cuda]") {
  gpu_tests::use(90);
  Operands operands;
  OnDevice<std::uint8_t> codes(5 * 7);
  const auto call = [&](const auto& dac, const auto& adc) {
    cuda::fused_gemm(operands.inputs, dac, operands.weights, cuda::device_view(codes.data(), 5, 7),
                     epilogue(adc), NoiseKey{}, stream(), operands.workspace);
  };
  CHECK_THROWS_AS(call(Quantizer<8>(-1.0f, 1.0f), Quantizer<9>(0.0f, 1.0f)), std::invalid_argument);
  CHECK_THROWS_AS(call(Quantizer<9>(-1.0f, 1.0f), Quantizer<8>(0.0f, 1.0f)), std::invalid_argument);
}

TEST_CASE("a handler that returns gets false", "[cuda]") {
  gpu_tests::use(90);
  const auto before = set_error_handler([](const char*) {});
  CHECK_FALSE(cuda::fill_normals(cuda::device_view<float>(nullptr, 2, 2), NoiseKey{}, stream()));
  set_error_handler(before);
}
