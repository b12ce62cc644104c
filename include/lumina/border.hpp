// Plain structs that mean the same to every translation unit, whatever it is compiled for: what
// programs hand to code for another instruction set, as lumina::dispatch does.
//
// The rest of the library lives in a namespace of its instruction set, for units must not share its
// inline functions (config.hpp). Here is nothing to share but numbers, so this header asks for no
// flag and includes no other one of the library.
#pragma once

// A unit may have this file twice: alone, and in the library as one header.
#if !defined(LUMINA_BORDER_HPP)
#define LUMINA_BORDER_HPP

#include <cstddef>
#include <cstdint>

namespace lumina {

/// Names a noise field: one normal for every (row, column). The same key is the same noise, in
/// every call and program, and so is NoiseKey{}, which calls have where none is given: whoever
/// wants other noise in each call counts `stream` up.
struct NoiseKey {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;      ///< say, the layer or the step: streams are independent.
  std::uint64_t row_offset = 0;  ///< added to each row: where a shard of a batch begins.
};

/// A DAC or an ADC: a Quantizer (quantizer.hpp) of `bits` bits, 1 … 16, over [lo, hi]; 0 bits:
/// none. `symmetric`: a SymmetricQuantizer, for which 0 is exact, of 2 … 16 bits; lo must be −hi
/// then.
struct Converter {
  int bits = 0;
  float lo = 0.0f, hi = 1.0f;
  bool symmetric = false;
};

/// What stands between a dot product s and the ADC:
///   u = gain·s + bias,   v = attenuation·(u + shot_noise·√(|u| / gain)·N₁ + noise·N₂)
/// with independent N₁, N₂ ~ N(0, 1); so without a bias the shot noise is that of s.
struct Readout {
  float gain = 1.0f;         ///< of the signal, before the noise; above 0
  float shot_noise = 0.0f;   ///< σ of σ·√|s|·N₁
  float noise = 0.0f;        ///< σ of the additive noise σ·N₂
  float attenuation = 1.0f;  ///< of signal and noise

  /// Additive noise that every profile has.
  static constexpr float kThermalNoise = 0.005f;

  // What needs more than numbers is a unit's own: functions of hardware_profile.hpp.

  /// That of a HardwareProfile.
  template <class Profile>
  static Readout of(const Profile& profile) {
    return readout_of(profile);
  }
  /// ShotNoise (stages.hpp) of its strength, where it stands behind the gain.
  template <class Self = Readout>
  [[gnu::always_inline]] auto shot_noise_behind_gain() const {
    return shot_noise_behind_gain_of(static_cast<const Self&>(*this));
  }
};

/// Where a matrix lies: `rows` × `cols` elements, row after row, `row_stride` elements apart. Only
/// as a MatrixView (matrix.hpp) is it checked.
template <class T>
struct MatrixMemory {
  T* data;
  std::size_t rows, cols, row_stride;
};

/// How many inputs (rows of a crossbar) and outputs (its columns) an array has at most.
struct TileShape {
  std::size_t inputs = 512, outputs = 512;
};

/// How a matrix that is larger than an array is cut.
enum class TileSplit {
  maximal,  ///< into whole arrays, and one with what is left
  equal,    ///< into as many, all as large as each other, give or take one
};

/// Whose largest magnitude is what a fully-on device stands for.
enum class TileScale {
  per_column,  ///< that of the output's own weights in the array
  per_tile,    ///< that of all weights in the array
};

/// How weights w [out, in] lie on arrays.
struct Mapping {
  TileShape tile = {};
  TileScale scale = TileScale::per_column;
  TileSplit split = TileSplit::maximal;
};

/// Which devices hold a weight (cells/pairs.hpp).
enum class Pair {
  differential,  ///< two, one of them off
  two_sided,     ///< two, on both sides of the middle
  offset,        ///< one, around the middle
};

/// The devices of a weight.
struct Cells {
  Pair pair = Pair::differential;
  float g_min = 0.0f;  ///< what a device has that is off, µS: g_max divided by the on/off ratio

  [[gnu::always_inline]] constexpr std::size_t devices() const {
    return pair == Pair::offset ? 1 : 2;
  }
};

/// The resistance of a segment of wire, from one device to the next one, in ohm; 0: none
/// (wires.hpp).
struct Wires {
  float row_ohm = 0.0f;     ///< of the inputs' wires
  float column_ohm = 0.0f;  ///< of the outputs' wires

  [[gnu::always_inline]] constexpr bool ideal() const {
    return row_ohm == 0.0f && column_ohm == 0.0f;
  }
};

/// How digits of inputs, which have no sign, come to those that have one.
enum class InputSigns {
  pulses,      ///< pulses of both polarities: a digit has the sign of its input
  two_passes,  ///< positive inputs by themselves, then negative ones, whose outputs are subtracted
};

/// How weights and inputs of many bits are cut into digits of few. Each slice of the weights has
/// arrays of its own and takes each plane of the inputs by itself, with a noise and a conversion of
/// its own; what these yield is shifted and added digitally (analog_slices.hpp).
struct Slices {
  int cell_bits = 2;   ///< of a weight's magnitude in each cell, 1 … 7; weights have signs
  int input_bits = 1;  ///< of an input in each plane, 1 … 8; 0: all of them at once
  InputSigns signs = InputSigns::pulses;
  int count = 0;  ///< how many slices that makes; 0: as many as it takes
};

/// How the range r of an array's DAC is chosen for a row of inputs, what x̂ = x / r = 1 stands for.
enum class NoiseManagement {
  none,     ///< as given
  abs_max,  ///< max |x| over the array's inputs; as given where that is 0 or no finite number
};

/// A symmetric DAC of 2 … 8 bits in front of arrays, whose range a row of inputs may choose.
struct ManagedDac {
  int bits = 8;
  float range = 1.0f;  ///< r, above 0
  NoiseManagement noise_management = NoiseManagement::none;
  /// Bound management: a row that an array's ADC has clipped is computed again with r twice as
  /// large and noise of its own, until no ADC clips, but not more often than this.
  int bound_iterations = 0;
};

}  // namespace lumina

#endif
