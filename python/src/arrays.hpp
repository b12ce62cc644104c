// Arrays of other libraries, read and written where they lie: anything with the buffer protocol
// (NumPy) or with __dlpack__ (PyTorch).
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <array>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <lumina/dispatch.hpp>

namespace lumina::python {

namespace nb = nanobind;

enum class ElementType { float32, complex64, uint32, int32, int8, other };

template <class T>
inline constexpr ElementType element_type_of = ElementType::other;
template <>
inline constexpr ElementType element_type_of<float> = ElementType::float32;
template <>
inline constexpr ElementType element_type_of<std::complex<float>> = ElementType::complex64;
template <>
inline constexpr ElementType element_type_of<std::uint32_t> = ElementType::uint32;

/// Where an array's elements are, strides in bytes. What lies behind its dimensions is not set.
struct Layout {
  static constexpr std::size_t kMostDimensions = 32;

  void* data = nullptr;
  std::size_t dimensions = 0;
  std::array<std::size_t, kMostDimensions> sizes;
  std::array<std::ptrdiff_t, kMostDimensions> strides;

  /// Dimensions for which there is room.
  std::size_t kept() const { return dimensions < kMostDimensions ? dimensions : kMostDimensions; }
  bool operator==(const Layout& other) const;
};

/// What an error says that an array must be; a text is made of it only then.
struct Expectation {
  /// In words: "a contiguous float32 array".
  Expectation(const char* words) : words_or_shape(words) {}
  /// With that many dimensions: "[batch, in]".
  Expectation(const char* shape, std::size_t count) : words_or_shape(shape), dimensions(count) {}
  /// With exactly that shape.
  Expectation(std::size_t row_count, std::size_t col_count)
      : dimensions(2), rows(row_count), cols(col_count) {}

  std::string text(ElementType type) const;

  const char* words_or_shape = nullptr;
  std::size_t dimensions = 0, rows = 0, cols = 0;
};

/// An array lies on a GPU: a ValueError, unless a function has a way for it.
struct OnGpu : nb::builtin_exception {
  explicit OnGpu(const char* what) : builtin_exception(nb::exception_type::value_error, what) {}
};

/// An argument that is an array: where its elements are. Keeps them alive.
class Array {
 public:
  /// Errors: TypeError, if it is no array, or one of another type; ValueError, if it is not in the
  /// CPU's memory, wants a gradient, or, where `writable`, is read-only.
  Array(nb::handle object, const char* name, ElementType type, const Expectation& expected,
        bool writable);
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  void* data() const { return layout_.data; }
  std::size_t dimensions() const { return layout_.dimensions; }
  std::size_t size(std::size_t dimension) const { return layout_.sizes[dimension]; }
  /// In bytes.
  std::ptrdiff_t stride(std::size_t dimension) const { return layout_.strides[dimension]; }
  std::size_t element_count() const;
  /// All elements one after the other, in the memory's order.
  bool contiguous() const;
  /// A pointer to an element may point there.
  bool aligned() const;

  /// Reading it ran code of the caller's, or may have: a class of his with __buffer__, a subclass
  /// of Tensor, __dlpack__. Such code can free what has been read before.
  bool foreign() const { return foreign_; }
  /// Reads again where it lies. Error: ValueError, if that has changed.
  void expect_unmoved() const;
  /// Tells PyTorch that the elements are written to, so that autograd notices.
  void count_write() const;

  /// Throw "<name> must be <expected>, not <description>".
  [[noreturn]] void refuse_type() const;
  [[noreturn]] void refuse_value() const;
  /// Throws "<name>, <description>, must be <expected>, <condition>".
  [[noreturn]] void refuse_value(const std::string& condition) const;
  /// The same as OnGpu.
  [[noreturn]] void refuse_gpu(const std::string& condition) const;

  /// "a float64 array of shape (3, 4)"
  std::string description() const;

 private:
  bool read_buffer(bool writable);
  bool read_torch();
  void read_torch_layout(Layout& layout) const;
  void read_dlpack(bool writable);
  void expect_type(ElementType type) const;
  std::string refusal(const std::string& condition) const;

  nb::handle object_;
  const char* name_;
  Expectation expected_;
  struct Buffer : Py_buffer {
    Buffer() : Py_buffer{} {}
    ~Buffer() { PyBuffer_Release(this); }  // nothing, where there is none
    void read(Layout& layout) const;
  } buffer_;
  nb::ndarray<nb::ro> tensor_;
  ElementType type_;
  enum class Source { buffer, torch, dlpack } source_ = Source::buffer;
  bool foreign_ = false;
  Layout layout_;
};

/// A matrix argument, as the library takes it: the caller's memory where rows are row-major (they
/// may be any distance apart), otherwise one copy, which is made without the GIL. `shape` is what
/// the error says was expected, say
/// "[batch, in]". T: float or std::complex<float>.
template <class T>
class InputMatrix {
 public:
  InputMatrix(nb::handle object, const char* name, const char* shape);

  std::size_t rows() const { return view_.rows; }
  std::size_t cols() const { return view_.cols; }
  const MatrixMemory<const T>& view() const { return view_; }
  std::string description() const { return array_.description(); }
  /// What the view points into, if that is the caller's memory.
  const Array* array() const { return copy_ == nullptr ? &array_ : nullptr; }
  bool foreign() const { return array_.foreign(); }

 private:
  Array array_;
  std::unique_ptr<T[]> copy_;
  MatrixMemory<const T> view_{};
};

/// A vector argument [count], or None: no elements then.
class InputVector {
 public:
  InputVector(nb::handle object, const char* name, const char* shape);
  const float* data() const { return data_; }
  std::size_t count() const { return count_; }
  MatrixMemory<const float> view() const { return {data_, 1, count_, count_}; }
  std::string description() const { return array_ ? array_->description() : "None"; }
  const Array* array() const { return copy_ == nullptr ? array_.get() : nullptr; }
  bool foreign() const { return array_ != nullptr && array_->foreign(); }

 private:
  std::unique_ptr<Array> array_;
  std::unique_ptr<float[]> copy_;
  const float* data_ = nullptr;
  std::size_t count_ = 0;
};

/// A matrix to write to: `object`, or a new one of the library whose array `like` is.
template <class T>
class OutputMatrix {
 public:
  /// Errors: also a shape other than [rows, cols], and elements of a row that are not neighbours.
  OutputMatrix(nb::handle object, const char* name, nb::handle like, std::size_t rows,
               std::size_t cols);

  const MatrixMemory<T>& view() const { return view_; }
  nb::object object() const { return object_; }
  std::string description() const { return array_.description(); }
  const Array* array() const { return &array_; }
  bool foreign() const { return array_.foreign(); }
  void count_write() const { array_.count_write(); }

 private:
  nb::object object_;
  Array array_;
  MatrixMemory<T> view_{};
};

/// Values to be changed in place, of any shape, one after the other in memory.
class InOutVector {
 public:
  /// `optional`: None is no values, not an error.
  InOutVector(nb::handle object, const char* name, bool optional = false);
  float* data() const { return array_ ? static_cast<float*>(array_->data()) : nullptr; }
  std::size_t count() const { return array_ ? array_->element_count() : 0; }
  const Array* array() const { return array_ ? &*array_ : nullptr; }
  bool foreign() const { return array_ && array_->foreign(); }
  void count_write() const { array_->count_write(); }

 private:
  std::optional<Array> array_;
};

/// To be called when all arguments have been read: reading one may have run code of the caller's
/// that has freed another. `arguments`: InputMatrix, InputVector, OutputMatrix. Error: ValueError.
template <class... Arguments>
void expect_unmoved(const Arguments&... arguments) {
  if (!(arguments.foreign() || ...)) return;
  // Those whose reading runs such code come first.
  for (const bool foreign : {true, false}) {
    for (const Array* const array : {arguments.array()...}) {
      if (array != nullptr && array->foreign() == foreign) array->expect_unmoved();
    }
  }
}

/// A new array of that shape, of PyTorch where `like` is one of its tensors, otherwise of NumPy.
/// `type`: none but `other`.
nb::object new_array(nb::handle like, nb::handle shape, ElementType type);

/// Reports memory that `out` shares with an input: an InputMatrix of the same elements, or an
/// InputVector.
template <class T, class Input>
void expect_no_overlap(const OutputMatrix<T>& out, const Input& in, const char* in_name);

}  // namespace lumina::python
