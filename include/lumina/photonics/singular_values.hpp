// The singular value decomposition a = U·Σ·Vᵀ in double, by one-sided Jacobi rotations in a fixed
// order: the same bits on every machine with IEEE doubles.
//
// Source: M. R. Hestenes, "Inversion of matrices by biorthogonalization and related results",
// Journal of the SIAM 6, 51 (1958); G. H. Golub, C. F. Van Loan, "Matrix Computations", on Jacobi
// methods.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "../config.hpp"
#include "../detail/base/double_math.hpp"
#include "../matrix.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// a [rows, cols] = U·Σ·Vᵀ, U and V square and orthogonal, Σ of min(rows, cols) values ≥ 0 in no
/// particular order: a(i, j) = Σ over k of u(i, k)·values[k]·v(j, k).
struct SingularValues {
  Matrix<double> u, v;
  std::vector<double> values;
};

namespace detail {

inline double dot_in_double(const double* a, const double* b, std::size_t count) {
  double sum = 0.0;
  for (std::size_t i = 0; i < count; ++i) sum += rounded_product(a[i], b[i]);
  return sum;
}

/// a = c·a − s·b, b = s·a + c·b.
inline void rotate(double* a, double* b, std::size_t count, double c, double s) {
  for (std::size_t i = 0; i < count; ++i) {
    const double first = a[i], second = b[i];
    a[i] = rounded_product(c, first) - rounded_product(s, second);
    b[i] = rounded_product(s, first) + rounded_product(c, second);
  }
}

/// Rotates the rows of t, and those of v alike, until they are orthogonal.
inline void orthogonalize_rows(MatrixView<double> t, MatrixView<double> v) {
  constexpr double kOrthogonal = 1e-15;
  constexpr int kMaxSweeps = 60;  // it takes about 10
  bool rotated = true;
  for (int sweep = 0; rotated && sweep < kMaxSweeps; ++sweep) {
    rotated = false;
    for (std::size_t p = 0; p + 1 < t.rows(); ++p) {
      for (std::size_t q = p + 1; q < t.rows(); ++q) {
        const double alpha = dot_in_double(t.row(p), t.row(p), t.cols());
        const double beta = dot_in_double(t.row(q), t.row(q), t.cols());
        const double gamma = dot_in_double(t.row(p), t.row(q), t.cols());
        const double scale = __builtin_sqrt(alpha) * __builtin_sqrt(beta);
        if (!(std::fabs(gamma) > rounded_product(kOrthogonal, scale))) continue;
        rotated = true;
        const double zeta = (beta - alpha) / (gamma + gamma);
        const double root = __builtin_sqrt(1.0 + rounded_product(zeta, zeta));
        const double tangent = (zeta < 0.0 ? -1.0 : 1.0) / (std::fabs(zeta) + root);
        const double c = 1.0 / __builtin_sqrt(1.0 + rounded_product(tangent, tangent));
        const double s = rounded_product(c, tangent);
        rotate(t.row(p), t.row(q), t.cols(), c, s);
        rotate(v.row(p), v.row(q), v.cols(), c, s);
      }
    }
  }
}

/// The rows of t from number `known` on become orthogonal to each other and to those before.
inline void complete_rows(MatrixView<double> t, std::size_t known) {
  std::size_t axis = 0;
  for (std::size_t row = known; row < t.rows(); ++axis) {
    double* const own = t.row(row);
    std::fill_n(own, t.cols(), 0.0);
    own[axis] = 1.0;
    for (int pass = 0; pass < 2; ++pass) {  // twice is enough
      for (std::size_t other = 0; other < row; ++other) {
        const double part = dot_in_double(own, t.row(other), t.cols());
        for (std::size_t i = 0; i < t.cols(); ++i) own[i] -= rounded_product(part, t(other, i));
      }
    }
    const double norm = __builtin_sqrt(dot_in_double(own, own, t.cols()));
    if (norm < 0.5 / __builtin_sqrt(static_cast<double>(t.cols()))) continue;  // in their span
    for (std::size_t i = 0; i < t.cols(); ++i) own[i] /= norm;
    ++row;
  }
}

inline Matrix<double> transposed_copy(const Matrix<double>& m) {
  Matrix<double> result(m.cols(), m.rows());
  for (std::size_t i = 0; i < m.rows(); ++i) {
    for (std::size_t j = 0; j < m.cols(); ++j) result(j, i) = m(i, j);
  }
  return result;
}

}  // namespace detail

/// Of finite elements, whose magnitudes lie well within double's exponents.
inline SingularValues singular_values(MatrixView<const double> a) {
  using namespace detail;
  // Columns of a as rows of t, the shorter way round: rows of t become σ·u, those of `right` v.
  const bool wide = a.cols() > a.rows();
  const std::size_t count = std::min(a.rows(), a.cols()), length = std::max(a.rows(), a.cols());
  Matrix<double> t(length, length), right(count, count);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < length; ++j) t(i, j) = wide ? a(i, j) : a(j, i);
    right(i, i) = 1.0;
  }
  orthogonalize_rows({t.data(), count, length}, right);

  SingularValues result;
  double largest = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    const double norm = __builtin_sqrt(dot_in_double(t.view().row(i), t.view().row(i), length));
    result.values.push_back(norm);
    largest = std::max(largest, norm);
  }
  // Those that are 0 but for roundings last, for they have no u of their own.
  std::size_t known = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!(result.values[i] > rounded_product(largest, 1e-15))) continue;
    for (std::size_t j = 0; j < length; ++j) {
      std::swap(t(known, j), t(i, j));
      t(known, j) /= result.values[i];
    }
    for (std::size_t j = 0; j < count; ++j) std::swap(right(known, j), right(i, j));
    std::swap(result.values[known++], result.values[i]);
  }
  for (std::size_t i = known; i < count; ++i) result.values[i] = 0.0;
  complete_rows(t, known);
  result.u = transposed_copy(wide ? right : t);
  result.v = transposed_copy(wide ? t : right);
  return result;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
