// A forward pass that was refused, or that ended with an exception, leaves nothing that backward()
// would take for a record of it.
#include <lumina/analog_linear.hpp>
#include <lumina/backward.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"

using namespace lumina;
using namespace test;

namespace {

constexpr std::size_t kBatch = 4, kIn = 70, kOut = 40;
const Quantizer<8> kDac(-1.0f, 1.0f), kAdc(-4.0f, 4.0f);

struct Layer {
  TestMatrix x{kBatch, kIn}, w{kOut, kIn}, y{kBatch, kOut}, grad_y{kBatch, kOut};
  TestMatrix grad_w{kOut, kIn};
  CodedWeights<8> coded;
  PackedWeights packed;
  ForwardRecord record;
  BackwardWorkspace workspace;

  Layer() {
    Engine engine(1);
    x.fill_uniform(engine);
    grad_y.fill_uniform(engine);
    encode_weights(w.fill_uniform(engine), coded);
    pack_weights(w, packed);
  }

  /// The pass is refused, also where the record holds an earlier one.
  template <class Pass, class Executor>
  void refuses(const Pass& pass, MatrixView<float> to, const Executor& executor,
               std::string_view part) {
    for (const bool filled_before : {false, true}) {
      if (filled_before) {
        TestMatrix other(kBatch, kOut);
        REQUIRE(forward(forward_pass(x, kDac, coded, epilogue(kAdc)), other, record));
        REQUIRE(record.filled());
      }
      expect_error(
          [&] {
            if (forward(pass, to, record, executor)) FAIL("it ran");
          },
          {part});
      CHECK(!record.filled());
      CHECK(y.untouched());
      expect_error(
          [&] {
            backward(pass, grad_y, record, {{}, grad_w, {}}, workspace);
          },
          {"lumina::"});
      CHECK(grad_w.untouched());
    }
  }
};

}  // namespace

TEST_CASE("A refused pass leaves no record", "[forward_record][errors]") {
  Layer layer;
  std::vector<std::byte> small(64 + 64);
  const auto aligned =
      std::span(small).subspan((64 - reinterpret_cast<std::uintptr_t>(small.data()) % 64) % 64, 64);
  const auto stages = epilogue(kAdc);
  SECTION("too small a workspace") {
    layer.refuses(forward_pass(layer.x, kDac, layer.coded, stages), layer.y, SerialIn(aligned),
                  "the call needs");
    layer.refuses(forward_pass(layer.x, kDac, layer.packed, stages), layer.y, SerialIn(aligned),
                  "the call needs");
    layer.refuses(forward_pass(layer.x, layer.packed, stages), layer.y, SerialIn(aligned),
                  "the call needs");
  }
  SECTION("a workspace that begins anywhere") {
    std::vector<std::byte> large(coded_workspace_bytes(kBatch, kIn) + 128);
    const std::span all(large);
    const std::size_t to_line = 64 - reinterpret_cast<std::uintptr_t>(large.data()) % 64;
    layer.refuses(forward_pass(layer.x, kDac, layer.coded, stages), layer.y,
                  SerialIn(all.subspan(to_line % 64 + 4)), "multiple of 64");
  }
  SECTION("an output of another shape") {
    TestMatrix narrow(kBatch, kOut - 1);
    layer.refuses(forward_pass(layer.x, kDac, layer.coded, stages), narrow, Serial{},
                  "as many columns");
  }
  SECTION("a DAC of too many bits") {
    layer.refuses(forward_pass(layer.x, Quantizer<9>(-1.0f, 1.0f), layer.coded, stages), layer.y,
                  Serial{}, "9 bits");
  }
  SECTION("a stage that does not fit, in front of others that do") {
    const std::vector<float> bias(kOut + 1);
    layer.refuses(forward_pass(layer.x, kDac, layer.coded,
                               epilogue(AddBias{bias}, GaussianNoise{0.1f}, kAdc)),
                  layer.y, Serial{}, "AddBias");
    layer.refuses(forward_pass(layer.x, kDac, layer.coded, epilogue(GaussianNoise{-1.0f}, kAdc)),
                  layer.y, Serial{}, "GaussianNoise");
  }
  SECTION("missing data") {
    layer.refuses(forward_pass(layer.x, kDac, layer.coded, stages),
                  MatrixView<float>(nullptr, kBatch, kOut), Serial{}, "missing");
  }
  SECTION("x that overlaps y") {
    layer.refuses(forward_pass(layer.x, kDac, layer.coded, stages),
                  MatrixView<float>(layer.x.view().data(), kBatch, kOut), Serial{}, "overlap");
  }
}

TEST_CASE("A pass with weights that begin anywhere in flash leaves no record",
          "[forward_record][errors]") {
  Layer layer;
  const CodedWeightsView<8> view = layer.coded.view();
  std::vector<std::int32_t> words(coded_word_count<8>(kOut, kIn) + 17);
  const std::size_t to_line = 16 - reinterpret_cast<std::uintptr_t>(words.data()) % 64 / 4;
  std::vector<std::int32_t> sums(padded_outputs(kOut));
  std::vector<float> scales(padded_outputs(kOut));
  const CodedWeightsView<8> misaligned(kOut, kIn, std::span(words).subspan(to_line % 16 + 1),
                                       scales, sums);
  REQUIRE(view.rows() == misaligned.rows());
  layer.record.resize(kBatch, kOut, 1);
  expect_error(
      [&] {
        const auto pass = forward_pass(layer.x, kDac, misaligned, epilogue(kAdc));
        if (forward(pass, layer.y, layer.record)) FAIL("it ran");
      },
      {"multiples of 64"});
  CHECK(!layer.record.filled());
  CHECK(layer.y.untouched());
}

#if LUMINA_TEST_EXCEPTIONS
TEST_CASE("A pass that an exception ends leaves no record", "[forward_record][errors]") {
  Layer layer;
  const auto throws_after = [](std::size_t tasks_done) {
    return [tasks_done](std::size_t tasks, const auto& body) {
      for (std::size_t task = 0; task < tasks && task < tasks_done; ++task) body(task);
      throw std::runtime_error("no more");
    };
  };
  // Large enough for several tasks.
  TestMatrix x(300, 400), w(300, 400), y(300, 300);
  Engine engine(2);
  x.fill_uniform(engine);
  const auto packed = pack_weights(w.fill_uniform(engine));
  const auto pass = forward_pass(x, packed, epilogue(kAdc));
  for (const std::size_t done : {0u, 1u, 1000000u}) {
    REQUIRE(forward(pass, y, layer.record));
    REQUIRE_THROWS_AS(forward(pass, y, layer.record, throws_after(done)), std::runtime_error);
    CHECK(!layer.record.filled());
  }
}
#endif

TEST_CASE("A refused forward() of an AnalogLinear leaves nothing to go back from",
          "[forward_record][errors]") {
  Layer layer;
  AnalogLinearConfig config{kIn, kOut, kDac};
  config.adc_range = AnalogLinearConfig::Range{-4.0f, 4.0f};
  for (const bool tracked : {false, true}) {
    if (tracked) config.adc_range.reset();
    AnalogLinear<8> analog(config, kBatch);
    analog.load(layer.w);
    TestMatrix other(kBatch, kOut);
    analog.forward(layer.x, other, {1});
    const float limit = analog.adc_limit();
    expect_error([&] { analog.forward(layer.x, layer.y, {1}, SerialIn({})); }, {"the call needs"});
    CHECK(layer.y.untouched());
    CHECK(analog.adc_limit() == limit);
    expect_error(
        [&] {
          analog.backward(layer.x, layer.grad_y, {{}, layer.grad_w, {}});
        },
        {"there was no forward pass"});
    CHECK(layer.grad_w.untouched());
  }
}

TEST_CASE("backward() in too small a workspace writes nothing", "[backward][errors]") {
  Layer layer;
  TestMatrix y(kBatch, kOut), grad_x(kBatch, kIn), grad_bias(1, kOut);
  const std::vector<float> bias(kOut);
  const auto pass = forward_pass(layer.x, kDac, layer.packed,
                                 epilogue(AddBias{bias}, ShotNoiseWithDerivative{0.1f}));
  REQUIRE(forward(pass, y, layer.record));
  const Gradients gradients{grad_x, layer.grad_w, {grad_bias.view().data(), kOut}};
  expect_error(
      [&] {
        backward(pass, layer.grad_y, layer.record, gradients, layer.workspace, F32Products{},
                 SerialIn({}));
      },
      {"the call needs"});
  CHECK(grad_x.untouched());
  CHECK(layer.grad_w.untouched());
  CHECK(grad_bias.untouched());
}
