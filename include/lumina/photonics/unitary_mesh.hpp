// A unitary matrix as a mesh of Mach–Zehnder interferometers.
//
//   U = D·T_K ··· T_2·T_1,   T_i on modes m and m + 1:   [ e^(iφ)·cos(ϑ/2)   −sin(ϑ/2) ]
//                                                         [ e^(iφ)·sin(ϑ/2)    cos(ϑ/2) ]
//
// with the phases ϑ in [0, π] between the couplers and φ in [0, 2π) in front of them, and output
// phases D; K = n(n − 1)/2. Light meets T_1 first.
//
// Sources: W. R. Clements et al., "Optimal design for universal multiport interferometers", Optica
// 3, 1460 (2016) (rectangular); M. Reck et al., "Experimental realization of any discrete unitary
// operator", Physical Review Letters 73, 58 (1994) (triangular).
//
// All in double, by roundings in a fixed order: the same bits on every machine with IEEE doubles.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <vector>

#include "../config.hpp"
#include "../detail/base/double_math.hpp"
#include "../detail/base/message.hpp"
#include "../matrix.hpp"
#include "../noise.hpp"
#include "phase_shifters.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// How interferometers are laid out: n columns of them, or 2n − 3.
enum class MeshLayout {
  rectangular,  ///< Clements et al.: all paths as long as each other
  triangular,   ///< Reck et al.
};

/// A complex number in double, as mesh's matrices have them.
using Amplitude = detail::Complex;

/// The phases of a mesh. Made of a unitary matrix.
class UnitaryMesh {
 public:
  UnitaryMesh() = default;
  /// Error: a matrix that is not square, or not unitary to 1e-6; the mesh is empty then.
  explicit UnitaryMesh(MatrixView<const Amplitude> u, MeshLayout layout = MeshLayout::rectangular) {
    if (!is_unitary(u)) return;
    modes_ = u.rows();
    Matrix<Amplitude> rest(modes_, modes_);
    for (std::size_t row = 0; row < modes_; ++row) {
      std::copy_n(u.row(row), modes_, rest.view().row(row));
    }
    layout == MeshLayout::rectangular ? decompose_rectangular(rest) : decompose_triangular(rest);
    choose_columns();
  }

  std::size_t modes() const { return modes_; }
  std::size_t interferometers() const { return first_modes_.size(); }
  /// The first of the two modes of an interferometer, in the order that light meets them.
  std::size_t first_mode(std::size_t index) const { return first_modes_[index]; }
  /// How many interferometers stand one behind the other.
  std::size_t columns() const { return column_count_; }

  /// ϑ and φ of the first interferometer, those of the second one, …, the output phases.
  std::span<const double> phases() const { return phases_; }

  /// C·(Q(φ) + σN) of all phases; shifter i of the chip draws the normal of (chip, unit, i).
  /// Neighbours of a shifter: those before and behind it, in the same modes or one further; and
  /// the next ones beside it.
  std::vector<double> driven(const PhaseShifters& shifters, const NoiseKey& chip,
                             std::size_t unit) const {
    std::vector<double> set(phases_.size());
    for (std::size_t i = 0; i < set.size(); ++i) {
      set[i] = shifters.driven(phases_[i], chip, unit, i);
    }
    return shifters.crosstalk == 0.0 ? set : warmed(set, shifters.crosstalk);
  }

  /// U of these phases, in the order of phases(), to `u` [modes, modes].
  void build(std::span<const double> phases, MatrixView<Amplitude> u) const {
    for (std::size_t row = 0; row < modes_; ++row) {
      for (std::size_t col = 0; col < modes_; ++col) u(row, col) = {row == col ? 1.0 : 0.0, 0.0};
    }
    for (std::size_t i = 0; i < interferometers(); ++i) {
      Interferometer(phases[2 * i], phases[2 * i + 1]).multiply_rows(u, first_modes_[i]);
    }
    for (std::size_t row = 0; row < modes_; ++row) {
      const Amplitude factor = detail::phasor(phases[2 * interferometers() + row]);
      for (std::size_t col = 0; col < modes_; ++col) u(row, col) = factor * u(row, col);
    }
  }

 private:
  struct Interferometer {
    double sine, cosine;
    Amplitude phase;

    Interferometer(double internal, double external) : phase(detail::phasor(external)) {
      const detail::SineCosine half = detail::sine_cosine(internal / 2.0);
      sine = half.sine;
      cosine = half.cosine;
    }
    /// u = T·u, on rows m and m + 1.
    void multiply_rows(MatrixView<Amplitude> u, std::size_t m) const {
      Amplitude *const upper = u.row(m), *const lower = u.row(m + 1);
      for (std::size_t col = 0; col < u.cols(); ++col) {
        const Amplitude turned = phase * upper[col];
        const Amplitude below = lower[col];
        upper[col] = cosine * turned - sine * below;
        lower[col] = sine * turned + cosine * below;
      }
    }
    /// u = u·T*, on columns m and m + 1.
    void multiply_columns_by_adjoint(MatrixView<Amplitude> u, std::size_t m) const {
      const Amplitude back = detail::conjugate(phase);
      for (std::size_t row = 0; row < u.rows(); ++row) {
        const Amplitude left = back * u(row, m), right = u(row, m + 1);
        u(row, m) = cosine * left - sine * right;
        u(row, m + 1) = sine * left + cosine * right;
      }
    }
  };

  static bool is_unitary(MatrixView<const Amplitude> u) {
    const auto refuse = [&](const char* problem) {
      detail::report_error((detail::Message() << "lumina::UnitaryMesh: u is "
                                              << detail::Shape{u.rows(), u.cols()} << problem)
                               .c_str());
      return false;
    };
    if (u.rows() != u.cols()) return refuse("; it must be square");
    for (std::size_t a = 0; a < u.rows(); ++a) {
      for (std::size_t b = 0; b <= a; ++b) {
        Amplitude sum;
        for (std::size_t k = 0; k < u.cols(); ++k) sum = sum + u(a, k) * detail::conjugate(u(b, k));
        sum.re -= a == b ? 1.0 : 0.0;
        if (!(detail::squared_magnitude(sum) <= 1e-12)) return refuse("; it is not unitary");
      }
    }
    return true;
  }

  void add(std::size_t mode, double internal, double external) {
    first_modes_.push_back(mode);
    phases_.push_back(internal);
    phases_.push_back(detail::turned_into_range(external));
  }
  void add_output_phases(MatrixView<const Amplitude> diagonal) {
    for (std::size_t i = 0; i < modes_; ++i) {
      phases_.push_back(detail::turned_into_range(detail::angle(diagonal(i, i))));
    }
  }
  /// The interferometer that makes u(row, m) zero from the right: (ϑ, φ), which it adds.
  void clear_from_right(MatrixView<Amplitude> u, std::size_t row, std::size_t m) {
    const Amplitude a = u(row, m), b = u(row, m + 1);
    const double internal = 2.0 * detail::angle(detail::magnitude(a), detail::magnitude(b));
    const double external = detail::angle(a) - detail::angle(b);
    add(m, internal, external);
    Interferometer(internal, external).multiply_columns_by_adjoint(u, m);
  }

  void decompose_triangular(MatrixView<Amplitude> u) {
    for (std::size_t row = modes_; row-- > 1;) {
      for (std::size_t m = 0; m < row; ++m) clear_from_right(u, row, m);
    }
    add_output_phases(u);
  }

  /// Diagonals of u from its lower left corner on are cleared from the right and from the left by
  /// turns; what came from the left then changes places with the diagonal matrix that is left.
  void decompose_rectangular(MatrixView<Amplitude> u) {
    struct FromLeft {
      std::size_t mode;
      double internal, external;
    };
    std::vector<FromLeft> from_left;
    for (std::size_t i = 1; i < modes_; ++i) {
      if (i % 2 == 1) {
        for (std::size_t j = 0; j < i; ++j) clear_from_right(u, modes_ - 1 - j, i - 1 - j);
        continue;
      }
      for (std::size_t j = 1; j <= i; ++j) {
        const std::size_t m = modes_ + j - i - 2;
        const Amplitude a = u(m, j - 1), b = u(m + 1, j - 1);
        const FromLeft own{m, 2.0 * detail::angle(detail::magnitude(b), detail::magnitude(a)),
                           detail::angle(b) - detail::angle(a) + std::numbers::pi};
        Interferometer(own.internal, own.external).multiply_rows(u, m);
        from_left.push_back(own);
      }
    }
    // T(ϑ, φ)*·diag(α, β) = diag(−e^(−iφ)·β, β)·T(ϑ, arg α − arg β + π)
    for (std::size_t i = from_left.size(); i-- > 0;) {
      const auto& [m, internal, external] = from_left[i];
      const Amplitude upper = u(m, m), lower = u(m + 1, m + 1);
      add(m, internal, detail::angle(upper) - detail::angle(lower) + std::numbers::pi);
      u(m, m) = Amplitude{} - detail::phasor(-external) * lower;
    }
    add_output_phases(u);
  }

  /// Each interferometer stands as far in front as those before it let it.
  void choose_columns() {
    std::vector<std::size_t> taken(modes_, 0);  // columns, of each mode
    for (const std::size_t m : first_modes_) {
      const std::size_t column = std::max(taken[m], taken[m + 1]);
      taken[m] = taken[m + 1] = column + 1;
      columns_.push_back(column);
      column_count_ = std::max(column_count_, column + 1);
    }
  }

  /// Each phase and `part` of its neighbours'. Shifters stand in columns (φ, ϑ, φ, ϑ, …, outputs),
  /// those of an interferometer at its first mode.
  std::vector<double> warmed(const std::vector<double>& set, double part) const {
    const std::size_t shifter_columns = 2 * column_count_ + 1, nobody = set.size();
    std::vector<std::size_t> at(shifter_columns * modes_, nobody);
    const auto place = [&](std::size_t i) {
      if (i >= 2 * interferometers()) {
        return (shifter_columns - 1) * modes_ + (i - 2 * interferometers());
      }
      return (2 * columns_[i / 2] + (i % 2 == 0 ? 1 : 0)) * modes_ + first_modes_[i / 2];
    };
    for (std::size_t i = 0; i < set.size(); ++i) at[place(i)] = i;
    std::vector<double> result(set.size());
    for (std::size_t i = 0; i < set.size(); ++i) {
      const std::size_t column = place(i) / modes_, mode = place(i) % modes_;
      const std::size_t beside = i < 2 * interferometers() ? 2 : 1;
      double sum = 0.0;
      const auto add = [&](std::size_t c, std::size_t m) {  // what is below 0 has wrapped
        if (c < shifter_columns && m < modes_ && at[c * modes_ + m] != nobody) {
          sum += set[at[c * modes_ + m]];
        }
      };
      add(column, mode - beside);
      add(column, mode + beside);
      for (const std::size_t c : {column - 1, column + 1}) {
        for (const std::size_t m : {mode - 1, mode, mode + 1}) add(c, m);
      }
      result[i] = set[i] + detail::rounded_product(part, sum);
    }
    return result;
  }

  std::size_t modes_ = 0, column_count_ = 0;
  std::vector<std::size_t> first_modes_, columns_;
  std::vector<double> phases_;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
