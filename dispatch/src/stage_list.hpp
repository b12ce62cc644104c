// The stages of a dispatched call as a list of the library's own stages.
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>

#include <lumina/dispatch.hpp>
#include <lumina/lumina.hpp>

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {

/// f(the stage that a specification means).
template <class F>
void with_stage(const dispatch::StageSpec& spec, const F& f) {
  using Kind = dispatch::StageSpec::Kind;
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
    case Kind::read_noise:
      return f(ReadNoise(spec.strength));
    case Kind::proportional_read_noise:
      return f(ProportionalReadNoise(spec.strength));
    case Kind::constant_read_noise:
      return f(ConstantReadNoise(spec.strength));
    case Kind::balanced_shot_noise:
      return f(BalancedShotNoise(spec.strength));
    case Kind::intensity_noise:
      return f(IntensityNoise{spec.strength});
    case Kind::quantizer:
      return f(RuntimeQuantizer::of(spec.converter));
  }
  detail::report_error("this kind of stage is unknown");
}

/// The list for outputs [rows, cols]. Errors: those of the stages, of sums that `where` has not,
/// and too many; they say the stage's number, and `where` it stands.
inline StageList list_of(std::span<const dispatch::StageSpec> specs, const char* where,
                         std::size_t rows, std::size_t cols) {
  StageList stages;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    // (No std::string: units of different instruction sets would share its code.)
    try {
      with_stage(specs[i], [&](const auto& stage) {
        if (detail::stage_valid_for(stage, rows, cols)) stages.add(stage);
      });
    } catch (const std::exception& error) {
      detail::report_error(
          (detail::Message() << "lumina::dispatch: " << where << "[" << i << "]: " << error.what())
              .c_str());
    }
  }
  return stages;
}

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
