// What leaves a unit and comes back, in another process or on another instruction set.
#include <lumina/dispatch.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <vector>

#include "support/catch.hpp"
#include "support/same_bits.hpp"

namespace ld = lumina::dispatch;

TEST_CASE("A generator goes on where its state was taken", "[dispatch]") {
  ld::FastRng rng(7);
  std::array<float, 45> drawn{};
  rng.fill_normal(drawn.data(), drawn.size());
  rng.uniform();
  const std::vector<std::byte> state = rng.state();
  std::array<float, 70> expected{}, again{};
  rng.fill_normal(expected.data(), expected.size());
  for (const std::string_view isa : ld::available_isas()) {
    ld::force_isa(isa);
    ld::FastRng copy(std::span<const std::byte>{state});
    copy.fill_normal(again.data(), again.size());
    CAPTURE(isa);
    CHECK(test::difference(std::span<const float>(again), std::span<const float>(expected)) == "");
  }
  ld::force_isa(ld::available_isas().front());
}

TEST_CASE("Bytes that are no state are refused", "[dispatch]") {
  const std::vector<std::byte> state = ld::FastRng(1).state();
  const std::span<const std::byte> bytes = state;
  CHECK_THROWS_AS(ld::FastRng(bytes.first(bytes.size() - 1)), std::invalid_argument);
  std::vector<std::byte> wrong(state.size(), std::byte{0});
  CHECK_THROWS_AS(ld::FastRng(std::span<const std::byte>(wrong)), std::invalid_argument);
}

TEST_CASE("Packed weights give their values back, and take them as they are", "[dispatch]") {
  std::vector<float> w(37 * 50), values(w.size()), again(w.size());
  ld::FastRng(3).fill_normal(w.data(), w.size());
  for (const int bits : {0, 4, 12}) {
    const ld::View<const float> view{w.data(), 37, 50, 50};
    const ld::Weights packed =
        bits == 0 ? ld::pack_weights(view) : ld::pack_quantized_weights(view, bits);
    packed.values(values.data());
    const ld::Weights second = ld::pack_quantized_values({values.data(), 37, 50, 50}, bits);
    second.values(again.data());
    CAPTURE(bits);
    CHECK(second.bits() == bits);
    CHECK((bits != 0 || values == w));
    CHECK(again == values);
  }
}
