// optical_linear_fused and its relatives.
#include "functions.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "arguments.hpp"
#include "arrays.hpp"
#include "threads.hpp"
#include "weights.hpp"

namespace lumina::python {

namespace {

/// The weights of a call: packed already, or an array, to be read(), that is packed on the way.
class WeightArgument {
 public:
  WeightArgument(nb::handle weight, nb::handle weight_bits, float crosstalk)
      : weight_(weight),
        packed_(packed_weights(weight)),
        bits_(weight_bits.is_none()
                  ? 0
                  : static_cast<int>(read_integer(weight_bits, "weight_bits", 2, 16))),
        crosstalk_(crosstalk) {
    if (packed_ != nullptr && crosstalk != 0.0f) {
      throw nb::value_error(("crosstalk mixes the outputs' weights before they are packed, but "
                             "weight is " +
                             text(weight) +
                             ": pass the array, or pack what mix_neighbours makes of it and pass "
                             "crosstalk=0")
                                .c_str());
    }
    if (packed_ != nullptr && bits_ != 0 && bits_ != packed_->bits()) {
      throw nb::value_error(("weight_bits is " + std::to_string(bits_) +
                             ", but weight has been packed as " + text(weight))
                                .c_str());
    }
  }

  void read() {
    if (packed_ == nullptr) array_.emplace(weight_, "weight", "[out, in]");
  }

  std::size_t rows() const { return packed_ != nullptr ? packed_->rows() : array_->rows(); }
  std::size_t cols() const { return packed_ != nullptr ? packed_->cols() : array_->cols(); }
  bool coded() const { return packed_ != nullptr && packed_->coded(); }
  const InputMatrix<float>* matrix() const { return array_ ? &*array_ : nullptr; }
  const Array* array() const { return array_ ? array_->array() : nullptr; }
  bool foreign() const { return array_ && array_->foreign(); }
  std::string description() const {
    return array_ ? array_->description()
                  : "packed with shape (" + std::to_string(rows()) + ", " + std::to_string(cols()) +
                        ")";
  }

  /// Packs what is not packed yet. `dac_bits`: 0 for none.
  const dispatch::Weights& packed(int dac_bits) {
    if (packed_ != nullptr) return *packed_;
    if (crosstalk_ != 0.0f) {
      const MatrixMemory<const float>& w = array_->view();
      mixed_ = mixed("weight", w, bits_, crosstalk_);
      own_.emplace(dispatch::borrow_weights({mixed_.get(), w.rows, w.cols, w.cols}));
      return *own_;
    }
    const bool codes = bits_ != 0 && bits_ <= 8 && dac_bits != 0 && dac_bits <= 8;
    own_.emplace(codes        ? encode("weight", array_->view(), bits_)
                 : bits_ == 0 ? dispatch::borrow_weights(array_->view())
                              : pack("weight", array_->view(), bits_));
    return *own_;
  }

 private:
  nb::handle weight_;
  const dispatch::Weights* packed_;
  int bits_;
  float crosstalk_;
  std::optional<InputMatrix<float>> array_;
  std::unique_ptr<float[]> mixed_;
  std::optional<dispatch::Weights> own_;
};

/// What optical_linear_fused and its relatives have in common.
struct CommonArguments {
  nb::handle input, weight, bias, bits, lo, hi, threads, out, dac_bits, weight_bits, dac_lo, dac_hi,
      symmetric, dac_symmetric;
};

nb::object optical_linear(const CommonArguments& arguments, const Readout& readout,
                          const NoiseKey& key, float crosstalk = 0.0f) {
  // Numbers first: reading one can run code of the caller's.
  Threads threads(arguments.threads);
  dispatch::Call call{.x = {}, .weights = nullptr, .y = {}};
  call.adc = read_converter(arguments.bits, arguments.lo, arguments.hi,
                            read_flag(arguments.symmetric), {"bits", "lo", "hi"});
  const bool dac_symmetric = read_flag(arguments.dac_symmetric);
  WeightArgument w(arguments.weight, arguments.weight_bits, crosstalk);
  if (!arguments.dac_bits.is_none()) {
    call.dac = read_converter(arguments.dac_bits, arguments.dac_lo, arguments.dac_hi, dac_symmetric,
                              {"dac_bits", "dac_lo", "dac_hi"}, w.coded() ? 8 : 16);
  } else if (w.coded()) {
    throw nb::value_error("weight is a CodedWeights: dac_bits must be given, in 1..8");
  }
  const InputMatrix<float> x(arguments.input, "input", "[batch, in]");
  w.read();
  const InputVector bias(arguments.bias, "bias", "[out]");
  if (x.cols() != w.cols()) {
    throw nb::value_error(("input is " + x.description() + ", weight is " + w.description() +
                           "; they must have the same number of columns (in)")
                              .c_str());
  }
  if (!arguments.bias.is_none() && bias.count() != w.rows()) {
    throw nb::value_error(("bias must have shape (" + std::to_string(w.rows()) +
                           ",), a value for each row of weight, which is " + w.description() +
                           "; it is " + bias.description())
                              .c_str());
  }
  const OutputMatrix<float> y(arguments.out, "out", arguments.input, x.rows(), w.rows());
  if (!arguments.out.is_none()) {
    expect_no_overlap(y, x, "input");
    if (w.matrix() != nullptr) expect_no_overlap(y, *w.matrix(), "weight");
    expect_no_overlap(y, bias, "bias");
    y.count_write();
  }
  expect_unmoved(x, w, bias, y);
  call.x = x.view();
  call.y = y.view();
  call.bias = arguments.bias.is_none() ? nullptr : bias.data();
  call.readout = readout;
  call.key = key;
  call.executor = threads.executor();
  threads.without_gil([&] {
    call.weights = &w.packed(call.dac.bits);
    dispatch::run(call);
  });
  return y.object();
}

/// The function of that name for arrays on a GPU; no valid object where PyTorch is missing.
nb::object of_gpus(const char* name) {
  const nb::object module = nb::steal(PyImport_ImportModule("lumina_kernel.nn.gpu_functions"));
  if (module.is_valid()) return module.attr(name);
  if (PyErr_ExceptionMatches(PyExc_ImportError) == 0) nb::raise_python_error();
  PyErr_Clear();
  return {};
}

nb::object optical_linear_fused(nb::handle input, nb::handle weight, nb::handle bias,
                                nb::handle noise_std, nb::handle bits, nb::handle seed,
                                nb::handle lo, nb::handle hi, nb::handle threads, nb::handle out,
                                nb::handle dac_bits, nb::handle weight_bits, nb::handle dac_lo,
                                nb::handle dac_hi, nb::handle stream, nb::handle row_offset,
                                nb::handle symmetric, nb::handle dac_symmetric) {
  const Readout readout{.noise = read_strength(noise_std, "noise_std")};
  const NoiseKey key{read_word(seed, "seed"), read_word(stream, "stream"),
                     read_word(row_offset, "row_offset")};
  try {
    return optical_linear({input, weight, bias, bits, lo, hi, threads, out, dac_bits, weight_bits,
                           dac_lo, dac_hi, symmetric, dac_symmetric},
                          readout, key);
  } catch (const OnGpu&) {
    const nb::object function = of_gpus("optical_linear_fused");
    if (!function.is_valid()) throw;
    return function(input, weight, bias, noise_std, bits, seed, nb::arg("lo") = lo,
                    nb::arg("hi") = hi, nb::arg("threads") = threads, nb::arg("out") = out,
                    nb::arg("dac_bits") = dac_bits, nb::arg("weight_bits") = weight_bits,
                    nb::arg("dac_lo") = dac_lo, nb::arg("dac_hi") = dac_hi,
                    nb::arg("stream") = stream, nb::arg("row_offset") = row_offset,
                    nb::arg("symmetric") = symmetric, nb::arg("dac_symmetric") = dac_symmetric);
  }
}

nb::object optical_linear_infer(nb::handle input, nb::handle weight, nb::handle bias,
                                nb::handle bits, nb::handle lo, nb::handle hi, nb::handle threads,
                                nb::handle out, nb::handle dac_bits, nb::handle weight_bits,
                                nb::handle dac_lo, nb::handle dac_hi, nb::handle symmetric,
                                nb::handle dac_symmetric) {
  try {
    return optical_linear({input, weight, bias, bits, lo, hi, threads, out, dac_bits, weight_bits,
                           dac_lo, dac_hi, symmetric, dac_symmetric},
                          {}, {});
  } catch (const OnGpu&) {
    const nb::object function = of_gpus("optical_linear_infer");
    if (!function.is_valid()) throw;
    return function(input, weight, bias, bits, nb::arg("lo") = lo, nb::arg("hi") = hi,
                    nb::arg("threads") = threads, nb::arg("out") = out,
                    nb::arg("dac_bits") = dac_bits, nb::arg("weight_bits") = weight_bits,
                    nb::arg("dac_lo") = dac_lo, nb::arg("dac_hi") = dac_hi,
                    nb::arg("symmetric") = symmetric, nb::arg("dac_symmetric") = dac_symmetric);
  }
}

float read_crosstalk(nb::handle value) {
  const float crosstalk = read_strength(value, "crosstalk");
  if (crosstalk > 1.0f) {
    throw nb::value_error(("crosstalk must be in 0..1, not " + text(value)).c_str());
  }
  return crosstalk;
}

nb::object optical_linear_physics(nb::handle input, nb::handle weight, nb::handle bias,
                                  nb::handle bits, nb::handle seed, nb::handle shot_noise,
                                  nb::handle crosstalk, nb::handle attenuation,
                                  nb::handle noise_std, nb::handle lo, nb::handle hi,
                                  nb::handle threads, nb::handle out, nb::handle dac_bits,
                                  nb::handle weight_bits, nb::handle dac_lo, nb::handle dac_hi,
                                  nb::handle stream, nb::handle row_offset, nb::handle symmetric,
                                  nb::handle dac_symmetric) {
  const Readout readout{.gain = 1.0f,
                        .shot_noise = read_strength(shot_noise, "shot_noise"),
                        .noise = read_strength(noise_std, "noise_std"),
                        .attenuation = read_float(attenuation, "attenuation")};
  if (!(readout.attenuation > 0.0f)) {
    throw nb::value_error(("attenuation must be positive, not " + text(attenuation)).c_str());
  }
  return optical_linear(
      {input, weight, bias, bits, lo, hi, threads, out, dac_bits, weight_bits, dac_lo, dac_hi,
       symmetric, dac_symmetric},
      readout,
      {read_word(seed, "seed"), read_word(stream, "stream"), read_word(row_offset, "row_offset")},
      read_crosstalk(crosstalk));
}

nb::object mix_neighbours(nb::handle weight, nb::handle crosstalk, nb::handle weight_bits) {
  const float part = read_crosstalk(crosstalk);
  const int bits =
      weight_bits.is_none() ? 0 : static_cast<int>(read_integer(weight_bits, "weight_bits", 2, 16));
  const InputMatrix<float> w(weight, "weight", "[out, in]");
  const OutputMatrix<float> result(nb::none(), "mixed", weight, w.rows(), w.cols());
  expect_unmoved(w, result);
  {
    const nb::gil_scoped_release release;
    const std::unique_ptr<float[]> rows = mixed("weight", w.view(), bits, part);
    std::copy_n(rows.get(), w.rows() * w.cols(), result.view().data);
  }
  return result.object();
}

nb::object optical_linear_backward_kernel(nb::handle grad_output, nb::handle input,
                                          nb::handle weight, nb::handle thread_count) {
  Threads threads(thread_count);
  const InputMatrix<float> gradient(grad_output, "grad_output", "[batch, out]");
  const InputMatrix<float> x(input, "input", "[batch, in]");
  const InputMatrix<float> w(weight, "weight", "[out, in]");
  if (gradient.rows() != x.rows() || gradient.cols() != w.rows() || x.cols() != w.cols()) {
    throw nb::value_error(("grad_output is " + gradient.description() + ", input is " +
                           x.description() + ", weight is " + w.description() +
                           "; they must be [batch, out], [batch, in] and [out, in]")
                              .c_str());
  }
  const OutputMatrix<float> grad_input(nb::none(), "grad_input", input, x.rows(), x.cols());
  const OutputMatrix<float> grad_weight(nb::none(), "grad_weight", input, w.rows(), w.cols());
  expect_unmoved(gradient, x, w, grad_input, grad_weight);
  threads.without_gil([&] {
    dispatch::Workspace workspace;
    dispatch::product_backward(gradient.view(), x.view(), w.view(),
                               {.input = grad_input.view(), .weights = grad_weight.view()},
                               workspace, threads.executor());
  });
  return nb::make_tuple(grad_input.object(), grad_weight.object());
}

}  // namespace

void bind_functions(nb::module_& module) {
  module.def(
      "optical_linear_fused", &optical_linear_fused, nb::arg("input"), nb::arg("weight"),
      nb::arg("bias").none(), nb::arg("noise_std"), nb::arg("bits"), nb::arg("seed"), nb::kw_only(),
      nb::arg("lo") = -10.0, nb::arg("hi") = 10.0, nb::arg("threads").none() = nb::none(),
      nb::arg("out").none() = nb::none(), nb::arg("dac_bits").none() = nb::none(),
      nb::arg("weight_bits").none() = nb::none(), nb::arg("dac_lo") = 0.0, nb::arg("dac_hi") = 1.0,
      nb::arg("stream") = 0, nb::arg("row_offset") = 0, nb::arg("symmetric") = false,
      nb::arg("dac_symmetric") = false,
      nb::sig("def optical_linear_fused(input: ArrayLike, weight: ArrayLike | PackedWeights | "
              "CodedWeights, bias: ArrayLike | None, noise_std: float, bits: int, seed: int, *, "
              "lo: float = -10.0, hi: float = 10.0, threads: int | None = None, "
              "out: ArrayLike | None = None, dac_bits: int | None = None, "
              "weight_bits: int | None = None, dac_lo: float = 0.0, dac_hi: float = 1.0, "
              "stream: int = 0, row_offset: int = 0, symmetric: bool = False, "
              "dac_symmetric: bool = False) -> Any"),
      R"(A layer on simulated analog hardware, in one pass over memory:

    y = ADC(DAC(input) @ weight.T + bias + noise_std * N(0, 1))

input: float32 [batch, in]; weight: float32 [out, in], or packed; bias: float32 [out] or None.
noise_std: standard deviation of the additive noise in units of y, 0 or more.
bits, lo, hi: the ADC has 2**bits levels over [lo, hi], 1 <= bits <= 16, and saturates beyond.
seed, stream, row_offset: the normal of y[r, c] is standard_normal_at(seed, r, c, stream=stream,
    row_offset=row_offset), whatever the number of threads; a batch in parts, each with the index
    of its first row as row_offset, equals the whole one.
dac_bits, dac_lo, dac_hi: of the DAC, 1..16 bits; None: input enters the product as it is.
symmetric, dac_symmetric: the ADC, the DAC, is a SymmetricQuantizer: 2**bits - 1 levels over
    [-hi, hi], 0 among them, bits >= 2, lo == -hi. Without it 0 becomes half a step where lo is -hi:
    take it where outputs, or inputs, are often 0, and the other one where each level counts.
weight_bits: None, weights as they are; 2..16: symmetric codes with a scale for each output.
    With both dac_bits and weight_bits up to 8 codes are multiplied, in exact integer arithmetic.
threads: at most so many, and never more than processors; None: as many as OpenMP takes. Small
    problems stay on one, as do all in a process that was forked.
out: float32 [batch, out] to write to, and the result then.

Returns float32 [batch, out], a tensor where input is one, otherwise a NumPy array. Row-major
arrays, also with rows farther apart, are read where they lie; others are copied first.
Errors: TypeError (no array, dtype), ValueError (shapes, ranges, device, read-only out);
nothing is written then. Other threads of Python run meanwhile; they must not change the arrays.
Handlers of signals run between parts of a long call: Ctrl-C ends it, when a part of out may have
been written.

Arrays on one GPU (tensors, or what has __dlpack__ or __cuda_array_interface__; no packed weights)
are read there, on PyTorch's current stream; the result is a tensor there, which nobody waits for.
It has the bits of the CPU's with the package lumina_kernel_cuda; without that PyTorch computes, with
noise of its own.)");

  module.def(
      "optical_linear_infer", &optical_linear_infer, nb::arg("input"), nb::arg("weight"),
      nb::arg("bias").none(), nb::arg("bits"), nb::kw_only(), nb::arg("lo") = -10.0,
      nb::arg("hi") = 10.0, nb::arg("threads").none() = nb::none(),
      nb::arg("out").none() = nb::none(), nb::arg("dac_bits").none() = nb::none(),
      nb::arg("weight_bits").none() = nb::none(), nb::arg("dac_lo") = 0.0, nb::arg("dac_hi") = 1.0,
      nb::arg("symmetric") = false, nb::arg("dac_symmetric") = false,
      nb::sig("def optical_linear_infer(input: ArrayLike, weight: ArrayLike | PackedWeights | "
              "CodedWeights, bias: ArrayLike | None, bits: int, *, lo: float = -10.0, "
              "hi: float = 10.0, threads: int | None = None, out: ArrayLike | None = None, "
              "dac_bits: int | None = None, weight_bits: int | None = None, "
              "dac_lo: float = 0.0, dac_hi: float = 1.0, symmetric: bool = False, "
              "dac_symmetric: bool = False) -> Any"),
      R"(optical_linear_fused without noise: y = ADC(DAC(input) @ weight.T + bias).

input: float32 [batch, in]; weight: float32 [out, in], or packed; bias: float32 [out] or None.
Everything else, the result and the errors are those of optical_linear_fused.)");

  module.def(
      "optical_linear_physics", &optical_linear_physics, nb::arg("input"), nb::arg("weight"),
      nb::arg("bias").none(), nb::arg("bits"), nb::arg("seed"), nb::kw_only(),
      nb::arg("shot_noise") = 0.1, nb::arg("crosstalk") = 0.01, nb::arg("attenuation") = 0.9,
      nb::arg("noise_std") = 0.005, nb::arg("lo") = -10.0, nb::arg("hi") = 10.0,
      nb::arg("threads").none() = nb::none(), nb::arg("out").none() = nb::none(),
      nb::arg("dac_bits").none() = nb::none(), nb::arg("weight_bits").none() = nb::none(),
      nb::arg("dac_lo") = 0.0, nb::arg("dac_hi") = 1.0, nb::arg("stream") = 0,
      nb::arg("row_offset") = 0, nb::arg("symmetric") = false, nb::arg("dac_symmetric") = false,
      nb::sig("def optical_linear_physics(input: ArrayLike, weight: ArrayLike | PackedWeights | "
              "CodedWeights, bias: ArrayLike | None, bits: int, seed: int, *, "
              "shot_noise: float = 0.1, crosstalk: float = 0.01, attenuation: float = 0.9, "
              "noise_std: float = 0.005, lo: float = -10.0, hi: float = 10.0, "
              "threads: int | None = None, out: ArrayLike | None = None, "
              "dac_bits: int | None = None, weight_bits: int | None = None, dac_lo: float = 0.0, "
              "dac_hi: float = 1.0, stream: int = 0, row_offset: int = 0, "
              "symmetric: bool = False, dac_symmetric: bool = False) -> Any"),
      R"(A layer with what optics do to it: crosstalk, shot noise, loss.

    s = DAC(input) @ weight.T
    u[j] = s[j] + crosstalk * (s[j - 1] + s[j + 1]) + bias[j]     the ends have one neighbour
    v = attenuation * (u + shot_noise * sqrt(|u|) * N1 + noise_std * N2)
    y = ADC(v)                                                    N1, N2: independent N(0, 1)

shot_noise, noise_std: standard deviations, 0 or more, the former at |u| = 1; attenuation: a factor
    above 0; crosstalk: 0..1, the part of each neighbouring output. The defaults are those of the
    hardware profile lumina_micro_v1, and one per cent of crosstalk.
weight: packed ones only with crosstalk=0; see mix_neighbours. With crosstalk, weight_bits are those
    of the weights before they mix, and the product is one of floats.
N1 is draw 0 of (seed, stream, row, column), N2 draw 1, or 0 where there is no shot noise.
For gradients: optical_linear_backward_kernel with mix_neighbours(weight, crosstalk) gives the one
by the mixed weights, and mix_neighbours of that is the one by weight.
Everything else, the result and the errors are those of optical_linear_fused.)");

  module.def("mix_neighbours", &mix_neighbours, nb::arg("weight"), nb::arg("crosstalk") = 0.01,
             nb::kw_only(), nb::arg("weight_bits").none() = nb::none(),
             nb::sig("def mix_neighbours(weight: ArrayLike, crosstalk: float = 0.01, *, "
                     "weight_bits: int | None = None) -> Any"),
             R"(The weights of a device whose neighbouring outputs mix:

    mixed[j] = weight[j] + crosstalk * (weight[j - 1] + weight[j + 1])

weight: float32 [out, in]; crosstalk: 0..1. The first and the last output have one neighbour.
weight_bits: None, or 2..16: the weights are quantized first, as by PackedWeights(weight, bits).
Returns float32 [out, in], a tensor where weight is one. Errors: TypeError, ValueError.)");

  module.def(
      "optical_linear_backward_kernel", &optical_linear_backward_kernel, nb::arg("grad_output"),
      nb::arg("input"), nb::arg("weight"), nb::kw_only(), nb::arg("threads").none() = nb::none(),
      nb::sig("def optical_linear_backward_kernel(grad_output: ArrayLike, input: ArrayLike, "
              "weight: ArrayLike, *, threads: int | None = None) -> tuple[Any, Any]"),
      R"(Straight-through gradients of y = input @ weight.T, noise and quantization passed over:

    grad_input = grad_output @ weight        [batch, in]
    grad_weight = grad_output.T @ input      [out, in]

grad_output: float32 [batch, out]; input: float32 [batch, in]; weight: float32 [out, in].
Returns (grad_input, grad_weight), tensors where input is one. Errors: TypeError, ValueError.)");
}

}  // namespace lumina::python
