// Compiled once for each instruction set: the table of its functions (unit.hpp). All code lies in
// the namespace of the instruction set.
#include "unit.hpp"

#include <array>
#include <cstring>
#include <type_traits>

#include <lumina/lumina.hpp>

#include "readout.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {

using dispatch::Call;
using dispatch::Converter;
using dispatch::GradientViews;
using dispatch::PackedTag;
using dispatch::RecordTag;
using dispatch::RngTag;
using dispatch::View;
using dispatch::WeightKind;
using dispatch::WorkspaceTag;

/// Weights in one of the forms that are multiplied.
struct Packed {
  enum class Form { floats, borrowed, codes8, codes4, codes2 } form = Form::floats;
  PackedWeights floats;
  MatrixView<const float> borrowed;  ///< the caller's
  CodedWeights<8> codes8;
  CodedWeights<4> codes4;
  CodedWeights<2> codes2;
};

// The objects behind the tags, which the other side only passes on.
Packed* object(PackedTag* tag) { return reinterpret_cast<Packed*>(tag); }
const Packed* object(const PackedTag* tag) { return reinterpret_cast<const Packed*>(tag); }
ForwardRecord* object(RecordTag* tag) { return reinterpret_cast<ForwardRecord*>(tag); }
const ForwardRecord* object(const RecordTag* tag) {
  return reinterpret_cast<const ForwardRecord*>(tag);
}
BackwardWorkspace* object(WorkspaceTag* tag) { return reinterpret_cast<BackwardWorkspace*>(tag); }
FastRng* object(RngTag* tag) { return reinterpret_cast<FastRng*>(tag); }

template <class T>
MatrixView<T> matrix(const View<T>& view) {
  return {view.data, view.rows, view.cols, view.row_stride};
}
NoiseKey noise_key(const dispatch::Key& key) { return {key.seed, key.stream, key.row_offset}; }
RuntimeQuantizer quantizer(const Converter& converter) {
  if (!converter.symmetric) return {converter.bits, converter.lo, converter.hi};
  if (converter.lo != -converter.hi) {
    detail::report_error("lumina::dispatch: the range of a symmetric converter must be [-hi, hi]");
  }
  return RuntimeQuantizer::symmetric(converter.bits, converter.hi);
}

struct AnyExecutor {
  const dispatch::Executor& executor;
  std::size_t threads;

  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    if (executor.run == nullptr) {
      Serial()(tasks, body);
      return;
    }
    const auto call = [](void* context, std::size_t task) {
      (*static_cast<const Body*>(context))(task);
    };
    executor.run(executor.self, tasks, call, const_cast<Body*>(&body));
  }
};
AnyExecutor any_executor(const Call& call) { return {call.executor, call.executor.threads}; }

// --- Weights -------------------------------------------------------------------------------------

PackedTag* pack(const View<const float>& view, WeightKind kind, int bits) {
  const MatrixView<const float> w = matrix(view);
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
  }
  return reinterpret_cast<PackedTag*>(new Packed(static_cast<Packed&&>(packed)));
}
void delete_packed(PackedTag* tag) { delete object(tag); }

bool coded(const Packed& packed) { return packed.form >= Packed::Form::codes8; }

/// f(the weights).
template <class F>
auto with_codes(const Packed& packed, F f) {
  if (packed.form == Packed::Form::codes2) return f(packed.codes2);
  if (packed.form == Packed::Form::codes4) return f(packed.codes4);
  return f(packed.codes8);
}

void codes(const PackedTag* tag, std::int8_t* to) {
  with_codes(*object(tag), [to](const auto& weights) {
    for (std::size_t row = 0; row < weights.rows(); ++row) {
      for (std::size_t col = 0; col < weights.cols(); ++col) {
        to[row * weights.cols() + col] = static_cast<std::int8_t>(weights.code(row, col));
      }
    }
  });
}
void scales(const PackedTag* tag, float* to) {
  with_codes(*object(tag), [to](const auto& weights) {
    for (std::size_t row = 0; row < weights.rows(); ++row) to[row] = weights.scales()[row];
  });
}

void values(const PackedTag* tag, float* to) {
  const PackedWeights& weights = object(tag)->floats;
  for (std::size_t row = 0; row < weights.rows() && weights.cols() != 0; ++row) {
    const float* const panel = weights.panel(row / detail::kPanelColumns);
    for (std::size_t k = 0; k < weights.cols(); ++k) {
      to[row * weights.cols() + k] = panel[k * detail::kPanelColumns + row % detail::kPanelColumns];
    }
  }
}

// --- Calls ---------------------------------------------------------------------------------------

/// f(the weights), where they are not coded.
template <class F>
auto with_floats(const Packed& packed, F f) {
  if (packed.form == Packed::Form::borrowed) return f(packed.borrowed);
  return f(packed.floats);
}

/// The call with this epilogue, on the engine that fits its weights and DAC.
/// Whether it ran.
template <class EpilogueT>
bool run_engine(const Call& call, const Packed& packed, const EpilogueT& stages) {
  const MatrixView<const float> x = matrix(call.x);
  const MatrixView<float> y = matrix(call.y);
  const NoiseKey key = noise_key(call.key);
  const AnyExecutor executor = any_executor(call);
  if (coded(packed)) {
    if (call.dac.bits == 0) {
      detail::report_error("lumina::dispatch::run: coded weights need a DAC");
      return false;
    }
    return with_codes(packed, [&](const auto& weights) {
      return fused_gemm(x, quantizer(call.dac), weights, y, stages, key, executor);
    });
  }
  return with_floats(packed, [&](const auto& weights) {
    return call.dac.bits != 0
               ? fused_gemm(x, quantizer(call.dac), weights, y, stages, key, executor)
               : fused_gemm(x, weights, y, stages, key, executor);
  });
}

template <std::size_t Draws>
bool run_with_draws(const Call& call, const Packed& packed, ForwardRecord* record,
                    detail::MagnitudeTracker* tracker) {
  const Readout readout{call.readout.gain, call.readout.shot_noise, call.readout.noise,
                        call.readout.attenuation};
  const bool has_adc = call.adc.bits != 0;
  return run_engine(
      call, packed,
      epilogue(ReadoutStage<Draws>{{readout.gain},
                                   {readout.attenuation},
                                   readout.shot_noise_behind_gain(),
                                   {readout.noise},
                                   has_adc ? quantizer(call.adc) : RuntimeQuantizer(1, 0.0f, 1.0f),
                                   has_adc,
                                   call.bias,
                                   call.output_bias,
                                   tracker,
                                   record}));
}

float run(const Call& call, const PackedTag* packed_tag, RecordTag* record_tag) {
  const Packed& packed = *object(packed_tag);
  ForwardRecord* const record = record_tag != nullptr ? object(record_tag) : nullptr;
  detail::MagnitudeTracker largest;
  detail::MagnitudeTracker* const tracker = call.track ? &largest : nullptr;
  if (record != nullptr) record->resize(call.y.rows, call.y.cols, 1);
  if (tracker != nullptr) tracker->resize(call.y.rows, call.y.cols);
  const bool ran = call.readout.shot_noise != 0.0f
                       ? run_with_draws<2>(call, packed, record, tracker)
                   : call.readout.noise != 0.0f ? run_with_draws<1>(call, packed, record, tracker)
                                                : run_with_draws<0>(call, packed, record, tracker);
  if (!ran) return 0.0f;
  if (record != nullptr) record->mark_filled();
  return tracker != nullptr ? tracker->largest() : 0.0f;
}

void backward(const Call& call, const PackedTag* packed_tag, const View<const float>& grad_y,
              const RecordTag* record_tag, const GradientViews& views,
              WorkspaceTag* workspace_tag) {
  const Packed& packed = *object(packed_tag);
  const MatrixView<const float> x = matrix(call.x), gradient = matrix(grad_y);
  BackwardWorkspace& workspace = *object(workspace_tag);
  const AnyExecutor executor = any_executor(call);
  const std::size_t outputs = grad_y.cols;
  const Gradients gradients{
      matrix(views.input),
      matrix(views.weights),
      {views.output_bias, views.output_bias != nullptr ? outputs : std::size_t{0}}};
  const ForwardRecord& record = *object(record_tag);
  // Straight through: noise has no part in it. Of the bias only the length is read.
  const auto stages =
      epilogue(Attenuation{call.readout.gain}, Attenuation{call.readout.attenuation},
               call.adc.bits != 0 ? quantizer(call.adc) : RuntimeQuantizer(1, 0.0f, 1.0f),
               AddBias{{grad_y.data, outputs}});
  if (packed.form == Packed::Form::borrowed) {
    detail::report_error(
        "lumina::dispatch::backward: borrowed weights are for forward calls; pack them");
    return;
  }
  if (coded(packed)) {
    with_codes(packed, [&](const auto& weights) {
      lumina::backward(forward_pass(x, quantizer(call.dac), weights, stages), gradient, record,
                       gradients, workspace, Bf16SplitProducts{}, executor);
    });
  } else if (call.dac.bits != 0) {
    lumina::backward(forward_pass(x, quantizer(call.dac), packed.floats, stages), gradient, record,
                     gradients, workspace, F32Products{}, executor);
  } else {
    lumina::backward(forward_pass(x, packed.floats, stages), gradient, record, gradients, workspace,
                     F32Products{}, executor);
  }
}

/// What multiply_backward() takes for a pass: a bare product.
struct BareProduct {
  MatrixView<const float> x;
  NoDac dac;
  MatrixView<const float> weights;
  Epilogue<> weight_stages;
  NoiseKey weight_key;
};

void product_backward(const View<const float>& grad_y, const View<const float>& x,
                      const View<const float>& w, const GradientViews& gradients,
                      WorkspaceTag* workspace, const dispatch::Executor& executor) {
  using detail::Shape;
  const auto is = [](const auto& view, std::size_t rows, std::size_t cols) {
    return view.data == nullptr || (view.rows == rows && view.cols == cols);
  };
  if (x.cols != w.cols || grad_y.rows != x.rows || grad_y.cols != w.rows ||
      !is(gradients.input, x.rows, x.cols) || !is(gradients.weights, w.rows, w.cols)) {
    detail::report_error((detail::Message()
                          << "lumina::dispatch::product_backward: grad_y is "
                          << Shape{grad_y.rows, grad_y.cols} << ", x is " << Shape{x.rows, x.cols}
                          << ", w is " << Shape{w.rows, w.cols}
                          << "; they must be [batch, out], [batch, in] and [out, in], the "
                             "gradients as x and w")
                             .c_str());
    return;
  }
  detail::multiply_backward(BareProduct{matrix(x), {}, matrix(w), epilogue(), {}}, matrix(grad_y),
                            Gradients{matrix(gradients.input), matrix(gradients.weights), {}},
                            *object(workspace), AnyExecutor{executor, executor.threads});
}

bool all_finite(const View<const float>& view) {
  const MatrixView<const float> values = matrix(view);
  constexpr std::uint32_t kInfinite = 0x7f800000u;
  for (std::size_t row = 0; row < values.rows(); ++row) {
    if (detail::largest_magnitude_bits<detail::Native::Batch<float>>(values.row(row),
                                                                     values.cols()) >= kInfinite)
      return false;
  }
  return true;
}

// --- Quantizer and generator ---------------------------------------------------------------------

void quantize(const Converter& converter, float* values, std::size_t count) {
  quantizer(converter).apply({values, count});
}
void encode(const Converter& converter, const float* values, std::size_t count,
            std::uint32_t* codes) {
  const RuntimeQuantizer rule = quantizer(converter);
  const auto lowest = static_cast<std::uint32_t>(rule.lowest());
  for (std::size_t i = 0; i < count; ++i) codes[i] = rule.encode(values[i]) + lowest;
}
void decode(const Converter& converter, const std::uint32_t* codes, std::size_t count,
            float* values) {
  const RuntimeQuantizer rule = quantizer(converter);
  const auto lowest = static_cast<std::uint32_t>(rule.lowest());
  for (std::size_t i = 0; i < count; ++i) values[i] = rule.decode(codes[i] - lowest);
}
float step(const Converter& converter) { return quantizer(converter).step(); }
float normal_at(const dispatch::Key& key, std::size_t row, std::size_t col) {
  return standard_normal_at(noise_key(key), row, col);
}

/// A FastRng's members, for bytes that come from elsewhere.
struct RngImage {
  std::uint64_t words[4];
  detail::NoiseGenerator<detail::Native>::State lanes;
  unsigned char lanes_seeded;
  std::size_t next_normal;
  std::array<float, detail::kNormalsPerRound> normals;
};
static_assert(sizeof(RngImage) == sizeof(FastRng) && std::is_trivially_copyable_v<FastRng>);

bool set_rng(RngTag* tag, const std::byte* from) {
  RngImage image;
  std::memcpy(&image, from, sizeof(image));
  const std::uint64_t any = image.words[0] | image.words[1] | image.words[2] | image.words[3];
  if (any == 0 || image.next_normal > detail::kNormalsPerRound) return false;
  image.lanes_seeded = image.lanes_seeded != 0 ? 1 : 0;
  std::memcpy(static_cast<void*>(object(tag)), &image, sizeof(image));
  return true;
}

// --- The table -----------------------------------------------------------------------------------

void force([[maybe_unused]] const char* isa) { force_isa(isa); }

template <class Tag, class T>
Tag* make() {
  return reinterpret_cast<Tag*>(new T());
}

#if defined(LUMINA_ISA_AMX)
constexpr const char* isas[] = {detail::Amx::name, detail::Vnni::name};
#else
constexpr const char* isas[] = {detail::Native::name};
#endif

constexpr bool same(const char* a, const char* b) {
  return *a == *b && (*a == '\0' || same(a + 1, b + 1));
}
static_assert(
    same(isas[0], LUMINA_DISPATCH_UNIT),
    "lumina::dispatch: the compiler's flags name an instruction set (-march?), which units "
    "must choose themselves");

constexpr dispatch::Unit table = {
    .isas = isas,
    .isa_count = sizeof(isas) / sizeof(isas[0]),
    .force = &force,
    .isa = &isa,
    .pack = &pack,
    .delete_packed = &delete_packed,
    .codes = &codes,
    .scales = &scales,
    .values = &values,
    .mix_neighbours =
        [](const View<const float>& w, float crosstalk, const View<float>& mixed) {
          lumina::mix_neighbours(matrix(w), crosstalk, matrix(mixed));
        },
    .make_record = &make<RecordTag, ForwardRecord>,
    .filled = [](const RecordTag* tag) { return object(tag)->filled(); },
    .delete_record = [](RecordTag* tag) { delete object(tag); },
    .record_bytes = [](RecordTag* tag) -> View<std::uint8_t> {
      ForwardRecord& record = *object(tag);
      const std::span<std::uint8_t> bytes = record.bytes();
      const std::size_t rows = record.rows(), used = record.cols() / 8 + (record.cols() % 8 != 0);
      return {bytes.data(), rows, used, rows != 0 ? bytes.size() / rows : used};
    },
    .fill_record =
        [](RecordTag* tag, std::size_t rows, std::size_t cols) {
          object(tag)->resize(rows, cols, 1);
          object(tag)->mark_filled();
        },
    .make_workspace = &make<WorkspaceTag, BackwardWorkspace>,
    .delete_workspace = [](WorkspaceTag* tag) { delete object(tag); },
    .run = &run,
    .backward = &backward,
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
    .set_rng = &set_rng,
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
