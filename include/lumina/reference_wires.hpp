// The oracle of wires: plain loops, short enough to check by eye (reference.hpp).
#pragma once

#include <algorithm>
#include <cstddef>

#include "config.hpp"
#include "detail/base/scalar_math.hpp"
#include "matrix.hpp"
#include "wires.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// lumina::effective_conductances by Kirchhoff's voltage law, a dense matrix and Gauss: for tiles
/// of a few hundred devices. Arguments are not checked.
///
/// The current of device (o, i) shares o' + 1 segments of its row with that of (o', i), o' < o, and
/// i' + 1 of its column with that of (o, i'), i' < i. So the voltages d at the devices are
///   d(o, i) + row·Σ_o' (min(o, o') + 1)·g·d(o', i) + column·Σ_i' (min(i, i') + 1)·g·d(o, i') =
///   v(i)
/// and what an output gets is Σ_i g·d(o, i). Elimination needs no pivoting: with z the
/// resistances above, positive definite, it is (1/g + z)·g, whose leading minors are positive.
inline Matrix<double> effective_conductances(MatrixView<const float> g, const Wires& wires) {
  const std::size_t outputs = g.rows(), inputs = g.cols(), devices = outputs * inputs;
  const double row = static_cast<double>(wires.row_ohm) * 1e-6;
  const double column = static_cast<double>(wires.column_ohm) * 1e-6;
  Matrix<double> matrix(devices, devices), voltages(devices, inputs);
  const auto index = [&](std::size_t o, std::size_t i) { return o * inputs + i; };
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t i = 0; i < inputs; ++i) {
      const std::size_t own = index(o, i);
      matrix(own, own) = 1.0;
      voltages(own, i) = 1.0;  // of the i-th unit vector
      for (std::size_t other = 0; other < outputs; ++other) {
        const auto shared = static_cast<double>(std::min(o, other) + 1);
        matrix(own, index(other, i)) += row * shared * static_cast<double>(g(other, i));
      }
      for (std::size_t other = 0; other < inputs; ++other) {
        const auto shared = static_cast<double>(std::min(i, other) + 1);
        matrix(own, index(o, other)) += column * shared * static_cast<double>(g(o, other));
      }
    }
  }
  for (std::size_t k = 0; k < devices; ++k) {
    for (std::size_t below = k + 1; below < devices; ++below) {
      const double factor = matrix(below, k) / matrix(k, k);
      for (std::size_t j = k; j < devices; ++j) matrix(below, j) -= factor * matrix(k, j);
      for (std::size_t i = 0; i < inputs; ++i) voltages(below, i) -= factor * voltages(k, i);
    }
  }
  for (std::size_t k = devices; k-- != 0;) {
    for (std::size_t i = 0; i < inputs; ++i) {
      for (std::size_t j = k + 1; j < devices; ++j) {
        voltages(k, i) -= matrix(k, j) * voltages(j, i);
      }
      voltages(k, i) /= matrix(k, k);
    }
  }
  Matrix<double> effective(outputs, inputs);
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t i = 0; i < inputs; ++i) {
      for (std::size_t k = 0; k < inputs; ++k) {
        effective(o, i) += static_cast<double>(g(o, k)) * voltages(index(o, k), i);
      }
    }
  }
  return effective;
}

/// detail::take_out, bit for bit, on a square matrix of which what lies above the diagonal counts.
inline void take_out(Matrix<double>& mesh, std::size_t count) {
  const std::size_t nodes = mesh.rows();
  for (std::size_t node = 0; node < count; ++node) {
    double sums[8] = {};
    for (std::size_t j = node + 1; j < nodes; ++j) sums[j % 8] += mesh(node, j);
    const double sum =
        ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    for (std::size_t i = node + 1; i < nodes; ++i) {
      const double share = detail::product(mesh(node, i), sum > 0x1p-1000 ? 1.0 / sum : 0.0);
      for (std::size_t j = i + 1; j < nodes; ++j) {
        mesh(i, j) += detail::product(share, mesh(node, j));
      }
    }
  }
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
