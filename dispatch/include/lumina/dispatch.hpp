// The library compiled once for each instruction set, and the best one that the machine has chosen
// at run time: for programs that are compiled for any machine of an architecture and should still
// run as fast as this one can. Link lumina::dispatch.
//
//   namespace ld = lumina::dispatch;
//   const ld::Weights weights = ld::encode_weights({w, out, in, in}, 8);
//   ld::Call call{.x = {x, batch, in, in}, .weights = &weights, .y = {y, batch, out, out}};
//   call.dac = {8, 0.0f, 1.0f};
//   call.readout.noise = 0.1f;
//   call.adc = {8, -10.0f, 10.0f};
//   call.key.seed = 1;
//   ld::run(call);
//
// The headers of lumina:: compile for one instruction set, that of the compiler's flags, and most
// of their types belong to it. What crosses the border here are numbers and plain structs, those of
// <lumina/border.hpp> and some more. Results have the same bits as theirs (docs/numerics.md).
//
// Errors are std::invalid_argument, with the shapes; nothing is written then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <lumina/border.hpp>
#include <lumina/dispatch_arrays.hpp>

namespace lumina::dispatch {

// --- Instruction sets ----------------------------------------------------------------------------

// Names: those of the table in cmake/isas.cmake, scalar or avx2 or neon_dotprod say.

/// Those that this machine has and the library was compiled for, the best one first.
std::vector<std::string_view> available_isas();
/// What runs: the best one, unless force_isa or the environment variable LUMINA_FORCE_ISA, read
/// once, says another. Error: LUMINA_FORCE_ISA names none of available_isas().
std::string_view isa();
/// From now on `name` runs, for everything but weights that are packed already: they stay in the
/// translation unit that packed them (amx and avx512_vnni are one). Error: `name` is none of
/// available_isas().
void force_isa(std::string_view name);

// --- Arguments -----------------------------------------------------------------------------------

using lumina::Converter;
using lumina::Mapping;
using lumina::MatrixMemory;
using lumina::NoiseKey;
using lumina::NoiseManagement;
using lumina::Readout;

// As they were called here.
template <class T>
using View = MatrixMemory<T>;
using Key = NoiseKey;

/// A stage of a list, one of those of stages.hpp, read_noise.hpp and array_stages.hpp or a
/// quantizer, as plain numbers:
///
///   using S = ld::StageSpec;
///   const S stages[] = {S::bias(bias), S::gaussian_noise(0.1f), S::quantizer({8, -4.0f, 4.0f})};
///   call.stages = stages;
struct StageSpec {
  enum class Kind {
    bias,
    relu,
    attenuation,
    gaussian_noise,
    shot_noise,
    shot_noise_with_derivative,
    quantizer,
    // Of arrays (read_noise.hpp); the first four only there.
    read_noise,
    proportional_read_noise,
    constant_read_noise,
    balanced_shot_noise,
    intensity_noise,
    // Of columns (array_stages.hpp).
    column_gain,
    column_offset,
    column_asymmetry,
    output_nonlinearity,
  };
  Kind kind = Kind::relu;
  float strength = 0.0f;     ///< an attenuation's factor, a noise's σ, a mismatch's
  Converter converter = {};  ///< a quantizer's
  /// A bias, [out]; ColumnVectors, [out] or [tiles, out]. The caller's, as the factors are.
  std::span<const float> columns = {};
  /// Of read and balanced shot noise: σ of an additive noise that is merged with it, independent().
  float merged_stddev = 0.0f;
  // Of columns without vectors: a Mismatch.
  NoiseKey chip = {};
  std::size_t draw = 0;
  // Of a nonlinearity.
  float mean = 0.0f;
  std::span<const float> factors = {};  ///< for each array, or none

  static StageSpec bias(std::span<const float> values) {
    return {.kind = Kind::bias, .columns = values};
  }
  static StageSpec relu() { return {.kind = Kind::relu}; }
  static StageSpec attenuation(float factor) {
    return {.kind = Kind::attenuation, .strength = factor};
  }
  static StageSpec gaussian_noise(float stddev) {
    return {.kind = Kind::gaussian_noise, .strength = stddev};
  }
  static StageSpec shot_noise(float strength) {
    return {.kind = Kind::shot_noise, .strength = strength};
  }
  static StageSpec shot_noise_with_derivative(float strength) {
    return {.kind = Kind::shot_noise_with_derivative, .strength = strength};
  }
  static StageSpec read_noise(float stddev, float merged = 0.0f) {
    return {.kind = Kind::read_noise, .strength = stddev, .merged_stddev = merged};
  }
  static StageSpec proportional_read_noise(float stddev, float merged = 0.0f) {
    return {.kind = Kind::proportional_read_noise, .strength = stddev, .merged_stddev = merged};
  }
  static StageSpec constant_read_noise(float stddev, float merged = 0.0f) {
    return {.kind = Kind::constant_read_noise, .strength = stddev, .merged_stddev = merged};
  }
  static StageSpec balanced_shot_noise(float strength, float merged = 0.0f) {
    return {.kind = Kind::balanced_shot_noise, .strength = strength, .merged_stddev = merged};
  }
  static StageSpec intensity_noise(float stddev) {
    return {.kind = Kind::intensity_noise, .strength = stddev};
  }
  /// One of the columns' kinds, with vectors or a mismatch.
  static StageSpec of_columns(Kind kind, std::span<const float> values) {
    return {.kind = kind, .columns = values};
  }
  static StageSpec of_columns(Kind kind, float stddev, const NoiseKey& chip, std::size_t draw = 0) {
    return {.kind = kind, .strength = stddev, .chip = chip, .draw = draw};
  }
  static StageSpec quantizer(const Converter& converter) {
    return {.kind = Kind::quantizer, .converter = converter};
  }
};

/// Who runs tasks: run(self, tasks, body, context) calls body(context, i) for each i < tasks, on
/// any threads. Without `run` the calling thread does. `threads`: how many there are.
struct Executor {
  using Body = void (*)(void* context, std::size_t task);
  void (*run)(void* self, std::size_t tasks, Body body, void* context) = nullptr;
  void* self = nullptr;
  std::size_t threads = 1;
};

/// As an Executor, any of lumina's executors; it must live as long as that is used.
template <class LuminaExecutor>
Executor executor(LuminaExecutor& executor, std::size_t threads) {
  return {[](void* self, std::size_t tasks, Executor::Body body, void* context) {
            (*static_cast<LuminaExecutor*>(self))(tasks, [&](std::size_t i) { body(context, i); });
          },
          &executor, threads};
}

// --- What an instruction set's translation unit owns ---------------------------------------------

// Internal: dispatch/src/unit.hpp.
struct Unit;
enum class WeightKind;

/// An object of a unit's own types.
template <class Tag>
struct Deleter {
  const Unit* unit;
  void operator()(Tag* object) const;
};
template <class Tag>
using Owned = std::unique_ptr<Tag, Deleter<Tag>>;

struct PackedTag;
struct RecordTag;
struct WorkspaceTag;
struct RngTag;

/// Weights w [out, in], ready to be multiplied; moves, does not copy.
class Weights {
 public:
  std::size_t rows() const { return rows_; }  ///< outputs
  std::size_t cols() const { return cols_; }  ///< inputs
  int bits() const { return bits_; }          ///< 0: floats as they were
  bool coded() const;                         ///< CodedWeights: for calls with a DAC
  std::size_t tiles() const;                  ///< arrays along the inputs; 0 of weights on none
  std::string_view isa() const;

  /// Of coded weights and of those on arrays: codes [out, in], and the scale of each output [out],
  /// of each array's outputs [tiles, out], to the caller's memory.
  /// Of a convolution with several products those of one after the other: [outputs, in], [most
  /// tiles of a product, outputs].
  void codes(std::int8_t* to) const;
  void scales(float* to) const;
  /// Of weights on arrays: how many elements codes() writes, and what code 1 is of a fully-on
  /// device.
  std::size_t code_count() const;
  float code_value() const;
  /// Of weights on arrays: each scale times a factor, [tiles, out], as digital corrections do.
  void multiply_scales(const float* factors);
  /// Of packed weights: the values [out, in] that are multiplied.
  void values(float* to) const;

 private:
  friend struct Access;
  Weights(Owned<PackedTag> packed, std::size_t rows, std::size_t cols, int bits, WeightKind kind)
      : packed_(std::move(packed)), rows_(rows), cols_(cols), bits_(bits), kind_(kind) {}

  Owned<PackedTag> packed_;
  std::size_t rows_, cols_;
  int bits_;
  WeightKind kind_;
};

/// pack_weights.
Weights pack_weights(MatrixMemory<const float> w);
/// Nothing is packed or copied: calls read w itself, which must live, and stay where it is, as long
/// as the result is used. For weights that are multiplied once or twice, and for small batches;
/// results have the same bits as with pack_weights. Not for backward().
Weights borrow_weights(MatrixMemory<const float> w);
/// pack_quantized_weights: 2 … 16 bits, multiplied as floats.
Weights pack_quantized_weights(MatrixMemory<const float> w, int bits);
/// Values of such weights, packed again as they are.
Weights pack_quantized_values(MatrixMemory<const float> values, int bits);
/// pack_complex_weights: w [out, 2·in] of pairs, as [2·out, 2·in].
Weights pack_complex_weights(MatrixMemory<const float> w);
/// encode_weights: 2 … 8 bits, multiplied as integers, stored in 2, 4 or 8 bits each.
Weights encode_weights(MatrixMemory<const float> w, int bits);
/// encode_tiles: 2 … 8 bits, on arrays, for calls with `array_stages` and `digital_stages`.
Weights encode_tiles(MatrixMemory<const float> w, int bits, const Mapping& mapping = {});

/// The same of 8 bits, with devices of a cell or a noise of training: Programmed, or encode_tiles
/// with a noise; each held in 8 bits.
Weights encode_arrays(MatrixMemory<const float> w, const ArrayEncoding& encoding);
/// The weights of a convolution's products, for ConvolutionCalls: filters [outputs, channels /
/// groups · taps] in torch's order. A chip's devices, and the noise, are those of filter_matrix(),
/// of several groups in rows from the product's first output on.
Weights encode_arrays(MatrixMemory<const float> filters, const ArrayEncoding& encoding,
                      const ConvolutionShape& shape);
/// The gradient by w, or by filters, in place, through the noise of such weights, where that is
/// linear: multiplicative noise and DropConnect.
void perturb_gradient(MatrixMemory<float> gradient, const ArrayEncoding& encoding);
void perturb_gradient(MatrixMemory<float> gradient, const ArrayEncoding& encoding,
                      const ConvolutionShape& shape);
/// What devices have that were programmed to `count` targets, in µS; `seconds` after that, or
/// where that is null just programmed (cells.hpp).
void conductances(const CellSpec& cell, const float* targets_uS, float* result_uS,
                  std::size_t count, const double* seconds, const NoiseKey& key);

/// mix_neighbours: crosstalk between outputs, to be packed then.
void mix_neighbours(MatrixMemory<const float> w, float crosstalk, MatrixMemory<float> mixed);

/// ForwardRecord: one bit for each output of a call, kept for its backward pass.
class Record {
 public:
  /// A call has filled it; not one that was refused, or that ended with an exception.
  bool filled() const;

  /// Bits for each output: 1 for a call with readout and ADC, for one with a list of stages as many
  /// as these have gates.
  std::size_t gates() const;

  /// Its bits, to be kept elsewhere: a row for each row of the call's output, of ⌈out / 8⌉ bytes,
  /// or with another number of gates of gates · ⌈out / 128⌉ · 16; nothing where it is not filled.
  MatrixMemory<const std::uint8_t> bytes() const;
  /// From then on it is that of a call with `weights` and as many rows and gates, whose bytes()
  /// these were. Error: another number of bytes.
  void restore(const Weights& weights, MatrixMemory<const std::uint8_t> bytes,
               std::size_t gates = 1);

 private:
  friend struct Access;
  Owned<RecordTag> record_{nullptr, {nullptr}};
};

/// BackwardWorkspace: memory that is used again.
class Workspace {
 private:
  friend struct Access;
  Owned<WorkspaceTag> workspace_{nullptr, {nullptr}};
};

// --- Calls ---------------------------------------------------------------------------------------

/// How backward() multiplies the gradient with coded weights and inputs: in floats, or as fixed
/// point of so many bits, IntegerSplitProducts, with the same bits on every machine.
enum class GradientProducts { by_machine, float32, int8, int16, int24 };
/// What by_machine is on the instruction set in use: int16 where vectors multiply integers.
GradientProducts gradient_products_in_use();

/// y = ADC(readout(DAC(x)·wᵀ)) + output_bias, `bias` being added in the readout; x [batch, in], w
/// [out, in], y [batch, out].
struct Call {
  MatrixMemory<const float> x;
  const Weights* weights;
  MatrixMemory<float> y;
  Converter dac = {};           ///< coded weights need one, of 8 bits at most
  const float* bias = nullptr;  ///< [out], or none
  Readout readout = {};
  Converter adc = {};
  const float* output_bias = nullptr;  ///< [out], or none
  /// In the place of `bias`, readout, ADC and `output_bias`, which are not read then, where there
  /// are some; 16 at most. Errors say the stage's number.
  std::span<const StageSpec> stages = {};
  /// Of weights on arrays: y = digital_stages(Σ over arrays of r·s·array_stages(ŷ)),
  /// lumina::analog_gemm. The DAC is one of 8 bits at most, r the larger magnitude of its ends, or
  /// where it is symmetric that of a ManagedDac. Nothing but x, weights, y, the key and the
  /// executor is read beside.
  std::span<const StageSpec> array_stages = {};
  std::span<const StageSpec> digital_stages = {};
  NoiseManagement noise_management = NoiseManagement::none;
  int bound_iterations = 0;
  /// Of weights on arrays: what leaves their stages, [rows of y, tiles, out], where it has data.
  float* array_outputs = nullptr;
  NoiseKey key = {};
  Executor executor = {};
  /// Of backward(). int8 rounds at random, with the key. On arrays float32 or int16, where codes of
  /// 8 bits are behind a symmetric DAC.
  GradientProducts gradient_products = GradientProducts::by_machine;
  Record* record = nullptr;  ///< to be filled, for backward()
  bool track = false;  ///< run() returns the largest |v| that enters the ADC, or the last gate; not
                       ///< on arrays
};

/// Runs the call. The result is 0 where nothing is tracked.
float run(const Call& call);

/// Where gradients go; what has no data is not computed.
struct GradientViews {
  MatrixMemory<float> input = {};    ///< [batch, in]
  MatrixMemory<float> weights = {};  ///< [out, in]
  float* output_bias = nullptr;      ///< [out]; of a list: by its first bias
};

/// lumina::backward: straight-through gradients of a call that has filled `record`. Of the call x,
/// weights, converters, gain, attenuation and the executor are read; with a list of stages these
/// and the key.
void backward(const Call& call, MatrixMemory<const float> grad_y, const Record& record,
              const GradientViews& gradients, Workspace& workspace);

/// A convolution on arrays: fused_convolution of images, with the weights, DAC (a symmetric one),
/// stages, key, executor, outputs and gradient products of `call`, whose x and y are not read.
struct ConvolutionCall {
  ImageMemory<const float> x;
  ImageMemory<float> y;
  ConvolutionShape shape;
  const Call& call;
};
/// `record`, where the call has one, is filled.
void run(const ConvolutionCall& convolution);

/// Where its gradients go; what has no data is not computed.
struct ConvolutionGradientViews {
  ImageMemory<float> input = {};
  MatrixMemory<float> filters = {};  ///< as they were given
  float* bias = nullptr;             ///< [outputs]; by the first bias of the digital stages
};
void backward(const ConvolutionCall& convolution, const ImageMemory<const float>& grad_y,
              const Record& record, const ConvolutionGradientViews& gradients,
              Workspace& workspace);

/// The gradients of a bare product y = x·wᵀ, in floats: grad_y·w and grad_yᵀ·x.
void product_backward(MatrixMemory<const float> grad_y, MatrixMemory<const float> x,
                      MatrixMemory<const float> w, const GradientViews& gradients,
                      Workspace& workspace, const Executor& executor = {});

/// True where all elements are finite numbers.
bool all_finite(MatrixMemory<const float> values);

/// Quantizer::apply, encode and decode, for `count` values. The codes of a symmetric converter are
/// those of SymmetricQuantizer, −m … m, in two's complement: the same memory holds them as
/// std::int32_t.
void quantize(const Converter& converter, float* values, std::size_t count);
void encode(const Converter& converter, const float* values, std::size_t count,
            std::uint32_t* codes);
void decode(const Converter& converter, const std::uint32_t* codes, std::size_t count,
            float* values);
/// Quantizer::step(). Errors: those of Quantizer.
float step(const Converter& converter);

/// lumina::standard_normal_at.
float standard_normal_at(const NoiseKey& key, std::size_t row, std::size_t col);

/// lumina::FastRng.
class FastRng {
 public:
  explicit FastRng(std::uint64_t seed);
  /// Goes on where state() was taken. Error: that is no state.
  explicit FastRng(std::span<const std::byte> state);
  /// All that the generator remembers: bytes for a copy here or in another process, the same on
  /// every instruction set of an architecture.
  std::vector<std::byte> state() const;
  std::uint64_t operator()();
  float uniform();
  float normal();
  void fill_normal(float* to, std::size_t count, float mean = 0.0f, float stddev = 1.0f);
  void jump();
  void long_jump();

 private:
  Owned<RngTag> rng_;
};

}  // namespace lumina::dispatch
