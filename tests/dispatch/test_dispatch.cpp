// Every instruction set that this machine runs, against the plain loops of reference.hpp, and what
// objects of one unit do after another one is forced. This program has no ISA flag.
#include <lumina/dispatch.hpp>
#include <lumina/lumina.hpp>
#include <lumina/reference.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
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

float largest_difference(const Matrix<float>& a, const Matrix<float>& b) {
  float largest = 0.0f;
  for (std::size_t i = 0; i < a.elements().size(); ++i) {
    largest = std::max(largest, std::fabs(a.elements()[i] - b.elements()[i]));
  }
  return largest;
}

struct Problem {
  Matrix<float> x, w;

  Problem(std::size_t batch, std::size_t in, std::size_t out)
      : x(random_matrix(batch, in, 1)), w(random_matrix(out, in, 2)) {}
};

constexpr lumina::NoiseKey key{.seed = 3, .stream = 5, .row_offset = 7};

}  // namespace

TEST_CASE("the first available instruction set runs, the last one is everybody's") {
  const auto isas = ld::available_isas();
  REQUIRE_FALSE(isas.empty());
  CHECK(ld::isa() == isas.front());
#if defined(__x86_64__)
  CHECK(isas.back() == "scalar");
#endif
}

TEST_CASE("an instruction set that is not here can't be forced") {
  const std::string before(ld::isa());
  using Catch::Matchers::ContainsSubstring;
  CHECK_THROWS_WITH(ld::force_isa("sse2"), ContainsSubstring("sse2") && ContainsSubstring(before));
#if defined(__x86_64__)
  CHECK_THROWS_AS(ld::force_isa("neon"), std::invalid_argument);
#else
  CHECK_THROWS_AS(ld::force_isa("avx2"), std::invalid_argument);
#endif
  CHECK(ld::isa() == before);
}

TEST_CASE("codes: the same bits as the reference on every instruction set") {
  const Problem p(13, 77, 161);
  const lumina::RuntimeQuantizer dac(8, -1.0f, 1.0f), adc(6, -3.0f, 3.0f);
  const std::vector<float> bias(161, 0.25f);
  for (const int bits : {2, 4, 7, 8}) {
    lumina::CodedWeights<8> coded;
    lumina::encode_weights(p.w, coded, bits);
    Matrix<float> expected(13, 161);
    lumina::reference::fused_gemm(
        MatrixView<const float>(p.x), dac, coded, expected.view(),
        lumina::epilogue(lumina::AddBias{bias}, lumina::GaussianNoise{0.1f}, adc), key);
    on_every_isa([&](std::string_view isa) {
      const ld::Weights weights = ld::encode_weights(view(p.w), bits);
      CHECK(weights.isa() == isa);
      CHECK(weights.bits() == bits);
      Matrix<float> y(13, 161);
      ld::Call call{.x = view(p.x), .weights = &weights, .y = view(y)};
      call.dac = {8, -1.0f, 1.0f};
      call.bias = bias.data();
      call.readout.noise = 0.1f;
      call.adc = {6, -3.0f, 3.0f};
      call.key = key;
      ld::run(call);
      CHECK(difference(y.view(), expected.view()) == "");
    });
  }
}

TEST_CASE("floats: the same bits on every instruction set with FMA, neighbours without") {
  const Problem p(7, 65, 130);
  Matrix<float> first(7, 130);
  bool has_first = false;
  on_every_isa([&](std::string_view isa) {
    const ld::Weights weights = ld::pack_weights(view(p.w));
    Matrix<float> y(7, 130);
    ld::Call call{.x = view(p.x), .weights = &weights, .y = view(y)};
    call.readout = {.gain = 0.9f, .shot_noise = 0.1f, .noise = 0.05f, .attenuation = 0.8f};
    call.key = key;
    ld::run(call);
    if (!has_first) {
      first = y;
      has_first = true;
    }
    for (std::size_t i = 0; i < y.elements().size(); ++i) {
      if (isa == "scalar") {
        CHECK(std::fabs(y.elements()[i] - first.elements()[i]) < 1e-4f);
      } else {
        REQUIRE(y.elements()[i] == first.elements()[i]);
      }
    }
  });
}

TEST_CASE("a layer's forward and backward pass are AnalogLinear's") {
  const std::size_t batch = 9, in = 40, out = 70;
  const Problem p(batch, in, out);
  const Matrix<float> grad_y = random_matrix(batch, out, 3);
  const auto& profile = lumina::profiles::lumina_nano_v1;
  lumina::AnalogLinearConfig config = lumina::AnalogLinearConfig::of(profile, in, out);
  config.adc_range = {-2.0f, 2.0f};
  lumina::AnalogLinear<4> layer(config, batch);
  const std::vector<float> bias(out, 0.5f);
  layer.load(p.w, bias);
  Matrix<float> expected(batch, out), expected_x(batch, in), expected_w(out, in);
  std::vector<float> expected_bias(out);
  layer.forward(p.x, expected, key);
  layer.backward(p.x, grad_y, {expected_x.view(), expected_w.view(), expected_bias});

  on_every_isa([&](std::string_view) {
    const ld::Weights weights = ld::encode_weights(view(p.w), profile.bits);
    Matrix<float> y(batch, out), grad_x(batch, in), grad_w(out, in);
    std::vector<float> grad_bias(out);
    ld::Record record;
    ld::Workspace workspace;
    ld::Call call{.x = view(p.x), .weights = &weights, .y = view(y)};
    call.dac = {profile.bits, 0.0f, 1.0f};
    call.readout = {config.readout.gain, config.readout.shot_noise, config.readout.noise,
                    config.readout.attenuation};
    call.adc = {profile.bits, -2.0f, 2.0f};
    call.output_bias = bias.data();
    call.key = key;
    call.record = &record;
    call.track = true;
    CHECK(ld::run(call) > 0.0f);
    CHECK(difference(y.view(), expected.view()) == "");
    ld::backward(call, view(grad_y), record, {view(grad_x), view(grad_w), grad_bias.data()},
                 workspace);
    // AMX splits the gradient, this program has no FMA: near, not equal.
    const float tolerance = 1e-5f * static_cast<float>(batch + out);
    CHECK(largest_difference(grad_x, expected_x) < tolerance);
    CHECK(largest_difference(grad_w, expected_w) < tolerance);
    CHECK(grad_bias == expected_bias);
  });
}

TEST_CASE("weights stay where they were packed; a record belongs to its weights") {
  const auto isas = ld::available_isas();
  const Problem p(3, 20, 40);
  ld::force_isa(isas.back());
  const ld::Weights weights = ld::encode_weights(view(p.w), 8);
  ld::force_isa(isas.front());
  CHECK(weights.isa() == isas.back());
  Matrix<float> y(3, 40), grad_x(3, 20);
  ld::Call call{.x = view(p.x), .weights = &weights, .y = view(y)};
  call.dac = {8, 0.0f, 1.0f};
  call.adc = {8, -1.0f, 1.0f};
  ld::Record record;
  ld::Workspace workspace;
  CHECK_THROWS_AS(
      ld::backward(call, view(std::as_const(y)), record, {.input = view(grad_x)}, workspace),
      std::invalid_argument);
  call.record = &record;
  ld::run(call);
  CHECK_NOTHROW(
      ld::backward(call, view(std::as_const(y)), record, {.input = view(grad_x)}, workspace));
}

TEST_CASE("borrowed weights: the bits of packed ones, forward only") {
  const Problem p(5, 70, 130);
  on_every_isa([&](std::string_view isa) {
    const ld::Weights packed = ld::pack_weights(view(p.w)),
                      borrowed = ld::borrow_weights(view(p.w));
    CHECK(borrowed.isa() == isa);
    Matrix<float> y(5, 130), expected(5, 130), grad_x(5, 70);
    ld::Call call{.x = view(p.x), .weights = &packed, .y = view(expected)};
    call.readout.noise = 0.1f;
    call.key = key;
    ld::run(call);
    ld::Record record;
    call.weights = &borrowed;
    call.y = view(y);
    call.record = &record;
    ld::run(call);
    CHECK(difference(y.view(), expected.view()) == "");
    ld::Workspace workspace;
    CHECK_THROWS_WITH(
        ld::backward(call, view(std::as_const(y)), record, {.input = view(grad_x)}, workspace),
        Catch::Matchers::ContainsSubstring("borrowed"));
    for (const float element : grad_x.elements()) CHECK(element == 0.0f);
  });
}

TEST_CASE("complex weights") {
  // (1 + 2i)(3 + 4i) = -5 + 10i, (1 + 2i)(-2i) = 4 - 2i
  const std::vector<float> x{1, 2}, w{3, 4, 0, -2};
  on_every_isa([&](std::string_view) {
    const ld::Weights weights = ld::pack_complex_weights({w.data(), 2, 2, 2});
    std::vector<float> y(4);
    ld::run({.x = {x.data(), 1, 2, 2}, .weights = &weights, .y = {y.data(), 1, 4, 4}});
    CHECK(y == std::vector<float>{-5, 10, 4, -2});
  });
}

TEST_CASE("wrong arguments are reported, with the shapes, and nothing is written") {
  const Problem p(3, 20, 40);
  Matrix<float> y(3, 39);
  on_every_isa([&](std::string_view) {
    const ld::Weights packed = ld::pack_weights(view(p.w)),
                      coded = ld::encode_weights(view(p.w), 8);
    ld::Call call{.x = view(p.x), .weights = &packed, .y = view(y)};
    CHECK_THROWS_WITH(ld::run(call), Catch::Matchers::ContainsSubstring("[3, 39]"));
    call.weights = &coded;
    CHECK_THROWS_AS(ld::run(call), std::invalid_argument);  // no DAC
    CHECK_THROWS_AS(ld::encode_weights(view(p.w), 9), std::invalid_argument);
    CHECK_THROWS_AS(ld::pack_quantized_weights(view(p.w), 17), std::invalid_argument);
    CHECK_THROWS_AS(ld::pack_complex_weights({p.w.data(), 2, 3, 3}), std::invalid_argument);
    for (const float element : y.elements()) CHECK(element == 0.0f);
  });
}

TEST_CASE("generators and noise") {
  lumina::FastRng expected(11);
  std::vector<float> normals(100);
  expected.fill_normal(normals, 1.0f, 2.0f);
  on_every_isa([&](std::string_view) {
    ld::FastRng rng(11);
    std::vector<float> own(100);
    rng.fill_normal(own.data(), own.size(), 1.0f, 2.0f);
    CHECK(own == normals);
    CHECK(ld::standard_normal_at(key, 4, 200) == lumina::standard_normal_at(key, 4, 200));
    CHECK(ld::all_finite({own.data(), 10, 10, 10}));
    own[57] = -std::numeric_limits<float>::infinity();
    CHECK_FALSE(ld::all_finite({own.data(), 10, 10, 10}));
    CHECK(ld::all_finite({own.data(), 10, 7, 10}));
  });
}
