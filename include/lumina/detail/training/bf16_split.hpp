// Products of floats with integers on a matrix unit for bf16, accurate as those of floats. The
// integers g is multiplied with, |c| ≤ 256, are exact in bf16; g is the sum of three (bf16.hpp), so
// three products do:
//
//   s = Σ g·c ≈ Σ (high·c) + (middle·c) + (low·c)        over k = 0 … K − 1, in floats
//
// Order: for each step of 32 inputs the three parts one after the other. In each of them the unit,
// as Intel's manual has it, makes one chain of FMA over the even inputs and one over the odd ones,
// adds them to each other, and the result to s. The order is the same for every output, so results
// depend neither on tiles nor threads, nor on how rows are cut into batches.
//
// Error. Products of parts are exact, for they have 16 bits. One of them goes through at most 15
// roundings in its chain (the first FMA starts from 0), one where the chains meet, and one for each
// later part and step: n = 15 + 3·⌈K/32⌉. The parts' magnitudes add up to less than
// |g|·(1 + 2^-7 + 2^-15), and nothing is lost where g is split. So, for K up to 2^20,
//
//   |s − Σ g·c| ≤ c(K)·2^-24·Σ |g·c| + 2^-126·(Σ |c| + 4·K + 6),     c(K) = 16 + 3.1·⌈K/32⌉
//
// where nothing overflows. The last term is what becomes 0: parts of g, and results, below 2^-126.
// (A chain of K FMA in floats has K in the place of c(K). A unit with another order of at most 3·K
// additions, each rounded to nearest, would have 3.1·K, for K up to 2^16.) ScaledRows round
// g = row·factor first: against the exact product, c(K) + 1.
#pragma once

#include <cstdint>
#include <span>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../matrix.hpp"
#include "../base/scalar_math.hpp"
#include "../engine/problem.hpp"
#include "../engine/run.hpp"
#include "../epilogue/first_stage.hpp"
#include "../epilogue/observer.hpp"
#include "../epilogue/sums.hpp"
#include "../isa/native.hpp"
#include "../kernels/matrix_unit.hpp"
#include "../kernels/unit_dot.hpp"
#include "../packing/packed_panels.hpp"
#include "../rows/bf16.hpp"
#include "../rows/row_source.hpp"
#include "bf16_panels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Whether this architecture has a matrix unit for bf16, and calls use it.
inline bool bf16_split_active() { return Native::bf16_unit_active(); }

/// y [rows, columns] = epilogue(rows·panels). `rows`: ScaledRows or TransposedRows of y.rows()
/// rows, depth() as the panels'; y.cols() columns as the panels'. `Unit`: usually
/// Arch::MatrixUnit. y may not overlap what the rows are made from.
template <class Arch, class Unit, RowSource Rows, class EpilogueT, class Executor>
void run_bf16_split(const Rows& rows, const Bf16Panels& panels, MatrixView<float> y,
                    const EpilogueT& epilogue, const NoiseKey& key, const Executor& executor) {
  using K = MatrixUnitKernel<Bf16OnUnit<Arch>, Unit>;
  const PackedPanels<std::int32_t, 2> words(panels.panel(0), panels.panel_size());
  run_on<K>(make_problem<K>(Bf16Rows<Arch, Rows>(rows), words, IdentitySums<Arch>()), y, epilogue,
            NoObserver(), key, executor);
}

/// A stage: from sums of floats times a DAC's codes, row by row, to those of floats times the
/// codes' values, fma(step, sum, offset·row_sums[row]), where row_sums are the sums of the floats
/// alone.
struct ValuesOfCodes {
  float step, offset;
  std::span<const float> row_sums;

  template <class Floats, class Normals>
  Floats apply(const Floats& sums, const Coordinates& at, const ActiveLanes&,
               const Normals&) const {
    return fused_multiply_add(Floats(step), sums, Floats(product(offset, row_sums[at.row])));
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
