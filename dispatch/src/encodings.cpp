// Weights on arrays of cells, or with noise: compiled once for each instruction set, as unit.cpp
// is, which calls it.
#include <array>
#include <optional>
#include <span>
#include <stdexcept>

#include <lumina/lumina.hpp>

#include "arrays.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {
namespace {

using dispatch::ArrayEncoding;
using dispatch::CellSpec;
using dispatch::ConvolutionShape;
using dispatch::WeightNoiseSpec;

/// f(the cell), of which devices may be stuck.
template <class Cell, class F>
void with_stuck(const Cell& cell, const CellSpec& spec, const F& f) {
  if (spec.p_off == 0.0f && spec.p_on == 0.0f) {
    f(cell);
  } else {
    f(StuckAt<Cell>{cell, spec.p_off, spec.p_on, spec.stuck_off, spec.stuck_on});
  }
}
template <class F>
void with_cell(const CellSpec& spec, const F& f) {
  switch (spec.kind) {
    case CellSpec::Kind::pcm: {
      Pcm cell;
      cell.g_max = spec.g_max;
      return with_stuck(cell, spec, f);
    }
    case CellSpec::Kind::pcm_joshi2020: {
      PcmJoshi2020 cell;
      cell.g_max = spec.g_max;
      return with_stuck(cell, spec, f);
    }
    case CellSpec::Kind::polynomial: {
      PolynomialCell cell;
      for (std::size_t i = 0; i < 5; ++i) cell.coefficients[i] = spec.coefficients[i];
      cell.g_max = spec.g_max;
      return with_stuck(cell, spec, f);
    }
  }
  throw std::invalid_argument("lumina::dispatch: there is no such cell");
}

/// f(the noise).
template <class F>
void with_noise(const WeightNoiseSpec& spec, const F& f) {
  const DropConnect drop{spec.drop_probability};
  const auto and_drop = [&](const auto& noise) {
    if (spec.drop_probability == 0.0f) {
      f(noise);
    } else {
      f(both(noise, drop));
    }
  };
  switch (spec.kind) {
    case WeightNoiseSpec::Kind::none:
      return f(drop);
    case WeightNoiseSpec::Kind::additive:
      return and_drop(AdditiveWeightNoise{spec.strength});
    case WeightNoiseSpec::Kind::multiplicative:
      return and_drop(MultiplicativeWeightNoise{spec.strength});
    case WeightNoiseSpec::Kind::polynomial:
      return and_drop(PolynomialWeightNoise{spec.strength, spec.coefficients});
    case WeightNoiseSpec::Kind::programming:
      return and_drop(ProgrammingWeightNoise{spec.strength, spec.coefficients, spec.g_max});
  }
  throw std::invalid_argument("lumina::dispatch: there is no such noise of weights");
}

/// The key of a product's rows.
NoiseKey key_of(NoiseKey key, std::size_t first_output) {
  key.row_offset += first_output;
  return key;
}

void encode(MatrixView<const float> w, const ArrayEncoding& encoding, std::size_t first_output,
            TiledWeights<8>& tiled) {
  if (encoding.cell != nullptr) {
    const std::optional<double> seconds =
        encoding.at_time ? std::optional<double>(encoding.seconds) : std::nullopt;
    with_cell(*encoding.cell, [&](const auto& cell) {
      Programmed(w, cell, key_of(encoding.chip, first_output), encoding.mapping, encoding.cells,
                 encoding.bits, encoding.wires)
          .at(seconds, tiled);
    });
  } else if (!encoding.noise.none()) {
    with_noise(encoding.noise, [&](const auto& noise) {
      lumina::encode_tiles(w, encoding.mapping, tiled, encoding.bits, noise,
                           key_of(encoding.noise_key, first_output));
    });
  } else {
    lumina::encode_tiles(w, encoding.mapping, tiled, encoding.bits);
  }
}

/// In place, a product's gradient.
void perturb(MatrixView<float> gradient, const ArrayEncoding& encoding, std::size_t first_output) {
  const WeightNoiseSpec& spec = encoding.noise;
  const NoiseKey key = key_of(encoding.noise_key, first_output);
  if (spec.drop_probability != 0.0f) {
    lumina::perturb_gradient(gradient, encoding.mapping, DropConnect{spec.drop_probability}, key,
                             spec.kind == WeightNoiseSpec::Kind::none ? 0 : 1);
  }
  if (spec.kind == WeightNoiseSpec::Kind::multiplicative) {
    lumina::perturb_gradient(gradient, encoding.mapping, MultiplicativeWeightNoise{spec.strength},
                             key);
  }
}

}  // namespace

void encode_arrays(MatrixView<const float> w, const ArrayEncoding& encoding,
                   const ConvolutionShape* shape, Packed& packed) {
  packed.form = Packed::Form::tiles8;
  const auto make = [&](MatrixView<const float> matrix, std::size_t first_output) {
    TiledWeights<8> tiled;
    encode(matrix, encoding, first_output, tiled);
    return tiled;
  };
  if (shape == nullptr) {
    packed.tiles8.push_back(make(w, 0));
  } else {
    packed.tiles8 = convolution_weights(w, convolution_of(*shape), make);
  }
}

void perturb_gradient(MatrixView<float> gradient, const ArrayEncoding& encoding,
                      const ConvolutionShape* shape) {
  if (shape == nullptr) return perturb(gradient, encoding, 0);
  const Convolution convolution = convolution_of(*shape);
  const std::size_t taps = convolution.taps(), in_group = convolution.channels / convolution.groups,
                    of_group = convolution.outputs / convolution.groups;
  for (std::size_t i = 0; i < convolution.products(); ++i) {
    const Convolution::Product product = convolution.product(i);
    Matrix<float> own = filter_matrix(MatrixView<const float>(gradient), convolution, i);
    perturb(own, encoding, product.first_output);
    for (std::size_t row = 0; row < own.rows(); ++row) {
      const std::size_t output = product.first_output + row;
      const std::size_t first = output / of_group * in_group - product.first_channel;
      for (std::size_t channel = 0; channel < in_group; ++channel) {
        for (std::size_t tap = 0; tap < taps; ++tap) {
          gradient(output, channel * taps + tap) =
              own(row, tap * product.channels + first + channel);
        }
      }
    }
  }
}

void conductances(const CellSpec& spec, std::span<const float> targets, std::span<float> result,
                  const double* seconds, const NoiseKey& key) {
  const std::optional<double> time =
      seconds != nullptr ? std::optional<double>(*seconds) : std::nullopt;
  with_cell(spec,
            [&](const auto& cell) { lumina::conductances(cell, targets, result, time, key); });
}

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
