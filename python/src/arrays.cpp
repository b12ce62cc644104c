#include "arrays.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include <lumina/matrix.hpp>

#include "objects.hpp"

namespace lumina::python {

namespace {

std::string shape_text(const Array& array) {
  std::string text = "(";
  for (std::size_t i = 0; i < array.dimensions(); ++i) {
    if (i == Layout::kMostDimensions) return text + "...)";
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
  if (name == "i" || (name == "l" && sizeof(long) == 4)) return ElementType::int32;
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
    case ElementType::int32:
      return "int32";
    case ElementType::int8:
      return "int8";
    default:
      return "other";
  }
}

/// A copy takes longer than letting other threads of Python run.
constexpr std::size_t kBytesWorthReleasing = std::size_t{1} << 16;

bool is_torch_tensor(nb::handle object) { return is_instance(object, of_torch<"Tensor">()); }

/// Of a class whose attributes are C code.
bool is_plain_tensor(nb::handle object) {
  static PyObject* parameter = nullptr;
  PyObject* const type = reinterpret_cast<PyObject*>(Py_TYPE(object.ptr()));
  if (type == of_torch<"Tensor">()) return true;
  if (parameter == nullptr) {
    parameter =
        attribute<"Parameter">(attribute<"nn">(nb::module_::import_("torch"))).release().ptr();
  }
  return type == parameter;
}

/// PyTorch's name for it, or null.
PyObject* torch_dtype(ElementType type) {
  switch (type) {
    case ElementType::float32:
      return of_torch<"float32">();
    case ElementType::complex64:
      return of_torch<"complex64">();
    case ElementType::uint32:
      return of_torch<"uint32">();
    case ElementType::int32:
      return of_torch<"int32">();
    case ElementType::int8:
      return of_torch<"int8">();
    default:
      return nullptr;
  }
}

std::size_t size_of(ElementType type) {
  return type == ElementType::complex64 ? 8 : type == ElementType::int8 ? 1 : 4;
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
MatrixMemory<T> view_of(const Array& array) {
  const std::size_t rows = array.size(0), cols = array.size(1);
  const std::size_t stride =
      rows <= 1 ? cols : static_cast<std::size_t>(array.stride(0)) / sizeof(T);
  return {static_cast<T*>(array.data()), rows, cols, stride};
}

/// Elements [rows, cols] of the caller's, strides in bytes, to rows of cols elements.
template <class T>
struct Strided {
  const char* from;
  std::size_t rows, cols;
  std::ptrdiff_t row_stride, col_stride;

  T load(std::size_t row, std::size_t col) const {
    T value;
    std::memcpy(&value,
                from + static_cast<std::ptrdiff_t>(row) * row_stride +
                    static_cast<std::ptrdiff_t>(col) * col_stride,
                sizeof(T));
    return value;
  }

  void copy_rows(T* to) const {
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t col = 0; col < cols; ++col) to[row * cols + col] = load(row, col);
    }
  }

  /// For elements of a column that are nearer to each other than those of a row. They are read for
  /// the length of some cache lines each, into a block that is then turned: lines of both sides,
  /// whose distance may be a multiple of 4 KiB, would push each other out of the first-level cache.
  void copy_columns(T* to) const {
    constexpr std::size_t kRows = 64, kCols = 64 / sizeof(T);
    T block[kCols][kRows];
    for (std::size_t row = 0; row < rows; row += kRows) {
      const std::size_t height = std::min(kRows, rows - row);
      for (std::size_t col = 0; col < cols; col += kCols) {
        const std::size_t width = std::min(kCols, cols - col);
        for (std::size_t c = 0; c < width; ++c) {
          if (row_stride == sizeof(T)) {
            std::memcpy(block[c],
                        from + static_cast<std::ptrdiff_t>(row * sizeof(T)) +
                            static_cast<std::ptrdiff_t>(col + c) * col_stride,
                        height * sizeof(T));
          } else {
            for (std::size_t r = 0; r < height; ++r) block[c][r] = load(row + r, col + c);
          }
        }
        for (std::size_t r = 0; r < height; ++r) {
          T* const line = to + (row + r) * cols + col;
          if (width == kCols) {
            for (std::size_t c = 0; c < kCols; ++c) line[c] = block[c][r];
          } else {
            for (std::size_t c = 0; c < width; ++c) line[c] = block[c][r];
          }
        }
      }
    }
  }
};

template <class T>
std::unique_ptr<T[]> copied(const Array& array) {
  const bool matrix = array.dimensions() == 2;
  const Strided<T> elements{static_cast<const char*>(array.data()), matrix ? array.size(0) : 1,
                            array.size(matrix ? 1 : 0), matrix ? array.stride(0) : 0,
                            array.stride(matrix ? 1 : 0)};
  const std::size_t rows = elements.rows, cols = elements.cols;
  // Strides of 0 can claim more elements than there are numbers for.
  if (cols != 0 && rows > std::numeric_limits<std::size_t>::max() / cols) throw std::bad_alloc();
  std::unique_ptr<T[]> copy(new T[std::max<std::size_t>(1, rows * cols)]);
  if (rows * cols == 0) return copy;
  std::optional<nb::gil_scoped_release> release;
  if (rows * cols * sizeof(T) >= kBytesWorthReleasing) release.emplace();
  if (rows > 1 && std::abs(elements.row_stride) < std::abs(elements.col_stride)) {
    elements.copy_columns(copy.get());
  } else {
    elements.copy_rows(copy.get());
  }
  return copy;
}

}  // namespace

Array::Array(nb::handle object, const char* name, ElementType type, const Expectation& expected,
             bool writable)
    : object_(object), name_(name), expected_(expected), type_(type) {
  if (!read_buffer(writable) && !read_torch()) read_dlpack(writable);
  if (dimensions() > Layout::kMostDimensions) refuse_value();
  if (data() == nullptr && element_count() != 0) {  // a tensor of torch.compile, say
    refuse_value("with elements in memory; it has none");
  }
}

void Array::expect_type(ElementType type) const {
  if (type != type_) refuse_type();
}

void Array::refuse_type() const {
  std::string advice;
  if (is_torch_tensor(object_)) {
    advice = std::string("; convert it, say by .to(torch.") + name_of(type_) + ")";
  } else if (!PyType_Check(object_.ptr()) && attribute_if_any<"dtype">(object_).is_valid()) {
    advice = std::string("; convert it, say by .astype('") + name_of(type_) + "')";
  }
  throw nb::type_error(
      (std::string(name_) + " must be " + expected_.text(type_) + ", not " + description() + advice)
          .c_str());
}
void Array::refuse_value() const {
  throw nb::value_error(
      (std::string(name_) + " must be " + expected_.text(type_) + ", not " + description())
          .c_str());
}
std::string Array::refusal(const std::string& condition) const {
  return std::string(name_) + ", " + description() + ", must be " + expected_.text(type_) + ", " +
         condition;
}
void Array::refuse_value(const std::string& condition) const {
  throw nb::value_error(refusal(condition).c_str());
}
void Array::refuse_gpu(const std::string& condition) const {
  throw OnGpu(refusal(condition).c_str());
}

std::string Expectation::text(ElementType type) const {
  if (dimensions == 0) return words_or_shape;
  const std::string shape = words_or_shape != nullptr
                                ? words_or_shape
                                : "(" + std::to_string(rows) + ", " + std::to_string(cols) + ")";
  return std::string("a ") + name_of(type) + " array of shape " + shape + " (" +
         std::to_string(dimensions) + (dimensions == 1 ? " dimension)" : " dimensions)");
}

bool Layout::operator==(const Layout& other) const {
  return data == other.data && dimensions == other.dimensions &&
         std::equal(sizes.begin(), sizes.begin() + kept(), other.sizes.begin()) &&
         std::equal(strides.begin(), strides.begin() + kept(), other.strides.begin());
}

void Array::Buffer::read(Layout& layout) const {
  layout.data = buf;
  layout.dimensions = static_cast<std::size_t>(ndim);
  std::ptrdiff_t row_major = itemsize;  // what the lack of strides means: those of ctypes
  for (std::size_t i = layout.kept(); i-- > 0;) {
    layout.sizes[i] = static_cast<std::size_t>(shape[i]);
    layout.strides[i] = strides != nullptr ? strides[i] : row_major;
    row_major *= shape[i];
  }
}

namespace {

constexpr int kBufferFlags = PyBUF_STRIDES | PyBUF_FORMAT;

}  // namespace

bool Array::read_buffer(bool writable) {
  if (!PyObject_CheckBuffer(object_.ptr())) return false;
  bool read_only = false;
  if (PyObject_GetBuffer(object_.ptr(), &buffer_, kBufferFlags | (writable ? PyBUF_WRITABLE : 0)) !=
      0) {
    forget_error();
    read_only = writable && PyObject_GetBuffer(object_.ptr(), &buffer_, kBufferFlags) == 0;
    if (!read_only) {
      if (PyErr_Occurred() != nullptr) forget_error();
      refuse_type();  // what the protocol can't describe, say a datetime64
    }
  }
  buffer_.read(layout_);
  // Since Python 3.12 classes can have a __buffer__ of their own.
  foreign_ = (PyType_GetFlags(Py_TYPE(object_.ptr())) & Py_TPFLAGS_HEAPTYPE) != 0;
  expect_type(type_of_format(buffer_.format));
  if (read_only) refuse_value("and writable; it is read-only");
  return true;
}

bool Array::read_torch() {
  if (!is_torch_tensor(object_)) return false;
  source_ = Source::torch;
  foreign_ = !is_plain_tensor(object_);
  // Asked for directly, which takes a tenth of the time of an exchange by DLPack.
  if (!attribute<"dtype">(object_).is(nb::handle(torch_dtype(type_)))) refuse_type();
  if (is_true(attribute<"requires_grad">(object_))) {
    refuse_value(
        "without requires_grad, which this function does not record: pass its .detach(), or use "
        "lumina_kernel.nn");
  }
  if (!is_true(attribute<"is_cpu">(object_))) {
    const std::string condition = "in the CPU's memory; it is on device " +
                                  text_of(attribute<"device">(object_)) + ": pass its .cpu()";
    if (is_true(attribute<"is_cuda">(object_))) refuse_gpu(condition);
    refuse_value(condition);
  }
  if (!attribute<"layout">(object_).is(nb::handle(of_torch<"strided">())) ||
      is_true(attribute<"is_nested">(object_))) {
    refuse_value("and dense; it has another layout");
  }
  // Operations that PyTorch has put off.
  const bool conjugates = type_ == ElementType::complex64 && is_true(called<"is_conj">(object_));
  if (conjugates || is_true(called<"is_neg">(object_))) {
    refuse_value(std::string("of values; it is a lazy view of them: pass its .resolve_") +
                 (conjugates ? "conj()" : "neg()"));
  }
  read_torch_layout(layout_);
  return true;
}

void Array::read_torch_layout(Layout& layout) const {
  const nb::tuple sizes(attribute<"shape">(object_)), strides(called<"stride">(object_));
  layout.dimensions = sizes.size();
  if (strides.size() != layout.dimensions) refuse_value("with a stride for each dimension");
  for (std::size_t i = 0; i < layout.kept(); ++i) {
    layout.sizes[i] = nb::cast<std::size_t>(sizes[i]);
    layout.strides[i] =
        nb::cast<std::ptrdiff_t>(strides[i]) * static_cast<std::ptrdiff_t>(size_of(type_));
  }
  layout.data = reinterpret_cast<void*>(nb::cast<std::uintptr_t>(called<"data_ptr">(object_)));
}

void Array::read_dlpack(bool writable) {
  if (PyType_Check(object_.ptr())) refuse_type();
  if (!attribute_if_any<"__dlpack__">(object_).is_valid()) {
    if (!attribute_if_any<"__cuda_array_interface__">(object_).is_valid()) refuse_type();
    refuse_gpu("in the CPU's memory; it is on a GPU");
  }
  source_ = Source::dlpack;
  foreign_ = true;
  bool imported = false;
  if (writable) {
    nb::ndarray<> tensor;
    imported = nb::try_cast(object_, tensor);
    if (imported) tensor_ = nb::ndarray<nb::ro>(tensor);
  } else {
    imported = nb::try_cast(object_, tensor_);
  }
  if (!imported) {
    if (PyErr_Occurred() != nullptr) forget_error();
    const nb::object place = attribute_if_any<"device">(object_);
    const std::string device = place.is_valid() ? " (device " + text_of(place) + ")" : "";
    refuse_value("in the CPU's memory" + std::string(writable ? " and writable" : "") +
                 ", which its __dlpack__ does not give" + device);
  }
  if (tensor_.device_type() != nb::device::cpu::value) {
    const std::string condition = "in the CPU's memory; it is on a device of DLPack's type " +
                                  std::to_string(tensor_.device_type()) +
                                  ": move it, say by .cpu()";
    if (tensor_.device_type() == nb::device::cuda::value) refuse_gpu(condition);
    refuse_value(condition);
  }
  expect_type(type_of_dtype(tensor_.dtype()));
  layout_.data = const_cast<void*>(static_cast<const void*>(tensor_.data()));
  layout_.dimensions = tensor_.ndim();
  for (std::size_t i = 0; i < layout_.kept(); ++i) {
    layout_.sizes[i] = tensor_.shape(i);
    layout_.strides[i] = static_cast<std::ptrdiff_t>(tensor_.stride(i)) *
                         static_cast<std::ptrdiff_t>(tensor_.itemsize());
  }
}

void Array::expect_unmoved() const {
  Layout now = layout_;  // of DLPack, which lends memory for good
  if (source_ == Source::buffer) {
    Buffer buffer;
    if (PyObject_GetBuffer(object_.ptr(), &buffer, kBufferFlags) != 0) nb::raise_python_error();
    buffer.read(now);
  } else if (source_ == Source::torch) {
    read_torch_layout(now);
  }
  if (now != layout_) {
    throw nb::value_error((std::string(name_) +
                           " was given other memory while the arguments were "
                           "read; it is " +
                           description() + " now")
                              .c_str());
  }
}

void Array::count_write() const {
  if (source_ != Source::torch || is_true(called<"is_inference">(object_))) return;
  static nb::handle increment;  // since PyTorch 2.1
  static bool looked_for = false;
  if (!looked_for) {
    const nb::object autograd = nb::module_::import_("torch.autograd.graph");
    increment = PyObject_GetAttr(autograd.ptr(), interned<"increment_version">());
    if (!increment.is_valid()) forget_error();
    looked_for = true;
  }
  if (increment.is_valid()) {
    increment(object_);
    return;
  }
  // A copy to itself moves nothing; of a view that autograd would not have written, an alias takes
  // it.
  const auto copy_to_itself = [](nb::handle tensor) {
    PyObject* const arguments[] = {tensor.ptr(), tensor.ptr()};
    return nb::steal(PyObject_VectorcallMethod(interned<"copy_">(), arguments, 2, nullptr));
  };
  if (copy_to_itself(object_).is_valid()) return;
  forget_error();
  if (!copy_to_itself(called<"detach">(object_)).is_valid()) nb::raise_python_error();
}

std::size_t Array::element_count() const {
  std::size_t count = 1;
  for (std::size_t i = 0; i < dimensions(); ++i) count *= size(i);
  return count;
}

bool Array::aligned() const { return reinterpret_cast<std::uintptr_t>(data()) % 4 == 0; }

bool Array::contiguous() const {
  auto expected = static_cast<std::ptrdiff_t>(size_of(type_));
  for (std::size_t i = 0; i < dimensions(); ++i) {
    if (size(i) == 0) return true;
  }
  for (std::size_t i = dimensions(); i-- > 0;) {
    if (size(i) > 1 && stride(i) != expected) return false;
    expected *= static_cast<std::ptrdiff_t>(size(i));
  }
  return aligned();
}

std::string Array::description() const {
  if (!PyType_Check(object_.ptr())) {
    const nb::object dtype = attribute_if_any<"dtype">(object_);
    const nb::object lengths = attribute_if_any<"shape">(object_);
    if (dtype.is_valid() && lengths.is_valid()) {
      const nb::object shape = nb::steal(PySequence_Tuple(lengths.ptr()));
      if (shape.is_valid()) {
        return "a " + text_of(dtype) + " array of shape " + text_of(shape);
      }
      forget_error();
    }
  }
  const std::string name = "a " + name_of_type(object_);
  return buffer_.obj == nullptr ? name : name + " of shape " + shape_text(*this);
}

template <class T>
InputMatrix<T>::InputMatrix(nb::handle object, const char* name, const char* shape)
    : array_(object, name, element_type_of<T>, {shape, 2}, false) {
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
  array_ = std::make_unique<Array>(object, name, kType, Expectation(shape, 1), false);
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
      array_(object_, name, element_type_of<T>, {rows, cols}, true) {
  if (array_.dimensions() != 2 || array_.size(0) != rows || array_.size(1) != cols) {
    array_.refuse_value();
  }
  if (rows != 0 && cols != 0 && !row_major<T>(array_)) {
    array_.refuse_value("with the elements of a row side by side; it has other strides");
  }
  view_ = view_of<T>(array_);
}

InOutVector::InOutVector(nb::handle object, const char* name, bool optional) {
  if (optional && object.is_none()) return;
  array_.emplace(object, name, ElementType::float32, "a contiguous float32 array", true);
  if (!array_->contiguous()) array_->refuse_value("which it is not");
}

nb::object new_array(nb::handle like, nb::handle shape, ElementType type) {
  if (is_torch_tensor(like)) {
    static PyObject* keywords = nullptr;
    if (keywords == nullptr) keywords = nb::make_tuple("dtype", "device").release().ptr();
    PyObject* const arguments[] = {shape.ptr(), torch_dtype(type), interned<"cpu">()};
    PyObject* const result = PyObject_Vectorcall(of_torch<"empty">(), arguments, 1, keywords);
    if (result == nullptr) nb::raise_python_error();
    return nb::steal(result);
  }
  return of_numpy<"empty">()(shape, name_of(type));
}

template <class T, class Input>
void expect_no_overlap(const OutputMatrix<T>& out, const Input& in, const char* in_name) {
  if (!overlap(MatrixView(out.view()), MatrixView(in.view()))) return;
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
