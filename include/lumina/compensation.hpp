// Drift compensation: devices lose conductance, and the digital side makes up for it by what a
// read-out of the arrays says.
//
//   std::vector<float> reference(weights.tiles()), now(weights.tiles());
//   chip.at(0.0, weights);
//   read_out(weights, dac, array(noise, adc), Compensation::per_tile, reference, key);
//   …
//   chip.at(86400.0, weights);
//   read_out(weights, dac, array(noise, adc), Compensation::per_tile, now, later_key);
//   compensate(weights, reference, now);   // scales times reference / now
//
// The state of a chip is what its reference says: a float for each array, or for each output of
// one. (V. Joshi et al., Nature Communications 11, 2473 (2020), "global drift compensation";
// aihwkit's GlobalDriftCompensation, which has one factor for all columns of an array.)
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <tuple>

#include "analog_gemm.hpp"
#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/simd/vectors.hpp"
#include "epilogue.hpp"
#include "executor.hpp"
#include "matrix.hpp"
#include "stage.hpp"
#include "tiled_weights.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// What has a factor of its own.
enum class Compensation {
  per_tile,    ///< each array of those along the inputs
  per_column,  ///< each output of an array
};

namespace detail {

/// Rows of a read-out that are made at a time.
inline constexpr std::size_t kReadOutRows = 32;

/// The last stage of arrays: keeps what they yield, [row, tile, column].
struct KeepArrayOutputs {
  float* outputs;
  std::size_t tiles, columns;

  template <class Floats>
  Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
               const std::array<Floats, 0>&) const {
    float* const to = outputs + (at.row * tiles + at.tile) * columns + at.column;
    if (active.count >= Floats::size) {
      values.store_unaligned(to);
    } else {
      store_first(values, to, active.count);
    }
    return values;
  }
  template <class Floats>
  Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

/// The same DAC, and what x̂ = 1 stands for; a row of a read-out is not repeated.
template <AnyQuantizer Dac>
const Dac& read_out_dac(const Dac& dac) {
  return dac;
}
inline ManagedDac read_out_dac(ManagedDac dac) {
  dac.bound_iterations = 0;
  return dac;
}
template <IdealDac Dac>
auto read_out_dac(const StochasticDac<Dac>& random) {
  return StochasticDac(Dac(read_out_dac(random.dac)));
}
template <class Dac>
auto read_out_dac(const NoisyDac<Dac>& random) {
  return NoisyDac(Dac(read_out_dac(random.dac)), random.stddev);
}
inline float full_input(const UniformQuantizer& dac) {
  return std::max(std::fabs(dac.lo()), std::fabs(dac.hi()));
}
inline float full_input(const ManagedDac& dac) { return dac.range; }
template <RandomDac Dac>
float full_input(const Dac& random) {
  return full_input(ideal_dac(random));
}

template <int Bits>
std::size_t compensated(const TiledWeights<Bits>& weights, Compensation how) {
  return weights.tiles() * (how == Compensation::per_tile ? 1 : weights.rows());
}

inline bool report_sizes(const char* call, std::size_t given, std::size_t wanted) {
  report_error((Message() << "lumina::" << call << ": there are " << given
                          << " means; these weights and this compensation have " << wanted)
                   .c_str());
  return false;
}

}  // namespace detail

/// The mean of |ŷ| behind noise and ADC, for each array or each output of one: over its unit
/// vectors, x̂ = 1 at one input, 0 at the others. Array t is read out by row k for its input k, with
/// the noise that analog_gemm gives row k. `means`: [tiles], or [tiles, out]. Sums in double, over
/// ascending inputs, then outputs.
/// Errors, nothing is written then and the result is false: another number of means; those of
/// analog_gemm.
template <int Bits, ArrayDac Dac, class... InArray, class Executor = Serial>
bool read_out(const TiledWeights<Bits>& weights, const Dac& dac,
              const ArrayStages<InArray...>& in_array, Compensation how, std::span<float> means,
              const NoiseKey& key, const Executor& executor = {}) {
  using namespace detail;
  const std::size_t tiles = weights.tiles(), outputs = weights.rows();
  if (means.size() != compensated(weights, how)) {
    return report_sizes("read_out", means.size(), compensated(weights, how));
  }
  std::size_t rows = 0;
  for (std::size_t tile = 0; tile < tiles; ++tile) {
    rows = std::max(rows, weights.input_count(tile));
  }
  Matrix<float> x(kReadOutRows, weights.cols()), y(kReadOutRows, outputs);
  Matrix<float> kept(kReadOutRows, tiles * outputs);
  Matrix<double> sums(tiles, outputs);
  const auto stages = std::apply(
      [&](const auto&... stage) {
        return array(stage..., KeepArrayOutputs{kept.view().data(), tiles, outputs});
      },
      in_array.stages.stages());
  for (std::size_t first = 0; first < rows; first += kReadOutRows) {
    const std::size_t count = std::min(kReadOutRows, rows - first);
    // A unit vector for each array in each row, as far as it has inputs.
    const auto for_each_unit = [&](auto f) {
      for (std::size_t row = 0; row < count; ++row) {
        for (std::size_t tile = 0; tile < tiles; ++tile) {
          if (first + row < weights.input_count(tile)) f(row, tile);
        }
      }
    };
    const auto set_units = [&](float value) {
      for_each_unit([&](std::size_t row, std::size_t tile) {
        x(row, weights.first_input(tile) + first + row) = value;
      });
    };
    set_units(full_input(dac));
    NoiseKey shifted = key;
    shifted.row_offset += first;
    const MatrixView<const float> inputs(x.view().data(), count, weights.cols());
    if (!analog_gemm(inputs, read_out_dac(dac), weights, stages, digital(),
                     MatrixView<float>(y.view().data(), count, outputs), shifted, executor)) {
      return false;
    }
    set_units(0.0f);
    for_each_unit([&](std::size_t row, std::size_t tile) {
      const float* const own = kept.view().row(row) + tile * outputs;
      for (std::size_t column = 0; column < outputs; ++column) {
        sums(tile, column) += static_cast<double>(std::fabs(own[column]));
      }
    });
  }
  for (std::size_t tile = 0; tile < tiles; ++tile) {
    const auto inputs = static_cast<double>(std::max<std::size_t>(weights.input_count(tile), 1));
    double of_tile = 0.0;
    for (std::size_t column = 0; column < outputs; ++column) {
      const double sum = sums(tile, column);
      of_tile += sum;
      if (how == Compensation::per_column) {
        means[tile * outputs + column] = static_cast<float>(sum / inputs);
      }
    }
    if (how == Compensation::per_tile) {
      const auto all = inputs * static_cast<double>(std::max<std::size_t>(outputs, 1));
      means[tile] = static_cast<float>(of_tile / all);
    }
  }
  return true;
}

/// α = reference / now; 1 where nothing can be said, as a read-out is 0 or no number.
inline float compensation_factor(float reference, float now) {
  const float factor = reference / now;
  return factor > 0.0f && factor <= std::numeric_limits<float>::max() ? factor : 1.0f;
}

/// Multiplies what fully-on devices stand for by α: digital, and so free in each call. Of weights
/// as they were programmed or looked at: compensated twice is compensated twice. [tiles] means
/// compensate arrays, [tiles, out] outputs of arrays.
/// Errors, `weights` are as before then and the result is false: other numbers of means.
template <int Bits>
bool compensate(TiledWeights<Bits>& weights, std::span<const float> reference,
                std::span<const float> now) {
  using namespace detail;
  const std::size_t tiles = weights.tiles(), outputs = weights.rows();
  const bool per_tile = reference.size() == tiles;
  const std::size_t wanted =
      compensated(weights, per_tile ? Compensation::per_tile : Compensation::per_column);
  if (reference.size() != wanted) return report_sizes("compensate", reference.size(), wanted);
  if (now.size() != wanted) return report_sizes("compensate", now.size(), wanted);
  for (std::size_t tile = 0; tile < tiles; ++tile) {
    for (std::size_t column = 0; column < outputs; ++column) {
      const std::size_t mean = per_tile ? tile : tile * outputs + column;
      weights.multiply_scale(tile, column, compensation_factor(reference[mean], now[mean]));
    }
  }
  return true;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
