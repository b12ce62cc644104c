#include <lumina/forward_record.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <lumina/backward.hpp>
#include <lumina/fused_gemm.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

/// Bits stored `Lanes` at a time, neighbours in order, on top of what memory held before.
template <std::size_t Lanes>
void check_lanes() {
  constexpr std::size_t kRows = 3, kCols = 300, kGates = 2;
  ForwardRecord record;
  for (const std::uint64_t seed : {1u, 2u}) {  // The second finds the first one's bits.
    record.resize(kRows, kCols, kGates);
    Engine engine(seed);
    std::vector<std::uint32_t> stored;
    for (std::size_t row = 0; row < kRows; ++row) {
      for (std::size_t col = 0; col < kCols; col += Lanes) {
        for (std::size_t gate = 0; gate < kGates; ++gate) {
          stored.push_back(static_cast<std::uint32_t>(engine()) & ((1u << Lanes) - 1u));
          record.store<Lanes>(gate, row, col, stored.back());
        }
      }
    }
    bool loaded = true, passed = true;
    auto bits = stored.begin();
    for (std::size_t row = 0; row < kRows; ++row) {
      for (std::size_t col = 0; col < kCols; col += Lanes) {
        for (std::size_t gate = 0; gate < kGates; ++gate, ++bits) {
          loaded &= record.load<Lanes>(gate, row, col) == *bits;
          for (std::size_t lane = 0; lane < Lanes && col + lane < kCols; ++lane) {
            passed &= record.passed(gate, row, col + lane) == ((*bits >> lane & 1u) != 0);
          }
        }
      }
    }
    CAPTURE(Lanes, seed);
    CHECK(loaded);
    CHECK(passed);
  }
}

}  // namespace

TEST_CASE("A record keeps the bits of every number of lanes", "[forward_record]") {
  check_lanes<4>();
  check_lanes<8>();
  check_lanes<16>();
}

TEST_CASE("A record is empty until a pass has filled it, and after each change of its shape",
          "[forward_record]") {
  ForwardRecord record;
  CHECK(!record.filled());
  CHECK(record.rows() == 0);
  CHECK(record.cols() == 0);
  CHECK(record.gates() == 0);
  record.resize(3, 5, 2);
  CHECK(!record.filled());
  record.mark_filled();
  CHECK(record.filled());
  record.resize(3, 5, 2);
  CHECK(!record.filled());
  CHECK(record.rows() == 3);
  CHECK(record.cols() == 5);
  CHECK(record.gates() == 2);
}

TEST_CASE("A record that has been moved from is empty", "[forward_record]") {
  ForwardRecord record;
  record.resize(3, 5, 2);
  record.mark_filled();
  const ForwardRecord other = std::move(record);
  CHECK(other.filled());
  CHECK(other.rows() == 3);
  CHECK(record.rows() == 0);  // NOLINT(bugprone-use-after-move): that is the question
  CHECK(record.cols() == 0);
}

TEST_CASE("A pass that is recorded writes the same outputs, and which values passed each gate",
          "[forward_record]") {
  Engine engine(3);
  for (const std::size_t out : {1u, 7u, 33u, 130u, 300u}) {
    TestMatrix x(20, 9), w(out, 9), bias(1, out), sums(20, out), y(20, out), expected(20, out);
    x.fill([&] { return static_cast<float>(integer(engine, 0, 4)) - 2.0f; });
    w.fill([&] { return static_cast<float>(integer(engine, 0, 4)) - 2.0f; });
    bias.fill([] { return 1.0f; });
    const PackedWeights packed = pack_weights(w);
    const auto stages = epilogue(Relu{}, AddBias{{bias.view().data(), out}}, Attenuation{0.5f},
                                 Quantizer<8>(1.0f, 4.0f), GaussianNoise{1.0f});
    fused_gemm(x.view(), packed, sums, epilogue());
    fused_gemm(x.view(), packed, expected, stages, {4, 5, 6});
    for_each_executor([&](const auto& executor, const char* name) {
      ForwardRecord record;
      y.fill([] { return kNaN; });
      forward(forward_pass(x, packed, stages, {4, 5, 6}), y, record, executor);
      CAPTURE(name, out);
      CHECK(difference(y, expected) == "");
      REQUIRE(record.gates() == 2);
      bool relu = true, adc = true;
      for (std::size_t row = 0; row < 20; ++row) {
        for (std::size_t col = 0; col < out; ++col) {
          const float sum = sums(row, col);
          const float before_adc = 0.5f * ((sum < 0.0f ? 0.0f : sum) + 1.0f);
          relu &= record.passed(0, row, col) == (sum > 0.0f);
          adc &= record.passed(1, row, col) == (before_adc >= 1.0f && before_adc <= 4.0f);
        }
      }
      CHECK(relu);
      CHECK(adc);
    });
  }
}

TEST_CASE("Where a derivative needs the values nothing is recorded", "[forward_record]") {
  using detail::ClipRecorder;
  CHECK(ClipRecorder<Epilogue<Relu, AddBias, Quantizer<8>>>::gates == 2);
  CHECK(ClipRecorder<Epilogue<>>::gates == 0);
  CHECK(ClipRecorder<Epilogue<GaussianNoise, ShotNoise, Attenuation>>::gates == 0);
  CHECK(ClipRecorder<Epilogue<Relu, ShotNoiseWithDerivative, SymmetricQuantizer<4>>>::gates == 0);
}

TEST_CASE("A pass shows its observers what enters the gates, those that are there",
          "[forward_record]") {
  Engine engine(5);
  TestMatrix x(5, 40), w(150, 40), expected(5, 150), y(5, 150), positive(5, 150);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  const PackedWeights packed = pack_weights(w);
  // The last gate is the ADC; what is behind it does not count.
  const auto stages = epilogue(Relu{}, Quantizer<8>(-1.0f, 1.0f), Attenuation{100.0f});
  const auto pass = forward_pass(x, packed, stages);
  ForwardRecord expected_record, record;
  MagnitudeTracker magnitudes;
  REQUIRE(forward(pass, expected, expected_record));
  REQUIRE(forward(pass, y, PassObservers{&record, &magnitudes}));
  CHECK(difference(y, expected) == "");
  REQUIRE(record.filled());
  REQUIRE(record.gates() == 2);

  fused_gemm(x.view(), packed, positive, epilogue(Relu{}));
  float largest = 0.0f;
  bool equal = true;
  for (std::size_t row = 0; row < 5; ++row) {
    for (std::size_t col = 0; col < 150; ++col) {
      largest = std::max(largest, positive(row, col));
      for (const std::size_t gate : {0u, 1u}) {
        equal &= record.passed(gate, row, col) == expected_record.passed(gate, row, col);
      }
    }
  }
  CHECK(equal);
  CHECK(largest > 1.0f);  // The ADC clips it.
  CHECK(magnitudes.largest() == largest);

  CHECK(forward(pass, y, PassObservers{}));
  CHECK(forward(pass, y, PassObservers{.magnitudes = &magnitudes}));
  CHECK(magnitudes.largest() == largest);
}
