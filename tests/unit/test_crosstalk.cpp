#include <lumina/crosstalk.hpp>

#include <array>
#include <cstddef>
#include <limits>

#include <lumina/fused_gemm.hpp>
#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

TEST_CASE("Mixed rows are those of the plain loops", "[crosstalk]") {
  Engine engine(1);
  for (const auto& [out, in] :
       {std::array<std::size_t, 2>{0, 3}, {1, 0}, {1, 7}, {2, 1}, {3, 16}, {5, 33}, {40, 70}}) {
    TestMatrix w(out, in, in + 3), mixed(out, in, in + 2);
    w.fill([&] { return uniform(engine, -2.0f, 2.0f); });
    mix_neighbours(w, 0.03f, mixed);
    CAPTURE(out, in);
    bool same = true;
    for (std::size_t row = 0; row < out; ++row) {
      for (std::size_t k = 0; k < in; ++k) {
        same = same && bits_of(mixed(row, k)) == bits_of(reference::mixed_weight(w, 0.03f, row, k));
      }
    }
    CHECK(same);
    CHECK(mixed.gaps_untouched());
  }
}

TEST_CASE("A product with mixed rows has its neighbours' part in each output", "[crosstalk]") {
  Engine engine(2);
  const std::size_t batch = 3, in = 20, out = 6;
  TestMatrix x(batch, in), w(out, in), mixed(out, in), y(batch, out), clean(batch, out);
  x.fill([&] { return static_cast<float>(integer(engine, 0, 8)); });
  w.fill([&] { return static_cast<float>(integer(engine, 0, 8)) - 4.0f; });
  mix_neighbours(w, 0.25f, mixed);  // exact, and so are the sums
  fused_gemm(x, pack_weights(mixed), y, epilogue());
  fused_gemm(x, pack_weights(w), clean, epilogue());
  for (std::size_t i = 0; i < batch; ++i) {
    CHECK(y(i, 0) == clean(i, 0) + 0.25f * clean(i, 1));
    CHECK(y(i, 2) == clean(i, 2) + 0.25f * (clean(i, 1) + clean(i, 3)));
    CHECK(y(i, out - 1) == clean(i, out - 1) + 0.25f * clean(i, out - 2));
  }
}

TEST_CASE("What cannot be mixed is reported, and nothing is written", "[crosstalk]") {
  TestMatrix w(3, 4), mixed(3, 4), other(4, 3);
  w.fill([] { return 1.0f; });
  expect_error([&] { mix_neighbours(w, 0.1f, other); }, {"mix_neighbours", "[3, 4]", "[4, 3]"});
  expect_error([&] { mix_neighbours(w, std::numeric_limits<float>::quiet_NaN(), mixed); },
               {"crosstalk"});
  expect_error([&] { mix_neighbours(w, 1.5f, mixed); }, {"crosstalk"});
  expect_error([&] { mix_neighbours(w, 0.1f, w); }, {"overlap"});
  CHECK(is_poison(mixed(0, 0)));
  CHECK(w(1, 1) == 1.0f);
}
