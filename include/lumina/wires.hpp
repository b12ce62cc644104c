// Wires of an array that have resistance: what its devices are worth where they are.
//
//   effective_conductances(g, {.row_ohm = 1.0f, .column_ohm = 1.0f}, g);   // in place
//   Programmed chip(w, Pcm{}, key, mapping, cells, 0, Wires{1.0f, 1.0f});  // weights, array by
//   array
//
// Each input drives a row wire at one end, each output is a column wire that ends in a virtual
// ground; a device connects the two where they cross. Input 0 is the row next to the grounds,
// output 0 the column next to the drivers, and a segment of wire lies before each device:
//
//   driver i ── r ── (i, 0) ── r ── (i, 1) ── …        rows
//   ground o ── r ── (0, o) ── r ── (1, o) ── …        columns
//
// Devices being fixed, the network is linear: the current of output o is Σ g_eff(o, i)·v(i). So
// g_eff, solved once, takes the place of g, and a call with wires costs what one without costs.
//
// Drivers and grounds are ideal. Linearity ends where devices' conductance depends on the voltage,
// and where each call has a network of its own: gates that cut rows or columns off (an input of 0
// is no such thing: its row is driven, at 0 V), or outputs that float while others are read.
#pragma once

#include <cstddef>
#include <limits>

#include "border.hpp"
#include "config.hpp"
#include "detail/base/aligned_buffer.hpp"
#include "detail/base/ladder.hpp"
#include "detail/base/message.hpp"
#include "detail/base/number.hpp"
#include "detail/base/wired_tile.hpp"
#include "matrix.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// Reports a resistance that is negative or not finite.
inline bool wires_valid(const Wires& wires, const char* call) {
  const auto valid = [&](float ohm, const char* which) {
    if (ohm >= 0.0f && ohm <= std::numeric_limits<float>::max()) return true;
    report_error((Message() << "lumina::" << call << ": Wires::" << which << " is " << Number{ohm}
                            << " ohm; it must be finite and at least 0")
                     .c_str());
    return false;
  };
  return valid(wires.row_ohm, "row_ohm") && valid(wires.column_ohm, "column_ohm");
}

/// Reports a conductance that is negative or not finite.
inline bool conductances_valid(MatrixView<const float> conductances, const char* call) {
  for (std::size_t output = 0; output < conductances.rows(); ++output) {
    for (std::size_t input = 0; input < conductances.cols(); ++input) {
      const float g = conductances(output, input);
      if (g >= 0.0f && g <= std::numeric_limits<float>::max()) continue;
      report_error((Message() << "lumina::" << call << ": the conductances are "
                              << Shape{conductances.rows(), conductances.cols()} << "; that at ("
                              << output << ", " << input << ") is " << Number{g}
                              << " microsiemens; it must be finite and at least 0")
                       .c_str());
      return false;
    }
  }
  return true;
}

/// store(output, input, µS): what is effective of valid conductances. False: no memory.
template <class Store>
bool solve_wires(MatrixView<const float> conductances, const Wires& wires, const Store& store) {
  const std::size_t outputs = conductances.rows(), inputs = conductances.cols();
  if (outputs == 0 || inputs == 0) return true;
  const TileOfConductances tile{conductances.data(), outputs, inputs, conductances.row_stride()};
  const auto row_ohm = static_cast<double>(wires.row_ohm);
  const auto column_ohm = static_cast<double>(wires.column_ohm);
  if (row_ohm != 0.0 && column_ohm != 0.0) {
    return WiredTileSolver(tile, 1e6 / row_ohm, 1e6 / column_ohm).solve(store);
  }
  // Columns, or rows, know nothing of each other.
  AlignedBuffer<double> memory;
  if (!memory.grow_to(outputs > inputs ? outputs : inputs)) return false;
  for (std::size_t o = 0; o < outputs && row_ohm == 0.0; ++o) {
    pass_ladder(
        inputs, column_ohm * 1e-6, memory.data(), [&](std::size_t i) { return tile(o, i); },
        [&](std::size_t i, double g) { store(o, i, g); });
  }
  for (std::size_t i = 0; i < inputs && row_ohm != 0.0; ++i) {
    pass_ladder(
        outputs, row_ohm * 1e-6, memory.data(), [&](std::size_t o) { return tile(o, i); },
        [&](std::size_t o, double g) { store(o, i, g); });
  }
  return true;
}

template <class T>
bool effective_conductances(MatrixView<const float> conductances, const Wires& wires,
                            MatrixView<T> effective) {
  constexpr const char* kCall = "effective_conductances";
  const auto refuse = [&](const char* problem) {
    report_error((Message() << "lumina::" << kCall << ": the conductances are "
                            << Shape{conductances.rows(), conductances.cols()} << ", the result is "
                            << Shape{effective.rows(), effective.cols()} << problem)
                     .c_str());
    return false;
  };
  if (conductances.rows() != effective.rows() || conductances.cols() != effective.cols()) {
    return refuse("; they must have the same shape");
  }
  if (conductances.rows() == 0 || conductances.cols() == 0) return wires_valid(wires, kCall);
  if (conductances.data() == nullptr || effective.data() == nullptr) {
    return refuse("; data is missing");
  }
  const bool in_place = static_cast<const void*>(conductances.data()) == effective.data() &&
                        conductances.row_stride() == effective.row_stride() &&
                        sizeof(T) == sizeof(float);
  if (!in_place && overlap(conductances, effective)) {
    return refuse("; they overlap, and are not the same");
  }
  if (!wires_valid(wires, kCall) || !conductances_valid(conductances, kCall)) return false;
  return solve_wires(conductances, wires, [&](std::size_t output, std::size_t input, double g) {
    effective(output, input) = static_cast<T>(g);
  });
}

}  // namespace detail

/// What takes the place of the conductances of an array [outputs, inputs], in µS, that has such
/// wires: the current of an output is the sum of these times the inputs' voltages. Solved in
/// double, each to a few roundings of itself, and rounded; without resistance the conductances
/// themselves. `effective_uS` may be `conductances_uS`.
///
/// A time that grows as n³, of 256 × 256 about 40 ms, and memory for it; where only rows or only
/// columns have resistance, some ns a device. The same bits on every instruction set.
/// Errors, nothing is written then and the result is false: other shapes, missing data, views that
/// overlap without being the same; a resistance or a conductance that is negative or not finite.
inline bool effective_conductances(MatrixView<const float> conductances_uS, const Wires& wires,
                                   MatrixView<float> effective_uS) {
  return detail::effective_conductances(conductances_uS, wires, effective_uS);
}
/// The same, not rounded to float.
inline bool effective_conductances(MatrixView<const float> conductances_uS, const Wires& wires,
                                   MatrixView<double> effective_uS) {
  return detail::effective_conductances(conductances_uS, wires, effective_uS);
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
