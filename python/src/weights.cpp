#include "weights.hpp"

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

dispatch::Weights pack(const char* name, const dispatch::View<const float>& w, int bits) {
  return naming(name, [&] {
    return bits == 0 ? dispatch::pack_weights(w) : dispatch::pack_quantized_weights(w, bits);
  });
}
dispatch::Weights encode(const char* name, const dispatch::View<const float>& w, int bits) {
  return naming(name, [&] { return dispatch::encode_weights(w, bits); });
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
      .def("__repr__", [name](const T& self) {
        return std::string(name) + "(shape=(" + std::to_string(self.weights.rows()) + ", " +
               std::to_string(self.weights.cols()) + "), bits=" +
               (self.weights.bits() == 0 ? "None" : std::to_string(self.weights.bits())) +
               ", isa='" + std::string(self.weights.isa()) + "')";
      });
}

}  // namespace

void bind_weights(nb::module_& module) {
  bind_class<PackedWeights>(module, "PackedWeights",
                            R"(Float32 weights, packed once for many calls.

weight: float32 [out, in], finite where `bits` is given.
bits: None, the weights as they are; or 2..16, quantized first: symmetric codes with a scale for
    each output, as CodedWeights, but multiplied as floats.

The array is not needed afterwards. Errors: TypeError, ValueError.)")
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
          nb::sig("def bits(self) -> int | None"), "Bits of the weights; None: not quantized.");

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
           "The weights that the codes stand for: float32 [out, in].");
}

}  // namespace lumina::python
