// A layer on arrays of sliced weights. (These allocate.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <lumina/analog_slices.hpp>

#include "bits.hpp"
#include "operands.hpp"
#include "slice_vectors.hpp"

namespace golden {

template <class Report>
void check_slices(Report&& report) {
  using namespace lumina;
  std::vector<float> own_x(kSlicedBatch * kSlicedIn), own_w(kSlicedOut * kSlicedIn);
  fill_units(kSlicedX, kSlicedBatch, kSlicedIn, own_x.data());
  fill_weights(kSlicedW, kSlicedOut, kSlicedIn, own_w.data());
  const MatrixView<const float> x(own_x.data(), kSlicedBatch, kSlicedIn),
      w(own_w.data(), kSlicedOut, kSlicedIn);
  Matrix<float> y(kSlicedBatch, kSlicedOut);
  SlicedWeights<8> weights;
  const auto check = [&](InputSigns signs, const std::uint32_t* expected) {
    encode_slices(w, {{kSlicedTile, kSlicedOut}},
                  {.cell_bits = kCellBits, .input_bits = kInputBits, .signs = signs}, weights);
    analog_gemm(x, lumina::SymmetricQuantizer<kSlicedDacBits>(kSlicedDac), weights,
                lumina::array(GaussianNoise{kSlicedAdditive},
                              lumina::SymmetricQuantizer<kSlicedAdcBits>(kSlicedAdc)),
                digital(), y, {kSlicedKey[0], kSlicedKey[1], kSlicedKey[2]});
    for (std::size_t i = 0; i < y.elements().size(); ++i) {
      report("sliced weights", i, expected[i], bits_of(y.elements()[i]));
    }
  };
  check(InputSigns::pulses, kSlicedByPulses);
  check(InputSigns::two_passes, kSlicedByPasses);
}

}  // namespace golden
