// Numbers as arguments: errors that name them.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include <lumina/dispatch.hpp>

#include "objects.hpp"

namespace lumina::python {

namespace nb = nanobind;

/// "<name> must be <expected>, not <value>", for the exception that is set; one of value's own,
/// which is no TypeError, is named as the cause.
[[noreturn]] inline void refuse_kind(nb::handle value, const char* name, const char* expected) {
  if (PyErr_ExceptionMatches(PyExc_Exception) == 0) nb::raise_python_error();
  nb::python_error reason;
  const std::string message = std::string(name) + " must be " + expected + ", not " + text(value);
  if (reason.matches(PyExc_TypeError)) throw nb::type_error(message.c_str());
  nb::raise_from(reason, PyExc_TypeError, "%s", message.c_str());
}

/// An int of Python. Error: TypeError, if it is none; so is a bool, which Python would take for
/// one.
inline nb::object integer(nb::handle value, const char* name) {
  if (PyLong_CheckExact(value.ptr())) return nb::borrow(value);
  if (PyBool_Check(value.ptr()) || is_instance(value, of_numpy<"bool_">().ptr())) {
    throw nb::type_error((std::string(name) + " must be an integer, not " + text(value)).c_str());
  }
  nb::object result = nb::steal(PyNumber_Index(value.ptr()));
  if (!result.is_valid()) refuse_kind(value, name, "an integer");
  return result;
}

/// An integer in [least, most]. Errors: TypeError, if it is none; ValueError, if it is outside.
inline long long read_integer(nb::handle value, const char* name, long long least, long long most) {
  const long long result = PyLong_AsLongLong(integer(value, name).ptr());
  const bool failed = result == -1 && PyErr_Occurred() != nullptr;
  if (failed) PyErr_Clear();
  if (failed || result < least || result > most) {
    throw nb::value_error((std::string(name) + " must be in " + std::to_string(least) + ".." +
                           std::to_string(most) + ", not " + text(value))
                              .c_str());
  }
  return result;
}

/// An integer in [0, 2^64).
inline std::uint64_t read_word(nb::handle value, const char* name) {
  const unsigned long long word = PyLong_AsUnsignedLongLong(integer(value, name).ptr());
  if (word == static_cast<unsigned long long>(-1) && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw nb::value_error(
        (std::string(name) + " must be in 0..2**64 - 1, not " + text(value)).c_str());
  }
  return word;
}

inline std::size_t read_index(nb::handle value, const char* name) {
  return static_cast<std::size_t>(read_integer(value, name, 0, PY_SSIZE_T_MAX));
}

/// A number as float. Errors: TypeError, if it is none; ValueError, if float32 can't hold it.
inline float read_float(nb::handle value, const char* name) {
  const double number = PyFloat_AsDouble(value.ptr());
  const bool failed = number == -1.0 && PyErr_Occurred() != nullptr;
  const bool too_large = failed && PyErr_ExceptionMatches(PyExc_OverflowError) != 0;
  if (failed && !too_large) {
    refuse_kind(value, name, "a number");
  }
  if (failed) PyErr_Clear();
  const auto result = static_cast<float>(number);
  if (too_large || !std::isfinite(result)) {
    throw nb::value_error((std::string(name) + " must be finite, not " + text(value)).c_str());
  }
  return result;
}

inline float read_strength(nb::handle value, const char* name) {
  const float strength = read_float(value, name);
  if (strength < 0.0f) {
    throw nb::value_error(
        (std::string(name) + " must not be negative, not " + text(value)).c_str());
  }
  return strength;
}

/// Which arguments a quantizer comes from.
struct ConverterNames {
  const char *bits, *lo, *hi;
};

/// A quantizer's range and bits; checked, so that the library takes it. `symmetric`: 0 is exact; at
/// least 2 bits, and lo must be -hi.
inline Converter read_converter(nb::handle bits, nb::handle lo, nb::handle hi, bool symmetric,
                                const ConverterNames& names, int most_bits = 16) {
  const Converter converter{
      static_cast<int>(read_integer(bits, names.bits, symmetric ? 2 : 1, most_bits)),
      read_float(lo, names.lo), read_float(hi, names.hi), symmetric};
  const auto refuse = [&](const std::string& rule) {
    throw nb::value_error(
        (std::string(names.lo) + " must be " + rule + ", not " + text(lo) + " and " + text(hi))
            .c_str());
  };
  if (!(converter.lo < converter.hi)) refuse(std::string("smaller than ") + names.hi);
  if (symmetric && converter.lo != -converter.hi) {
    refuse(std::string("-") + names.hi + " for a converter that is symmetric");
  }
  dispatch::step(converter);  // reports ranges that float cannot hold
  return converter;
}

/// True or False, as Python takes it.
inline bool read_flag(nb::handle value) { return is_true(nb::borrow(value)); }

}  // namespace lumina::python
