#include <lumina/report.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include <lumina/read_noise.hpp>
#include <lumina/reference_report.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

const NoiseKey kKey{1, 2, 3};
const SymmetricQuantizer<6> kAdc(1.5f);

auto stages() { return array(ReadNoise(0.05f), GaussianNoise{0.04f}, kAdc); }

struct Operands {
  Matrix<float> x, w;
  TiledWeights<4> weights;

  Operands(std::size_t batch, std::size_t in, std::size_t out, std::size_t tile)
      : x(batch, in), w(out, in) {
    Engine engine(batch);
    for (float& v : x.elements()) v = uniform(engine, -1.2f, 1.2f);
    for (float& v : w.elements()) v = uniform(engine, -1.0f, 1.0f);
    REQUIRE(encode_tiles<4>(w, {{tile, out}}, weights));
  }
};

bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

void check(const ConverterReport& actual, const ConverterReport& expected) {
  CHECK(actual.conversions == expected.conversions);
  CHECK(actual.below == expected.below);
  CHECK(actual.above == expected.above);
  CHECK(actual.not_numbers == 0);
}

template <class Dac>
void check_layer(const Operands& layer, const Dac& dac, bool repeats) {
  const std::size_t batch = layer.x.rows(), out = layer.w.rows();
  TestMatrix y(batch, out), expected(batch, out);
  const auto behind = digital(Attenuation{0.5f}, GaussianNoise{0.1f});
  LayerReport report;
  REQUIRE(
      analog_gemm(layer.x.view(), dac, layer.weights, stages(), behind, y.view(), report, kKey));
  REQUIRE(analog_gemm(layer.x.view(), dac, layer.weights, stages(), behind, expected.view(), kKey));
  CHECK(difference(y, expected) == "");
  const reference::Report plain =
      reference::report(layer.x.view(), dac, layer.weights, stages(), behind, kKey);
  REQUIRE(report.arrays().size() == plain.arrays.size());
  CHECK(report.rows() == batch);
  double error = 0.0;
  for (std::size_t i = 0; i < plain.arrays.size(); ++i) {
    const ArrayReport &a = report.arrays()[i], &b = plain.arrays[i];
    CAPTURE(i, a.signal, b.signal, a.error, b.error);
    CHECK(a.outputs == b.outputs);
    CHECK(same(a.signal, b.signal));
    CHECK(same(a.error, b.error));
    CHECK(same(a.output_error, b.output_error));
    CHECK(same(a.device_squares, b.device_squares));
    check(a.adc, b.adc);
    check(a.dac, b.dac);
    CHECK(a.adc.codes == 63);
    CHECK(a.dac.codes_used == b.dac.codes_used);
    if (!repeats) CHECK(a.adc.codes_used == b.adc.codes_used);
    CHECK(a.adc.above > 0);
    error += b.output_error;
  }
  CHECK(same(report.error(), error));
  CHECK(same(report.signal(), plain.sum_of_squares - error));
}

}  // namespace

TEST_CASE("A report is the oracle's", "[report]") {
  check_layer(Operands(9, 70, 150, 30), SymmetricQuantizer<5>(1.0f), false);
  check_layer(Operands(3, 40, 17, 64), Quantizer<8>(-1.0f, 2.0f), false);
  check_layer(Operands(5, 50, 140, 25), ManagedDac{7, 0.5f, NoiseManagement::none, 2}, true);
}

TEST_CASE("A report is the same for threads, and adds up over calls", "[report]") {
  const Operands layer(60, 300, 300, 128);  // enough for threads
  const SymmetricQuantizer<8> dac(1.0f);
  TestMatrix y(60, 300);
  LayerReport one, threads;
  REQUIRE(
      analog_gemm(layer.x.view(), dac, layer.weights, stages(), digital(), y.view(), one, kKey));
  REQUIRE(analog_gemm(layer.x.view(), dac, layer.weights, stages(), digital(), y.view(), threads,
                      kKey, ShuffledThreads{3}));
  for (std::size_t i = 0; i < 3; ++i) {
    const ArrayReport &a = one.arrays()[i], &b = threads.arrays()[i];
    CHECK((same(a.signal, b.signal) && same(a.error, b.error) && a.adc.above == b.adc.above &&
           a.adc.codes_used == b.adc.codes_used));
  }
  const std::uint64_t above = one.arrays()[0].adc.above;
  const double signal = one.arrays()[0].signal;
  REQUIRE(
      analog_gemm(layer.x.view(), dac, layer.weights, stages(), digital(), y.view(), one, kKey));
  CHECK(one.rows() == 120);
  CHECK(one.arrays()[0].adc.above == 2 * above);
  CHECK(one.arrays()[0].signal == Approx(2.0 * signal));
  one.clear();
  CHECK(one.arrays().empty());
  // Another layer: from the beginning.
  const Operands other(2, 20, 30, 20);
  TestMatrix z(2, 30);
  REQUIRE(analog_gemm(other.x.view(), dac, other.weights, stages(), digital(), z.view(), threads,
                      kKey));
  CHECK(threads.rows() == 2);
  CHECK(threads.arrays().size() == 1);
}

TEST_CASE("What follows from a report's numbers", "[report]") {
  ArrayReport array;
  array.signal = 1000.0;
  array.error = 1.0;
  CHECK(array.snr_db() == Approx(30.0));
  CHECK(array.effective_bits() == Approx((30.0 - 1.76) / 6.02));
  array.device_squares = 100.0;
  array.dac.conversions = 7;
  array.adc.conversions = 10;
  array.adc.below = 2;
  array.adc.above = 3;
  CHECK(array.adc.clipped() == Approx(0.5));
  ArrayCosts costs;
  costs.read_volts = 0.2;
  costs.on_siemens = 25e-6;
  costs.read_seconds = 1e-7;
  costs.dac_joules = 1e-13;
  costs.adc_joules = 1e-12;
  CHECK(array.device_joules(costs) == Approx(0.04 * 25e-6 * 1e-7 * 100.0));
  CHECK(array.energy_joules(costs) == Approx(1e-11 + 7e-13 + 1e-11));

  // An ADC's error is uniform: a step²/12. And a layer of two arrays reads one after the other.
  const Operands layer(50, 256, 200, 128);
  TestMatrix y(50, 200);
  LayerReport report;
  const SymmetricQuantizer<8> adc(40.0f);
  REQUIRE(analog_gemm(layer.x.view(), SymmetricQuantizer<8>(1.2f), layer.weights,
                      lumina::array(adc), digital(), y.view(), report));
  const ArrayReport& first = report.arrays()[0];
  CHECK(first.error / static_cast<double>(first.outputs) ==
        Approx(adc.step() * adc.step() / 12.0).epsilon(0.05));
  CHECK(first.adc.clipped() == 0.0);
  CHECK(report.latency_seconds(costs, 8) == Approx(2 * 8 * 1e-7));
  CHECK(report.energy_joules(costs) ==
        Approx(first.energy_joules(costs) + report.arrays()[1].energy_joules(costs)));
  // Without noise and ADC there is no error.
  LayerReport ideal;
  REQUIRE(analog_gemm(layer.x.view(), SymmetricQuantizer<8>(1.2f), layer.weights, lumina::array(),
                      digital(), y.view(), ideal));
  CHECK(ideal.error() == 0.0);
  CHECK(std::isinf(ideal.snr_db()));
  CHECK(ideal.arrays()[0].adc.conversions == 0);
}

TEST_CASE("A call that is refused reports nothing", "[report][errors]") {
  const Operands layer(4, 20, 30, 20);
  TestMatrix y(4, 30), wrong(4, 29);
  LayerReport report;
  const SymmetricQuantizer<8> dac(1.0f);
  REQUIRE(analog_gemm(layer.x.view(), dac, layer.weights, stages(), digital(), y.view(), report));
  const double signal = report.arrays()[0].signal;
  expect_error(
      [&] {
        analog_gemm(layer.x.view(), dac, layer.weights, stages(), digital(), wrong.view(), report);
      },
      {"[4, 29]"});
  expect_error(
      [&] {
        analog_gemm(layer.x.view(), ManagedDac{40}, layer.weights, stages(), digital(), y.view(),
                    report);
      },
      {"40 bits"});
  CHECK(report.rows() == 4);
  CHECK(report.arrays()[0].signal == signal);
}
