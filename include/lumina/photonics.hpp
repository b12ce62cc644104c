// Photonic weights: what meshes of interferometers, micro-rings and modulators of a chip make of w
// [out, in]. All of it happens while weights are programmed; the results are weights of floats for
// encode_weights and encode_tiles, so a call costs what it always does. A chip is a key: shifters
// deviate by pure functions of (key, unit, shifter).
//
//   mzi_weights, complex_mzi_weights    W = U·Σ·V* on meshes           photonics/mzi_weights.hpp
//   transmission_weights                MicroRing, IntensityModulator  photonics/transmissions.hpp
//   mix_channels, lorentzian_crosstalk  wavelengths on one bus         photonics/wavelengths.hpp
//   detect                              |z|², |z| of amplitudes        photonics/detection.hpp
//
// Gradients are straight through: those by the results are taken for those by w.
//
// The bits are the same on every machine with IEEE doubles: no function of the C library but sqrt
// is used, and no product is contracted into an FMA. There is no faster path beside these loops, so
// they are their own reference.
#pragma once

#include "photonics/detection.hpp"
#include "photonics/mzi_weights.hpp"
#include "photonics/phase_shifters.hpp"
#include "photonics/singular_values.hpp"
#include "photonics/transmissions.hpp"
#include "photonics/unitary_mesh.hpp"
#include "photonics/wavelengths.hpp"
