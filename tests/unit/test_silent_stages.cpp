// A user's stage, or weight noise, that refuses without a word: the call says it.
#include <lumina/lumina.hpp>

#include <cstddef>
#include <vector>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"

using namespace lumina;
using namespace test;

namespace {

struct Identity {
  template <class Floats, class Normals>
  Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&, const Normals&) const {
    return values;
  }
  template <class Floats>
  Floats backward(const Floats& gradient) const {
    return gradient;
  }
};
struct SilentStage : Identity {
  bool valid_for(std::size_t, std::size_t) const { return false; }
};
struct TalkingStage : Identity {
  bool valid_for(std::size_t, std::size_t) const { return GaussianNoise{-1.0f}.valid_for(0, 0); }
};
struct SilentNoise : MultiplicativeWeightNoise {
  bool valid_for(float) const { return false; }
};

}  // namespace

TEST_CASE("A stage that refuses without a message is reported, once", "[errors]") {
  TestMatrix x(2, 3), w(4, 3), y(2, 4), grad_y(2, 4), grad_w(4, 3);
  Engine engine(1);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  grad_y.fill_uniform(engine);
  const auto packed = pack_weights(w);
  const auto coded = encode_weights<4>(w);
  const Quantizer<4> dac(-1.0f, 1.0f);
  const auto check = [&](const auto& stage, std::string_view part) {
    const auto stages = epilogue(Relu{}, stage);
    const auto calls = [&](auto&& call) {
      expect_error(call, {part});
      CHECK(errors_of(call).size() == 1);
      CHECK(y.untouched());
    };
    calls([&] { fused_gemm(x.constant(), packed, y.view(), stages); });
    calls([&] { fused_gemm(x.constant(), w.constant(), y.view(), stages); });
    calls([&] { fused_gemm(x, dac, packed, y, stages); });
    calls([&] { fused_gemm(x, dac, coded, y, stages); });
    ForwardRecord record;
    calls([&] { forward(forward_pass(x, packed, stages), y, record); });
    CHECK(!record.filled());
    // And as a stage of the gradient by the weights.
    TestMatrix good(2, 4);
    BackwardWorkspace workspace;
    const auto pass = forward_pass(x, packed, epilogue());
    REQUIRE(forward(pass, good, record));
    calls([&] {
      backward(pass.with_weight_stages(epilogue(stage)), grad_y, record, {{}, grad_w, {}},
               workspace);
    });
    CHECK(grad_w.untouched());
  };
  check(SilentStage{}, "without a message");
  check(TalkingStage{}, "GaussianNoise");
  expect_error([&] { fused_gemm(x.constant(), packed, y.view(), epilogue(SilentStage{})); },
               {"refused the output [2, 4]"});
}

TEST_CASE("A weight noise that refuses without a message is reported", "[errors]") {
  TestMatrix w(4, 3);
  Engine engine(1);
  w.fill_uniform(engine);
  PackedWeights packed;
  CodedWeights<8> coded;
  const SilentNoise noise{{0.1f}};
  expect_error([&] { pack_weights(w, packed, noise, {}); }, {"[4, 3]", "without a message"});
  expect_error([&] { encode_weights(w, coded, noise, {}); }, {"[4, 3]", "without a message"});
  expect_error([&] { pack_quantized_weights<9>(w, packed, noise, {}); }, {"without a message"});
  CHECK(packed.rows() == 0);
  CHECK(coded.rows() == 0);
}
