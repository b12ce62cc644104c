// Floats to bytes, whatever their number: the codes of a DAC, and zeros behind them.
#include <lumina/detail/rows/encoded.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <lumina/detail/isa/native.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

TEST_CASE("Rows of floats become codes, and zeros to the end of a cache line", "[coded_shapes]") {
  Engine engine(1);
  for (const RuntimeQuantizer& dac :
       {RuntimeQuantizer(8, 0.0f, 1.0f), RuntimeQuantizer(8, -0.3f, 0.7f),
        RuntimeQuantizer(1, 0.5f, 2.0f), RuntimeQuantizer::symmetric(8, 1.0f),
        RuntimeQuantizer::symmetric(2, 3.0f)}) {
    for (std::size_t count = 0; count < 64; ++count) {
      // Exactly so many floats: a sanitizer sees an access behind them.
      const std::unique_ptr<float[]> x(new float[count]);
      for (std::size_t i = 0; i < count; ++i) {
        x[i] = integer(engine, 0, 9) == 0 ? any_float(engine) : uniform(engine, -1.2f, 1.2f);
      }
      std::vector<std::uint8_t> codes(64 + 1, 0xee);
      detail::encode_last_floats<detail::Native>(dac, x.get(), count, codes.data());
      bool right = codes[64] == 0xee;
      for (std::size_t i = 0; i < 64; ++i) right &= codes[i] == (i < count ? dac.encode(x[i]) : 0);
      CAPTURE(dac.lo(), dac.hi(), dac.is_symmetric(), count);
      REQUIRE(right);
    }
  }
}
