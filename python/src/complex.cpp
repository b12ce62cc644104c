// Products of complex amplitudes.
#include <complex>
#include <string>

#include "arrays.hpp"
#include "functions.hpp"
#include "threads.hpp"

namespace lumina::python {

namespace {

/// A complex matrix as one of pairs of floats.
template <class Float, class Complex>
MatrixMemory<Float> pairs(const MatrixMemory<Complex>& view) {
  return {reinterpret_cast<Float*>(view.data), view.rows, 2 * view.cols, 2 * view.row_stride};
}

nb::object complex_matmul(nb::handle input, nb::handle weight, nb::handle thread_count,
                          nb::handle out) {
  using Complex = std::complex<float>;
  Threads threads(thread_count);
  const InputMatrix<Complex> x(input, "input", "[batch, in]");
  const InputMatrix<Complex> w(weight, "weight", "[out, in]");
  if (x.cols() != w.cols()) {
    throw nb::value_error(("input is " + x.description() + ", weight is " + w.description() +
                           "; they must have the same number of columns (in)")
                              .c_str());
  }
  const OutputMatrix<Complex> y(out, "out", input, x.rows(), w.rows());
  expect_no_overlap(y, x, "input");
  expect_no_overlap(y, w, "weight");
  if (!out.is_none()) y.count_write();
  expect_unmoved(x, w, y);
  const auto floats = pairs<const float>(x.view());
  const auto weights = pairs<const float>(w.view());
  const auto results = pairs<float>(y.view());
  threads.without_gil([&] {
    const dispatch::Weights packed = dispatch::pack_complex_weights(weights);
    dispatch::Call call{.x = floats, .weights = &packed, .y = results};
    call.executor = threads.executor();
    dispatch::run(call);
  });
  return y.object();
}

}  // namespace

void bind_complex(nb::module_& module) {
  module.def("complex_matmul", &complex_matmul, nb::arg("input"), nb::arg("weight"), nb::kw_only(),
             nb::arg("threads").none() = nb::none(), nb::arg("out").none() = nb::none(),
             nb::sig("def complex_matmul(input: ArrayLike, weight: ArrayLike, *, "
                     "threads: int | None = None, out: ArrayLike | None = None) -> Any"),
             R"(input @ weight.T of complex amplitudes, without conjugation.

input: complex64 [batch, in]; weight: complex64 [out, in]; out: complex64 [batch, out] or None.
Returns complex64 [batch, out], a tensor where input is one. Errors: TypeError, ValueError.)");
}

}  // namespace lumina::python
