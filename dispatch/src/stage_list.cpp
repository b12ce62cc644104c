// Compiled once for each instruction set, as unit.cpp is.
#include "stage_list.hpp"

#include <stdexcept>

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {
namespace {

using dispatch::StageSpec;
using Kind = StageSpec::Kind;

/// f(the noise), or f(it and an additive one, merged).
template <class Noise, class F>
void with_noise(const Noise& noise, const StageSpec& spec, const F& f) {
  if (spec.merged_stddev == 0.0f) {
    f(noise);
  } else {
    f(independent(noise, GaussianNoise{spec.merged_stddev}));
  }
}

/// f(the source of columns' own numbers).
template <class F>
void with_columns(const StageSpec& spec, std::size_t cols, const F& f) {
  if (spec.columns.empty()) {
    f(Mismatch{spec.strength, spec.chip, spec.draw});
  } else {
    const std::size_t count = spec.columns.size();
    const bool whole = cols != 0 && count % cols == 0;
    const MatrixView<const float> values(spec.columns.data(), whole ? count / cols : 1,
                                         whole ? cols : count);
    f(ColumnVectors{values});
  }
}

/// f(the stage that a specification means, for so many columns).
template <class F>
void with_stage(const StageSpec& spec, std::size_t cols, const F& f) {
  switch (spec.kind) {
    case Kind::bias:
      return f(AddBias{spec.columns});
    case Kind::relu:
      return f(Relu{});
    case Kind::attenuation:
      return f(Attenuation{spec.strength});
    case Kind::gaussian_noise:
      return f(GaussianNoise{spec.strength});
    case Kind::shot_noise:
      return f(ShotNoise{spec.strength});
    case Kind::shot_noise_with_derivative:
      return f(ShotNoiseWithDerivative{spec.strength});
    case Kind::quantizer:
      return f(RuntimeQuantizer::of(spec.converter));
    case Kind::read_noise:
      return with_noise(ReadNoise(spec.strength), spec, f);
    case Kind::proportional_read_noise:
      return with_noise(ProportionalReadNoise(spec.strength), spec, f);
    case Kind::constant_read_noise:
      return with_noise(ConstantReadNoise(spec.strength), spec, f);
    case Kind::balanced_shot_noise:
      return with_noise(BalancedShotNoise(spec.strength), spec, f);
    case Kind::intensity_noise:
      return f(IntensityNoise{spec.strength});
    case Kind::column_gain:
      return with_columns(spec, cols, [&](const auto& source) { f(ColumnGain(source)); });
    case Kind::column_offset:
      return with_columns(spec, cols, [&](const auto& source) { f(ColumnOffset(source)); });
    case Kind::column_asymmetry:
      return with_columns(spec, cols, [&](const auto& source) { f(ColumnAsymmetry(source)); });
    case Kind::output_nonlinearity:
      return with_columns(spec, cols, [&](const auto& source) {
        f(OutputNonlinearity(source, spec.mean, spec.factors));
      });
  }
  throw std::invalid_argument("there is no such kind of stage");
}

}  // namespace

StageList list_of(std::span<const StageSpec> specs, const char* where, std::size_t rows,
                  std::size_t cols, dispatch::StagePlace& place) {
  StageList stages;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    place = {where, i};
    with_stage(specs[i], cols, [&](const auto& stage) {
      // What nobody makes here the call reports.
      constexpr unsigned kAll = Sums::magnitudes | Sums::squared_inputs | Sums::squares;
      if (StageListWith<kAll, true>(StageList(stage)).valid_for(rows, cols)) stages.add(stage);
    });
  }
  place = {};
  return stages;
}

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
