// Python's objects by the stable interface: names, attributes, texts. Whatever can fail is checked:
// an exception that is left set shows up later, in somebody else's call.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <cstddef>
#include <string>

namespace lumina::python {

namespace nb = nanobind;

/// Forgets the exception that is set, unless it ends programs, as KeyboardInterrupt does: that one
/// is thrown.
inline void forget_error() {
  if (PyErr_ExceptionMatches(PyExc_Exception) == 0) nb::raise_python_error();
  PyErr_Clear();
}

/// A str of Python as UTF-8. Lone surrogates, which have none, are written as escapes.
inline std::string utf8(nb::handle string) {
  const nb::object bytes =
      nb::steal(PyUnicode_AsEncodedString(string.ptr(), "utf-8", "backslashreplace"));
  char* text = nullptr;
  Py_ssize_t size = 0;
  if (!bytes.is_valid() || PyBytes_AsStringAndSize(bytes.ptr(), &text, &size) != 0) {
    nb::raise_python_error();
  }
  return {text, static_cast<std::size_t>(size)};
}

/// str(object)
inline std::string text_of(nb::handle object) {
  const nb::object text = nb::steal(PyObject_Str(object.ptr()));
  if (!text.is_valid()) nb::raise_python_error();
  return utf8(text);
}

inline std::string name_of_type(nb::handle object) {
  const nb::object name = nb::steal(
      PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(object.ptr())), "__name__"));
  if (name.is_valid() && PyUnicode_Check(name.ptr())) return utf8(name);
  if (!name.is_valid()) forget_error();
  return "object";
}

/// As Python writes it; what it does not write out, say an integer of thousands of digits, by type.
inline std::string text(nb::handle value) {
  const nb::object written = nb::steal(PyObject_Repr(value.ptr()));
  if (written.is_valid()) return utf8(written);
  forget_error();
  return "this " + name_of_type(value);
}

/// An attribute's name, as a template argument.
template <std::size_t Size>
struct Name {
  char text[Size];
  constexpr Name(const char (&name)[Size]) { std::copy_n(name, Size, text); }
};

// What is made once lives as long as the interpreter. A static's own guard would not do: a thread
// would wait for it with the GIL, which the one that is importing needs.

/// The name as Python's dictionaries have it: made once, for that takes as long as to look it up.
template <Name Text>
PyObject* interned() {
  static PyObject* name = nullptr;
  if (name == nullptr) name = PyUnicode_InternFromString(Text.text);
  if (name == nullptr) nb::raise_python_error();
  return name;
}

template <Name Text>
nb::object attribute(nb::handle object) {
  PyObject* const result = PyObject_GetAttr(object.ptr(), interned<Text>());
  if (result == nullptr) nb::raise_python_error();
  return nb::steal(result);
}

/// object.name()
template <Name Text>
nb::object called(nb::handle object) {
  PyObject* const argument = object.ptr();
  PyObject* const result = PyObject_VectorcallMethod(interned<Text>(), &argument, 1, nullptr);
  if (result == nullptr) nb::raise_python_error();
  return nb::steal(result);
}

inline bool is_true(const nb::object& value) {
  const int truth = PyObject_IsTrue(value.ptr());
  if (truth < 0) nb::raise_python_error();
  return truth == 1;
}

/// An attribute of NumPy.
template <Name Text>
nb::handle of_numpy() {
  static PyObject* object = nullptr;
  if (object == nullptr) {
    object = attribute<Text>(nb::module_::import_("numpy")).release().ptr();
  }
  return object;
}

/// An attribute of PyTorch, or null while nobody has imported it, and where it has none.
template <Name Text>
PyObject* of_torch() {
  static PyObject* object = nullptr;
  if (object == nullptr) {
    PyObject* const torch = PyDict_GetItemString(PyImport_GetModuleDict(), "torch");
    // While it is being imported it may have no such attribute yet.
    if (torch != nullptr) object = PyObject_GetAttr(torch, interned<Text>());
    if (torch != nullptr && object == nullptr) forget_error();
  }
  return object;
}

/// By its real type; what it says of its __class__ does not count, and no code of its own runs.
inline bool is_instance(nb::handle object, PyObject* type) {
  return type != nullptr && PyType_Check(type) &&
         PyObject_TypeCheck(object.ptr(), reinterpret_cast<PyTypeObject*>(type)) != 0;
}

}  // namespace lumina::python
