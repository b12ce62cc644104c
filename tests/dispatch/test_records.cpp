// A call that lumina::dispatch refuses fills no record.
#include <lumina/dispatch.hpp>
#include <lumina/lumina.hpp>

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/dispatch_views.hpp"

namespace ld = lumina::dispatch;
using lumina::Matrix;
using test::on_every_isa;
using test::random_matrix;
using test::view;

TEST_CASE("a refused call leaves its record empty, also one that was filled before") {
  const Matrix<float> x = random_matrix(5, 40, 1), w = random_matrix(70, 40, 2), grad_y(5, 70);
  on_every_isa([&](std::string_view) {
    const ld::Weights weights = ld::encode_weights(view(w), 8);
    Matrix<float> y(5, 70), narrow(5, 69), grad_w(70, 40);
    ld::Record record;
    ld::Workspace workspace;
    CHECK(!record.filled());
    ld::Call good{.x = view(x), .weights = &weights, .y = view(y)};
    good.dac = {8, -1.0f, 1.0f};
    good.record = &record;
    const auto refused = [&](auto change) {
      for (const bool filled_before : {false, true}) {
        if (filled_before) {
          ld::run(good);
          CHECK(record.filled());
        }
        ld::Call call = good;
        change(call);
        y(0, 0) = 42.0f;
        CHECK_THROWS_AS(ld::run(call), std::invalid_argument);
        CHECK(y(0, 0) == 42.0f);
        CHECK(!record.filled());
        CHECK_THROWS_AS(
            ld::backward(good, view(grad_y), record, {.weights = view(grad_w)}, workspace),
            std::invalid_argument);
      }
    };
    refused([&](ld::Call& call) { call.y = view(narrow); });
    refused([](ld::Call& call) { call.dac.bits = 0; });
    refused([](ld::Call& call) { call.dac.bits = 12; });
    refused([](ld::Call& call) { call.dac.hi = -2.0f; });
    refused([](ld::Call& call) { call.adc = {8, 1.0f, 1.0f}; });
    refused([](ld::Call& call) { call.readout.noise = -1.0f; });
    refused([](ld::Call& call) { call.readout.shot_noise = NAN; });
    refused([](ld::Call& call) { call.y.data = nullptr; });
  });
}

TEST_CASE("a call that an exception of its executor ends leaves its record empty") {
  const Matrix<float> x = random_matrix(64, 300, 1), w = random_matrix(300, 300, 2);
  on_every_isa([&](std::string_view) {
    const ld::Weights weights = ld::pack_weights(view(w));
    Matrix<float> y(64, 300);
    ld::Record record;
    ld::Call call{.x = view(x), .weights = &weights, .y = view(y)};
    call.record = &record;
    call.executor = {[](void*, std::size_t, ld::Executor::Body body, void* context) {
                       body(context, 0);
                       throw std::runtime_error("no more");
                     },
                     nullptr, 4};
    CHECK_THROWS_AS(ld::run(call), std::runtime_error);
    CHECK(!record.filled());
  });
}

TEST_CASE("a record that has refused bytes is empty, and filled by the next call") {
  const Matrix<float> x = random_matrix(5, 40, 1), w = random_matrix(70, 40, 2);
  const std::vector<std::uint8_t> bytes(5 * 8);
  on_every_isa([&](std::string_view) {
    const ld::Weights weights = ld::pack_weights(view(w));
    Matrix<float> y(5, 70);
    ld::Record record;
    ld::Call call{.x = view(x), .weights = &weights, .y = view(y)};
    call.record = &record;
    ld::run(call);
    CHECK_THROWS_AS(record.restore(weights, {bytes.data(), 5, 8, 8}), std::invalid_argument);
    CHECK(!record.filled());
    ld::run(call);
    CHECK(record.filled());
    CHECK(record.bytes().cols == 9);
  });
}

TEST_CASE("codes of 2 bits take a quarter of the room, and are the same") {
  // The reference's results are tested elsewhere (test_dispatch.cpp); here: every form of a call.
  const Matrix<float> x = random_matrix(9, 100, 1), w = random_matrix(70, 100, 2),
                      grad_y = random_matrix(9, 70, 3);
  on_every_isa([&](std::string_view) {
    const ld::Weights weights = ld::encode_weights(view(w), 2);
    CHECK(weights.bits() == 2);
    CHECK(weights.coded());
    const lumina::CodedWeights<2> coded = lumina::encode_weights<2>(w);
    Matrix<std::int8_t> codes(70, 100);
    weights.codes(codes.data());
    std::size_t different = 0;
    for (std::size_t i = 0; i < codes.elements().size(); ++i) {
      different += codes.data()[i] != coded.code(i / 100, i % 100);
    }
    CHECK(different == 0);

    Matrix<float> y(9, 70), grad_x(9, 100), expected(9, 100);
    ld::Record record;
    ld::Workspace workspace;
    ld::Call call{.x = view(x), .weights = &weights, .y = view(y)};
    call.dac = {8, -1.0f, 1.0f};
    call.record = &record;
    ld::run(call);
    const Matrix<float> values = coded.decode();
    const std::pair<ld::GradientProducts, float> forms[] = {
        {ld::GradientProducts::float32, 1e-4f},
        {ld::GradientProducts::int24, 1e-4f},
        {ld::GradientProducts::int16, 1e-2f},
        {ld::GradientProducts::by_machine, 1e-2f},
        {ld::GradientProducts::int8, 1.0f}};
    for (const auto& [products, error] : forms) {
      call.gradient_products = products;
      ld::backward(call, view(grad_y), record, {.input = view(grad_x)}, workspace);
      for (std::size_t row = 0; row < 9; ++row) {
        for (std::size_t k = 0; k < 100; ++k) {
          float sum = 0.0f;
          for (std::size_t o = 0; o < 70; ++o) sum += grad_y(row, o) * values(o, k);
          different += !(std::fabs(grad_x(row, k) - sum) < error);
        }
      }
      CHECK(different == 0);
    }
  });
}
