// What a tile of conductances passes from its drivers to its outputs, through wires that have
// resistance.
//
//   driver i ─r─ R(i, 0) ─r─ R(i, 1) ─r─ …          a row wire for each input
//                  │g(0, i)    │g(1, i)
//                C(i, 0)     C(i, 1)                 column wires: C(i, o) ─r─ C(i − 1, o) ─r─ …
//                                                    C(0, o) ─r─ the virtual ground of output o
//
// Such a network is a mesh between drivers and grounds once its other nodes are taken out of it
// (star_mesh.hpp): block by block, two neighbours becoming one block whose nodes are those of its
// edges (A. George, "Nested dissection of a regular finite element mesh", SIAM J. Numer. Anal. 10,
// 1973). So n inputs and n outputs take a time that grows as n³, not as the n⁶ of a dense matrix.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "../../config.hpp"
#include "aligned_buffer.hpp"
#include "range.hpp"
#include "scalar_math.hpp"
#include "star_mesh.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Where the conductances [outputs, inputs] of a tile are, µS.
struct TileOfConductances {
  const float* data;
  std::size_t outputs, inputs, row_stride;

  double operator()(std::size_t output, std::size_t input) const {
    return static_cast<double>(data[output * row_stride + input]);
  }
};

/// The nodes at the edges of a block: the near ends of its segments towards drivers and grounds,
/// and the last nodes of its wires where they go on.
enum class Edge { driver, row_end, column_end, ground };

/// A block of a tile, of some inputs and outputs.
struct WiredBlock {
  Range inputs, outputs;
  bool rows_go_on, columns_go_on;

  /// Nodes are in the order of Edge.
  std::size_t size(Edge edge) const {
    switch (edge) {
      case Edge::driver:
        return inputs.size;
      case Edge::row_end:
        return rows_go_on ? inputs.size : 0;
      case Edge::column_end:
        return columns_go_on ? outputs.size : 0;
      default:
        return outputs.size;
    }
  }
  std::size_t begin(Edge edge) const {
    std::size_t begin = 0;
    for (int before = 0; before < static_cast<int>(edge); ++before) {
      begin += size(static_cast<Edge>(before));
    }
    return begin;
  }
  std::size_t nodes() const { return begin(Edge::ground) + outputs.size; }
  std::size_t mesh_size() const { return Mesh::size_of(nodes()); }
};

/// Solves tiles with wires of resistance in both directions.
class WiredTileSolver {
 public:
  /// Conductances of a segment, µS.
  WiredTileSolver(const TileOfConductances& tile, double row_wire, double column_wire)
      : tile_(tile), row_wire_(row_wire), column_wire_(column_wire) {}

  /// store(output, input, what the driver of that input passes to that output, µS). False where
  /// there is no memory, which has been reported; only without exceptions.
  template <class Store>
  bool solve(const Store& store) const {
    const WiredBlock all{{0, tile_.inputs}, {0, tile_.outputs}, false, false};
    AlignedBuffer<double> memory;
    if (!memory.grow_to(room(all))) return false;
    const Mesh mesh = solve(all, memory.data());
    for (std::size_t output = 0; output < tile_.outputs; ++output) {
      for (std::size_t input = 0; input < tile_.inputs; ++input) {
        store(output, input, mesh.row(input)[all.begin(Edge::ground) + output]);
      }
    }
    return true;
  }

 private:
  /// Inputs and outputs of the blocks that are made cell by cell.
  static constexpr std::size_t kLeaf = 4;
  static constexpr std::array kEdges{Edge::driver, Edge::row_end, Edge::column_end, Edge::ground};

  static bool is_leaf(const WiredBlock& block) {
    return block.inputs.size <= kLeaf && block.outputs.size <= kLeaf;
  }
  static bool cut_along_inputs(const WiredBlock& block) {
    return block.inputs.size >= block.outputs.size;
  }
  /// The two halves of a block: that which is nearer to grounds or drivers, and the other one.
  static std::array<WiredBlock, 2> halves(const WiredBlock& block) {
    WiredBlock nearer = block, farther = block;
    const auto cut = [](const Range& whole, Range& first, Range& second) {
      first.size = round_up(ceil_div(whole.size, std::size_t{2}), kLeaf);
      second = {whole.begin + first.size, whole.size - first.size};
    };
    if (cut_along_inputs(block)) {
      cut(block.inputs, nearer.inputs, farther.inputs);
      nearer.columns_go_on = true;
    } else {
      cut(block.outputs, nearer.outputs, farther.outputs);
      nearer.rows_go_on = true;
    }
    return {nearer, farther};
  }
  /// How many nodes two halves have in common.
  static std::size_t common(const WiredBlock& block) {
    return cut_along_inputs(block) ? block.outputs.size : block.inputs.size;
  }

  /// Doubles that solve() needs.
  static std::size_t room(const WiredBlock& block) {
    if (is_leaf(block)) return Mesh::size_of(4 * kLeaf) + block.mesh_size();
    const auto [nearer, farther] = halves(block);
    const std::size_t both = nearer.mesh_size() + farther.mesh_size();
    return std::max({room(nearer), nearer.mesh_size() + room(farther),
                     both + Mesh::size_of(common(block) + block.nodes())});
  }

  /// The mesh of a block, at `memory`.
  Mesh solve(const WiredBlock& block, double* memory) const {
    if (is_leaf(block)) return solve_leaf(block, memory);
    const auto [nearer, farther] = halves(block);
    const Mesh of_near = solve(nearer, memory);
    const Mesh of_far = solve(farther, memory + nearer.mesh_size());
    const std::size_t between = common(block);
    const Mesh joined{memory + nearer.mesh_size() + farther.mesh_size(), between + block.nodes()};
    std::fill_n(joined.data, Mesh::size_of(joined.nodes), 0.0);
    const bool along_inputs = cut_along_inputs(block);
    add(of_near, nearer, along_inputs ? Edge::column_end : Edge::row_end, {}, joined, block);
    add(of_far, farther, along_inputs ? Edge::ground : Edge::driver, nearer, joined, block);
    take_out(joined, between, driven(block, between),
             block.inputs.begin == 0 ? between + block.begin(Edge::ground) : joined.nodes);
    const Mesh result{memory, block.nodes()};
    copy_behind(joined, between, result);
    return result;
  }
  /// The drivers' nodes, where the block's row wires begin at sources of voltage.
  static Range driven(const WiredBlock& block, std::size_t before) {
    return {before, block.outputs.begin == 0 ? block.inputs.size : 0};
  }
  static void copy_behind(const Mesh& from, std::size_t first, const Mesh& to) {
    for (std::size_t node = 0; node < to.nodes; ++node) {
      std::copy_n(from.row(first + node) + first, to.nodes, to.row(node));
      std::fill_n(to.row(node) + to.nodes, to.stride() - to.nodes, 0.0);
    }
  }

  /// Adds a half's conductances. Its nodes at edge `seam` are the first ones of the joined block's,
  /// the others lie behind them and, along an edge that both have, behind those of `before`.
  static void add(const Mesh& half, const WiredBlock& block, Edge seam, const WiredBlock& before,
                  const Mesh& joined, const WiredBlock& whole) {
    const std::size_t between = joined.nodes - whole.nodes();
    const auto place_of = [&](Edge edge) {
      if (edge == seam) return std::size_t{0};
      const bool shared = whole.size(edge) != block.size(edge);
      return between + whole.begin(edge) + (shared ? before.size(edge) : 0);
    };
    for (std::size_t a = 0; a < kEdges.size(); ++a) {
      for (std::size_t b = a; b < kEdges.size(); ++b) {
        const Range rows{block.begin(kEdges[a]), block.size(kEdges[a])};
        const Range columns{block.begin(kEdges[b]), block.size(kEdges[b])};
        const std::size_t row_place = place_of(kEdges[a]), column_place = place_of(kEdges[b]);
        for (std::size_t i = 0; i < rows.size; ++i) {
          const double* const from = half.row(rows.begin + i) + columns.begin;
          if (row_place <= column_place) {
            double* const to = joined.row(row_place + i) + column_place;
            for (std::size_t j = a == b ? i + 1 : 0; j < columns.size; ++j) to[j] += from[j];
          } else {
            double* const to = joined.row(column_place) + row_place + i;
            for (std::size_t j = 0; j < columns.size; ++j) to[j * joined.stride()] += from[j];
          }
        }
      }
    }
  }

  /// A block of a few cells, one after the other. Its mesh has all conductances twice, (i, j) and
  /// (j, i), and so many slots: what wires have reached so far.
  struct Leaf {
    static constexpr std::size_t kSlots = 4 * kLeaf;
    double* data;
    double* row(std::size_t slot) const { return data + slot * kSlots; }

    /// A wire of this conductance goes on from a slot's node to the one that takes its place; 0:
    /// the node is taken out.
    void extend(std::size_t slot, double wire) const {
      double* const own = row(slot);
      own[slot] = 0.0;
      const double inverse = inverse_of(wire + sum_of_lanes(own, 0, kSlots));
      for (std::size_t i = 0; i < kSlots; ++i) {
        const double factor = product(own[i], inverse);
        if (factor != 0.0) add_rows<1>(row(i), own, kSlots, &factor, 0, kSlots);
      }
      const double share = product(wire, inverse);
      for (std::size_t i = 0; i < kSlots; ++i) {
        own[i] = product(own[i], share);
        row(i)[slot] = own[i];
      }
    }
    void connect(std::size_t a, std::size_t b, double conductance) const {
      row(a)[b] += conductance;
      row(b)[a] += conductance;
    }
  };
  Mesh solve_leaf(const WiredBlock& block, double* memory) const {
    // Slots of an edge's nodes.
    const auto slot = [](Edge edge, std::size_t i) {
      return static_cast<std::size_t>(edge) * kLeaf + i;
    };
    const Leaf leaf{memory + block.mesh_size()};
    std::fill_n(leaf.data, Mesh::size_of(Leaf::kSlots), 0.0);
    const std::size_t inputs = block.inputs.size, outputs = block.outputs.size;
    for (std::size_t i = 0; i < inputs; ++i) {
      for (std::size_t o = 0; o < outputs; ++o) {
        const std::size_t in_row = slot(Edge::row_end, i), in_column = slot(Edge::column_end, o);
        if (o == 0) {
          leaf.connect(slot(Edge::driver, i), in_row, row_wire_);
        } else {
          leaf.extend(in_row, row_wire_);
        }
        if (i == 0) {
          leaf.connect(slot(Edge::ground, o), in_column, column_wire_);
        } else {
          leaf.extend(in_column, column_wire_);
        }
        leaf.connect(in_row, in_column, tile_(block.outputs.begin + o, block.inputs.begin + i));
      }
      if (!block.rows_go_on) leaf.extend(slot(Edge::row_end, i), 0.0);
    }
    for (std::size_t o = 0; o < outputs && !block.columns_go_on; ++o) {
      leaf.extend(slot(Edge::column_end, o), 0.0);
    }
    const Mesh mesh{memory, block.nodes()};
    std::fill_n(mesh.data, block.mesh_size(), 0.0);
    for (const Edge a : kEdges) {
      for (const Edge b : kEdges) {
        for (std::size_t i = 0; i < block.size(a); ++i) {
          std::copy_n(leaf.row(slot(a, i)) + slot(b, 0), block.size(b),
                      mesh.row(block.begin(a) + i) + block.begin(b));
        }
      }
    }
    return mesh;
  }

  TileOfConductances tile_;
  double row_wire_, column_wire_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
