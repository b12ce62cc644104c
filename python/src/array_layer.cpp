// What lumina_kernel computes layers on arrays with; not public. Settings come as tuples of plain
// numbers (array_settings.py).
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "arrays.hpp"
#include "functions.hpp"
#include "layer.hpp"
#include "threads.hpp"

namespace lumina::python {

namespace {

struct ArrayWeights {
  dispatch::Weights weights;
};

// --- Settings ------------------------------------------------------------------------------------

using Five = std::array<float, 5>;
using Sizes = std::array<std::size_t, 3>;
/// Inputs and outputs of a tile, TileScale, TileSplit.
using MappingValues = std::tuple<std::size_t, std::size_t, int, int>;
/// Kind, g_max, coefficients, p_off, p_on, conductances of stuck devices.
using CellValues = std::tuple<int, float, Five, float, float, float, float>;
/// Kind, strength, coefficients, g_max, probability of dropping, seed.
using NoiseValues = std::tuple<int, float, Five, float, float, std::uint64_t>;
/// Mapping, bits, cell, Pair, g_min, ohms of rows and columns, chip, stream, seconds, noise.
using EncodingValues =
    std::tuple<MappingValues, int, std::optional<CellValues>, int, float, float, float,
               std::uint64_t, std::uint64_t, std::optional<double>, std::optional<NoiseValues>>;
/// Channels, outputs, kernel, stride, padding, dilation, groups.
using ShapeValues = std::tuple<std::size_t, std::size_t, Sizes, Sizes, Sizes, Sizes, std::size_t>;
/// Bits of the DAC, its range, whether rows choose it, how often they repeat, seed, stream,
/// row_offset.
using CallValues = std::tuple<int, float, bool, int, std::uint64_t, std::uint64_t, std::uint64_t>;
/// Kind, strength, merged deviation, columns, bits and limit of a quantizer.
using StageValues = std::tuple<int, float, float, nb::object, int, float>;

dispatch::CellSpec cell_of(const CellValues& values) {
  const auto& [kind, g_max, coefficients, p_off, p_on, stuck_off, stuck_on] = values;
  return {static_cast<dispatch::CellSpec::Kind>(kind),
          g_max,
          coefficients,
          p_off,
          p_on,
          stuck_off,
          stuck_on};
}

/// An encoding, and what it points to.
class Encoding {
 public:
  explicit Encoding(const EncodingValues& values) {
    const auto& [mapping, bits, cell, pair, g_min, row_ohm, column_ohm, chip, stream, seconds,
                 noise] = values;
    const auto& [inputs, outputs, scale, split] = mapping;
    encoding_.mapping = {
        {inputs, outputs}, static_cast<TileScale>(scale), static_cast<TileSplit>(split)};
    encoding_.bits = bits;
    if (cell) {
      cell_ = cell_of(*cell);
      encoding_.cell = &cell_;
    }
    encoding_.cells = {static_cast<Pair>(pair), g_min};
    encoding_.wires = {row_ohm, column_ohm};
    encoding_.chip = {chip, stream};
    encoding_.at_time = seconds.has_value();
    encoding_.seconds = seconds.value_or(0.0);
    if (noise) {
      const auto& [kind, strength, coefficients, g_max, dropped, seed] = *noise;
      encoding_.noise = {static_cast<dispatch::WeightNoiseSpec::Kind>(kind), strength, coefficients,
                         g_max, dropped};
      encoding_.noise_key = {seed, stream};
    }
  }
  Encoding(const Encoding&) = delete;
  const dispatch::ArrayEncoding& operator*() const { return encoding_; }

 private:
  dispatch::CellSpec cell_;
  dispatch::ArrayEncoding encoding_;
};

dispatch::ConvolutionShape shape_of(const ShapeValues& values) {
  const auto& [channels, outputs, kernel, stride, padding, dilation, groups] = values;
  return {channels, outputs, kernel, stride, padding, dilation, groups};
}

/// A call's settings, and what they point to. Stages in the arrays; behind them a bias, if any.
class ArrayCall {
 public:
  ArrayCall(const CallValues& values, const nb::sequence& stages, nb::handle bias,
            const ArrayWeights& weights, std::size_t outputs)
      : bias_(bias, "bias", "[out]") {
    const auto& [bits, range, row_ranges, iterations, seed, stream, row_offset] = values;
    call_.weights = &weights.weights;
    call_.dac = {bits, -range, range, true};
    call_.noise_management = row_ranges ? NoiseManagement::abs_max : NoiseManagement::none;
    call_.bound_iterations = iterations;
    call_.key = {seed, stream, row_offset};
    for (const nb::handle stage : stages) add(nb::cast<StageValues>(stage));
    if (bias_.data() != nullptr) {
      if (bias_.count() != outputs) {
        throw nb::value_error(
            ("bias must have shape (" + std::to_string(outputs) + ",), not " + bias_.description())
                .c_str());
      }
      digital_ = dispatch::StageSpec::bias({bias_.data(), bias_.count()});
      call_.digital_stages = {&digital_, 1};
    }
    call_.array_stages = stages_;
  }
  ArrayCall(const ArrayCall&) = delete;

  dispatch::Call& operator*() { return call_; }
  dispatch::Call* operator->() { return &call_; }
  const InputVector& bias() const { return bias_; }

 private:
  void add(const StageValues& values) {
    const auto& [kind, strength, merged, columns, bits, limit] = values;
    dispatch::StageSpec spec;
    spec.kind = static_cast<dispatch::StageSpec::Kind>(kind);
    spec.strength = strength;
    spec.merged_stddev = merged;
    if (!columns.is_none()) {
      const auto& own =
          columns_.emplace_back(std::make_unique<InputVector>(columns, "columns", "[tiles * out]"));
      spec.columns = {own->data(), own->count()};
    }
    if (bits != 0) spec.converter = {bits, -limit, limit, true};
    stages_.push_back(spec);
  }

  InputVector bias_;
  std::vector<std::unique_ptr<InputVector>> columns_;
  std::vector<dispatch::StageSpec> stages_;
  dispatch::StageSpec digital_;
  dispatch::Call call_{.x = {}, .weights = nullptr, .y = {}};
};

/// Where outputs of arrays go: rows · tiles · out floats, or nowhere.
float* outputs_of(const InOutVector& to, std::size_t rows, const ArrayWeights& weights) {
  if (to.data() == nullptr && to.count() == 0) return nullptr;
  const std::size_t count = rows * weights.weights.tiles() * weights.weights.rows();
  if (to.count() != count) {
    throw nb::value_error(("outputs must have " + std::to_string(count) + " elements, not " +
                           std::to_string(to.count()))
                              .c_str());
  }
  return to.data();
}

// --- Calls ---------------------------------------------------------------------------------------

void forward(nb::handle x, const ArrayWeights& weights, nb::handle y, nb::handle bias,
             const CallValues& values, const nb::sequence& stages, dispatch::Record* record,
             nb::handle outputs, nb::handle thread_count) {
  Threads threads(thread_count);
  const std::size_t out = weights.weights.rows();
  ArrayCall call(values, stages, bias, weights, out);
  const InputMatrix<float> input(x, "x", "[batch, in]");
  const OutputMatrix<float> output(y, "y", x, input.rows(), out);
  const InOutVector seen(outputs, "outputs", true);
  expect_unmoved(input, output, call.bias(), seen);
  call->x = input.view();
  call->y = output.view();
  call->array_outputs = outputs_of(seen, input.rows(), weights);
  call->executor = threads.executor();
  call->record = record;
  threads.without_gil([&] { dispatch::run(*call); });
}

void backward(const dispatch::Record& record, nb::handle grad_y, nb::handle x,
              const ArrayWeights& weights, const CallValues& values, const nb::sequence& stages,
              nb::handle products, nb::handle grad_x, nb::handle grad_w, nb::handle grad_bias,
              Workspace& workspace, int thread_count) {
  Threads threads(thread_count);
  const std::size_t out = weights.weights.rows();
  // Of the bias only the length is read; none of it.
  ArrayCall call(values, stages, grad_bias, weights, out);
  call->gradient_products = gradient_products(nb::borrow(products));
  const InputMatrix<float> gradient(grad_y, "grad_y", "[batch, out]");
  const InputMatrix<float> input(x, "x", "[batch, in]");
  const GradientMatrix by_input(grad_x, "grad_x", input.rows(), input.cols());
  const GradientMatrix by_weights(grad_w, "grad_w", out, weights.weights.cols());
  const InOutVector by_bias(grad_bias, "grad_bias", true);
  expect_unmoved(gradient, input, by_input, by_weights, by_bias);
  call->x = input.view();
  call->executor = threads.executor();
  const dispatch::GradientViews to{by_input.view(), by_weights.view(), by_bias.data()};
  workspace.use(threads, [&](dispatch::Workspace& memory) {
    dispatch::backward(*call, gradient.view(), record, to, memory);
  });
}

/// Images in one piece of memory: an array [N, C, D, H, W], or with channels last [N, D, H, W, C].
template <class T>
class Images {
 public:
  Images(nb::handle object, const char* name, bool channels_last, bool writable)
      : array_(object, name, ElementType::float32, "a contiguous float32 array of 5 dimensions",
               writable) {
    if (array_.dimensions() != 5 || !array_.contiguous() || !array_.aligned()) {
      array_.refuse_value();
    }
    const std::size_t first = channels_last ? 1 : 2;
    memory_ = {static_cast<T*>(array_.data()),
               array_.size(0),
               array_.size(channels_last ? 4 : 1),
               {array_.size(first), array_.size(first + 1), array_.size(first + 2)},
               channels_last};
  }
  const dispatch::ImageMemory<T>& memory() const { return memory_; }
  std::size_t rows() const {
    return memory_.batch * memory_.size[0] * memory_.size[1] * memory_.size[2];
  }
  const Array* array() const { return &array_; }
  bool foreign() const { return array_.foreign(); }

 private:
  Array array_;
  dispatch::ImageMemory<T> memory_;
};

void forward_convolution(nb::handle x, const ArrayWeights& weights, nb::handle y, nb::handle bias,
                         const ShapeValues& shape, bool channels_last, const CallValues& values,
                         const nb::sequence& stages, dispatch::Record* record, nb::handle outputs,
                         nb::handle thread_count) {
  Threads threads(thread_count);
  ArrayCall call(values, stages, bias, weights, weights.weights.rows());
  const Images<const float> input(x, "x", channels_last, false);
  const Images<float> output(y, "y", channels_last, true);
  const InOutVector seen(outputs, "outputs", true);
  expect_unmoved(input, output, call.bias(), seen);
  call->array_outputs = outputs_of(seen, output.rows(), weights);
  call->executor = threads.executor();
  call->record = record;
  threads.without_gil([&] {
    dispatch::run({input.memory(), output.memory(), shape_of(shape), *call});
  });
}

void backward_convolution(const dispatch::Record& record, nb::handle grad_y, nb::handle x,
                          const ArrayWeights& weights, const ShapeValues& shape, bool channels_last,
                          const CallValues& values, const nb::sequence& stages, nb::handle products,
                          nb::handle grad_x, nb::handle grad_filters, nb::handle grad_bias,
                          Workspace& workspace, int thread_count) {
  Threads threads(thread_count);
  ArrayCall call(values, stages, grad_bias, weights, weights.weights.rows());
  call->gradient_products = gradient_products(nb::borrow(products));
  const Images<const float> gradient(grad_y, "grad_y", channels_last, false);
  const Images<const float> input(x, "x", channels_last, false);
  std::optional<Images<float>> by_input;
  if (!grad_x.is_none()) by_input.emplace(grad_x, "grad_x", channels_last, true);
  const GradientMatrix by_filters(grad_filters, "grad_filters", weights.weights.rows(),
                                  weights.weights.cols());
  const InOutVector by_bias(grad_bias, "grad_bias", true);
  if (by_input) {
    expect_unmoved(gradient, input, *by_input, by_filters, by_bias);
  } else {
    expect_unmoved(gradient, input, by_filters, by_bias);
  }
  call->executor = threads.executor();
  const dispatch::ConvolutionGradientViews to{
      by_input ? by_input->memory() : dispatch::ImageMemory<float>{}, by_filters.view(),
      by_bias.data()};
  const dispatch::ConvolutionCall convolution{input.memory(), {}, shape_of(shape), *call};
  workspace.use(threads, [&](dispatch::Workspace& memory) {
    dispatch::backward(convolution, gradient.memory(), record, to, memory);
  });
}

// --- Weights -------------------------------------------------------------------------------------

void encode(ArrayWeights* self, nb::handle weight, const EncodingValues& values,
            const std::optional<ShapeValues>& shape) {
  const Encoding encoding(values);
  const InputMatrix<float> w(weight, "weight", "[out, in]");
  const nb::gil_scoped_release release;
  new (self) ArrayWeights{shape ? dispatch::encode_arrays(w.view(), *encoding, shape_of(*shape))
                                : dispatch::encode_arrays(w.view(), *encoding)};
}

nb::object codes(const ArrayWeights& self) {
  nb::object result =
      new_array(nb::none(), nb::make_tuple(self.weights.code_count()), ElementType::int8);
  const Array array(result, "codes", ElementType::int8, "int8", true);
  self.weights.codes(static_cast<std::int8_t*>(array.data()));
  return result;
}
nb::object scales(const ArrayWeights& self) {
  nb::object result = new_array(
      nb::none(), nb::make_tuple(self.weights.tiles(), self.weights.rows()), ElementType::float32);
  const Array array(result, "scales", ElementType::float32, "float32", true);
  self.weights.scales(static_cast<float*>(array.data()));
  return result;
}
void multiply_scales(ArrayWeights& self, nb::handle factors) {
  const InputVector own(factors, "factors", "[tiles * out]");
  if (own.count() != self.weights.tiles() * self.weights.rows()) {
    throw nb::value_error(("factors must have " +
                           std::to_string(self.weights.tiles() * self.weights.rows()) +
                           " elements, not " + std::to_string(own.count()))
                              .c_str());
  }
  self.weights.multiply_scales(own.data());
}

void perturb_gradient(nb::handle gradient, const EncodingValues& values,
                      const std::optional<ShapeValues>& shape, std::size_t rows, std::size_t cols) {
  const Encoding encoding(values);
  const OutputMatrix<float> own(gradient, "gradient", gradient, rows, cols);
  const nb::gil_scoped_release release;
  if (shape) {
    dispatch::perturb_gradient(own.view(), *encoding, shape_of(*shape));
  } else {
    dispatch::perturb_gradient(own.view(), *encoding);
  }
}

nb::object conductances(const CellValues& cell, nb::handle targets,
                        const std::optional<double>& seconds, std::uint64_t seed,
                        std::uint64_t stream) {
  const InputVector from(targets, "targets_uS", "[count]");
  nb::object result = new_array(targets, nb::make_tuple(from.count()), ElementType::float32);
  const Array to(result, "conductances", ElementType::float32, "float32", true);
  const nb::gil_scoped_release release;
  dispatch::conductances(cell_of(cell), from.data(), static_cast<float*>(to.data()), from.count(),
                         seconds ? &*seconds : nullptr, {seed, stream});
  return result;
}

void restore_record(dispatch::Record& record, const ArrayWeights& weights,
                    const ByteMatrix<const std::uint8_t>& from, std::size_t gates) {
  record.restore(weights.weights, {from.data(), from.shape(0), from.shape(1), from.shape(1)},
                 gates);
}

}  // namespace

void bind_array_layer(nb::module_& module) {
  nb::class_<ArrayWeights>(module, "ArrayWeights", "Weights [out, in], or filters, on arrays.")
      .def("__init__", &encode, nb::arg("weight"), nb::arg("encoding"),
           nb::arg("shape").none() = nb::none())
      .def_prop_ro(
          "shape",
          [](const ArrayWeights& self) {
            return nb::make_tuple(self.weights.rows(), self.weights.cols());
          },
          "(out, in) as they were given")
      .def_prop_ro(
          "tiles", [](const ArrayWeights& self) { return self.weights.tiles(); },
          "How many arrays lie along the inputs.")
      .def_prop_ro(
          "code_value", [](const ArrayWeights& self) { return self.weights.code_value(); },
          "What code 1 is of a fully-on device.")
      .def("codes", &codes, "int8, those of a convolution's products one after the other.")
      .def("scales", &scales, "float32 [tiles, out]: what a fully-on device stands for.")
      .def("multiply_scales", &multiply_scales, nb::arg("factors"));
  module.def("forward_arrays", &forward, nb::arg("x"), nb::arg("weights"), nb::arg("y"),
             nb::arg("bias").none(), nb::arg("call"), nb::arg("stages"), nb::arg("record").none(),
             nb::arg("outputs").none(), nb::arg("threads").none());
  module.def("backward_arrays", &backward, nb::arg("record"), nb::arg("grad_y"), nb::arg("x"),
             nb::arg("weights"), nb::arg("call"), nb::arg("stages"), nb::arg("products").none(),
             nb::arg("grad_x").none(), nb::arg("grad_w").none(), nb::arg("grad_bias").none(),
             nb::arg("workspace"), nb::arg("threads"));
  module.def("forward_convolution", &forward_convolution, nb::arg("x"), nb::arg("weights"),
             nb::arg("y"), nb::arg("bias").none(), nb::arg("shape"), nb::arg("channels_last"),
             nb::arg("call"), nb::arg("stages"), nb::arg("record").none(),
             nb::arg("outputs").none(), nb::arg("threads").none());
  module.def("backward_convolution", &backward_convolution, nb::arg("record"), nb::arg("grad_y"),
             nb::arg("x"), nb::arg("weights"), nb::arg("shape"), nb::arg("channels_last"),
             nb::arg("call"), nb::arg("stages"), nb::arg("products").none(),
             nb::arg("grad_x").none(), nb::arg("grad_filters").none(), nb::arg("grad_bias").none(),
             nb::arg("workspace"), nb::arg("threads"));
  module.def("perturb_gradient", &perturb_gradient, nb::arg("gradient"), nb::arg("encoding"),
             nb::arg("shape").none(), nb::arg("rows"), nb::arg("cols"));
  module.def("conductances", &conductances, nb::arg("cell"), nb::arg("targets_uS"),
             nb::arg("seconds").none(), nb::arg("seed"), nb::arg("stream"));
  module.def("restore_array_record", &restore_record, nb::arg("record"), nb::arg("weights"),
             nb::arg("bits"), nb::arg("gates"));
}

}  // namespace lumina::python
