#include "weights.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "arguments.hpp"
#include "arrays.hpp"

namespace lumina::python {

namespace {

/// The library's error, with the argument's name here.
template <class F>
auto naming(const char* name, F f) {
  try {
    return f();
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(std::string(name) + ": " + error.what());
  }
}

}  // namespace

dispatch::Weights pack(const char* name, const MatrixMemory<const float>& w, int bits) {
  return naming(name, [&] {
    return bits == 0 ? dispatch::pack_weights(w) : dispatch::pack_quantized_weights(w, bits);
  });
}
dispatch::Weights encode(const char* name, const MatrixMemory<const float>& w, int bits) {
  return naming(name, [&] { return dispatch::encode_weights(w, bits); });
}

std::unique_ptr<float[]> mixed(const char* name, const MatrixMemory<const float>& w, int bits,
                               float crosstalk) {
  const std::size_t size = std::max<std::size_t>(1, w.rows * w.cols);
  std::unique_ptr<float[]> quantized;
  MatrixMemory<const float> values = w;
  if (bits != 0) {
    if (!dispatch::all_finite(w))
      throw std::invalid_argument(std::string(name) + " must be finite");
    quantized.reset(new float[size]);
    for (std::size_t row = 0; row < w.rows && w.cols != 0; ++row) {
      float* const to = quantized.get() + row * w.cols;
      std::copy_n(w.data + row * w.row_stride, w.cols, to);
      const float limit = std::abs(*std::max_element(
          to, to + w.cols, [](float a, float b) { return std::abs(a) < std::abs(b); }));
      if (limit != 0.0f) dispatch::quantize({bits, -limit, limit, true}, to, w.cols);
    }
    values = {quantized.get(), w.rows, w.cols, w.cols};
  }
  std::unique_ptr<float[]> result(new float[size]);
  if (w.cols != 0) {
    dispatch::mix_neighbours(values, crosstalk, {result.get(), w.rows, w.cols, w.cols});
  }
  return result;
}

const dispatch::Weights* packed_weights(nb::handle object) {
  if (const CodedWeights* coded = nullptr; nb::try_cast(object, coded, false) && coded != nullptr) {
    return &coded->weights;
  }
  if (const PackedWeights* packed = nullptr;
      nb::try_cast(object, packed, false) && packed != nullptr) {
    return &packed->weights;
  }
  return nullptr;
}

namespace {

dispatch::Weights packed_array(nb::handle weight, nb::handle bits) {
  const int count = bits.is_none() ? 0 : static_cast<int>(read_integer(bits, "bits", 2, 16));
  const InputMatrix<float> w(weight, "weight", "[out, in]");
  const nb::gil_scoped_release release;
  return pack("weight", w.view(), count);
}

dispatch::Weights encoded_array(nb::handle weight, nb::handle bits) {
  const int count = static_cast<int>(read_integer(bits, "bits", 2, 8));
  const InputMatrix<float> w(weight, "weight", "[out, in]");
  const nb::gil_scoped_release release;
  return encode("weight", w.view(), count);
}

nb::object codes(const CodedWeights& self) {
  const dispatch::Weights& w = self.weights;
  nb::object result = new_array(nb::none(), nb::make_tuple(w.rows(), w.cols()), ElementType::int8);
  const Array array(result, "codes", ElementType::int8, "int8", true);
  w.codes(static_cast<std::int8_t*>(array.data()));
  return result;
}
nb::object scales(const CodedWeights& self) {
  nb::object result =
      new_array(nb::none(), nb::make_tuple(self.weights.rows()), ElementType::float32);
  const Array array(result, "scales", ElementType::float32, "float32", true);
  self.weights.scales(static_cast<float*>(array.data()));
  return result;
}
nb::object decode(const CodedWeights& self) {
  const nb::object factors = scales(self).attr("reshape")(-1, 1);
  return codes(self).attr("__mul__")(factors);
}

// --- Pickling ------------------------------------------------------------------------------------

nb::tuple packed_state(const PackedWeights& self) {
  const dispatch::Weights& w = self.weights;
  nb::object values =
      new_array(nb::none(), nb::make_tuple(w.rows(), w.cols()), ElementType::float32);
  const Array array(values, "values", ElementType::float32, "float32", true);
  w.values(static_cast<float*>(array.data()));
  return nb::make_tuple(values, w.bits());
}

void restore_packed(PackedWeights& self, const nb::tuple& state) {
  if (state.size() != 2) throw nb::value_error("this is no state of packed weights");
  const InputMatrix<float> values(state[0], "values", "[out, in]");
  const int bits = static_cast<int>(read_integer(state[1], "bits", 0, 16));
  new (&self) PackedWeights{dispatch::pack_quantized_values(values.view(), bits)};
}

nb::tuple coded_state(const CodedWeights& self) {
  return nb::make_tuple(codes(self), scales(self), self.weights.bits());
}

/// The value of code `largest` that makes encode_weights choose `scale` again. What it chose it for
/// is at most some roundings away from their product.
float value_for_scale(float scale, int largest) {
  const float product = scale * static_cast<float>(largest);
  float below = product, above = product;
  for (int i = 0; i < 4; ++i) {
    for (const float value : {below, above}) {
      if (static_cast<float>(static_cast<double>(value) / largest) == scale) return value;
    }
    below = std::nextafter(below, 0.0f);
    above = std::nextafter(above, 2 * product);
  }
  return product;  // of denormals
}

void restore_coded(CodedWeights& self, const nb::tuple& state) {
  if (state.size() != 3) throw nb::value_error("this is no state of coded weights");
  const int bits = static_cast<int>(read_integer(state[2], "bits", 2, 8));
  const nb::object code_values = of_numpy<"asarray">()(state[0], "float32", "C");
  const InputMatrix<float> from(code_values, "codes", "[out, in]");
  const InputVector row_scales(state[1], "scales", "[out]");
  const std::size_t rows = from.rows(), cols = from.cols();
  if (row_scales.count() != rows) throw nb::value_error("there must be a scale for each row");
  const int top = (1 << (bits - 1)) - 1;
  std::unique_ptr<float[]> values(new float[std::max<std::size_t>(1, rows * cols)]);
  for (std::size_t row = 0; row < rows && cols != 0; ++row) {
    const float scale = row_scales.data()[row], largest = value_for_scale(scale, top);
    for (std::size_t k = 0; k < cols; ++k) {
      const float code = from.view().data[row * from.view().row_stride + k];
      values[row * cols + k] =
          std::abs(code) == static_cast<float>(top) ? std::copysign(largest, code) : code * scale;
    }
  }
  new (&self) CodedWeights{encode("state", {values.get(), rows, cols, cols}, bits)};
}

template <class T>
nb::class_<T> bind_class(nb::module_& module, const char* name, const char* doc) {
  return nb::class_<T>(module, name, doc)
      .def_prop_ro(
          "shape",
          [](const T& self) { return nb::make_tuple(self.weights.rows(), self.weights.cols()); },
          "(out, in)")
      .def_prop_ro(
          "isa", [](const T& self) { return std::string(self.weights.isa()); },
          "The instruction set that calls with these weights run on.")
      .def("__repr__",
           [name](const T& self) {
             return std::string(name) + "(shape=(" + std::to_string(self.weights.rows()) + ", " +
                    std::to_string(self.weights.cols()) + "), bits=" +
                    (self.weights.bits() == 0 ? "None" : std::to_string(self.weights.bits())) +
                    ", isa='" + std::string(self.weights.isa()) + "')";
           })
      // They never change.
      .def("__copy__", [](nb::handle self) { return nb::borrow(self); })
      .def("__deepcopy__", [](nb::handle self, nb::handle) { return nb::borrow(self); });
}

}  // namespace

void bind_weights(nb::module_& module) {
  bind_class<PackedWeights>(module, "PackedWeights",
                            R"(Float32 weights, packed once for many calls.

weight: float32 [out, in], finite where `bits` is given.
bits: None, the weights as they are; or 2..16, quantized first: symmetric codes with a scale for
    each output, as CodedWeights, but multiplied as floats.

The array is not needed afterwards. Ctrl-C waits for the end of packing, as of encoding.
Errors: TypeError, ValueError.)")
      .def(
          "__init__",
          [](PackedWeights* self, nb::handle weight, nb::handle bits) {
            new (self) PackedWeights{packed_array(weight, bits)};
          },
          nb::arg("weight"), nb::arg("bits").none() = nb::none(),
          nb::sig("def __init__(self, weight: ArrayLike, bits: int | None = None) -> None"))
      .def_prop_ro(
          "bits",
          [](const PackedWeights& self) {
            const int bits = self.weights.bits();
            return bits == 0 ? nb::object(nb::none()) : nb::object(nb::int_(bits));
          },
          nb::sig("def bits(self) -> int | None"), "Bits of the weights; None: not quantized.")
      .def("__getstate__", &packed_state)
      .def("__setstate__", &restore_packed);

  bind_class<CodedWeights>(module, "CodedWeights",
                           R"(Weights as symmetric integer codes, packed once for many calls.

weight: float32 [out, in], finite.
bits: 2..8. code = clamp(rint(weight / scale), -m, m) with m = 2**(bits - 1) - 1 and, for each
    output, scale = max |weight[out]| / m.

Calls with them need a DAC (dac_bits) and multiply in exact integer arithmetic.
Errors: TypeError, ValueError.)")
      .def(
          "__init__",
          [](CodedWeights* self, nb::handle weight, nb::handle bits) {
            new (self) CodedWeights{encoded_array(weight, bits)};
          },
          nb::arg("weight"), nb::arg("bits") = 8,
          nb::sig("def __init__(self, weight: ArrayLike, bits: int = 8) -> None"))
      .def_prop_ro(
          "bits", [](const CodedWeights& self) { return self.weights.bits(); },
          "Bits of the codes, 2..8.")
      .def("codes", &codes, nb::sig("def codes(self) -> numpy.ndarray"),
           "The codes: int8 [out, in].")
      .def("scales", &scales, nb::sig("def scales(self) -> numpy.ndarray"),
           "What code 1 is worth: float32 [out]; 0 where a row of the weights is all zeros.")
      .def("decode", &decode, nb::sig("def decode(self) -> numpy.ndarray"),
           "The weights that the codes stand for: float32 [out, in].")
      .def("__getstate__", &coded_state)
      .def("__setstate__", &restore_coded);
}

}  // namespace lumina::python
