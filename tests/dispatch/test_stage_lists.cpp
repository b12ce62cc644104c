// Lists of stages across the border, on every instruction set: against the same stages known at
// compile time, and against a readout and an ADC.
#include <lumina/dispatch.hpp>
#include <lumina/lumina.hpp>
#include <lumina/reference.hpp>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/dispatch_views.hpp"
#include "support/same_bits.hpp"

namespace ld = lumina::dispatch;
using lumina::Matrix;
using lumina::MatrixView;
using test::difference;
using test::on_every_isa;
using test::random_matrix;
using test::view;

namespace {

constexpr lumina::NoiseKey key{.seed = 3, .stream = 5, .row_offset = 7};

/// A layer of codes, whose sums are the same everywhere.
struct Layer {
  static constexpr std::size_t batch = 9, in = 40, out = 170;
  Matrix<float> x = random_matrix(batch, in, 1), w = random_matrix(out, in, 2);
  Matrix<float> grad_y = random_matrix(batch, out, 3);
  std::vector<float> bias = std::vector<float>(out, 0.25f);

  ld::Call call(const ld::Weights& weights, Matrix<float>& y) const {
    ld::Call call{.x = view(x), .weights = &weights, .y = view(y)};
    call.dac = {7, -1.0f, 1.0f};
    call.key = key;
    return call;
  }
};

const lumina::RuntimeQuantizer dac(7, -1.0f, 1.0f);

}  // namespace

TEST_CASE("stage lists: the bits of stages known at compile time") {
  const Layer layer;
  lumina::CodedWeights<8> coded;
  lumina::encode_weights(layer.w, coded, 6);
  const auto check = [&](const auto& stages, const std::vector<ld::StageSpec>& specs) {
    Matrix<float> expected(layer.batch, layer.out);
    lumina::reference::fused_gemm(MatrixView<const float>(layer.x), dac, coded, expected.view(),
                                  stages, key);
    on_every_isa([&](std::string_view) {
      const ld::Weights weights = ld::encode_weights(view(layer.w), 6);
      Matrix<float> y(layer.batch, layer.out);
      ld::Call call = layer.call(weights, y);
      call.stages = specs;
      CHECK(ld::run(call) == 0.0f);
      CHECK(difference(y.view(), expected.view()) == "");
    });
  };
  using lumina::epilogue;
  using S = ld::StageSpec;
  check(epilogue(lumina::Relu{}), {S::relu()});
  check(epilogue(lumina::AddBias{layer.bias}, lumina::GaussianNoise{0.2f},
                 lumina::RuntimeQuantizer(5, -2.0f, 3.0f)),
        {S::bias(layer.bias), S::gaussian_noise(0.2f), S::quantizer({5, -2.0f, 3.0f})});
  check(epilogue(lumina::ShotNoise{0.3f}, lumina::Attenuation{0.7f}, lumina::GaussianNoise{0.1f},
                 lumina::SymmetricQuantizer<6>(2.0f), lumina::AddBias{layer.bias}, lumina::Relu{},
                 lumina::ShotNoiseWithDerivative{0.1f}),
        {S::shot_noise(0.3f), S::attenuation(0.7f), S::gaussian_noise(0.1f),
         S::quantizer({6, -2.0f, 2.0f, true}), S::bias(layer.bias), S::relu(),
         S::shot_noise_with_derivative(0.1f)});
}

TEST_CASE("stage lists: a readout and an ADC, forward and backward") {
  const Layer layer;
  on_every_isa([&](std::string_view) {
    for (const bool coded : {true, false}) {
      const ld::Weights weights =
          coded ? ld::encode_weights(view(layer.w), 4) : ld::pack_weights(view(layer.w));
      Matrix<float> y(layer.batch, layer.out), expected(layer.batch, layer.out);
      ld::Call readout = layer.call(weights, expected);
      readout.bias = layer.bias.data();
      readout.readout = {.gain = 0.9f, .shot_noise = 0.0f, .noise = 0.05f, .attenuation = 0.8f};
      readout.adc = {6, -2.0f, 2.0f};
      readout.output_bias = layer.bias.data();
      ld::Call list = layer.call(weights, y);
      const ld::StageSpec stages[] = {
          ld::StageSpec::attenuation(0.9f),           ld::StageSpec::bias(layer.bias),
          ld::StageSpec::gaussian_noise(0.05f),       ld::StageSpec::attenuation(0.8f),
          ld::StageSpec::quantizer({6, -2.0f, 2.0f}), ld::StageSpec::bias(layer.bias)};
      list.stages = stages;
      ld::Record record, expected_record, restored;
      readout.record = &expected_record;
      list.record = &record;
      readout.track = list.track = true;
      CHECK(ld::run(readout) == ld::run(list));
      CHECK(difference(y.view(), expected.view()) == "");
      CHECK(record.gates() == 1);

      const auto bytes = record.bytes();
      std::vector<std::uint8_t> kept;
      for (std::size_t row = 0; row < bytes.rows; ++row) {
        const std::uint8_t* const first = bytes.data + row * bytes.row_stride;
        kept.insert(kept.end(), first, first + bytes.cols);
      }
      restored.restore(weights, {kept.data(), bytes.rows, bytes.cols, bytes.cols});
      const auto gradients = [&](const ld::Call& call, const ld::Record& of) {
        ld::Workspace workspace;
        Matrix<float> by_x(layer.batch, layer.in), by_w(layer.out, layer.in), by_bias(1, layer.out);
        ld::backward(call, view(layer.grad_y), of, {view(by_x), view(by_w), by_bias.data()},
                     workspace);
        return std::vector{by_x, by_w};
      };
      const auto actual = gradients(list, record), again = gradients(list, restored),
                 wanted = gradients(readout, expected_record);
      for (std::size_t i = 0; i < 2; ++i) {
        // The attenuations are multiplied in another order: gain last.
        CHECK(difference(again[i].view(), actual[i].view()) == "");
        for (std::size_t k = 0; k < wanted[i].elements().size(); ++k) {
          REQUIRE(actual[i].data()[k] == Approx(wanted[i].data()[k]).margin(1e-4));
        }
      }
    }
  });
}

TEST_CASE("stage lists: records of more gates, or none") {
  const Layer layer;
  on_every_isa([&](std::string_view) {
    const ld::Weights weights = ld::encode_weights(view(layer.w), 8);
    Matrix<float> y(layer.batch, layer.out), by_x(layer.batch, layer.in),
        again(layer.batch, layer.in), by_bias(1, layer.out);
    const auto check = [&](const std::vector<ld::StageSpec>& stages, std::size_t gates) {
      ld::Call call = layer.call(weights, y);
      call.stages = stages;
      ld::Record record, restored;
      ld::Workspace workspace;
      call.record = &record;
      ld::run(call);
      REQUIRE(record.gates() == gates);
      const auto bytes = record.bytes();
      CHECK(bytes.rows == layer.batch);
      CHECK(bytes.cols == gates * 32);
      restored.restore(weights, bytes, gates);
      ld::backward(call, view(layer.grad_y), record, {view(by_x), {}, by_bias.data()}, workspace);
      ld::backward(call, view(layer.grad_y), restored, {view(again)}, workspace);
      CHECK(difference(again.view(), by_x.view()) == "");
      CHECK(std::ranges::any_of(by_x.elements(), [](float g) { return g != 0.0f; }));
    };
    using S = ld::StageSpec;
    check({S::bias(layer.bias), S::relu(), S::quantizer({6, -1.0f, 2.0f})}, 2);
    check({S::bias(layer.bias), S::gaussian_noise(0.1f)}, 0);
    check({S::shot_noise_with_derivative(0.2f), S::bias(layer.bias), S::relu()}, 0);
  });
}

TEST_CASE("stage lists: errors say which stage") {
  const Layer layer;
  on_every_isa([&](std::string_view) {
    const ld::Weights weights = ld::encode_weights(view(layer.w), 8);
    Matrix<float> y(layer.batch, layer.out);
    ld::Record record;
    const auto refuses = [&](const std::vector<ld::StageSpec>& stages,
                             const std::vector<std::string>& parts) {
      ld::Call call = layer.call(weights, y);
      call.stages = stages;
      call.record = &record;
      std::string message;
      try {
        ld::run(call);
      } catch (const std::invalid_argument& error) {
        message = error.what();
      }
      for (const std::string& part : parts) {
        CAPTURE(message, part);
        CHECK(message.find(part) != std::string::npos);
      }
      CHECK_FALSE(record.filled());
    };
    using S = ld::StageSpec;
    const std::vector<float> short_bias(layer.out - 1);
    refuses({S::relu(), S::bias(short_bias)}, {"stages[1]", "169", "[9, 170]"});
    refuses({S::relu(), S::relu(), S::gaussian_noise(-1.0f)}, {"stages[2]", "negative"});
    refuses({S::quantizer({17, 0.0f, 1.0f})}, {"stages[0]", "1..16"});
    refuses({S::quantizer({8, 1.0f, 0.0f})}, {"stages[0]", "smaller"});
    refuses({S::relu(), {.kind = static_cast<S::Kind>(99)}}, {"stages[1]", "no such kind"});
    refuses(std::vector<S>(17, S::relu()), {"stages[16]", "more than 16 stages"});
    CHECK(std::ranges::all_of(y.elements(), [](float v) { return v == 0.0f; }));
  });
}
