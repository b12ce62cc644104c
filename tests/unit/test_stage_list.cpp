// A list of stages against the epilogue of the same ones, and against the plain loops of
// reference.hpp stage by stage.
#include <lumina/stage_list.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include <lumina/backward.hpp>
#include <lumina/reference.hpp>

#include "support/backward_problem.hpp"
#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

/// A user's stage: two normals, columns, the row in the unsharded batch; no derivative.
struct Scatter {
  std::span<const float> gains;
  static constexpr std::size_t normals_per_element = 2;
  template <class Floats>
  Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
               const std::array<Floats, 2>& normals) const {
    const Floats gain = product(load_columns<Floats>(gains, at, active), normals[0]);
    const Floats row(static_cast<float>(at.global_row % 16));
    return fused_multiply_add(gain, normals[1], values + row);
  }
};

/// A user's stage with one normal for a row.
struct Flicker {
  float strength;
  static constexpr std::size_t normals_per_element = 1;
  static constexpr bool normals_of_row = true;
  template <class Floats>
  Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&,
               const std::array<Floats, 1>& normals) const {
    return fused_multiply_add(product(Floats(strength), normals[0]), values, values);
  }
};

using AnyStage = std::variant<AddBias, Relu, Attenuation, GaussianNoise, ShotNoise,
                              RuntimeQuantizer, SymmetricQuantizer<5>, Scatter, Flicker>;

AnyStage draw_stage(Engine& engine, std::span<const float> columns) {
  switch (integer(engine, 0, 8)) {
    case 0:
      return AddBias{columns};
    case 1:
      return Relu{};
    case 2:
      return Attenuation{uniform(engine, 0.2f, 1.2f)};
    case 3:
      return GaussianNoise{uniform(engine, 0.0f, 0.5f)};
    case 4:
      return ShotNoise{uniform(engine, 0.0f, 0.5f)};
    case 5:
      return RuntimeQuantizer(static_cast<int>(integer(engine, 2, 12)), -3.0f, 3.5f);
    case 6:
      return SymmetricQuantizer<5>(2.5f);
    case 7:
      return Scatter{columns};
    default:
      return Flicker{uniform(engine, 0.0f, 0.5f)};
  }
}

/// What the stages make of y, one after the other in plain loops.
void apply_plainly(std::span<const AnyStage> stages, MatrixView<float> y, const NoiseKey& key) {
  std::size_t draws = 0;
  for (const AnyStage& any : stages) {
    std::visit(
        [&](const auto& stage) {
          using S = std::decay_t<decltype(stage)>;
          constexpr std::size_t kNormals = detail::normals_of<S>;
          for (std::size_t row = 0; row < y.rows(); ++row) {
            for (std::size_t column = 0; column < y.cols(); ++column) {
              std::array<float, kNormals + 1> normals{};
              for (std::size_t i = 0; i < kNormals; ++i) {
                const bool of_row = detail::row_draws_of<S>[i];
                normals[i] = standard_normal_at(key, row, of_row ? 0 : column, draws + i);
              }
              y(row, column) = reference::apply(
                  stage, {y(row, column), row, column, key.row_offset + row, normals.data()});
            }
          }
          draws += kNormals;
        },
        any);
  }
}

struct CodedLayer {
  LayerShape shape;
  TestMatrix x, w, grad_y, bias;
  CodedWeights<8> coded;
  NoiseKey key;

  CodedLayer(Engine& engine, const LayerShape& layer)
      : shape(layer),
        x(layer.batch, layer.in, layer.in + layer.gap),
        w(layer.out, layer.in),
        grad_y(layer.batch, layer.out, layer.out + layer.gap),
        bias(1, layer.out),
        key{engine(), engine(), engine()} {
    x.fill_uniform(engine);
    w.fill_uniform(engine);
    grad_y.fill_uniform(engine);
    bias.fill_uniform(engine);
    encode_weights(w, coded, 8);
  }
  std::span<const float> columns() { return {bias.view().data(), shape.out}; }
};

const Quantizer<8> dac(-1.0f, 1.0f);

void check_same_gates(const ForwardRecord& actual, const ForwardRecord& expected) {
  REQUIRE(actual.filled());
  REQUIRE(actual.gates() == expected.gates());
  for (std::size_t gate = 0; gate < actual.gates(); ++gate) {
    for (std::size_t row = 0; row < actual.rows(); ++row) {
      for (std::size_t column = 0; column < actual.cols(); ++column) {
        if (actual.passed(gate, row, column) == expected.passed(gate, row, column)) continue;
        CAPTURE(gate, row, column);
        FAIL("another gate's bit");
      }
    }
  }
}

/// Outputs, records and gradients of both.
template <class... Stages>
void check_training(CodedLayer& layer, const Stages&... stages) {
  const auto& shape = layer.shape;
  CAPTURE(shape.batch, shape.in, shape.out);
  const Wanted wanted{true, true, (std::is_same_v<Stages, AddBias> || ...)};
  LayerOutputs actual(shape), expected(shape);
  ForwardRecord record, expected_record;
  BackwardWorkspace workspace;
  const auto with_list = forward_pass(layer.x, dac, layer.coded, StageList(stages...), layer.key);
  const auto pass = forward_pass(layer.x, dac, layer.coded, epilogue(stages...), layer.key);
  forward(with_list, actual.y, record);
  forward(pass, expected.y, expected_record);
  check_same_gates(record, expected_record);
  backward(with_list, layer.grad_y, record, actual.gradients(wanted), workspace);
  backward(pass, layer.grad_y, expected_record, expected.gradients(wanted), workspace);
  check_outputs(actual, expected, wanted);

  // The largest magnitude, and a record, by run-time observers.
  MagnitudeTracker magnitudes, expected_magnitudes;
  ForwardRecord observed;
  forward(with_list, actual.y, PassObservers{&observed, &magnitudes});
  forward(pass, expected.y, PassObservers{nullptr, &expected_magnitudes});
  if (record.gates() != 0) CHECK(magnitudes.largest() == expected_magnitudes.largest());
  check_same_gates(observed, expected_record);
}

}  // namespace

TEST_CASE("stage list: any stages in any order, against plain loops", "[stage_list]") {
  Engine engine(1);
  for (std::size_t count = 0; count <= 12; ++count) {
    const LayerShape shape{integer(engine, 1, 11), integer(engine, 1, 40), integer(engine, 1, 300),
                           integer(engine, 0, 2)};
    CodedLayer layer(engine, shape);
    std::vector<AnyStage> stages;
    StageList list;
    for (std::size_t i = 0; i < count; ++i) {
      stages.push_back(draw_stage(engine, layer.columns()));
      CHECK(std::visit([&](const auto& stage) { return list.add(stage); }, stages.back()));
    }
    CAPTURE(count, shape.batch, shape.in, shape.out);
    CHECK(list.size() == count);
    TestMatrix expected(shape.batch, shape.out), y(shape.batch, shape.out, shape.out + 3);
    fused_gemm(layer.x, dac, layer.coded, expected, epilogue(), layer.key);
    apply_plainly(stages, expected, layer.key);
    REQUIRE(fused_gemm(layer.x, dac, layer.coded, y, list, layer.key));
    REQUIRE(difference(y, expected) == "");
    REQUIRE(y.gaps_untouched());
  }
}

TEST_CASE("stage list: floats and codes, every executor", "[stage_list]") {
  Engine engine(2);
  CodedLayer layer(engine, {37, 50, 270, 1});
  const RuntimeQuantizer adc(6, -3.0f, 3.0f);
  const auto stages = epilogue(AddBias{layer.columns()}, GaussianNoise{0.2f}, adc);
  const StageList list(AddBias{layer.columns()}, GaussianNoise{0.2f}, adc);
  TestMatrix expected(37, 270);
  TestMatrixOf<std::uint8_t> expected_codes(37, 270);
  fused_gemm(layer.x, dac, layer.coded, expected, stages, layer.key);
  fused_gemm(layer.x, dac, layer.coded, expected_codes, stages, layer.key);
  for_each_executor([&](const auto& executor, const char* name) {
    CAPTURE(name);
    TestMatrix y(37, 270);
    TestMatrixOf<std::uint8_t> codes(37, 270);
    fused_gemm(layer.x, dac, layer.coded, y, list, layer.key, executor);
    fused_gemm(layer.x, dac, layer.coded, codes, list, layer.key, executor);
    CHECK(difference(y, expected) == "");
    CHECK(difference(codes, expected_codes) == "");
  });
  const PackedWeights packed = pack_weights(layer.w);
  TestMatrix y(37, 270);
  fused_gemm(layer.x, packed, expected, stages, layer.key);
  fused_gemm(layer.x, packed, y, list, layer.key);
  CHECK(difference(y, expected) == "");
}

TEST_CASE("stage list: a batch in parts, by row_offset", "[stage_list]") {
  Engine engine(3);
  CodedLayer layer(engine, {23, 20, 140});
  const StageList list(ShotNoise{0.2f}, Scatter{layer.columns()}, Flicker{0.3f},
                       GaussianNoise{0.1f});
  TestMatrix whole(23, 140), parts(23, 140);
  fused_gemm(layer.x, dac, layer.coded, whole, list, layer.key);
  for (std::size_t row = 0; row < 23;) {
    const std::size_t rows = std::min<std::size_t>(integer(engine, 1, 6), 23 - row);
    NoiseKey key = layer.key;
    key.row_offset += row;
    fused_gemm(MatrixView<const float>(&layer.x(row, 0), rows, 20), dac, layer.coded,
               MatrixView<float>(&parts(row, 0), rows, 140), list, key);
    row += rows;
  }
  CHECK(difference(parts, whole) == "");
}

TEST_CASE("stage list: records, magnitudes and gradients are the epilogue's", "[stage_list]") {
  Engine engine(4);
  for (const LayerShape& shape : {LayerShape{9, 13, 37, 1}, LayerShape{3, 8, 150}}) {
    CodedLayer layer(engine, shape);
    const AddBias bias{layer.columns()};
    check_training(layer);
    check_training(layer, bias, Relu{}, Attenuation{0.8f}, ShotNoise{0.1f}, GaussianNoise{0.2f},
                   Quantizer<8>(-2.0f, 2.0f));
    check_training(layer, SymmetricQuantizer<6>(1.5f), bias, Relu{}, bias);
    // A derivative that needs the values.
    check_training(layer, ShotNoiseWithDerivative{0.4f}, Relu{}, bias,
                   ShotNoiseWithDerivative{0.2f}, SymmetricQuantizer<8>(2.0f));
  }
}

TEST_CASE("stage list: what is wrong", "[stage_list]") {
  Engine engine(5);
  CodedLayer layer(engine, {3, 8, 40});
  TestMatrix y(3, 40);
  TestMatrixOf<std::uint8_t> codes(3, 40);
  const auto call = [&](auto& to, const StageList& list) {
    fused_gemm(layer.x, dac, layer.coded, to, list, layer.key);
  };
  StageList full;
  for (std::size_t i = 0; i < StageList::capacity; ++i) CHECK(full.add(Relu{}));
  expect_error([&] { full.add(Relu{}); }, {"lumina::StageList", "more than 16 stages"});
  CHECK(full.size() == StageList::capacity);

  const std::vector<float> short_bias(39);
  expect_error([&] { call(y, StageList(Relu{}, AddBias{short_bias})); },
               {"AddBias", "39", "[3, 40]"});
  expect_error([&] { call(y, StageList(GaussianNoise{-1.0f})); }, {"GaussianNoise", "negative"});
  expect_error([&] { call(codes, StageList()); }, {"end with a quantizer"});
  expect_error([&] { call(codes, StageList(Quantizer<4>(-1.0f, 1.0f), Relu{})); },
               {"[3, 8]", "end with a quantizer"});
  expect_error([&] { call(codes, StageList(Quantizer<9>(-1.0f, 1.0f))); }, {"9 bits"});
  expect_error([&] { call(codes, StageList(SymmetricQuantizer<4>(1.0f))); }, {"symmetric"});
  ForwardRecord record;
  const StageList scatter(Relu{}, Scatter{layer.columns()});
  expect_error(
      [&] { forward(forward_pass(layer.x, dac, layer.coded, scatter, layer.key), y, record); },
      {"stage 1", "no derivative"});
  CHECK(!record.filled());
  CHECK(y.untouched());
  CHECK(codes.untouched());
}
