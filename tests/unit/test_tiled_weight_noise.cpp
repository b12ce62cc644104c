#include <lumina/tiled_weight_noise.hpp>

#include <cmath>
#include <cstddef>

#include <lumina/reference_weights.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

const NoiseKey kKey{1, 2, 3};

TestMatrix weights(std::size_t out, std::size_t in) {
  Engine engine(1);
  TestMatrix w(out, in, in + 1);
  w.fill_uniform(engine);
  for (std::size_t k = 0; k < in; ++k) w(out / 2, k) = 0.0f;
  return w;
}

template <class Noise>
void check(const Noise& noise, const Mapping& mapping, int bits) {
  TestMatrix w = weights(37, 300);
  TiledWeights<8> tiled, clean;
  REQUIRE(encode_tiles(w, mapping, tiled, bits, noise, kKey));
  REQUIRE(encode_tiles(w, mapping, clean));
  const auto expected = reference::encode_noisy_tiles(w.constant(), tiled, bits, noise, kKey);
  CHECK(tiled.code_value() == expected.code_value);
  REQUIRE(tiled.tiles() == clean.tiles());
  std::size_t different = 0;
  for (std::size_t tile = 0; tile < tiled.tiles(); ++tile) {
    CHECK(difference(tiled.scales(tile), clean.scales(tile)) == "");
    for (std::size_t row = 0; row < 37; ++row) {
      std::int32_t sum = 0;
      for (std::size_t i = 0; i < tiled.input_count(tile); ++i) {
        const std::size_t col = tiled.first_input(tile) + i;
        sum += tiled.code(row, col);
        different += tiled.code(row, col) != expected.codes(row, col) ? 1 : 0;
      }
      different += sum != tiled.code_sums(tile)[row] ? 1 : 0;
    }
  }
  CAPTURE(mapping.tile.inputs, bits);
  CHECK(different == 0);
}

}  // namespace

TEST_CASE("Noise on arrays equals the oracle, wherever tiles begin", "[tiled_weight_noise]") {
  for (const std::size_t inputs : {512u, 128u, 100u, 40u}) {
    check(AdditiveWeightNoise{0.04f}, {.tile = {inputs, 512}}, 4);
  }
  const Mapping odd{.tile = {90, 16}, .scale = TileScale::per_tile, .split = TileSplit::equal};
  check(MultiplicativeWeightNoise{0.1f}, odd, 2);
  check(DropConnect{0.2f}, odd, 3);
  check(both(AdditiveWeightNoise{0.04f}, DropConnect{0.2f}), odd, 8);
  check(ProgrammingWeightNoise{}, odd, 8);
}

TEST_CASE("A gradient through noise that is linear, element by element", "[tiled_weight_noise]") {
  const Mapping mapping{.tile = {90, 16}, .split = TileSplit::equal};
  TestMatrix gradient = weights(37, 300);
  const detail::Tiling tiles = detail::Tiling::of(300, 90, TileSplit::equal);
  const auto check_gradient = [&](const auto& noise, std::size_t draw, const auto& expected) {
    TestMatrix own = weights(37, 300);
    REQUIRE(perturb_gradient(own.view(), mapping, noise, kKey, draw));
    std::size_t different = 0;
    for (std::size_t row = 0; row < 37; ++row) {
      for (std::size_t col = 0; col < 300; ++col) {
        const std::size_t tile = tiles.tile_of(col);
        NoiseKey key = kKey;
        key.row_offset += std::uint64_t{tile} << 40;
        const float normal = standard_normal_at(key, row, col - tiles[tile].begin, draw);
        different += own(row, col) != expected(gradient(row, col), normal) ? 1 : 0;
      }
    }
    CHECK(different == 0);
  };
  check_gradient(MultiplicativeWeightNoise{0.1f}, 0, [](float g, float normal) {
    return std::fma(detail::product(g, 0.1f), normal, g);
  });
  const DropConnect drop{0.3f};
  const auto dropped = [&](float g, float normal) { return normal < drop.threshold() ? 0.0f : g; };
  check_gradient(drop, 0, dropped);
  check_gradient(drop, 1, dropped);

  TestMatrix own = weights(37, 300);
  expect_error([&] { perturb_gradient(own.view(), {.tile = {0, 1}}, drop, kKey); }, {"no inputs"});
  expect_error([&] { perturb_gradient(own.view(), mapping, DropConnect{1.0f}, kKey); },
               {"probability"});
  CHECK(difference(own.constant(), gradient.constant()) == "");
}

TEST_CASE("Noise on arrays that is refused", "[tiled_weight_noise][errors]") {
  TestMatrix w = weights(5, 26);
  TiledWeights<8> tiled;
  Matrix<float> scales(1, 4);
  expect_error([&] { encode_tiles(w, Mapping{}, tiled, 9, DropConnect{0.1f}, kKey); }, {"2..8"});
  expect_error([&] { encode_tiles(w, Mapping{}, tiled, 4, DropConnect{2.0f}, kKey); },
               {"probability"});
  expect_error([&] { encode_tiles(w, Mapping{}, tiled, 4, DropConnect{0.1f}, kKey, scales); },
               {"[1, 4]"});
  w(2, 3) = kNaN;
  expect_error([&] { encode_tiles(w, Mapping{}, tiled, 4, DropConnect{0.1f}, kKey); }, {"w(2, 3)"});
  CHECK(tiled.rows() == 0);
}
