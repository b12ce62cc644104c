// Training on the device has the bits of the CPU's (cuda/forward_pass.hpp, cuda/backward.hpp).
#include "products.hpp"

#include "support/catch.hpp"
#include "support/expect_error.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

using namespace lumina;
using gpu_tests::Data;
using gpu_tests::OnDevice;
using gpu_tests::Placed;

namespace {

const gpu_tests::Sizes kShapes[] = {{1, 5, 3}, {37, 200, 75}, {70, 160, 130}};

template <int Bits>
struct Coded {
  explicit Coded(const lumina::CodedWeights<Bits>& from)
      : memory(cuda::CodedWeights<Bits>::bytes(from.rows(), from.cols())),
        weights(memory.data(), from.rows(), from.cols()) {
    REQUIRE(cuda::copy_weights(from, weights, gpu_tests::stream()));
  }
  OnDevice<std::byte> memory;
  cuda::CodedWeights<Bits> weights;
};

/// Whether bits of columns that exist differ.
std::size_t differing_gates(lumina::ForwardRecord& expected, std::span<const std::uint8_t> found) {
  lumina::ForwardRecord own;
  own.resize(expected.rows(), expected.cols(), expected.gates());
  REQUIRE(own.bytes().size() == found.size());
  std::copy(found.begin(), found.end(), own.bytes().begin());
  std::size_t count = 0;
  for (std::size_t gate = 0; gate < own.gates(); ++gate) {
    for (std::size_t row = 0; row < own.rows(); ++row) {
      for (std::size_t col = 0; col < own.cols(); ++col) {
        count += own.passed(gate, row, col) != expected.passed(gate, row, col) ? 1 : 0;
      }
    }
  }
  return count;
}

}  // namespace

TEST_CASE("a forward pass records the gates of the CPU's", "[cuda]") {
  const auto stages = epilogue(Relu{}, GaussianNoise{0.3f}, Quantizer<6>(-0.5f, 1.5f),
                               Attenuation{0.9f}, SymmetricQuantizer<4>(0.7f));
  const Quantizer<8> dac(-1.0f, 1.0f);
  for (const int capability : {80, 90}) {
    gpu_tests::use(capability);
    for (const auto& sizes : kShapes) {
      CAPTURE(capability, sizes.batch, sizes.in, sizes.out);
      const Data data(sizes);
      const auto coded = encode_weights<8>(data.w);
      const auto on_host = lumina::forward_pass(data.x, dac, coded, stages, gpu_tests::kKey);
      Matrix<float> expected(sizes.batch, sizes.out);
      lumina::ForwardRecord record;
      MagnitudeTracker tracker;
      REQUIRE(
          lumina::forward(on_host, expected, lumina::PassObservers{&record, &tracker, nullptr}));

      Coded<8> weights(coded);
      Placed<const float> x(sizes.batch, sizes.in, data, data.x.data());
      Placed<float> y(sizes.batch, sizes.out, data);
      const auto pass = cuda::forward_pass(x.view(), dac, weights.weights, stages, gpu_tests::kKey);
      const std::size_t gates = cuda::ForwardRecord::gates_of(stages);
      OnDevice<std::uint8_t> bits(cuda::ForwardRecord::bytes(sizes.batch, sizes.out, gates));
      OnDevice<float> largest(1);
      largest.upload(std::vector<float>{0.0f});
      const cuda::ForwardRecord own(bits.data(), sizes.batch, sizes.out, gates);
      OnDevice<std::byte> workspace(cuda::coded_workspace_bytes(sizes.batch, sizes.in));
      REQUIRE(cuda::forward(pass, y.view(), cuda::PassObservers{&own, largest.data()},
                            gpu_tests::stream(), {workspace.data(), workspace.size()}));
      CHECK(y.differing(expected) == 0);
      CHECK(differing_gates(record, bits.download()) == 0);
      CHECK(largest.download()[0] == tracker.largest());
    }
  }
}

namespace {

/// Coded and packed weights on the host and the device.
template <int Bits>
Coded<Bits> on_device(const lumina::CodedWeights<Bits>& weights, const Data&) {
  return Coded<Bits>(weights);
}
struct Packed {
  explicit Packed(const Data& data)
      : memory(cuda::PackedWeights::bytes(data.w.rows(), data.w.cols())),
        weights(memory.data(), data.w.rows(), data.w.cols()) {
    Placed<const float> w(data.w.rows(), data.w.cols(), data, data.w.data());
    REQUIRE(cuda::pack_weights(w.view(), weights, gpu_tests::stream()));
  }
  OnDevice<std::byte> memory;
  cuda::PackedWeights weights;
};
inline Packed on_device(const lumina::PackedWeights&, const Data& data) { return Packed(data); }

/// forward_pass of either side, with a DAC or without.
template <class X, class Dac, class... Rest>
auto host_pass_of(const X& x, const Dac& dac, const Rest&... rest) {
  if constexpr (std::is_same_v<Dac, NoDac>)
    return lumina::forward_pass(x, rest...);
  else
    return lumina::forward_pass(x, dac, rest...);
}
template <class X, class Dac, class... Rest>
auto device_pass_of(const X& x, const Dac& dac, const Rest&... rest) {
  if constexpr (std::is_same_v<Dac, NoDac>)
    return cuda::forward_pass(x, rest...);
  else
    return cuda::forward_pass(x, dac, rest...);
}

/// All gradients of a step on the device against the CPU's. `on_device`: the stages with spans of
/// the device's memory.
template <class Products, class X = float, class Weights, class Dac, class HostStages,
          class DeviceStages, class HostWeightStages = Epilogue<>,
          class DeviceWeightStages = Epilogue<>>
void check_step(const Data& data, const Weights& coded, const Dac& dac, const HostStages& stages,
                const DeviceStages& device_stages,
                const HostWeightStages& weight_stages = HostWeightStages(),
                const DeviceWeightStages& device_weight_stages = DeviceWeightStages(),
                bool has_extremes = false) {
  const std::size_t batch = data.x.rows(), in = data.x.cols(), out = coded.rows();
  Matrix<X> x(batch, in);
  for (std::size_t i = 0; i < x.elements().size(); ++i) {
    if constexpr (std::is_same_v<X, float>) {
      x.data()[i] = data.x.data()[i];
    } else {
      x.data()[i] = static_cast<X>(
          static_cast<const detail::UniformQuantizer&>(dac).encode(data.x.data()[i]));
    }
  }
  Matrix<float> grad_y(batch, out), y(batch, out), by_input(batch, in), by_weights(out, in);
  std::vector<float> by_bias(out);
  FastRng(9).fill_normal(grad_y.elements());
  if (has_extremes) gpu_tests::put_extremes(grad_y);
  constexpr bool kHasBias = detail::has_bias<HostStages>;

  const NoiseKey weight_key{11, 5};
  const auto host_pass = host_pass_of(x, dac, coded, stages, gpu_tests::kKey)
                             .with_weight_stages(weight_stages, weight_key);
  lumina::ForwardRecord record;
  BackwardWorkspace host_workspace;
  REQUIRE(lumina::forward(host_pass, y, record));
  REQUIRE(lumina::backward(
      host_pass, grad_y, record,
      {by_input, by_weights, kHasBias ? std::span<float>(by_bias) : std::span<float>(), nullptr},
      host_workspace, Products()));

  auto weights = on_device(coded, data);
  Placed<const X> x_there(batch, in, data, x.data());
  Placed<const float> grad_there(batch, out, data, grad_y.data());
  Placed<float> y_there(batch, out, data), input_there(batch, in, data),
      weights_there(out, in, data), bias_there(1, out, data);
  const auto pass =
      device_pass_of(x_there.view(), dac, weights.weights, device_stages, gpu_tests::kKey)
          .with_weight_stages(device_weight_stages, weight_key);
  const std::size_t gates = cuda::ForwardRecord::gates_of(device_stages);
  OnDevice<std::uint8_t> bits(cuda::ForwardRecord::bytes(batch, out, gates));
  const cuda::ForwardRecord own(bits.data(), batch, out, gates);
  const Products products;
  OnDevice<std::byte> workspace(std::max(cuda::backward_workspace_bytes(pass, products),
                                         cuda::float_workspace_bytes(batch, in)));
  workspace.upload(std::vector<std::byte>(workspace.size(), std::byte{0xa5}));
  const cuda::Workspace scratch{workspace.data(), workspace.size()};
  REQUIRE(cuda::forward(pass, y_there.view(), own, gpu_tests::stream(), scratch));
  CHECK(y_there.differing(y) == 0);
  cuda::DeviceGradients gradients{input_there.view(), weights_there.view()};
  if (kHasBias) gradients.bias = bias_there.view();
  REQUIRE(cuda::backward(pass, grad_there.view(), own, gradients, gpu_tests::stream(), scratch,
                         products));
  CHECK(input_there.differing(by_input) == 0);
  CHECK(weights_there.differing(by_weights) == 0);
  Matrix<float> bias(1, out);
  std::copy(by_bias.begin(), by_bias.end(), bias.data());
  if (kHasBias) CHECK(bias_there.differing(bias) == 0);
}

}  // namespace

TEST_CASE("gradients in integers are the CPU's", "[cuda]") {
  const auto stages = epilogue(GaussianNoise{0.1f}, Quantizer<8>(-0.5f, 1.5f));
  const Quantizer<8> dac(-1.0f, 1.0f);
  for (const int capability : {80, 90}) {
    gpu_tests::use(capability);
    for (const auto& sizes : kShapes) {
      CAPTURE(capability, sizes.batch, sizes.in, sizes.out);
      Data data(sizes);
      data.padding = data.shift = sizes.batch % 4;
      const auto coded = encode_weights<8>(data.w);
      check_step<IntegerSplitProducts<1>>(data, coded, dac, stages, stages);
      check_step<IntegerSplitProducts<2>>(data, coded, dac, stages, stages);
      check_step<IntegerSplitProducts<3>>(data, coded, dac, stages, stages);
    }
  }
}

TEST_CASE("gradients in integers of many tiles", "[cuda]") {
  const auto stages = epilogue(Relu{}, Attenuation{0.8f}, SymmetricQuantizer<6>(1.5f));
  for (const int capability : {80, 90}) {
    gpu_tests::use(capability);
    const Data data({300, 290, 310});
    const auto coded = encode_weights<8>(data.w);
    check_step<IntegerSplitProducts<1>>(data, coded, Quantizer<8>(-1.0f, 1.0f), stages, stages);
    check_step<IntegerSplitProducts<2>>(data, coded, Quantizer<8>(-1.0f, 1.0f), stages, stages);
    check_step<IntegerSplitProducts<3>>(data, coded, Quantizer<8>(-1.0f, 1.0f), stages, stages);
  }
}

TEST_CASE("gradients of other weights, DACs and inputs, on a device", "[cuda]") {
  const auto stages = epilogue(GaussianNoise{0.1f}, Relu{});
  for (const int capability : {80, 90}) {
    gpu_tests::use(capability);
    const Data data({40, 70, 150});
    const auto coded = encode_weights<8>(data.w);
    check_step<IntegerSplitProducts<2>>(data, encode_weights<4>(data.w),
                                        SymmetricQuantizer<8>(0.9f), stages, stages);
    check_step<IntegerSplitProducts<2>>(data, coded, SymmetricQuantizer<5>(0.9f), stages, stages);
    check_step<IntegerSplitProducts<2>>(data, coded, Quantizer<8>(0.0f, 1.0f), stages, stages);
    check_step<IntegerSplitProducts<2>, std::uint8_t>(data, coded, Quantizer<8>(-1.0f, 1.0f),
                                                      stages, stages);
    check_step<IntegerSplitProducts<3>, std::uint8_t>(data, coded, SymmetricQuantizer<8>(1.0f),
                                                      stages, stages);
    Data extreme({12, 50, 40});
    gpu_tests::put_extremes(extreme.x);
    check_step<IntegerSplitProducts<2>>(extreme, encode_weights<8>(extreme.w),
                                        Quantizer<8>(-1.0f, 1.0f), stages, stages, epilogue(),
                                        epilogue(), true);
  }
}

TEST_CASE("gradients through every kind of stage, on a device", "[cuda]") {
  gpu_tests::use(90);
  const Data data({37, 60, 133});
  const auto coded = encode_weights<8>(data.w);
  const Quantizer<8> dac(-1.0f, 1.0f), adc(-2.0f, 2.0f);
  std::vector<float> bias(133);
  FastRng(5).fill_normal(bias);
  OnDevice<float> bias_there(bias.size());
  bias_there.upload(bias);
  const std::span<const float> there(bias_there.data(), bias.size());
  const auto check = [&](const auto& stages) {
    check_step<IntegerSplitProducts<2>>(data, coded, dac, stages(bias), stages(there));
  };
  using Span = std::span<const float>;
  // The gradient by the bias: where it lies depends on where AddBias stands.
  check([&](Span b) { return epilogue(AddBias{b}, ShotNoise{0.1f}, adc); });
  check([&](Span b) { return epilogue(Relu{}, AddBias{b}, Attenuation{0.5f}); });
  check([&](Span b) { return epilogue(Attenuation{0.5f}, adc, AddBias{b}); });
  // Stages that need the values.
  check([&](Span b) {
    return epilogue(GaussianNoise{0.1f}, Relu{}, AddBias{b}, ShotNoiseWithDerivative{0.2f}, adc);
  });
}

TEST_CASE("gradients by weights with a gate or noise, on a device", "[cuda]") {
  gpu_tests::use(90);
  const Data data({37, 60, 40});
  const Quantizer<8> dac(-1.0f, 1.0f);
  const auto stages = epilogue(GaussianNoise{0.1f});
  const std::vector<float> scales(40, 0.003f);
  lumina::CodedWeights<8> coded;
  encode_weights(data.w, coded, scales);
  OnDevice<float> scales_there(scales.size());
  scales_there.upload(scales);
  Placed<const float> w(40, 60, data, data.w.data());
  check_step<IntegerSplitProducts<2>>(
      data, coded, dac, stages, stages, epilogue(WeightGate<8>{data.w, scales}),
      epilogue(
          WeightGate<8>{w.view().addresses(), std::span<const float>(scales_there.data(), 40)}));
  const auto noise = epilogue(
      both(MultiplicativeWeightNoise{0.1f}, SparedInput{DropConnect{0.2f}, 59}).gradient_stage());
  check_step<IntegerSplitProducts<2>>(data, coded, dac, stages, stages, noise, noise);
}

TEST_CASE("gradients of batches of no row and of very many, on a device", "[cuda]") {
  const auto stages = epilogue(GaussianNoise{0.1f});
  for (const int capability : {80, 90}) {
    gpu_tests::use(capability);
    const Data none({0, 5, 3}), many({32768 + 700, 3, 2});
    const auto noise = epilogue(MultiplicativeWeightNoise{0.1f}.gradient_stage());
    check_step<IntegerSplitProducts<2>>(none, encode_weights<8>(none.w), Quantizer<8>(-1.0f, 1.0f),
                                        stages, stages, noise, noise);
    check_step<IntegerSplitProducts<1>>(many, encode_weights<8>(many.w), Quantizer<8>(-1.0f, 1.0f),
                                        stages, stages, noise, noise);
    check_step<IntegerSplitProducts<2>>(many, encode_weights<8>(many.w), Quantizer<8>(-1.0f, 1.0f),
                                        stages, stages, noise, noise);
  }
}

TEST_CASE("gradients in floats are the CPU's chains", "[cuda]") {
  gpu_tests::use(90);
  std::vector<float> bias(75);
  FastRng(5).fill_normal(bias);
  OnDevice<float> bias_there(bias.size());
  bias_there.upload(bias);
  const std::span<const float> there(bias_there.data(), bias.size());
  const auto stages = [](std::span<const float> b) {
    return epilogue(AddBias{b}, ShotNoiseWithDerivative{0.1f}, Quantizer<8>(-2.0f, 2.0f));
  };
  const auto noise = epilogue(MultiplicativeWeightNoise{0.1f}.gradient_stage());
  Data data({37, 200, 75});
  gpu_tests::put_extremes(data.x);
  check_step<F32Products>(data, pack_weights(data.w), NoDac(), stages(bias), stages(there), noise,
                          noise);
  check_step<F32Products>(data, pack_weights(data.w), Quantizer<12>(-1.0f, 1.0f), stages(bias),
                          stages(there));
  const auto gates = epilogue(GaussianNoise{0.1f}, Relu{});
  for (const gpu_tests::Sizes sizes : {gpu_tests::Sizes{0, 3, 2}, {1, 5, 3}, {70, 160, 130}}) {
    const Data own(sizes);
    check_step<F32Products>(own, pack_weights(own.w), NoDac(), gates, gates);
  }
}

TEST_CASE("what is wrong with a backward pass on a device", "[cuda]") {
  gpu_tests::use(90);
  const Data data({7, 20, 12});
  Coded<8> weights(encode_weights<8>(data.w));
  Placed<const float> x(7, 20, data, data.x.data()), grad_y(7, 12, data);
  Placed<float> input(7, 20, data), by_weights(12, 20, data), bias(1, 12, data),
      column(12, 1, data);
  const auto pass = cuda::forward_pass(x.view(), Quantizer<8>(-1.0f, 1.0f), weights.weights,
                                       epilogue(Relu{}), gpu_tests::kKey);
  OnDevice<std::byte> workspace(cuda::backward_workspace_bytes(pass));
  OnDevice<std::uint8_t> bits(cuda::ForwardRecord::bytes(7, 12, 1));
  const cuda::ForwardRecord record(bits.data(), 7, 12, 1);
  const cuda::DeviceGradients both{input.view(), by_weights.view()};
  const auto refuses = [&](const char* why, const auto& gradient, const cuda::ForwardRecord& own,
                           const cuda::DeviceGradients& gradients, std::size_t bytes) {
    test::expect_error(
        [&] {
          cuda::backward(pass, gradient, own, gradients, gpu_tests::stream(),
                         {workspace.data(), bytes});
        },
        {why});
  };
  const std::size_t all = workspace.size();
  refuses("the workspace has", grad_y.view(), record, both, all - 1);
  refuses("the record is for", grad_y.view(), {bits.data(), 7, 12, 2}, both, all);
  refuses("the record is a null", grad_y.view(), {nullptr, 7, 12, 1}, both, all);
  refuses("no AddBias", grad_y.view(), record, {{}, {}, bias.view()}, all);
  refuses("must be [1, 12]", grad_y.view(), record, {{}, {}, column.view()}, all);
  refuses("must be [7, 12]", x.view(), record, both, all);
  std::vector<float> of_host(7 * 20);
  refuses("is not in the memory of device", grad_y.view(), record,
          {cuda::device_view(of_host.data(), 7, 20)}, all);
}
