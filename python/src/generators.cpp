// FastRng, Quantizer and the noise of one element.
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "arrays.hpp"
#include "functions.hpp"
#include "threads.hpp"

namespace lumina::python {

namespace {

// --- FastRng -------------------------------------------------------------------------------------

/// One thread at a time uses the generator; the others wait.
struct Rng {
  dispatch::FastRng generator;
  Turns turns;

  explicit Rng(std::uint64_t seed) : generator(seed) {}
  explicit Rng(std::span<const std::byte> state) : generator(state) {}
};

/// f(generator), for what is so short that the GIL stays.
template <auto f>
auto locked(Rng& rng) {
  const auto turn = rng.turns.take();
  return (rng.generator.*f)();
}

void fill(Rng& rng, const InOutVector& values, float mean, float stddev) {
  constexpr std::size_t kWorthReleasing = 1 << 14;
  const auto turn = rng.turns.take();
  values.count_write();
  if (values.count() < kWorthReleasing) {
    rng.generator.fill_normal(values.data(), values.count(), mean, stddev);
    return;
  }
  // A copy draws, so that the generator is whole in a process that is forked meanwhile, and where
  // Ctrl-C comes.
  dispatch::FastRng copy(rng.generator.state());
  in_pieces(values.count(), [&](std::size_t begin, std::size_t count) {
    copy.fill_normal(values.data() + begin, count, mean, stddev);
  });
  rng.generator = std::move(copy);
}

void fill_normal(Rng& rng, nb::handle out, nb::handle mean, nb::handle stddev) {
  const float center = read_float(mean, "mean"), deviation = read_strength(stddev, "stddev");
  fill(rng, InOutVector(out, "out"), center, deviation);
}

nb::object normals(Rng& rng, nb::handle shape, nb::handle mean, nb::handle stddev) {
  const float center = read_float(mean, "mean"), deviation = read_strength(stddev, "stddev");
  nb::object result = new_array(nb::none(), shape, ElementType::float32);
  fill(rng, InOutVector(result, "out"), center, deviation);
  return result;
}

nb::bytes state(Rng& rng) {
  const auto turn = rng.turns.take();
  const std::vector<std::byte> bytes = rng.generator.state();
  return nb::bytes(bytes.data(), bytes.size());
}

void restore(Rng& rng, const nb::bytes& state) {
  new (&rng) Rng(std::span(static_cast<const std::byte*>(state.data()), state.size()));
}

void bind_rng(nb::module_& module) {
  using Generator = dispatch::FastRng;
  nb::class_<Rng>(module, "FastRng", R"(Xoshiro256++, seeded by SplitMix64: the published sequence.

seed: 0..2**64 - 1. Normals come from a sequence of their own, the same however calls are split.
Threads may share an object; each call takes its part of the sequence. A copy, also one that comes
out of pickle or lives on in a forked process, goes on where the object stood; a call that Ctrl-C
ends has taken nothing, but may have written a part of its values.)")
      .def(
          "__init__", [](Rng* self, nb::handle seed) { new (self) Rng(read_word(seed, "seed")); },
          nb::arg("seed"), nb::sig("def __init__(self, seed: int) -> None"))
      .def("next", &locked<&Generator::operator()>, "The next word, 0..2**64 - 1.")
      .def("uniform", &locked<&Generator::uniform>,
           "In [0, 1), a multiple of 2**-24; takes one word.")
      .def("normal", &locked<&Generator::normal>, "N(0, 1).")
      .def("fill_normal", &fill_normal, nb::arg("out"), nb::arg("mean") = 0.0,
           nb::arg("stddev") = 1.0,
           nb::sig("def fill_normal(self, out: ArrayLike, mean: float = 0.0, stddev: float = 1.0) "
                   "-> None"),
           "Fills out, a contiguous float32 array, with mean + stddev * N(0, 1).")
      .def("normals", &normals, nb::arg("shape"), nb::arg("mean") = 0.0, nb::arg("stddev") = 1.0,
           nb::sig("def normals(self, shape: int | tuple[int, ...], mean: float = 0.0, "
                   "stddev: float = 1.0) -> numpy.ndarray"),
           "A new float32 array of mean + stddev * N(0, 1).")
      .def("jump", &locked<&Generator::jump>, "Advances by 2**128 words. The normals start anew.")
      .def("long_jump", &locked<&Generator::long_jump>,
           "Advances by 2**192 words. The normals start anew.")
      .def("__getstate__", &state)
      .def("__setstate__", &restore);
}

// --- Quantizer -----------------------------------------------------------------------------------

struct Quantizer {
  static constexpr const char* name = "Quantizer";
  static constexpr ElementType code_type = ElementType::uint32;
  Converter converter;

  long long max_code() const { return (1LL << converter.bits) - 1; }
  long long min_code() const { return 0; }
  std::string arguments() const {
    return ", lo=" + text(nb::float_(static_cast<double>(converter.lo))) +
           ", hi=" + text(nb::float_(static_cast<double>(converter.hi)));
  }
};

struct SymmetricQuantizer {
  static constexpr const char* name = "SymmetricQuantizer";
  static constexpr ElementType code_type = ElementType::int32;
  Converter converter;

  long long max_code() const { return (1LL << (converter.bits - 1)) - 1; }
  long long min_code() const { return -max_code(); }
  std::string arguments() const {
    return ", limit=" + text(nb::float_(static_cast<double>(converter.hi)));
  }
};

/// The codes of either in memory.
const char* name_of_codes(ElementType type) {
  return type == ElementType::int32 ? "int32" : "uint32";
}

/// A NumPy array of `type` with the values of an array-like: float32 arrays as they are, numbers
/// converted.
nb::object as_contiguous(nb::handle values, const char* type) {
  return of_numpy<"asarray">()(values, type, "C");
}

/// Python's, or NumPy's.
bool is_number(nb::handle value) {
  if (PyFloat_Check(value.ptr()) || PyLong_Check(value.ptr())) return true;
  const nb::object real = attribute<"Real">(nb::module_::import_("numbers"));
  const int result = PyObject_IsInstance(value.ptr(), real.ptr());
  if (result < 0) nb::raise_python_error();
  return result == 1;
}

/// Errors: TypeError, if it is no float32 array.
nb::object float_array(nb::handle values) {
  const Array array(values, "values", ElementType::float32, "a number or a float32 array", false);
  return as_contiguous(values, "float32");
}

template <class Q>
nb::object encode(const Q& self, nb::handle values) {
  if (is_number(values)) {
    const auto value = static_cast<float>(PyFloat_AsDouble(values.ptr()));
    if (PyErr_Occurred() != nullptr) throw nb::python_error();
    std::uint32_t code = 0;
    dispatch::encode(self.converter, &value, 1, &code);
    return nb::int_(self.min_code() < 0 ? static_cast<long long>(static_cast<std::int32_t>(code))
                                        : static_cast<long long>(code));
  }
  const nb::object input = float_array(values);
  nb::object result = new_array(nb::none(), input.attr("shape"), Q::code_type);
  const Array from(input, "values", ElementType::float32, "float32", false);
  const Array to(result, "codes", Q::code_type, name_of_codes(Q::code_type), true);
  in_pieces(from.element_count(), [&](std::size_t begin, std::size_t count) {
    dispatch::encode(self.converter, static_cast<const float*>(from.data()) + begin, count,
                     static_cast<std::uint32_t*>(to.data()) + begin);
  });
  return result;
}

template <class Q>
nb::object decode(const Q& self, nb::handle codes) {
  if (is_number(codes)) {
    const auto code =
        static_cast<std::uint32_t>(read_integer(codes, "codes", self.min_code(), self.max_code()));
    float value = 0.0f;
    dispatch::decode(self.converter, &code, 1, &value);
    return nb::float_(static_cast<double>(value));
  }
  const nb::object array = of_numpy<"asarray">()(codes);
  const nb::object dtype = attribute<"dtype">(array);
  const std::string kind = text_of(attribute<"kind">(dtype));
  if (kind != "i" && kind != "u") {
    throw nb::type_error(
        ("codes must be an array of integers, not one of " + text_of(dtype)).c_str());
  }
  if (nb::cast<std::size_t>(array.attr("size")) != 0) {
    for (const char* const end : {"min", "max"}) {
      read_integer(array.attr(end)(), "codes", self.min_code(), self.max_code());
    }
  }
  const nb::object input = as_contiguous(array, name_of_codes(Q::code_type));
  nb::object result = new_array(nb::none(), input.attr("shape"), ElementType::float32);
  const Array from(input, "codes", Q::code_type, name_of_codes(Q::code_type), false);
  const Array to(result, "values", ElementType::float32, "float32", true);
  in_pieces(from.element_count(), [&](std::size_t begin, std::size_t count) {
    dispatch::decode(self.converter, static_cast<const std::uint32_t*>(from.data()) + begin, count,
                     static_cast<float*>(to.data()) + begin);
  });
  return result;
}

template <class Q>
void apply(const Q& self, nb::handle values) {
  const InOutVector in_place(values, "values");
  in_place.count_write();
  in_pieces(in_place.count(), [&](std::size_t begin, std::size_t count) {
    dispatch::quantize(self.converter, in_place.data() + begin, count);
  });
}

template <class Q>
nb::object quantized(const Q& self, nb::handle values) {
  if (is_number(values)) {
    auto value = static_cast<float>(PyFloat_AsDouble(values.ptr()));
    if (PyErr_Occurred() != nullptr) throw nb::python_error();
    dispatch::quantize(self.converter, &value, 1);
    return nb::float_(static_cast<double>(value));
  }
  const nb::object result = float_array(values).attr("copy")();
  apply(self, result);
  return result;
}

Converter symmetric_converter(nb::handle bits, nb::handle limit) {
  const float hi = read_float(limit, "limit");
  const Converter converter{static_cast<int>(read_integer(bits, "bits", 2, 16)), -hi, hi, true};
  if (!(hi > 0.0f)) {
    throw nb::value_error(("limit must be positive, not " + text(limit)).c_str());
  }
  dispatch::step(converter);  // reports ranges that float cannot hold
  return converter;
}

/// For what comes out of pickle.
void expect_length(const nb::tuple& state, std::size_t length) {
  if (state.size() != length) throw nb::value_error("this is no state of such an object");
}

template <class Q>
nb::class_<Q> bind_converter(nb::module_& module, const char* doc) {
  const auto itself = [](nb::handle self) { return nb::borrow(self); };
  return nb::class_<Q>(module, Q::name, doc)
      .def_prop_ro(
          "bits", [](const Q& self) { return self.converter.bits; }, "Of a code.")
      .def_prop_ro(
          "step", [](const Q& self) { return dispatch::step(self.converter); },
          "Between two levels, in the unit of the values.")
      .def_prop_ro("max_code", &Q::max_code, "The largest code.")
      .def("encode", &encode<Q>, nb::arg("values"),
           nb::sig("def encode(self, values: float | ArrayLike) -> Any"),
           "The code of a number, or codes (SymmetricQuantizer: int32, Quantizer: uint32) of a "
           "float32 "
           "array.")
      .def("decode", &decode<Q>, nb::arg("codes"),
           nb::sig("def decode(self, codes: int | ArrayLike) -> Any"),
           "What a code stands for, or a float32 array for an array of codes.")
      .def("__call__", &quantized<Q>, nb::arg("values"),
           nb::sig("def __call__(self, values: float | ArrayLike) -> Any"),
           "decode(encode(values)): a number, or a new float32 array.")
      .def("apply", &apply<Q>, nb::arg("values"),
           nb::sig("def apply(self, values: ArrayLike) -> None"),
           "The same in place, for a contiguous float32 array.")
      .def("__repr__",
           [](const Q& self) {
             return std::string(Q::name) + "(bits=" + std::to_string(self.converter.bits) +
                    self.arguments() + ")";
           })
      // It never changes.
      .def("__copy__", itself)
      .def("__deepcopy__", [](nb::handle self, nb::handle) { return nb::borrow(self); });
}

void bind_quantizer(nb::module_& module) {
  bind_converter<Quantizer>(module, R"(A DAC or ADC of `bits` bits, 1..16, over [lo, hi].

    encode(v) = clamp(rint((v - lo) / step), 0, 2**bits - 1), ties to even
    decode(c) = lo + c * step, rounded once
    step = (hi - lo) / (2**bits - 1)

in float32. Infinities saturate; encode(NaN) is 0, NaN stays NaN through a call. Where lo is -hi no
level is 0: 0 becomes half a step. SymmetricQuantizer keeps it.
Errors: ValueError where bits or the range are out of bounds.)")
      .def(
          "__init__",
          [](Quantizer* self, nb::handle bits, nb::handle lo, nb::handle hi) {
            new (self) Quantizer{read_converter(bits, lo, hi, false, {"bits", "lo", "hi"})};
          },
          nb::arg("bits"), nb::arg("lo"), nb::arg("hi"),
          nb::sig("def __init__(self, bits: int, lo: float, hi: float) -> None"))
      .def_prop_ro(
          "lo", [](const Quantizer& self) { return self.converter.lo; }, "What code 0 stands for.")
      .def_prop_ro(
          "hi", [](const Quantizer& self) { return self.converter.hi; },
          "What max_code stands for, but for rounding.")
      .def("__getstate__",
           [](const Quantizer& self) {
             return nb::make_tuple(self.converter.bits, self.converter.lo, self.converter.hi);
           })
      .def("__setstate__", [](Quantizer& self, const nb::tuple& state) {
        expect_length(state, 3);
        new (&self)
            Quantizer{read_converter(state[0], state[1], state[2], false, {"bits", "lo", "hi"})};
      });
  bind_converter<SymmetricQuantizer>(
      module,
      R"(A DAC or ADC of `bits` bits, 2..16, over [-limit, limit]; 0 is exact.

    encode(v) = clamp(rint(v / step), -m, m), ties to even, with m = 2**(bits - 1) - 1
    decode(c) = c * step
    step = limit / m

in float32. Infinities saturate; encode(NaN) is 0, NaN stays NaN through a call.
Errors: ValueError where bits or the limit are out of bounds.)")
      .def(
          "__init__",
          [](SymmetricQuantizer* self, nb::handle bits, nb::handle limit) {
            new (self) SymmetricQuantizer{symmetric_converter(bits, limit)};
          },
          nb::arg("bits"), nb::arg("limit"),
          nb::sig("def __init__(self, bits: int, limit: float) -> None"))
      .def_prop_ro(
          "limit", [](const SymmetricQuantizer& self) { return self.converter.hi; },
          "What max_code stands for, but for rounding.")
      .def("__getstate__",
           [](const SymmetricQuantizer& self) {
             return nb::make_tuple(self.converter.bits, self.converter.hi);
           })
      .def("__setstate__", [](SymmetricQuantizer& self, const nb::tuple& state) {
        expect_length(state, 2);
        new (&self) SymmetricQuantizer{symmetric_converter(state[0], state[1])};
      });
}

}  // namespace

void bind_generators(nb::module_& module) {
  bind_rng(module);
  bind_quantizer(module);
  module.def(
      "standard_normal_at",
      [](nb::handle seed, nb::handle row, nb::handle col, nb::handle stream,
         nb::handle row_offset) {
        return dispatch::standard_normal_at({read_word(seed, "seed"), read_word(stream, "stream"),
                                             read_word(row_offset, "row_offset")},
                                            read_index(row, "row"), read_index(col, "col"));
      },
      nb::arg("seed"), nb::arg("row"), nb::arg("col"), nb::kw_only(), nb::arg("stream") = 0,
      nb::arg("row_offset") = 0,
      nb::sig("def standard_normal_at(seed: int, row: int, col: int, *, stream: int = 0, "
              "row_offset: int = 0) -> float"),
      R"(The N(0, 1) value of element (row, col) of an output, a pure function of the arguments.

seed, stream, row_offset: 0..2**64 - 1; row, col: 0 or more. Errors: TypeError, ValueError.)");
}

}  // namespace lumina::python
