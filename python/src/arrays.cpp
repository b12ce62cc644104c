#include "arrays.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <new>
#include <string_view>
#include <utility>

namespace lumina::python {

namespace {

std::string shape_text(const Array& array) {
  std::string text = "(";
  for (std::size_t i = 0; i < array.dimensions(); ++i) {
    if (i == Array::kMostDimensions) return text + "...)";
    text += std::to_string(array.size(i));
    if (i + 1 < array.dimensions() || array.dimensions() == 1) text += ",";
    if (i + 1 < array.dimensions()) text += " ";
  }
  return text + ")";
}

/// A buffer's format: native byte order, without which it is something else.
ElementType type_of_format(const char* format) {
  if (format == nullptr) return ElementType::other;                                 // bytes
  constexpr char kNative = std::endian::native == std::endian::little ? '<' : '>';  // of ctypes
  const bool marked = *format == '@' || *format == '=' || *format == kNative;
  const std::string_view name = marked ? format + 1 : format;
  if (name == "f") return ElementType::float32;
  if (name == "Zf") return ElementType::complex64;
  if (name == "b") return ElementType::int8;
  if (name == "I" || (name == "L" && sizeof(unsigned long) == 4)) return ElementType::uint32;
  return ElementType::other;
}

ElementType type_of_dtype(const nb::dlpack::dtype& dtype) {
  if (dtype == nb::dtype<float>()) return ElementType::float32;
  if (dtype == nb::dtype<std::complex<float>>()) return ElementType::complex64;
  if (dtype == nb::dtype<std::uint32_t>()) return ElementType::uint32;
  return ElementType::other;
}

const char* name_of(ElementType type) {
  switch (type) {
    case ElementType::float32:
      return "float32";
    case ElementType::complex64:
      return "complex64";
    case ElementType::uint32:
      return "uint32";
    case ElementType::int8:
      return "int8";
    default:
      return "other";
  }
}

/// PyTorch's Tensor, or null while nobody has imported it. (Its modules live as long as the
/// interpreter.)
PyObject* torch_tensor_type() {
  static PyObject* tensor = nullptr;
  if (tensor == nullptr) {
    PyObject* const torch = PyDict_GetItemString(PyImport_GetModuleDict(), "torch");
    // While it is being imported it may have no Tensor yet.
    if (torch != nullptr) tensor = PyObject_GetAttrString(torch, "Tensor");
    if (tensor == nullptr) PyErr_Clear();
  }
  return tensor;
}

bool is_torch_tensor(nb::handle object) {
  PyObject* const tensor = torch_tensor_type();
  return tensor != nullptr && PyObject_IsInstance(object.ptr(), tensor) == 1;
}

/// An attribute's name, as a template argument.
template <std::size_t Size>
struct Name {
  char text[Size];
  constexpr Name(const char (&name)[Size]) { std::copy_n(name, Size, text); }
};

/// The name as Python's dictionaries have it: made once, for that takes as long as to look it up.
template <Name Text>
PyObject* interned() {
  static PyObject* const name = PyUnicode_InternFromString(Text.text);
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

bool is_true(const nb::object& value) { return PyObject_IsTrue(value.ptr()) == 1; }

/// torch.float32, torch.strided and the like; PyTorch has been imported. Null where it has none.
template <Name Text>
PyObject* torch_constant() {
  static PyObject* constant = nullptr;
  if (constant == nullptr) {
    PyObject* const torch = PyDict_GetItemString(PyImport_GetModuleDict(), "torch");
    if (torch != nullptr) constant = PyObject_GetAttr(torch, interned<Text>());
    if (constant == nullptr) PyErr_Clear();
  }
  return constant;
}

/// PyTorch's name for it, or null.
PyObject* torch_dtype(ElementType type) {
  switch (type) {
    case ElementType::float32:
      return torch_constant<"float32">();
    case ElementType::complex64:
      return torch_constant<"complex64">();
    case ElementType::uint32:
      return torch_constant<"uint32">();
    case ElementType::int8:
      return torch_constant<"int8">();
    default:
      return nullptr;
  }
}

std::size_t size_of(ElementType type) {
  return type == ElementType::complex64 ? 8 : type == ElementType::int8 ? 1 : 4;
}

/// "a float32 array of shape [batch, in], 2 dimensions"
std::string expectation(ElementType type, const std::string& shape, std::size_t dimensions) {
  return std::string("a ") + name_of(type) + " array of shape " + shape + " (" +
         std::to_string(dimensions) + (dimensions == 1 ? " dimension)" : " dimensions)");
}

/// Whether a MatrixView can stand for it: rows that are row-major and do not run into each other.
template <class T>
bool row_major(const Array& array) {
  constexpr auto item = static_cast<std::ptrdiff_t>(sizeof(T));
  const auto cols = static_cast<std::ptrdiff_t>(array.size(1));
  const bool neighbours = array.stride(1) == item || cols <= 1;
  const bool apart =
      array.size(0) <= 1 || (array.stride(0) >= cols * item && array.stride(0) % item == 0);
  return array.aligned() && neighbours && apart;
}

template <class T>
dispatch::View<T> view_of(const Array& array) {
  const std::size_t rows = array.size(0), cols = array.size(1);
  const std::size_t stride =
      rows <= 1 ? cols : static_cast<std::size_t>(array.stride(0)) / sizeof(T);
  return {static_cast<T*>(array.data()), rows, cols, stride};
}

template <class T>
std::unique_ptr<T[]> copied(const Array& array) {
  const std::size_t last = array.dimensions() - 1;
  const std::size_t inner = array.size(last), outer = last == 1 ? array.size(0) : 1;
  // Strides of 0 can claim more elements than there are numbers for.
  if (inner != 0 && outer > std::numeric_limits<std::size_t>::max() / inner) throw std::bad_alloc();
  std::unique_ptr<T[]> copy(new T[std::max<std::size_t>(1, outer * inner)]);
  const char* const from = static_cast<const char*>(array.data());
  for (std::size_t i = 0; i < outer; ++i) {
    const char* const row =
        from + (last == 1 ? static_cast<std::ptrdiff_t>(i) * array.stride(0) : 0);
    for (std::size_t j = 0; j < inner; ++j) {
      std::memcpy(&copy[i * inner + j], row + static_cast<std::ptrdiff_t>(j) * array.stride(last),
                  sizeof(T));
    }
  }
  return copy;
}

}  // namespace

Array::Array(nb::handle object, const char* name, ElementType type, std::string expected,
             bool writable)
    : object_(object), name_(name), expected_(std::move(expected)), type_(type) {
  if (!read_buffer(writable) && !read_torch()) read_dlpack(writable);
  if (dimensions_ > kMostDimensions) refuse_value();
  if (data_ == nullptr && element_count() != 0) {  // a tensor of torch.compile, say
    refuse_value("with elements in memory; it has none");
  }
}

void Array::expect_type(ElementType type) const {
  if (type != type_) refuse_type();
}

void Array::refuse_type() const {
  throw nb::type_error(
      (std::string(name_) + " must be " + expected_ + ", not " + description()).c_str());
}
void Array::refuse_value() const {
  throw nb::value_error(
      (std::string(name_) + " must be " + expected_ + ", not " + description()).c_str());
}
void Array::refuse_value(const std::string& condition) const {
  throw nb::value_error(
      (std::string(name_) + ", " + description() + ", must be " + expected_ + ", " + condition)
          .c_str());
}

bool Array::read_buffer(bool writable) {
  if (!PyObject_CheckBuffer(object_.ptr())) return false;
  const int flags = PyBUF_STRIDES | PyBUF_FORMAT;
  bool read_only = false;
  if (PyObject_GetBuffer(object_.ptr(), &buffer_, flags | (writable ? PyBUF_WRITABLE : 0)) != 0) {
    PyErr_Clear();
    read_only = writable && PyObject_GetBuffer(object_.ptr(), &buffer_, flags) == 0;
    if (!read_only) {
      PyErr_Clear();  // what the protocol can't describe, say a datetime64
      refuse_type();
    }
  }
  data_ = buffer_.buf;
  dimensions_ = static_cast<std::size_t>(buffer_.ndim);
  std::ptrdiff_t row_major = buffer_.itemsize;  // what the lack of strides means: those of ctypes
  for (std::size_t i = std::min(dimensions_, kMostDimensions); i-- > 0;) {
    sizes_[i] = static_cast<std::size_t>(buffer_.shape[i]);
    strides_[i] = buffer_.strides != nullptr ? buffer_.strides[i] : row_major;
    row_major *= buffer_.shape[i];
  }
  expect_type(type_of_format(buffer_.format));
  if (read_only) refuse_value("and writable; it is read-only");
  return true;
}

bool Array::read_torch() {
  if (!is_torch_tensor(object_)) return false;
  // Asked for directly, which takes a tenth of the time of an exchange by DLPack.
  if (!attribute<"dtype">(object_).is(nb::handle(torch_dtype(type_)))) refuse_type();
  if (is_true(attribute<"requires_grad">(object_))) {
    refuse_value(
        "without requires_grad, which this function does not record: pass its .detach(), or use "
        "lumina_kernel.nn");
  }
  if (!is_true(attribute<"is_cpu">(object_))) {
    refuse_value(std::string("in the CPU's memory; it is on device ") +
                 nb::str(nb::object(object_.attr("device"))).c_str() + ": pass its .cpu()");
  }
  if (!attribute<"layout">(object_).is(nb::handle(torch_constant<"strided">())) ||
      is_true(attribute<"is_nested">(object_))) {
    refuse_value("and dense; it has another layout");
  }
  // Operations that PyTorch has put off.
  const bool conjugates = type_ == ElementType::complex64 && is_true(called<"is_conj">(object_));
  if (conjugates || is_true(called<"is_neg">(object_))) {
    refuse_value(std::string("of values; it is a lazy view of them: pass its .resolve_") +
                 (conjugates ? "conj()" : "neg()"));
  }
  const nb::tuple sizes(attribute<"shape">(object_)), strides(called<"stride">(object_));
  dimensions_ = sizes.size();
  for (std::size_t i = 0; i < std::min(dimensions_, kMostDimensions); ++i) {
    sizes_[i] = nb::cast<std::size_t>(sizes[i]);
    strides_[i] =
        nb::cast<std::ptrdiff_t>(strides[i]) * static_cast<std::ptrdiff_t>(size_of(type_));
  }
  data_ = reinterpret_cast<void*>(nb::cast<std::uintptr_t>(called<"data_ptr">(object_)));
  return true;
}

void Array::read_dlpack(bool writable) {
  if (!nb::hasattr(object_, "__dlpack__") || PyType_Check(object_.ptr())) refuse_type();
  bool imported = false;
  if (writable) {
    nb::ndarray<> tensor;
    imported = nb::try_cast(object_, tensor);
    if (imported) tensor_ = nb::ndarray<nb::ro>(tensor);
  } else {
    imported = nb::try_cast(object_, tensor_);
  }
  if (!imported) {
    const std::string device =
        nb::hasattr(object_, "device")
            ? std::string(" (device ") + nb::str(nb::object(object_.attr("device"))).c_str() + ")"
            : "";
    refuse_value("in the CPU's memory" + std::string(writable ? " and writable" : "") +
                 ", which its __dlpack__ does not give" + device);
  }
  if (tensor_.device_type() != nb::device::cpu::value) {
    refuse_value("in the CPU's memory; it is on a device of DLPack's type " +
                 std::to_string(tensor_.device_type()) + ": move it, say by .cpu()");
  }
  expect_type(type_of_dtype(tensor_.dtype()));
  data_ = const_cast<void*>(static_cast<const void*>(tensor_.data()));
  dimensions_ = tensor_.ndim();
  for (std::size_t i = 0; i < std::min(dimensions_, kMostDimensions); ++i) {
    sizes_[i] = tensor_.shape(i);
    strides_[i] = static_cast<std::ptrdiff_t>(tensor_.stride(i)) *
                  static_cast<std::ptrdiff_t>(tensor_.itemsize());
  }
}

std::size_t Array::element_count() const {
  std::size_t count = 1;
  for (std::size_t i = 0; i < dimensions_; ++i) count *= sizes_[i];
  return count;
}

bool Array::aligned() const { return reinterpret_cast<std::uintptr_t>(data_) % 4 == 0; }

bool Array::contiguous() const {
  auto expected = static_cast<std::ptrdiff_t>(size_of(type_));
  for (std::size_t i = dimensions_; i-- > 0;) {
    if (sizes_[i] == 0) return true;
    if (sizes_[i] > 1 && strides_[i] != expected) return false;
    expected *= static_cast<std::ptrdiff_t>(sizes_[i]);
  }
  return aligned();
}

std::string Array::description() const {
  if (nb::hasattr(object_, "dtype") && nb::hasattr(object_, "shape") &&
      !PyType_Check(object_.ptr())) {
    const nb::object shape = nb::steal(PySequence_Tuple(nb::object(object_.attr("shape")).ptr()));
    return std::string("a ") + nb::str(nb::object(object_.attr("dtype"))).c_str() +
           " array of shape " + nb::str(shape).c_str();
  }
  if (buffer_.obj == nullptr) return std::string("a ") + Py_TYPE(object_.ptr())->tp_name;
  return std::string("a ") + Py_TYPE(object_.ptr())->tp_name + " of shape " + shape_text(*this);
}

template <class T>
InputMatrix<T>::InputMatrix(nb::handle object, const char* name, const char* shape)
    : array_(object, name, element_type_of<T>, expectation(element_type_of<T>, shape, 2), false) {
  if (array_.dimensions() != 2) array_.refuse_value();
  if (row_major<T>(array_)) {
    view_ = view_of<const T>(array_);
  } else {
    copy_ = copied<T>(array_);
    view_ = {copy_.get(), array_.size(0), array_.size(1), array_.size(1)};
  }
}

InputVector::InputVector(nb::handle object, const char* name, const char* shape) {
  if (object.is_none()) return;
  constexpr ElementType kType = ElementType::float32;
  array_ = std::make_unique<Array>(object, name, kType, expectation(kType, shape, 1), false);
  if (array_->dimensions() != 1) array_->refuse_value();
  count_ = array_->size(0);
  if (array_->contiguous()) {
    data_ = static_cast<const float*>(array_->data());
  } else {
    copy_ = copied<float>(*array_);
    data_ = copy_.get();
  }
}

template <class T>
OutputMatrix<T>::OutputMatrix(nb::handle object, const char* name, nb::handle like,
                              std::size_t rows, std::size_t cols)
    : object_(object.is_none() ? new_array(like, nb::make_tuple(rows, cols), element_type_of<T>)
                               : nb::borrow(object)),
      array_(object_, name, element_type_of<T>,
             expectation(element_type_of<T>,
                         "(" + std::to_string(rows) + ", " + std::to_string(cols) + ")", 2),
             true) {
  if (array_.dimensions() != 2 || array_.size(0) != rows || array_.size(1) != cols) {
    array_.refuse_value();
  }
  if (rows != 0 && cols != 0 && !row_major<T>(array_)) {
    array_.refuse_value("with the elements of a row side by side; it has other strides");
  }
  view_ = view_of<T>(array_);
}

InOutVector::InOutVector(nb::handle object, const char* name)
    : array_(object, name, ElementType::float32, "a contiguous float32 array", true) {
  if (!array_.contiguous()) array_.refuse_value("which it is not");
}

nb::object new_array(nb::handle like, nb::handle shape, ElementType type) {
  if (is_torch_tensor(like)) {
    PyObject* const arguments[] = {shape.ptr(), torch_dtype(type)};
    static PyObject* const keywords = nb::make_tuple("dtype").release().ptr();
    PyObject* const result = PyObject_Vectorcall(torch_constant<"empty">(), arguments, 1, keywords);
    if (result == nullptr) nb::raise_python_error();
    return nb::steal(result);
  }
  static PyObject* const empty =
      nb::object(nb::module_::import_("numpy").attr("empty")).release().ptr();
  return nb::handle(empty)(shape, name_of(type));
}

template <class T, class Input>
void expect_no_overlap(const OutputMatrix<T>& out, const Input& in, const char* in_name) {
  const auto& y = out.view();
  const auto& x = in.view();
  if (y.rows == 0 || y.cols == 0 || x.rows == 0 || x.cols == 0) return;
  const auto begin = [](const auto& v) { return reinterpret_cast<std::uintptr_t>(v.data); };
  const auto end = [](const auto& v) {
    return reinterpret_cast<std::uintptr_t>(v.data + (v.rows - 1) * v.row_stride + v.cols);
  };
  if (begin(y) >= end(x) || begin(x) >= end(y)) return;
  // Columns of the same rows are apart.
  const std::size_t row_bytes = y.row_stride * sizeof(T);
  if (y.row_stride == x.row_stride && y.rows > 1 && x.rows > 1) {
    const std::size_t shift =
        (begin(x) + row_bytes - begin(y) % row_bytes) % row_bytes;  // of x's columns
    if (shift >= y.cols * sizeof(T) && shift + x.cols * sizeof(T) <= row_bytes) return;
  }
  throw nb::value_error(("out, " + out.description() + ", shares memory with " + in_name + ", " +
                         in.description() + "; it must have its own")
                            .c_str());
}

template class InputMatrix<float>;
template class InputMatrix<std::complex<float>>;
template class OutputMatrix<float>;
template class OutputMatrix<std::complex<float>>;
template void expect_no_overlap(const OutputMatrix<float>&, const InputMatrix<float>&, const char*);
template void expect_no_overlap(const OutputMatrix<float>&, const InputVector&, const char*);
template void expect_no_overlap(const OutputMatrix<std::complex<float>>&,
                                const InputMatrix<std::complex<float>>&, const char*);

}  // namespace lumina::python
