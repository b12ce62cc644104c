// Cells of analog arrays, and what devices of them have when they were programmed, or later. A chip
// is a key: its devices are the same in every call and program.
//
//   conductances(Pcm{}, targets, result, 3600.0, NoiseKey{seed, chip});
//
// programmed.hpp puts weights on such devices.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include "border.hpp"
#include "cells/cell_model.hpp"
#include "cells/pairs.hpp"
#include "cells/pcm.hpp"
#include "cells/reram.hpp"
#include "cells/stuck_at.hpp"
#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/base/number.hpp"
#include "detail/layout/float_panels.hpp"
#include "detail/random/device_draws.hpp"
#include "detail/rows/devices.hpp"
#include "detail/simd/vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

template <CellModel Cell>
bool cell_valid(const Cell& cell) {
  return passes_or_reports([&] { return static_cast<bool>(cell.valid()); },
                           "a cell refused its parameters", {1, Cell::draws.size()});
}

template <CellModel Cell>
bool targets_valid(const Cell& cell, std::span<const float> targets) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (targets[i] >= 0.0f && targets[i] <= cell.g_max) continue;
    report_error((Message() << "lumina::conductances: targets[" << i << "] is "
                            << Number{targets[i]}
                            << " microsiemens; targets must be between 0 and the cell's g_max, "
                            << Number{cell.g_max})
                     .c_str());
    return false;
  }
  return true;
}

template <bool AtTime, CellModel Cell>
void make_conductances(const Cell& cell, std::span<const float> targets, float* result,
                       double seconds, const NoiseKey& key) {
  using Draws = DeviceDraws<Cell, 1, AtTime>;
  using Floats = typename Draws::Floats;
  const CellState<Cell, AtTime> state(cell, seconds);
  const Draws draws(key, seconds);
  typename Draws::Round round;
  Draws::Block::clear(round);
  for (std::size_t first = 0; first < targets.size(); first += kBlockColumns) {
    typename Draws::Block block(draws, 0, first / kBlockColumns);
    const std::size_t end = std::min(first + kBlockColumns, targets.size());
    for (std::size_t column = first; column < end; column += kNormalsPerRound) {
      block.next(round);
      for (std::size_t v = 0; v < Draws::round_vectors; ++v) {
        const std::size_t at = column + v * Floats::size;
        if (at >= end) break;
        const std::size_t count = end - at;
        if (count >= Floats::size) {
          state(Floats::load_unaligned(&targets[at]), round[0][v]).store_unaligned(result + at);
        } else {
          store_first(state(load_first<Floats>(&targets[at], count), round[0][v]), result + at,
                      count);
        }
      }
    }
  }
}

}  // namespace detail

/// What devices have that were programmed to targets_uS, in µS: just programmed where there is no
/// time, otherwise at that many seconds after, reading noise included. Device i is (row 0, column
/// i) of the key's noise fields; it is a function of the key, i, its target and the time alone.
/// `result_uS` may be `targets_uS`.
/// Errors, nothing is written then and the result is false: those of the cell; another number of
/// results; a target outside [0, g_max] or NaN; a time that is negative, NaN or above 1e20.
template <CellModel Cell>
bool conductances(const Cell& cell, std::span<const float> targets_uS, std::span<float> result_uS,
                  std::optional<double> seconds, const NoiseKey& key) {
  using namespace detail;
  if (!cell_valid(cell)) return false;
  if (result_uS.size() != targets_uS.size()) {
    report_error((Message() << "lumina::conductances: there are " << targets_uS.size()
                            << " targets and " << result_uS.size() << " results")
                     .c_str());
    return false;
  }
  const bool at_time = seconds.has_value();
  const double time = seconds_or_0(seconds);
  if (at_time && !seconds_valid(time, "conductances")) return false;
  if (!targets_valid(cell, targets_uS)) return false;
  if (at_time) {
    make_conductances<true>(cell, targets_uS, result_uS.data(), time, key);
  } else {
    make_conductances<false>(cell, targets_uS, result_uS.data(), 0.0, key);
  }
  return true;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
