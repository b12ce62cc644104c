// Weights on meshes of interferometers: W = U·Σ·V*, two meshes with attenuators between them, built
// again from phases as the chip's shifters have them.
//
//   lumina::mzi_weights(w, MziArray{.modes = 64, .shifters = {.bits = 8, .deviation = 0.01}}, chip,
//                       weights);
//   … encode_weights<8>(weights) …
//
// It happens when weights are programmed, and costs a call nothing. A matrix that is larger than an
// array is cut into blocks, each with meshes of its own. Attenuators are interferometers too, with
// transmission cos(ϑ/2) of the amplitude; the largest singular value of a block is its full scale.
//
// Source: Y. Shen et al., "Deep learning with coherent nanophotonic circuits", Nature Photonics 11,
// 441 (2017).
#pragma once

#include <algorithm>
#include <cstddef>

#include "../config.hpp"
#include "../detail/base/double_math.hpp"
#include "../detail/base/message.hpp"
#include "../detail/rows/photonic_checks.hpp"
#include "../matrix.hpp"
#include "../noise.hpp"
#include "phase_shifters.hpp"
#include "singular_values.hpp"
#include "unitary_mesh.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// Arrays of meshes: each has this many inputs and outputs at most.
struct MziArray {
  std::size_t modes = 64;
  MeshLayout layout = MeshLayout::rectangular;
  PhaseShifters shifters = {};
};

namespace detail {

/// One block w [out, in], out and in at most the array's modes: what its meshes make of it, as
/// amplitudes. `block`: its number on the chip, which has units 3·block (V*), … + 1 (Σ), … + 2 (U).
inline Matrix<Amplitude> amplitudes_of_meshes(MatrixView<const float> w, const MziArray& array,
                                              const NoiseKey& chip, std::size_t block) {
  Matrix<double> exact(w.rows(), w.cols());
  for (std::size_t row = 0; row < w.rows(); ++row) {
    for (std::size_t col = 0; col < w.cols(); ++col) {
      exact(row, col) = static_cast<double>(w(row, col));
    }
  }
  const SingularValues parts = singular_values(exact);
  const auto on_chip = [&](const Matrix<double>& orthogonal, bool adjoint, std::size_t unit) {
    const std::size_t modes = orthogonal.rows();
    Matrix<Amplitude> u(modes, modes);
    for (std::size_t row = 0; row < modes; ++row) {
      for (std::size_t col = 0; col < modes; ++col) {
        u(row, col).re = adjoint ? orthogonal(col, row) : orthogonal(row, col);
      }
    }
    const UnitaryMesh mesh(u, array.layout);
    mesh.build(mesh.driven(array.shifters, chip, unit), u);
    return u;
  };
  const Matrix<Amplitude> in = on_chip(parts.v, true, 3 * block);
  const Matrix<Amplitude> out = on_chip(parts.u, false, 3 * block + 2);

  const double largest =
      parts.values.empty() ? 0.0 : *std::max_element(parts.values.begin(), parts.values.end());
  Matrix<Amplitude> result(w.rows(), w.cols());
  for (std::size_t k = 0; k < parts.values.size() && largest > 0.0; ++k) {
    const double part = std::min(parts.values[k] / largest, 1.0);
    const double sine = __builtin_sqrt(rounded_product(1.0 - part, 1.0 + part));
    const double phase = array.shifters.driven(2.0 * angle(sine, part), chip, 3 * block + 1, k);
    const double value = rounded_product(largest, sine_cosine(phase / 2.0).cosine);
    for (std::size_t row = 0; row < w.rows(); ++row) {
      const Amplitude scaled = value * out(row, k);
      for (std::size_t col = 0; col < w.cols(); ++col) {
        result(row, col) = result(row, col) + scaled * in(k, col);
      }
    }
  }
  return result;
}

/// to(row, column, amplitude) of all weights that the arrays make of w.
template <class To>
bool program_meshes(const char* call, MatrixView<const float> w, const MziArray& array,
                    const NoiseKey& chip, MatrixView<float> result, std::size_t columns, To to) {
  if (array.modes == 0) {
    report_error((Message() << "lumina::" << call << ": w is " << Shape{w.rows(), w.cols()}
                            << "; an array needs at least one mode")
                     .c_str());
    return false;
  }
  if (!array.shifters.valid() || !photonic_weights_valid(call, w, result, columns)) return false;
  std::size_t block = 0;
  for (std::size_t row = 0; row < w.rows(); row += array.modes) {
    for (std::size_t col = 0; col < w.cols(); col += array.modes) {
      const std::size_t rows = std::min(array.modes, w.rows() - row);
      const std::size_t cols = std::min(array.modes, w.cols() - col);
      const Matrix<Amplitude> made = amplitudes_of_meshes(
          {w.row(row) + col, rows, cols, w.row_stride()}, array, chip, block++);
      for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < cols; ++j) to(row + i, col + j, made(i, j));
      }
    }
  }
  return true;
}

}  // namespace detail

/// `result` [out, in] = the real part of what the meshes make of w, which homodyne detection of
/// real inputs sees. Ideal shifters give w but for roundings. Shifter i of unit u of the chip
/// deviates by the normal of (chip, u, i). Errors, before anything is written: an array without
/// modes; shifters as PhaseShifters says; another shape of the result, missing data, overlapping
/// matrices, a weight that is infinite or NaN. The result: whether it was programmed.
inline bool mzi_weights(MatrixView<const float> w, const MziArray& array, const NoiseKey& chip,
                        MatrixView<float> result) {
  return detail::program_meshes("mzi_weights", w, array, chip, result, w.cols(),
                                [&](std::size_t row, std::size_t col, const Amplitude& made) {
                                  result(row, col) = static_cast<float>(made.re);
                                });
}

/// The same, `result` [out, 2·in] as pairs (real, imaginary): for pack_complex_weights and
/// detect(), where amplitudes interfere before they are detected.
inline bool complex_mzi_weights(MatrixView<const float> w, const MziArray& array,
                                const NoiseKey& chip, MatrixView<float> result) {
  return detail::program_meshes("complex_mzi_weights", w, array, chip, result, 2 * w.cols(),
                                [&](std::size_t row, std::size_t col, const Amplitude& made) {
                                  result(row, 2 * col) = static_cast<float>(made.re);
                                  result(row, 2 * col + 1) = static_cast<float>(made.im);
                                });
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
