// What is kept beyond a call is no temporary that owns its elements; what does not own any may be
// one. And nothing looks into a temporary.
#include <lumina/lumina.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"
#include "support/same_bits.hpp"

using namespace lumina;

namespace {

using Floats = std::vector<float>;
using Layer = AnalogLinear<8>;
using FloatMatrix = Matrix<float>;
using View = MatrixView<const float>;
const Quantizer<8> kDac(0.0f, 1.0f);

template <class B>
concept Bias = requires(B&& bias) {
  AddBias{static_cast<B&&>(bias)};
};
static_assert(Bias<Floats&> && Bias<const Floats&> && !Bias<Floats> && !Bias<const Floats>);
static_assert(Bias<std::array<float, 4>&> && !Bias<std::array<float, 4>>);
static_assert(Bias<float (&)[4]> && !Bias<float[4]>);
static_assert(Bias<std::span<const float>> && Bias<std::span<float>> && Bias<std::span<float, 4>>);
static_assert(Bias<decltype(AddBias::bias)>);
static_assert(!Bias<std::span<const double>> && !Bias<std::vector<double>&>);

template <class B>
concept Loads = requires(Layer& layer, View w, B&& bias) {
  layer.load(w, static_cast<B&&>(bias));
  layer.load(w, static_cast<B&&>(bias), NoiseKey{});
};
static_assert(Loads<Floats&> && Loads<std::span<const float>> && !Loads<Floats>);
// w is encoded at once.
static_assert(requires(Layer & layer, FloatMatrix (*make)(), Floats& bias) {
  layer.load(make(), bias);
  layer.load(make());
});

template <class W, class S>
concept Gates = requires(W&& w, S&& scales) {
  WeightGate<8>{static_cast<W&&>(w), static_cast<S&&>(scales)};
};
static_assert(Gates<FloatMatrix&, Floats&> && Gates<View, std::span<const float>>);
static_assert(!Gates<FloatMatrix, Floats&> && !Gates<FloatMatrix&, Floats>);

template <class Words, class Scales>
concept ViewsWeights = requires(Words&& words, Scales&& scales, std::vector<std::int32_t>& sums) {
  CodedWeightsView<4>(1, 1, static_cast<Words&&>(words), static_cast<Scales&&>(scales), sums);
};
static_assert(ViewsWeights<const std::vector<std::int32_t>&, Floats&>);
static_assert(ViewsWeights<std::span<const std::int32_t>, std::span<float>>);
static_assert(!ViewsWeights<std::vector<std::int32_t>, Floats&>);
static_assert(!ViewsWeights<std::vector<std::int32_t>&, Floats>);

template <class Memory>
concept Workspace = std::is_constructible_v<SerialIn, Memory>;
static_assert(Workspace<std::vector<std::byte>&> && Workspace<std::span<std::byte>>);
static_assert(!Workspace<std::vector<std::byte>> && !Workspace<std::array<std::byte, 64>>);

template <class X>
concept PassOf = requires(X&& x, const PackedWeights& packed) {
  forward_pass(static_cast<X&&>(x), packed, epilogue());
};
template <class X>
concept PassBehindDac = requires(X&& x, const PackedWeights& packed, const CodedWeights<8>& coded) {
  forward_pass(static_cast<X&&>(x), kDac, packed, epilogue());
  forward_pass(static_cast<X&&>(x), kDac, coded, epilogue());
};
static_assert(PassOf<FloatMatrix&> && PassOf<const FloatMatrix&> && PassOf<View>);
static_assert(PassBehindDac<FloatMatrix&> && PassBehindDac<View>);
static_assert(!PassOf<FloatMatrix> && !PassBehindDac<FloatMatrix>);
static_assert(PassBehindDac<MatrixView<float>> && PassOf<MatrixView<float>>);

template <class A, class B>
concept Multiplies = requires(A&& a, B&& b, CodedOperand<8>& codes) {
  matmul_pass(static_cast<A&&>(a), kDac, static_cast<B&&>(b), codes, epilogue());
};
static_assert(Multiplies<FloatMatrix&, const FloatMatrix&> && Multiplies<View, TransposedView>);
static_assert(!Multiplies<FloatMatrix, View> && !Multiplies<View, FloatMatrix>);
template <class M>
concept Transposes = requires(M&& matrix) {
  transposed(static_cast<M&&>(matrix));
};
static_assert(Transposes<const FloatMatrix&> && Transposes<View> && !Transposes<FloatMatrix>);

template <class M, class B>
concept HasGradients = requires(M&& m, B&& bias) {
  Gradients{static_cast<M&&>(m), static_cast<M&&>(m), static_cast<B&&>(bias)};
};
static_assert(HasGradients<FloatMatrix&, Floats&> &&
              HasGradients<MatrixView<float>, std::span<float>>);
static_assert(!HasGradients<FloatMatrix, Floats&> && !HasGradients<FloatMatrix&, Floats>);

// Accessors of temporaries.
template <class T>
concept ShowsElements = requires(T&& m) {
  static_cast<T&&>(m).elements();
};
template <class T>
concept ShowsView = requires(T&& m) {
  static_cast<T&&>(m).view();
};
template <class T>
concept ShowsData = requires(T&& m) {
  static_cast<T&&>(m).data();
};
template <class T>
concept ShowsScales = requires(T&& w) {
  static_cast<T&&>(w).scales();
};
template <class T>
concept ShowsPanel = requires(T&& w) {
  static_cast<T&&>(w).panel(0);
};
template <class T>
constexpr bool matrix_shows = ShowsElements<T>&& ShowsView<T>&& ShowsData<T>;
template <class T>
constexpr bool matrix_hides = !ShowsElements<T> && !ShowsView<T> && !ShowsData<T>;
static_assert(matrix_shows<FloatMatrix&> && matrix_shows<const FloatMatrix&>);
static_assert(matrix_hides<FloatMatrix> && matrix_hides<const FloatMatrix>);
static_assert(ShowsView<CodedWeights<4>&> && !ShowsView<CodedWeights<4>>);
static_assert(ShowsScales<CodedWeights<4>&> && !ShowsScales<const CodedWeights<4>>);
static_assert(ShowsPanel<CodedWeights<4>&> && !ShowsPanel<CodedWeights<4>>);
static_assert(ShowsPanel<PackedWeights&> && !ShowsPanel<PackedWeights>);
static_assert(ShowsScales<CodedWeightsView<4>> && ShowsData<View>);  // these own nothing

}  // namespace

TEST_CASE("Temporaries are arguments for as long as the call lasts", "[matrix]") {
  const auto ones = [](std::size_t rows, std::size_t cols) {
    Matrix<float> m(rows, cols);
    for (float& v : m.elements()) v = 1.0f;
    return m;
  };
  Matrix<float> y(2, 4);
  fused_gemm(ones(2, 3), pack_weights(ones(4, 3)), y, epilogue());
  CHECK(y(1, 3) == 3.0f);
  fused_gemm(ones(2, 3), ones(4, 3), y, epilogue());
  fused_gemm(ones(2, 3), Quantizer<8>(0.0f, 1.0f), encode_weights<4>(ones(4, 3)), y, epilogue());
  CHECK(std::fabs(y(1, 3) - 3.0f) < 1e-5f);
  CHECK(encode_weights<4>(ones(4, 3)).codes()(1, 1) == 7);

  const std::vector<float> bias{1.0f, 2.0f, 3.0f, 4.0f};
  fused_gemm(ones(2, 3), pack_weights(ones(4, 3)), y,
             epilogue(AddBias{bias}, AddBias{{bias.data(), 4}}, AddBias{std::span(bias)}));
  CHECK(y(1, 3) == 15.0f);
  const AddBias pair{{bias.begin(), bias.end()}};
  CHECK(pair.bias.size() == 4);
}
