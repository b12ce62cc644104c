// A layer on arrays, weights of 4 bits: the oracle's numbers, from flash. A program of its own,
// which shows how much code arrays are.
#include <cstddef>

#include <lumina/analog_gemm.hpp>

#include "golden/check_tiles.hpp"

#include "findings.hpp"

namespace {

golden::TiledWorkspace memory;

/// The oracle's words where they lie; for machines that read on behind them, or want more sums,
/// weights of their own.
auto weights() {
  using namespace lumina;
  const Mapping mapping{{golden::kTileInputs, golden::kTiledOut}};
  if constexpr (detail::Native::words_behind == 0 && detail::Native::Codes::input_bias == 0) {
    return TiledWeightsView<4>(golden::kTiledOut, golden::kTiledIn, mapping, golden::kTiledWords,
                               golden::kTiledScales, golden::kTiledCodeSums);
  } else {
    static float w[golden::kTiledOut * golden::kTiledIn];
    golden::fill_weights(golden::kTiledW, golden::kTiledOut, golden::kTiledIn, w);
    return encode_tiles<4>(MatrixView<const float>(w, golden::kTiledOut, golden::kTiledIn),
                           mapping);
  }
}

}  // namespace

int main() {
  return findings::passes("arrays", [](auto& f) { golden::check_tiles(f, memory, weights()); }) ? 0
                                                                                                : 1;
}
