// The coded engine equals the reference whatever the shapes, and touches nothing beside its
// operands.
#include <lumina/fused_gemm.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/coded_problem.hpp"
#include "support/guarded_matrix.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

void check_all_forms(Engine& engine, const CodedShape& shape) {
  for (std::size_t form = 0; form < kForms; ++form) check_form(form, engine, shape);
}

}  // namespace

TEST_CASE("Coded: random shapes and strides", "[coded_shapes]") {
  Engine engine(1);
  for (std::size_t i = 0; i < 30 * kForms; ++i) {
    check_form(i % kForms, engine,
               {integer(engine, 1, 50), integer(engine, 0, 50), integer(engine, 1, 50),
                i % 2 == 0 ? 0 : integer(engine, 1, 20)});
  }
}

TEST_CASE("Coded: every number of rows", "[coded_shapes]") {
  Engine engine(2);
  for (std::size_t batch = 1; batch <= 150; ++batch) {
    check_form(batch % kForms, engine, {batch, 5, 34});
  }
  for (std::size_t batch = 1; batch <= 40; ++batch) check_form(0, engine, {batch, 7, 70, 3});
  for (std::size_t batch = 1; batch <= 40; ++batch) check_form(2, engine, {batch, 17, 33});
}

TEST_CASE("Coded: every tail of columns", "[coded_shapes]") {
  Engine engine(3);
  for (std::size_t out = 1; out <= 170; ++out) {
    check_form(out % kForms, engine, {3, 6, out});
    check_form((out + 4) % kForms, engine, {1, 6, out, 1});
  }
  for (const std::size_t edge : {16u, 32u, 64u, 96u, 128u, 160u, 256u, 384u}) {
    for (const std::size_t batch : {1u, 2u, 5u, 17u}) {
      for (const std::size_t out : {edge - 1, edge, edge + 1}) {
        check_form((batch + out) % kForms, engine, {batch, 9, out, 1});
      }
    }
  }
}

TEST_CASE("Coded: every depth", "[coded_shapes]") {
  Engine engine(4);
  for (std::size_t in = 0; in <= 140; ++in) {
    check_form(0, engine, {3, in, 33, in % 3});
    check_form(1 + in % (kForms - 1), engine, {2, in, 5});
  }
  for (std::size_t in = 0; in <= 70; ++in) {
    check_form(3, engine, {2, in, 3});
    check_form(4, engine, {1, in, 5, 2});
    check_form(5, engine, {2, in, 3});
  }
  for (const std::size_t edge : {192u, 256u, 512u, 1024u}) {
    for (const std::size_t in : {edge - 1, edge, edge + 1}) check_all_forms(engine, {2, in, 3, 1});
  }
}

TEST_CASE("Coded: tall, wide and deep", "[coded_shapes]") {
  Engine engine(5);
  check_all_forms(engine, {1, 1, 1});
  check_form(0, engine, {600, 3, 5});
  check_form(5, engine, {600, 3, 5, 2});
  check_form(0, engine, {2, 3, 1000});
  check_form(4, engine, {2, 3, 1000});
  check_form(0, engine, {1, 784, 64});
  check_form(2, engine, {1, 4096, 3});
  check_form(6, engine, {145, 30, 140, 7});
}

TEST_CASE("Coded: so deep that the depth is cut into blocks", "[coded_shapes]") {
  Engine engine(6);
  using Input = detail::Native::Codes::Input;
  // What the codes of a tile's rows need must not fit into a task's workspace.
  const std::size_t rows = detail::Native::Codes::blocks.max_tile_rows();
  const std::size_t most = detail::Native::row_scratch_bytes / sizeof(Input) / rows;
  const std::size_t deep = std::min(2 * most + 77, kMostCodedInputs);
  for (const std::size_t in : {most / 64 * 64, most / 64 * 64 + 1, deep}) {
    for (std::size_t form = 0; form < 4; ++form) check_form(form, engine, {rows, in, 2});
  }
  check_form(5, engine, {rows + 3, std::min(3 * most, kMostCodedInputs), 1, 1});
  // A column block's first and its last columns, and those of the next one.
  check_form(3, engine, {rows, most + 65, 130});
}

TEST_CASE("Coded: nothing to compute", "[coded_shapes]") {
  Engine engine(7);
  const Quantizer<8> dac(-1.0f, 1.0f);
  const auto stages = epilogue(GaussianNoise{0.5f});

  SECTION("no rows") {
    TestMatrix w(5, 3);
    fused_gemm(MatrixView<const float>(nullptr, 0, 3), dac,
               encode_weights<8>(w.fill_uniform(engine)), MatrixView<float>(nullptr, 0, 5), stages,
               {});
  }
  SECTION("no columns") {
    TestMatrix x(4, 3), none(0, 3);
    fused_gemm(x.fill_uniform(engine), dac, encode_weights<8>(none),
               MatrixView<float>(nullptr, 4, 0), stages, {});
  }
  SECTION("no inputs: the epilogue of zeros") {
    TestMatrix no_inputs(40, 0), y(3, 40), expected(3, 40);
    const MatrixView<const float> x(nullptr, 3, 0);
    const auto coded = encode_weights<4>(no_inputs);
    fused_gemm(x, dac, coded, y, stages, {1, 2, 3});
    reference::fused_gemm(x, dac, coded, expected.view(), stages, {1, 2, 3});
    CHECK(difference(y, expected) == "");
    CHECK(y(2, 39) == 0.5f * standard_normal_at({1, 2, 3}, 2, 39));
  }
}

#if defined(__linux__)

namespace {

/// x, y and the bias between pages that nobody may touch.
template <int Bits, class X, class Y>
void check_guarded(Engine& engine, Edge edge, const CodedShape& shape) {
  const auto [batch, in, out, gap] = shape;
  const Quantizer<8> dac(-1.0f, 2.0f), adc(-8.0f, 8.0f);
  const GuardedMatrix<X> x(edge, batch, in, in + gap);
  const GuardedMatrix<Y> y(edge, batch, out, out + gap);
  const GuardedMatrix<float> bias(edge, 1, out, out);
  TestMatrixOf<Y> expected(batch, out);
  TestMatrix w(out, in);
  x.fill([&] { return draw_input(engine, dac, X{}); });
  bias.fill([&] { return uniform(engine, -1.0f, 1.0f); });
  const CodedWeights<Bits> coded = encode_weights<Bits>(w.fill_uniform(engine));
  const auto stages = epilogue(AddBias{{bias.view().data(), out}}, GaussianNoise{0.5f}, adc);
  fused_gemm(x.view(), dac, coded, y.view(), stages, {1, 2, 3});
  reference::fused_gemm(x.constant(), dac, coded, expected.view(), stages, {1, 2, 3});
  CAPTURE(Bits, sizeof(X), sizeof(Y), batch, in, out, gap);
  REQUIRE(difference(y.constant(), expected) == "");
}

}  // namespace

TEST_CASE("Coded: nothing beside x, y and the bias is touched", "[coded_shapes]") {
  Engine engine(8);
  for (const Edge edge : {Edge::end, Edge::begin}) {
    for (const CodedShape& shape :
         {CodedShape{1, 1, 1}, CodedShape{1, 63, 31}, CodedShape{1, 64, 128}, CodedShape{2, 65, 33},
          CodedShape{3, 15, 17, 5}, CodedShape{7, 100, 65}, CodedShape{13, 130, 15, 1},
          CodedShape{16, 64, 32}, CodedShape{33, 7, 130, 3}}) {
      check_guarded<8, float, float>(engine, edge, shape);
      check_guarded<2, std::uint8_t, std::uint8_t>(engine, edge, shape);
      check_guarded<4, float, std::uint16_t>(engine, edge, shape);
    }
  }
}

#endif
