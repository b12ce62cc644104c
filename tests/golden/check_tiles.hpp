// A layer on arrays.
#pragma once

#include <cstddef>
#include <cstdint>

#include <lumina/analog_gemm.hpp>
#include <lumina/read_noise.hpp>

#include "bits.hpp"
#include "operands.hpp"
#include "tile_vectors.hpp"

namespace golden {

/// Memory for it.
struct TiledWorkspace {
  float x[kTiledBatch * kTiledIn], y[kTiledBatch * kTiledOut], bias[kTiledOut];
};

/// `weights`: TiledWeights<4> of w, or a view of the oracle's words.
template <class Report, class Weights>
void check_tiles(Report&& report, TiledWorkspace& memory, const Weights& weights) {
  using namespace lumina;
  fill_units(kTiledX, kTiledBatch, kTiledIn, memory.x);
  fill_units(kTiledBias, 1, kTiledOut, memory.bias);
  const MatrixView<const float> x(memory.x, kTiledBatch, kTiledIn);
  const MatrixView<float> y(memory.y, kTiledBatch, kTiledOut);
  analog_gemm(x, lumina::SymmetricQuantizer<8>(kTiledDac), weights,
              lumina::array(ReadNoise(kTiledRead), GaussianNoise{kTiledAdditive},
                    lumina::SymmetricQuantizer<kTiledAdcBits>(kTiledAdc)),
              digital(AddBias{memory.bias}), y, {kTiledKey[0], kTiledKey[1], kTiledKey[2]});
  for (std::size_t i = 0; i < kTiledBatch * kTiledOut; ++i) {
    report("a layer on arrays", i, kTiledOutputs[i], bits_of(memory.y[i]));
  }
}

}  // namespace golden
