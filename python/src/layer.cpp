// What lumina_kernel.nn computes with; not public.
#include <algorithm>
#include <iterator>
#include <string>
#include <tuple>
#include <utility>

#include <nanobind/stl/tuple.h>

#include "arguments.hpp"
#include "arrays.hpp"
#include "functions.hpp"
#include "layer.hpp"
#include "threads.hpp"
#include "weights.hpp"

namespace lumina::python {

namespace {

using Bounds = std::tuple<int, float, float, bool>;  // bits, lo, hi, symmetric
using ReadoutValues =
    std::tuple<float, float, float, float>;  // gain, shot_noise, noise, attenuation

Converter converter(const nb::object& of) {
  const auto [bits, lo, hi, symmetric] = nb::cast<Bounds>(of);
  return {bits, lo, hi, symmetric};
}

constexpr std::pair<const char*, dispatch::GradientProducts> kGradientProducts[] = {
    {"float32", dispatch::GradientProducts::float32},
    {"int8", dispatch::GradientProducts::int8},
    {"int16", dispatch::GradientProducts::int16},
    {"int24", dispatch::GradientProducts::int24}};

}  // namespace

dispatch::GradientProducts gradient_products(const nb::object& name) {
  if (name.is_none()) return dispatch::GradientProducts::by_machine;
  const auto text = nb::cast<std::string>(name);
  for (const auto& [known, products] : kGradientProducts) {
    if (text == known) return products;
  }
  throw nb::value_error("gradient_products must be float32, int8, int16 or int24");
}

namespace {

const char* gradient_products_in_use() {
  const dispatch::GradientProducts in_use = dispatch::gradient_products_in_use();
  return std::find_if(std::begin(kGradientProducts), std::end(kGradientProducts),
                      [&](const auto& known) { return known.second == in_use; })
      ->first;
}

/// A call with LayerSettings (nn/interface.py); whether something is kept the caller decides.
dispatch::Call call_with(nb::handle settings) {
  dispatch::Call call{.x = {}, .weights = nullptr, .y = {}};
  call.dac = converter(attribute<"dac">(settings));
  call.adc = converter(attribute<"adc">(settings));
  const auto [gain, shot_noise, noise, attenuation] =
      nb::cast<ReadoutValues>(attribute<"readout">(settings));
  call.readout = {gain, 0.0f, 0.0f, attenuation};
  if (const nb::object key = attribute<"key">(settings); !key.is_none()) {
    call.readout.shot_noise = shot_noise;
    call.readout.noise = noise;
    call.key.seed = nb::cast<std::uint64_t>(key);
  }
  call.track = is_true(attribute<"track">(settings));
  call.gradient_products = gradient_products(attribute<"gradient_products">(settings));
  return call;
}

const dispatch::Weights& expect_weights(nb::handle object) {
  const dispatch::Weights* const weights = packed_weights(object);
  if (weights == nullptr) throw nb::type_error("weights must be PackedWeights or CodedWeights");
  return *weights;
}

/// The library itself checks the shapes of matrices.
void expect_outputs(const InputVector& bias, const dispatch::Weights& weights) {
  if (bias.data() != nullptr && bias.count() != weights.rows()) {
    throw nb::value_error(("bias must have shape (" + std::to_string(weights.rows()) + ",), not " +
                           bias.description())
                              .c_str());
  }
}

float forward(nb::handle x, nb::handle weights, nb::handle y, nb::handle bias, nb::handle settings,
              dispatch::Record* record, int thread_count) {
  dispatch::Call call = call_with(settings);
  Threads threads(thread_count);
  const InputMatrix<float> input(x, "x", "[batch, in]");
  const dispatch::Weights& packed = expect_weights(weights);
  const OutputMatrix<float> output(y, "y", x, input.rows(), packed.rows());
  const InputVector output_bias(bias, "bias", "[out]");
  expect_outputs(output_bias, packed);
  expect_unmoved(input, output, output_bias);
  call.x = input.view();
  call.weights = &packed;
  call.y = output.view();
  call.output_bias = output_bias.data();
  call.executor = threads.executor();
  call.record = record;
  return threads.without_gil([&] { return dispatch::run(call); });
}

void backward(const dispatch::Record& record, nb::handle grad_y, nb::handle x, nb::handle weights,
              nb::handle settings, nb::handle grad_x, nb::handle grad_w, nb::handle grad_bias,
              Workspace& workspace, int thread_count) {
  dispatch::Call call = call_with(settings);
  Threads threads(thread_count);
  const InputMatrix<float> gradient(grad_y, "grad_y", "[batch, out]");
  const InputMatrix<float> input(x, "x", "[batch, in]");
  const dispatch::Weights& packed = expect_weights(weights);
  const GradientMatrix by_input(grad_x, "grad_x", input.rows(), input.cols());
  const GradientMatrix by_weights(grad_w, "grad_w", packed.rows(), packed.cols());
  const InOutVector by_bias(grad_bias, "grad_bias", true);
  if (by_bias.data() != nullptr && by_bias.count() != packed.rows()) {
    throw nb::value_error("grad_bias must have a value for each output");
  }
  expect_unmoved(gradient, input, by_input, by_weights, by_bias);
  call.x = input.view();
  call.weights = &packed;
  call.executor = threads.executor();
  const dispatch::GradientViews gradients{by_input.view(), by_weights.view(), by_bias.data()};
  workspace.use(threads, [&](dispatch::Workspace& memory) {
    dispatch::backward(call, gradient.view(), record, gradients, memory);
  });
}

void save_record(const dispatch::Record& record, const ByteMatrix<std::uint8_t>& to) {
  const auto bits = record.bytes();
  if (to.shape(0) != bits.rows || to.shape(1) != bits.cols) {
    throw nb::value_error(("the record has " + std::to_string(bits.rows) + " rows of " +
                           std::to_string(bits.cols) + " bytes")
                              .c_str());
  }
  for (std::size_t row = 0; row < bits.rows; ++row) {
    std::copy_n(bits.data + row * bits.row_stride, bits.cols, to.data() + row * bits.cols);
  }
}

void restore_record(dispatch::Record& record, nb::handle weights,
                    const ByteMatrix<const std::uint8_t>& from) {
  record.restore(expect_weights(weights),
                 {from.data(), from.shape(0), from.shape(1), from.shape(1)});
}

bool all_finite(nb::handle values) {
  const InputMatrix<float> matrix(values, "values", "[rows, cols]");
  const nb::gil_scoped_release release;
  return dispatch::all_finite(matrix.view());
}

}  // namespace

void bind_layer(nb::module_& module) {
  nb::class_<dispatch::Record>(module, "ForwardRecord",
                               "What backward() needs to know of a forward().")
      .def(nb::init<>())
      .def("save", &save_record, nb::arg("to"),
           "Its bits to an array of bytes [batch, ceil(out / 8)].")
      .def_prop_ro("gates", &dispatch::Record::gates, "Bits of an output.")
      .def("restore", &restore_record, nb::arg("weights"), nb::arg("bits"),
           "Takes back what save() has written, of a forward() with such weights.");
  nb::class_<Workspace>(module, "Workspace", "Memory of backward(), used again.").def(nb::init<>());
  module.def("forward", &forward, nb::arg("x"), nb::arg("weights"), nb::arg("y"),
             nb::arg("bias").none(), nb::arg("settings"), nb::arg("record").none(),
             nb::arg("threads"),
             R"(y = ADC(attenuation * (gain * s + shot_noise * sqrt|s| * N1 + noise * N2)) + bias
with s = DAC(x) @ W.T; x [batch, in], weights of [out, in], y [batch, out], bias [out] or None.
settings: nn.interface.LayerSettings. record: to be filled for backward(), or None.
Returns the largest magnitude that entered the ADC where settings.track is True, otherwise 0.)");
  module.def(
      "backward", &backward, nb::arg("record"), nb::arg("grad_y"), nb::arg("x"), nb::arg("weights"),
      nb::arg("settings"), nb::arg("grad_x").none(), nb::arg("grad_w").none(),
      nb::arg("grad_bias").none(), nb::arg("workspace"), nb::arg("threads"),
      R"(Straight-through gradients of the forward() that has filled `record`, written to grad_x
[batch, in], grad_w [out, in] and grad_bias [out]; those that are None are not computed.)");
  module.def("gradient_products_in_use", &gradient_products_in_use,
             "What gradient_products=None is on the instruction set in use.");
  module.def("all_finite", &all_finite, nb::arg("values"),
             "Whether a float32 matrix has no NaN and no infinity.");
}

}  // namespace lumina::python
