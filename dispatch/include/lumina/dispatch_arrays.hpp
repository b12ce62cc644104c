// Weights on arrays whose cells, chips and convolutions are chosen at run time; a part of
// lumina/dispatch.hpp, which includes it.
//
//   const ld::CellSpec pcm{.kind = ld::CellSpec::Kind::pcm, .g_max = 25.0f};
//   const ld::Weights held = ld::encode_arrays({w, out, in, in},
//       {.cell = &pcm, .chip = {seed, layer}, .at_time = true, .seconds = 86400.0});
//
// They are weights for calls with `array_stages` and `digital_stages` (Call), or ConvolutionCalls.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <lumina/border.hpp>

namespace lumina::dispatch {

/// A cell of cells.hpp; conductances in µS.
struct CellSpec {
  enum class Kind { pcm, pcm_joshi2020, polynomial };
  Kind kind = Kind::pcm;
  float g_max = 25.0f;
  std::array<float, 5> coefficients = {};  ///< a PolynomialCell's
  // StuckAt, where one of the probabilities is not 0.
  float p_off = 0.0f, p_on = 0.0f;
  float stuck_off = 0.0f, stuck_on = 0.0f;  ///< what stuck devices have
};

/// A noise on weights, of tiled_weight_noise.hpp: relative to what fully-on devices stand for.
struct WeightNoiseSpec {
  enum class Kind { none, additive, multiplicative, polynomial, programming };
  Kind kind = Kind::none;
  float strength = 0.0f;                   ///< stddev of each of them
  std::array<float, 5> coefficients = {};  ///< of a polynomial
  float g_max = 25.0f;                     ///< of programming noise, in µS
  float drop_probability = 0.0f;           ///< DropConnect, behind it

  bool none() const { return kind == Kind::none && drop_probability == 0.0f; }
};

/// How weights get onto arrays.
struct ArrayEncoding {
  Mapping mapping = {};
  int bits = 8;  ///< levels, 2 … 8; with a cell 0: any conductance
  // Programmed (programmed.hpp), where there is a cell.
  const CellSpec* cell = nullptr;
  Cells cells = {};
  Wires wires = {};
  NoiseKey chip = {};
  bool at_time = false;  ///< `seconds` after programming; otherwise just programmed
  double seconds = 0.0;
  // Otherwise a noise, where there is one.
  WeightNoiseSpec noise = {};
  NoiseKey noise_key = {};
};

/// lumina::Convolution: sizes are depth, height, width.
struct ConvolutionShape {
  std::size_t channels = 0, outputs = 0;
  std::array<std::size_t, 3> kernel = {1, 1, 1}, stride = {1, 1, 1}, padding = {0, 0, 0},
                             dilation = {1, 1, 1};
  std::size_t groups = 1;
};

/// lumina::ImageView.
template <class T>
struct ImageMemory {
  T* data = nullptr;
  std::size_t batch = 0, channels = 0;
  std::array<std::size_t, 3> size = {1, 1, 1};
  bool channels_last = false;
};

}  // namespace lumina::dispatch
