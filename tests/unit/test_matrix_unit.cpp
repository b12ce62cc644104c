// The kernel for a matrix unit, on an emulated one: so they are tested on machines without AMX too.
#include <lumina/detail/kernels/matrix_unit.hpp>

#include <cstdint>
#include <string>
#include <type_traits>

#include <lumina/coded_weights.hpp>
#include <lumina/detail/engine/call.hpp>
#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/emulated_matrix_unit.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

/// The emulated unit reads codes as bytes; some architectures want theirs otherwise.
constexpr bool kCodesAreBytes = std::is_same_v<detail::Native::Codes::Input, std::uint8_t> &&
                                detail::Native::Codes::input_bias == 0;

struct Shape {
  std::size_t batch, in, out;
};

/// An executor of so many threads, as far as the schedule is concerned.
struct Pretended {
  std::size_t threads;
  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    Serial()(tasks, body);
  }
};

/// A whole call on the emulated unit.
template <int StoredBits, class X, class T, class EpilogueT>
void run_emulated(MatrixView<const X> x, const detail::UniformQuantizer& dac,
                  const detail::CodePanels<StoredBits>& weights, MatrixView<T> y,
                  const EpilogueT& stages, const NoiseKey& key, std::size_t threads) {
  if constexpr (kCodesAreBytes) {
    using namespace detail;
    using K = MatrixUnitKernel<CodesOnUnit<Native, StoredBits>, EmulatedUnit>;
    const auto problem = make_problem<K>(
        EncodedRows<Native, X>(x, dac),
        PackedPanels<std::int32_t, kCodesPerWord<StoredBits>>(weights.words, weights.panel_size),
        DequantizedSums<Native, StoredBits>(dac, weights));
    run_on<K>(problem, y, stages, NoObserver(), key, Pretended{threads});
  }
}

template <int Bits>
void check_shape(Engine& engine, const Shape& shape, std::size_t threads = 1,
                 const RuntimeQuantizer& dac = Quantizer<8>(-1.0f, 1.2f)) {
  const auto [batch, in, out] = shape;
  TestMatrix x(batch, in, in + 3), w(out, in), y(batch, out, out + 5), expected(batch, out);
  x.fill_uniform(engine, -1.5f, 1.5f);
  w.fill_uniform(engine);
  const auto weights = encode_weights<Bits>(w);
  const NoiseKey key{engine(), engine(), engine()};
  const auto stages = epilogue(GaussianNoise{0.5f});
  const MatrixView<const float> x_view = x;
  run_emulated(x_view, dac, weights.panels(), y.view(), stages, key, threads);
  reference::fused_gemm(x_view, dac, weights, expected.view(), stages, key);
  CAPTURE(Bits, batch, in, out, threads);
  REQUIRE(difference(y, expected) == "");
  REQUIRE(y.gaps_untouched());
}

}  // namespace

TEST_CASE("Tiles' shapes: as many rows as x has", "[matrix_unit]") {
  for (std::size_t rows = 1; rows <= 32; ++rows) {
    const detail::TileConfig shapes(rows);
    CHECK(shapes.rows[0] + shapes.rows[2] == static_cast<int>(rows));
    CHECK(shapes.rows[4] == shapes.rows[0]);
    CHECK(shapes.rows[5] == shapes.rows[2]);
    CHECK(shapes.rows[6] == 16);
    CHECK(shapes.row_bytes[7] == 64);
  }
}

TEST_CASE("The matrix unit's kernel equal the reference", "[matrix_unit]") {
  if (!kCodesAreBytes) return;
  Engine engine(1);
  SECTION("every number of rows") {
    for (std::size_t batch = 1; batch <= 70; ++batch) check_shape<8>(engine, {batch, 70, 40});
  }
  SECTION("tails of columns") {
    for (const std::size_t out : {1u, 31u, 32u, 33u, 64u, 97u, 127u, 128u, 129u, 300u}) {
      check_shape<8>(engine, {5, 66, out});
      check_shape<4>(engine, {33, 66, out});
      check_shape<2>(engine, {17, 20, out});
    }
  }
  SECTION("every depth around the steps") {
    for (const std::size_t in :
         {0u, 1u, 2u, 3u, 4u, 5u, 15u, 16u, 17u, 63u, 64u, 65u, 127u, 128u, 129u, 200u, 260u}) {
      check_shape<8>(engine, {18, in, 70});
      check_shape<4>(engine, {18, in, 70});
      check_shape<2>(engine, {18, in, 70});
    }
  }
  SECTION("every number of bits") {
    check_shape<3>(engine, {35, 90, 130});
    check_shape<5>(engine, {35, 90, 130});
    check_shape<6>(engine, {35, 90, 130});
    check_shape<7>(engine, {35, 90, 130});
  }
  SECTION("a symmetric DAC") {
    check_shape<8>(engine, {35, 90, 130}, 1, RuntimeQuantizer::symmetric(8, 1.1f));
    check_shape<4>(engine, {17, 30, 33}, 1, RuntimeQuantizer::symmetric(3, 1.1f));
  }
  SECTION("groups of panels for many threads") { check_shape<8>(engine, {40, 65, 400}, 7); }
}

TEST_CASE("The matrix unit's kernel cut a depth that the workspace cannot hold", "[matrix_unit]") {
  if (!kCodesAreBytes) return;
  Engine engine(2);
  const std::size_t in = detail::Native::row_scratch_bytes / 16 + 100;
  check_shape<8>(engine, {17, in, 33});
  check_shape<2>(engine, {33, in, 5});
}

TEST_CASE("The matrix unit's kernel store codes", "[matrix_unit]") {
  if constexpr (kCodesAreBytes) {
    Engine engine(3);
    TestMatrix w(150, 70);
    w.fill_uniform(engine);
    Matrix<std::uint8_t> x(37, 70), y(37, 150), expected(37, 150);
    for (std::uint8_t& code : x.elements()) code = static_cast<std::uint8_t>(engine());
    const auto weights = encode_weights<8>(w);
    const Quantizer<8> dac(0.0f, 1.0f), adc(-4.0f, 4.0f);
    const auto stages = epilogue(ShotNoise{0.1f}, GaussianNoise{0.2f}, adc);
    const NoiseKey key{1, 2, 3};
    const MatrixView<const std::uint8_t> x_view = x;
    run_emulated(x_view, dac, weights.panels(), y.view(), stages, key, 1);
    reference::fused_gemm(x_view, dac, weights, expected.view(), stages, key);
    std::size_t different = 0;
    for (std::size_t i = 0; i < y.elements().size(); ++i) {
      different += y.elements()[i] != expected.elements()[i];
    }
    CHECK(different == 0);
  }
}
