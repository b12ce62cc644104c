// Networks of conductances, and nodes taken out of them so that the currents between the others
// stay what they were.
//
// A node with conductances c_i to others becomes a mesh, c_i·c_j / Σ c between each two of them
// (the star–mesh transform, which is Gauss's elimination of the node's potential). Nothing is
// subtracted, so each conductance is right to a few roundings of its own size, be a wire 10⁹ times
// a device or a billionth of one; and the order of operations is the same whatever vectors there
// are.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "range.hpp"
#include "scalar_math.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Rows of a network begin at multiples of so many doubles, and are computed that many at a time.
inline constexpr std::size_t kMeshLanes = 8;
/// Nodes that are taken out in one pass over the others, and columns of such a pass, so that the
/// rows of these nodes stay in the first-level cache.
inline constexpr std::size_t kMeshPivots = 8;
inline constexpr std::size_t kMeshStrip = 256;

/// The conductances between `nodes` nodes, in somebody's memory: that between i and j > i at
/// (i, j). What lies at and below the diagonal means nothing; behind a row's end are zeros.
struct Mesh {
  double* data;
  std::size_t nodes;

  static constexpr std::size_t stride_of(std::size_t nodes) { return round_up(nodes, kMeshLanes); }
  static constexpr std::size_t size_of(std::size_t nodes) { return nodes * stride_of(nodes); }
  std::size_t stride() const { return stride_of(nodes); }
  double* row(std::size_t node) const { return data + node * stride(); }
};

/// Σ of whole groups of lanes from `begin` to `end`: eight sums, which are then added in pairs.
inline double sum_of_lanes(const double* values, std::size_t begin, std::size_t end) {
  double sums[kMeshLanes] = {};
  for (std::size_t j = begin; j < end; j += kMeshLanes) {
    for (std::size_t lane = 0; lane < kMeshLanes; ++lane) sums[lane] += values[j + lane];
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/// 1 / Σ of a node's conductances; 0 where all of them are below what matters beside any other, so
/// that nothing flows through it.
inline double inverse_of(double sum) { return sum > 0x1p-1000 ? 1.0 / sum : 0.0; }

/// to[j] += factors[u]·rows[u·stride + j] for ascending u, each product and each sum rounded.
template <std::size_t Count>
void add_rows(double* __restrict to, const double* __restrict rows, std::size_t stride,
              const double* factors, std::size_t begin, std::size_t end) {
  double own[Count];
  for (std::size_t u = 0; u < Count; ++u) own[u] = factors[u];
  for (std::size_t j = begin; j < end; j += kMeshLanes) {
    double sums[kMeshLanes];
    for (std::size_t lane = 0; lane < kMeshLanes; ++lane) sums[lane] = to[j + lane];
    for (std::size_t u = 0; u < Count; ++u) {
      const double* const row = rows + u * stride + j;
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC unroll 1  // g++ makes vectors of loops, not of what it has written out
#endif
      for (std::size_t lane = 0; lane < kMeshLanes; ++lane) {
        sums[lane] += product(own[u], row[lane]);
      }
    }
    for (std::size_t lane = 0; lane < kMeshLanes; ++lane) to[j + lane] = sums[lane];
  }
}

/// Takes the first `count` nodes out, in ascending order. Rows of `terminals` are wanted from
/// column `terminals.end()` on only, and rows from `last` on not at all: what flows between sources
/// of voltage is nobody's concern.
inline void take_out(const Mesh& mesh, std::size_t count, const Range& terminals,
                     std::size_t last) {
  const std::size_t stride = mesh.stride();
  const auto lanes_before = [](std::size_t column) { return column / kMeshLanes * kMeshLanes; };
  double inverse[kMeshPivots];
  for (std::size_t first = 0; first < count; first += kMeshPivots) {
    const std::size_t pivots = count - first < kMeshPivots ? count - first : kMeshPivots;
    double* const rows = mesh.row(first);
    for (std::size_t t = 0; t < pivots; ++t) {
      const std::size_t node = first + t, begin = lanes_before(node);
      double* const own = mesh.row(node);
      for (std::size_t u = 0; u < t; ++u) {
        const double factor = product(rows[u * stride + node], inverse[u]);
        add_rows<1>(own, rows + u * stride, stride, &factor, begin, stride);
      }
      for (std::size_t j = begin; j <= node; ++j) own[j] = 0.0;
      inverse[t] = inverse_of(sum_of_lanes(own, begin, stride));
    }
    const std::size_t others = first + pivots;
    for (std::size_t strip = lanes_before(others); strip < stride; strip += kMeshStrip) {
      const std::size_t end = strip + kMeshStrip < stride ? strip + kMeshStrip : stride;
      for (std::size_t node = others; node < (end < last ? end : last); ++node) {
        const bool terminal = node >= terminals.begin && node < terminals.end();
        std::size_t begin = lanes_before(terminal ? terminals.end() : node);
        if (begin < strip) begin = strip;
        if (begin >= end) continue;
        double factors[kMeshPivots];
        for (std::size_t u = 0; u < pivots; ++u) {
          factors[u] = product(rows[u * stride + node], inverse[u]);
        }
        if (pivots == kMeshPivots) {
          add_rows<kMeshPivots>(mesh.row(node), rows, stride, factors, begin, end);
        } else {
          for (std::size_t u = 0; u < pivots; ++u) {
            add_rows<1>(mesh.row(node), rows + u * stride, stride, factors + u, begin, end);
          }
        }
      }
    }
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
