// Eigen's own types as arguments: row-major ones convert, with their outer stride; others do not
// compile.
#include <Eigen/Core>
#include <lumina/lumina.hpp>

#include <type_traits>

#include "support/catch.hpp"
#include "support/same_bits.hpp"

using namespace lumina;

namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ColumnMajor = Eigen::MatrixXf;
template <class M, class Stride = Eigen::Stride<0, 0>>
using Map = Eigen::Map<M, 0, Stride>;

template <class M, class T>
constexpr bool is_argument = std::is_convertible_v<M, MatrixView<T>>;

static_assert(is_argument<RowMajor&, float> && is_argument<const RowMajor&, const float>);
static_assert(is_argument<Map<RowMajor>&, float> && is_argument<Map<RowMajor>, const float>);
static_assert(is_argument<Map<const RowMajor, Eigen::OuterStride<>>&, const float>);
static_assert(is_argument<Eigen::Transpose<ColumnMajor>, const float>);
static_assert(!is_argument<const RowMajor&, float>);
static_assert(!is_argument<ColumnMajor&, float> && !is_argument<const ColumnMajor&, const float>);
static_assert(!is_argument<Map<ColumnMajor>&, float>);
static_assert(!is_argument<Map<ColumnMajor, Eigen::OuterStride<>>&, const float>);
static_assert(!is_argument<Map<RowMajor, Eigen::InnerStride<2>>&, const float>);

}  // namespace

TEST_CASE("Eigen's row-major matrices are arguments") {
  RowMajor x = RowMajor::Random(6, 20), w = RowMajor::Random(9, 16), y(6, 9), expected(6, 9);
  const auto block = x.block(1, 2, 4, 16);  // rows 20 apart
  auto rows = y.topRows(4);
  REQUIRE(fused_gemm(block, pack_weights(w), rows, epilogue()));
  const MatrixView<const float> same(&x(1, 2), 4, 16, 20);
  REQUIRE(fused_gemm(same, pack_weights(MatrixView<const float>(w.data(), 9, 16)),
                     MatrixView<float>(expected.data(), 4, 9), epilogue()));
  CHECK(y.topRows(4) == expected.topRows(4));
  const RowMajor product = block * w.transpose();
  CHECK((y.topRows(4) - product).cwiseAbs().maxCoeff() < 1e-4f);
}
