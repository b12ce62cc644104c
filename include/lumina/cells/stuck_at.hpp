// Devices that hold what they hold, whatever they are programmed to.
#pragma once

#include <array>
#include <cstddef>

#include "../config.hpp"
#include "../detail/base/message.hpp"
#include "../detail/base/number.hpp"
#include "cell_model.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// `cell`, of which some devices are stuck: with u uniform in (0, 1], once per chip,
///
///   u < p_off       g_min, for ever
///   u > 1 − p_on    g_max, for ever      (1 − p_on a float: p_on counts in steps of 2^-24)
///   else            what the cell is, with its draws
///
/// Errors: those of the cell; probabilities that are negative or NaN, or more than 1 together; a
/// g_min or g_max (µS) that is not 0 ≤ g_min < g_max ≤ cell.g_max.
template <CellModel Cell>
struct StuckAt {
  Cell cell = {};
  float p_off = 0.0f, p_on = 0.0f;
  float g_min = 0.0f, g_max = cell.g_max;

  /// The cell's, and one that decides.
  static constexpr std::size_t cell_draws = Cell::draws.size();
  static constexpr std::array<Draw, cell_draws + 1> draws = [] {
    std::array<Draw, cell_draws + 1> all{};
    for (std::size_t i = 0; i < cell_draws; ++i) all[i] = Cell::draws[i];
    all[cell_draws] = Draw::uniform;
    return all;
  }();

  bool valid() const {
    if (!cell.valid()) return false;
    detail::Message problem;
    problem << "lumina::StuckAt: ";
    if (!(p_off >= 0.0f && p_on >= 0.0f && p_off + p_on <= 1.0f)) {
      problem << "p_off is " << detail::Number{p_off} << " and p_on " << detail::Number{p_on}
              << "; they must be 0 or more, and 1 at most together";
    } else if (!(g_min >= 0.0f && g_min < g_max && g_max <= cell.g_max)) {
      problem << "g_min is " << detail::Number{g_min} << " and g_max " << detail::Number{g_max}
              << " microsiemens; it needs 0 <= g_min < g_max <= " << detail::Number{cell.g_max};
    } else {
      return true;
    }
    detail::report_error(problem.c_str());
    return false;
  }
  float largest_deviation() const { return cell.largest_deviation(); }

  /// Whether the device with this uniform number holds what it holds.
  bool is_stuck(float uniform) const { return uniform < p_off || uniform > 1.0f - p_on; }

  template <class Floats>
  [[gnu::always_inline]] Floats programmed(const Floats& targets,
                                           const std::array<Floats, cell_draws + 1>& drawn) const {
    return stuck(cell.programmed(targets, of_cell(drawn)), drawn[cell_draws]);
  }
  auto moment(double seconds) const requires detail::ChangesWithTime<Cell> {
    return cell.moment(seconds);
  }
  template <class Moment, class Floats>
  [[gnu::always_inline]] Floats at(const Moment& moment, const Floats& targets,
                                   const Floats& programmed,
                                   const std::array<Floats, cell_draws + 1>& drawn) const {
    return stuck(cell.at(moment, targets, programmed, of_cell(drawn)), drawn[cell_draws]);
  }

 private:
  template <class Floats>
  [[gnu::always_inline]] static std::array<Floats, cell_draws> of_cell(
      const std::array<Floats, cell_draws + 1>& drawn) {
    std::array<Floats, cell_draws> own;
    for (std::size_t i = 0; i < cell_draws; ++i) own[i] = drawn[i];
    return own;
  }
  template <class Floats>
  [[gnu::always_inline]] Floats stuck(const Floats& conductances, const Floats& uniform) const {
    const Floats off = select(uniform < Floats(p_off), Floats(g_min), conductances);
    return select(uniform > Floats(1.0f - p_on), Floats(g_max), off);
  }
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
