// Compiled once for each instruction set: the table of its functions (unit.hpp). All code lies in
// the namespace of the instruction set.
#include "unit.hpp"

#include <algorithm>
#include <string_view>
#include <type_traits>

#include <lumina/lumina.hpp>

#include "arrays.hpp"
#include "packed.hpp"
#include "products.hpp"
#include "readout.hpp"
#include "stage_list.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace unit {

using dispatch::Call;
using dispatch::GradientViews;
using dispatch::PackedTag;
using dispatch::RecordTag;
using dispatch::RngTag;
using dispatch::WeightKind;
using dispatch::WorkspaceTag;

// The objects behind the tags, which the other side only passes on.
Packed* object(PackedTag* tag) { return reinterpret_cast<Packed*>(tag); }
const Packed* object(const PackedTag* tag) { return reinterpret_cast<const Packed*>(tag); }
ForwardRecord* object(RecordTag* tag) { return reinterpret_cast<ForwardRecord*>(tag); }
const ForwardRecord* object(const RecordTag* tag) {
  return reinterpret_cast<const ForwardRecord*>(tag);
}
ConvolutionBackwardWorkspace* object(WorkspaceTag* tag) {
  return reinterpret_cast<ConvolutionBackwardWorkspace*>(tag);
}
FastRng* object(RngTag* tag) { return reinterpret_cast<FastRng*>(tag); }

// --- Weights -------------------------------------------------------------------------------------

PackedTag* owned(Packed&& packed) {
  return reinterpret_cast<PackedTag*>(new Packed(static_cast<Packed&&>(packed)));
}
PackedTag* pack(const MatrixMemory<const float>& view, WeightKind kind, int bits,
                const Mapping& mapping) {
  const MatrixView<const float> w(view);
  Packed packed;
  switch (kind) {
    case WeightKind::floats:
      pack_weights(w, packed.floats);
      break;
    case WeightKind::borrowed:
      packed.form = Packed::Form::borrowed;
      packed.borrowed = w;
      break;
    case WeightKind::quantized:
      pack_quantized_weights(w, packed.floats, bits);
      break;
    case WeightKind::complex_pairs:
      packed.floats = pack_complex_weights(w);
      break;
    case WeightKind::codes:
      if (bits == 2) {
        packed.form = Packed::Form::codes2;
        encode_weights(w, packed.codes2, bits);
      } else if (bits == 3 || bits == 4) {
        packed.form = Packed::Form::codes4;
        encode_weights(w, packed.codes4, bits);
      } else {
        packed.form = Packed::Form::codes8;
        encode_weights(w, packed.codes8, bits);
      }
      break;
    case WeightKind::tiles:
      if (bits == 2) {
        packed.form = Packed::Form::tiles2;
        encode_tiles(w, mapping, packed.tiles2, bits);
      } else if (bits == 3 || bits == 4) {
        packed.form = Packed::Form::tiles4;
        encode_tiles(w, mapping, packed.tiles4, bits);
      } else {
        packed.form = Packed::Form::tiles8;
        encode_tiles(w, mapping, packed.tiles8.emplace_back(), bits);
      }
  }
  return owned(static_cast<Packed&&>(packed));
}
PackedTag* encode_arrays(const MatrixMemory<const float>& w,
                         const dispatch::ArrayEncoding& encoding,
                         const dispatch::ConvolutionShape* shape) {
  Packed packed;
  encode_arrays(MatrixView<const float>(w), encoding, shape, packed);
  return owned(static_cast<Packed&&>(packed));
}
void delete_packed(PackedTag* tag) { delete object(tag); }

/// f of each of a convolution's products, or of the only weights there are.
template <class F>
void for_each_tiled(const Packed& packed, const F& f) {
  if (packed.form != Packed::Form::tiles8) return with_tiles(packed, f);
  for (const TiledWeights<8>& product : packed.tiles8) f(product);
}
void codes(const PackedTag* tag, std::int8_t* to) {
  const auto copy = [&to](const auto& weights) {
    for (std::size_t row = 0; row < weights.rows(); ++row) {
      for (std::size_t col = 0; col < weights.cols(); ++col) {
        *to++ = static_cast<std::int8_t>(weights.code(row, col));
      }
    }
  };
  const Packed& packed = *object(tag);
  if (packed.tiled()) {
    for_each_tiled(packed, copy);
  } else {
    with_codes(packed, copy);
  }
}
std::size_t code_count(const PackedTag* tag) {
  std::size_t count = 0;
  for_each_tiled(*object(tag),
                 [&](const auto& weights) { count += weights.rows() * weights.cols(); });
  return count;
}
float code_value(const PackedTag* tag) {
  return with_tiles(*object(tag), [](const auto& weights) { return weights.code_value(); });
}
std::size_t tiles(const PackedTag* tag) {
  std::size_t most = 0;
  for_each_tiled(*object(tag), [&](const auto& weights) {
    if (weights.tiles() > most) most = weights.tiles();
  });
  return most;
}
void scales(const PackedTag* tag, float* to) {
  const Packed& packed = *object(tag);
  if (packed.tiled()) {
    std::size_t outputs = 0, first = 0;
    for_each_tiled(packed, [&](const auto& weights) { outputs += weights.rows(); });
    std::fill_n(to, tiles(tag) * outputs, 0.0f);
    for_each_tiled(packed, [&](const auto& weights) {
      for (std::size_t tile = 0; tile < weights.tiles(); ++tile) {
        for (std::size_t row = 0; row < weights.rows(); ++row) {
          to[tile * outputs + first + row] = weights.scales(tile)[row];
        }
      }
      first += weights.rows();
    });
  } else {
    with_codes(packed, [to](const auto& weights) {
      for (std::size_t row = 0; row < weights.rows(); ++row) to[row] = weights.scales()[row];
    });
  }
}
void multiply_scales(PackedTag* tag, const float* factors) {
  Packed& packed = *object(tag);
  const auto multiply = [&](auto& weights, std::size_t outputs, std::size_t first) {
    for (std::size_t tile = 0; tile < weights.tiles(); ++tile) {
      for (std::size_t row = 0; row < weights.rows(); ++row) {
        weights.multiply_scale(tile, row, factors[tile * outputs + first + row]);
      }
    }
  };
  if (packed.form == Packed::Form::tiles2) {
    multiply(packed.tiles2, packed.tiles2.rows(), 0);
  } else if (packed.form == Packed::Form::tiles4) {
    multiply(packed.tiles4, packed.tiles4.rows(), 0);
  } else {
    std::size_t outputs = 0, first = 0;
    for (const TiledWeights<8>& product : packed.tiles8) outputs += product.rows();
    for (TiledWeights<8>& product : packed.tiles8) {
      multiply(product, outputs, first);
      first += product.rows();
    }
  }
}

void values(const PackedTag* tag, float* to) {
  const PackedWeights& weights = object(tag)->floats;
  for (std::size_t row = 0; row < weights.rows() && weights.cols() != 0; ++row) {
    for (std::size_t k = 0; k < weights.cols(); ++k) {
      to[row * weights.cols() + k] = weights.value(row, k);
    }
  }
}

// --- Calls ---------------------------------------------------------------------------------------

/// Of no use where the call has none.
RuntimeQuantizer adc_of(const Call& call) {
  return call.adc.bits != 0 ? RuntimeQuantizer::of(call.adc) : RuntimeQuantizer(1, 0.0f, 1.0f);
}

/// The call with this epilogue, on the engine that fits its weights and DAC. Whether it ran.
template <class EpilogueT>
bool run_engine(const Call& call, const Packed& packed, const EpilogueT& stages,
                const PassObservers& observers) {
  const MatrixView<const float> x(call.x);
  const MatrixView<float> y(call.y);
  const AnyExecutor executor = any_executor(call);
  const auto with_dac = [&](const auto& weights) {
    return forward(forward_pass(x, RuntimeQuantizer::of(call.dac), weights, stages, call.key), y,
                   observers, executor);
  };
  const auto with_floats = [&](const auto& weights) {
    using Pass = ForwardPass<float, NoDac, std::remove_cvref_t<decltype(weights)>, EpilogueT>;
    return call.dac.bits != 0
               ? with_dac(weights)
               : forward(Pass{x, {}, weights, stages, call.key}, y, observers, executor);
  };
  if (packed.coded()) return with_codes(packed, with_dac);
  return packed.form == Packed::Form::borrowed ? with_floats(packed.borrowed)
                                               : with_floats(packed.floats);
}

template <std::size_t Draws>
bool run_with_draws(const Call& call, const Packed& packed, const PassObservers& observers) {
  const Readout& readout = call.readout;
  const ReadoutStage<Draws> stage{{readout.gain},
                                  {readout.attenuation},
                                  readout.shot_noise_behind_gain(),
                                  {readout.noise},
                                  {call.bias}};
  const OptionalAdc adc{adc_of(call), call.adc.bits != 0};
  return run_engine(call, packed, epilogue(stage, adc, OptionalBias{call.output_bias}), observers);
}

float run(const Call& call, const PackedTag* packed_tag, RecordTag* record_tag,
          dispatch::StagePlace& place) {
  const Packed& packed = *object(packed_tag);
  MagnitudeTracker magnitudes;
  const PassObservers observers{record_tag != nullptr ? object(record_tag) : nullptr,
                                call.track ? &magnitudes : nullptr};
  // Whatever is wrong with the call: a record is not that of an earlier one.
  if (observers.record != nullptr) observers.record->resize(0, 0, 0);
  if (packed.tiled()) {
    run_arrays(call, packed, observers.record, place);
    return 0.0f;
  }
  if (!call.stages.empty()) {
    const StageList stages = list_of(call.stages, "stages", call.y.rows, call.y.cols, place);
    PassObservers of_list = observers;
    if (!stages.has_gate()) of_list.magnitudes = nullptr;
    const bool ran = run_engine(call, packed, stages, of_list);
    return ran && of_list.magnitudes != nullptr ? magnitudes.largest() : 0.0f;
  }
  const bool ran = call.readout.shot_noise != 0.0f ? run_with_draws<2>(call, packed, observers)
                   : call.readout.noise != 0.0f    ? run_with_draws<1>(call, packed, observers)
                                                   : run_with_draws<0>(call, packed, observers);
  return ran && call.track ? magnitudes.largest() : 0.0f;
}

Gradients gradients_of(const GradientViews& views, std::size_t outputs) {
  return {views.input,
          views.weights,
          {views.output_bias, views.output_bias != nullptr ? outputs : std::size_t{0}}};
}

template <class EpilogueT>
void backward(const Call& call, const PackedTag* packed_tag,
              const MatrixMemory<const float>& grad_y, const RecordTag* record_tag,
              const GradientViews& views, WorkspaceTag* workspace_tag, const EpilogueT& stages) {
  const Packed& packed = *object(packed_tag);
  const MatrixView<const float> x(call.x), gradient(grad_y);
  BackwardWorkspace& workspace = object(workspace_tag)->products;
  const AnyExecutor executor = any_executor(call);
  const Gradients gradients = gradients_of(views, grad_y.cols);
  const ForwardRecord& record = *object(record_tag);
  if (packed.coded()) {
    with_products(call.gradient_products, [&](const auto& products) {
      with_codes(packed, [&](const auto& weights) {
        lumina::backward(forward_pass(x, RuntimeQuantizer::of(call.dac), weights, stages, call.key),
                         gradient, record, gradients, workspace, products, executor);
      });
    });
  } else if (call.dac.bits != 0) {
    lumina::backward(
        forward_pass(x, RuntimeQuantizer::of(call.dac), packed.floats, stages, call.key), gradient,
        record, gradients, workspace, F32Products{}, executor);
  } else {
    lumina::backward(forward_pass(x, packed.floats, stages, call.key), gradient, record, gradients,
                     workspace, F32Products{}, executor);
  }
}

void backward(const Call& call, const PackedTag* packed, const MatrixMemory<const float>& grad_y,
              const RecordTag* record, const GradientViews& views, WorkspaceTag* workspace,
              dispatch::StagePlace& place) {
  if (object(packed)->tiled()) {
    return backward_through_arrays(call, *object(packed), grad_y, *object(record),
                                   gradients_of(views, grad_y.cols), object(workspace)->products,
                                   place);
  }
  if (!call.stages.empty()) {
    const StageList stages = list_of(call.stages, "stages", grad_y.rows, grad_y.cols, place);
    return backward(call, packed, grad_y, record, views, workspace, stages);
  }
  // Straight through: noise has no part in it. Of the bias only the length is read.
  backward(call, packed, grad_y, record, views, workspace,
           epilogue(Attenuation{call.readout.gain}, Attenuation{call.readout.attenuation},
                    adc_of(call), AddBias{{grad_y.data, grad_y.cols}}));
}

void product_backward(const MatrixMemory<const float>& grad_y, const MatrixMemory<const float>& x,
                      const MatrixMemory<const float>& w, const GradientViews& gradients,
                      WorkspaceTag* workspace, const dispatch::Executor& executor) {
  lumina::product_backward(grad_y, x, w, {gradients.input, gradients.weights, {}},
                           object(workspace)->products, AnyExecutor{executor, executor.threads});
}

void run_convolution(const dispatch::ConvolutionCall& call, const PackedTag* packed,
                     RecordTag* record_tag, dispatch::StagePlace& place) {
  ForwardRecord* const record = record_tag != nullptr ? object(record_tag) : nullptr;
  if (record != nullptr) record->resize(0, 0, 0);
  run_arrays(call, *object(packed), record, place);
}
void backward_convolution(const dispatch::ConvolutionCall& call, const PackedTag* packed,
                          const dispatch::ImageMemory<const float>& grad_y, const RecordTag* record,
                          const dispatch::ConvolutionGradientViews& gradients,
                          WorkspaceTag* workspace, dispatch::StagePlace& place) {
  backward_through_arrays(call, *object(packed), grad_y, *object(record), gradients,
                          *object(workspace), place);
}

bool all_finite(const MatrixMemory<const float>& values) { return lumina::all_finite(values); }

// --- Quantizer and generator ---------------------------------------------------------------------

void quantize(const Converter& converter, float* values, std::size_t count) {
  RuntimeQuantizer::of(converter).apply({values, count});
}
void encode(const Converter& converter, const float* values, std::size_t count,
            std::uint32_t* codes) {
  const RuntimeQuantizer rule = RuntimeQuantizer::of(converter);
  const auto lowest = static_cast<std::uint32_t>(rule.lowest());
  for (std::size_t i = 0; i < count; ++i) codes[i] = rule.encode(values[i]) + lowest;
}
void decode(const Converter& converter, const std::uint32_t* codes, std::size_t count,
            float* values) {
  const RuntimeQuantizer rule = RuntimeQuantizer::of(converter);
  const auto lowest = static_cast<std::uint32_t>(rule.lowest());
  for (std::size_t i = 0; i < count; ++i) values[i] = rule.decode(codes[i] - lowest);
}
float step(const Converter& converter) { return RuntimeQuantizer::of(converter).step(); }
float normal_at(const NoiseKey& key, std::size_t row, std::size_t col) {
  return standard_normal_at(key, row, col);
}

// --- The table -----------------------------------------------------------------------------------

void force([[maybe_unused]] const char* isa) { force_isa(isa); }

template <class Tag, class T>
Tag* make() {
  return reinterpret_cast<Tag*>(new T());
}

static_assert(
    std::string_view(compiled_isas[0]) == LUMINA_DISPATCH_UNIT,
    "lumina::dispatch: the compiler's flags name an instruction set (-march?), which units "
    "must choose themselves");

constexpr dispatch::Unit table = {
    .isas = compiled_isas.data(),
    .isa_count = compiled_isas.size(),
    .force = &force,
    .isa = &isa,
    .pack = &pack,
    .encode_arrays = &encode_arrays,
    .perturb_gradient =
        [](const MatrixMemory<float>& gradient, const dispatch::ArrayEncoding& encoding,
           const dispatch::ConvolutionShape* shape) {
          perturb_gradient(MatrixView<float>(gradient), encoding, shape);
        },
    .conductances =
        [](const dispatch::CellSpec& cell, const float* targets, float* result, std::size_t count,
           const double* seconds, const NoiseKey& key) {
          conductances(cell, {targets, count}, {result, count}, seconds, key);
        },
    .delete_packed = &delete_packed,
    .codes = &codes,
    .scales = &scales,
    .code_count = &code_count,
    .code_value = &code_value,
    .multiply_scales = &multiply_scales,
    .tiles = &tiles,
    .values = &values,
    .mix_neighbours =
        [](const MatrixMemory<const float>& w, float crosstalk, const MatrixMemory<float>& mixed) {
          lumina::mix_neighbours(w, crosstalk, mixed);
        },
    .make_record = &make<RecordTag, ForwardRecord>,
    .filled = [](const RecordTag* tag) { return object(tag)->filled(); },
    .delete_record = [](RecordTag* tag) { delete object(tag); },
    .record_gates = [](const RecordTag* tag) { return object(tag)->gates(); },
    .record_bytes = [](RecordTag* tag) -> MatrixMemory<std::uint8_t> {
      ForwardRecord& record = *object(tag);
      const std::span<std::uint8_t> bytes = record.bytes();
      const std::size_t rows = record.rows(), row = rows != 0 ? bytes.size() / rows : 0;
      const std::size_t used =
          record.gates() == 1 ? record.cols() / 8 + (record.cols() % 8 != 0) : row;
      return {bytes.data(), rows, used, rows != 0 ? row : used};
    },
    .fill_record =
        [](RecordTag* tag, std::size_t rows, std::size_t cols, std::size_t gates) {
          object(tag)->resize(rows, cols, gates);
          object(tag)->mark_filled();
        },
    .make_workspace = &make<WorkspaceTag, ConvolutionBackwardWorkspace>,
    .delete_workspace = [](WorkspaceTag* tag) { delete object(tag); },
    .run = &run,
    .backward = &backward,
    .run_convolution = &run_convolution,
    .backward_convolution = &backward_convolution,
    .gradient_products_in_use = kProductsInUse,
    .product_backward = &product_backward,
    .all_finite = &all_finite,
    .quantize = &quantize,
    .encode = &encode,
    .decode = &decode,
    .step = &step,
    .standard_normal_at = &normal_at,
    .make_rng = [](std::uint64_t seed) { return reinterpret_cast<RngTag*>(new FastRng(seed)); },
    .delete_rng = [](RngTag* tag) { delete object(tag); },
    .rng_bytes = sizeof(FastRng),
    .restore_rng =
        [](RngTag* tag, const std::byte* bytes, std::size_t count) {
          return object(tag)->restore({bytes, count});
        },
    .next = [](RngTag* tag) { return (*object(tag))(); },
    .uniform = [](RngTag* tag) { return object(tag)->uniform(); },
    .normal = [](RngTag* tag) { return object(tag)->normal(); },
    .fill_normal =
        [](RngTag* tag, float* to, std::size_t count, float mean, float stddev) {
          object(tag)->fill_normal({to, count}, mean, stddev);
        },
    .jump = [](RngTag* tag) { object(tag)->jump(); },
    .long_jump = [](RngTag* tag) { object(tag)->long_jump(); },
};

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE

/// By a name that CMake knows, for that of the namespace depends on all of the flags.
namespace dispatch {
extern const Unit LUMINA_DISPATCH_TABLE;
const Unit LUMINA_DISPATCH_TABLE = unit::table;
}  // namespace dispatch
}  // namespace lumina
