// Calls on threads with little stack: 128 KiB are enough for all of them (what musl gives a
// thread).
#include <lumina/lumina.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>

#include "support/catch.hpp"
#include "support/emulated_matrix_unit.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

// Sanitizers and builds without optimization make frames of their own sizes.
#if defined(__unix__) && defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#include <pthread.h>

#define LUMINA_TEST_STACK 1
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#undef LUMINA_TEST_STACK
#endif
#endif

using namespace lumina;
using namespace test;

namespace {

/// job() on a thread with 128 KiB of stack, or right here where stacks have no known size.
void on_small_stack(const std::function<void()>& job) {
#if defined(LUMINA_TEST_STACK)
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, 128 << 10) == 0);
  pthread_t thread;
  const auto body = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, body, const_cast<std::function<void()>*>(&job)) ==
          0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
#else
  job();
#endif
}

struct Shape {
  std::size_t batch, in, out;
};
// One row; many; so deep that rows do not fit at once; so deep that none does.
constexpr Shape kShapes[] = {{1, 784, 140}, {70, 784, 140}, {50, 5000, 33}, {13, 30000, 40}};

struct Problem {
  TestMatrix x, w, y, expected, grad_y, grad_x, grad_w;
  ForwardRecord record;
  BackwardWorkspace workspace;

  explicit Problem(const Shape& shape)
      : x(shape.batch, shape.in),
        w(shape.out, shape.in),
        y(shape.batch, shape.out),
        expected(shape.batch, shape.out),
        grad_y(shape.batch, shape.out),
        grad_x(shape.batch, shape.in),
        grad_w(shape.out, shape.in) {
    Engine engine(1);
    x.fill_uniform(engine);
    w.fill_uniform(engine);
    grad_y.fill_uniform(engine);
  }

  /// call(y) gives on a small stack what it gives here.
  template <class Call>
  void check(Call call) {
    call(expected.view());
    on_small_stack([&] { call(y.view()); });
    REQUIRE(difference(y, expected) == "");
  }
};

const Quantizer<8> kDac(-1.0f, 1.0f);
const auto kStages = epilogue(ShotNoise{0.1f}, GaussianNoise{0.1f}, Quantizer<8>(-9.0f, 9.0f));
const NoiseKey kKey{1, 2, 3};

template <int Bits>
void check_codes(Problem& p) {
  CodedWeights<Bits> coded;
  on_small_stack([&] {
    if constexpr (Bits == 8) encode_weights(p.w, coded, MultiplicativeWeightNoise{0.1f}, kKey);
    encode_weights(p.w, coded);
  });
  p.check([&](MatrixView<float> y) { fused_gemm(p.x, kDac, coded, y, kStages, kKey); });
  if constexpr (Bits == 8) {  // gradients are computed with what codes stand for, however stored
    const auto pass = forward_pass(p.x, kDac, coded, kStages, kKey);
    on_small_stack([&] {
      forward(pass, p.y, p.record);
      const Gradients gradients{p.grad_x, p.grad_w, {}};
      backward(pass, p.grad_y, p.record, gradients, p.workspace);
      backward(pass, p.grad_y, p.record, gradients, p.workspace, Bf16SplitProducts{});
      backward(pass, p.grad_y, p.record, gradients, p.workspace, IntegerSplitProducts<1>{});
      backward(pass, p.grad_y, p.record, gradients, p.workspace, IntegerSplitProducts<2>{});
      backward(pass, p.grad_y, p.record, gradients, p.workspace, IntegerSplitProducts<3>{});
    });
  }
}

}  // namespace

TEST_CASE("Calls in codes need little stack", "[small_stack]") {
  for (const Shape& shape : kShapes) {
    CAPTURE(shape.batch, shape.in, shape.out);
    Problem p(shape);
    check_codes<8>(p);
    check_codes<4>(p);
    check_codes<2>(p);
  }
}

TEST_CASE("Calls in floats need little stack", "[small_stack]") {
  for (const Shape& shape : kShapes) {
    CAPTURE(shape.batch, shape.in, shape.out);
    Problem p(shape);
    PackedWeights packed;
    on_small_stack([&] {
      pack_quantized_weights<10>(p.w, packed, MultiplicativeWeightNoise{0.1f}, kKey);
      pack_weights(p.w, packed, MultiplicativeWeightNoise{0.1f}, kKey);
      pack_weights(p.w, packed);
    });
    const Quantizer<12> dac(-1.0f, 1.0f);
    p.check([&](MatrixView<float> y) { fused_gemm(p.x.view(), packed, y, kStages, kKey); });
    p.check([&](MatrixView<float> y) { fused_gemm(p.x.view(), p.w.view(), y, kStages, kKey); });
    p.check([&](MatrixView<float> y) { fused_gemm(p.x, dac, packed, y, kStages, kKey); });
    p.check([&](MatrixView<float> y) { fused_gemm(p.x, dac, p.w.view(), y, kStages, kKey); });
    const auto pass = forward_pass(p.x, packed, epilogue(ShotNoiseWithDerivative{0.1f}), kKey);
    on_small_stack([&] {
      forward(pass, p.y, p.record);
      backward(pass, p.grad_y, p.record, {p.grad_x, p.grad_w, {}}, p.workspace);
    });
  }
}

TEST_CASE("Products on a matrix unit need little stack", "[small_stack]") {
  for (const Shape& shape : {Shape{40, 300, 70}, Shape{33, 5000, 40}}) {
    Problem p(shape);
    const CodedWeights<4> coded = encode_weights<4>(p.w);
    const auto pass = forward_pass(p.x, kDac, coded, epilogue());
    forward(pass, p.y, p.record);
    on_small_stack([&] {
      detail::run_backward<EmulatedUnit>(pass, p.grad_y.constant(), p.record,
                                         Gradients{p.grad_x, p.grad_w, {}}, p.workspace, Serial{});
    });
    CHECK(p.grad_w.gaps_untouched());
  }
}

namespace {

/// A stage that makes a call of its own where another one's task is under way.
struct CallInside {
  MatrixView<const float> x;
  const CodedWeights<8>* coded;

  template <class Floats, class Normals>
  Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes&,
               const Normals&) const {
    if (at.row == 3 && at.column == 0) {
      Matrix<float> y(x.rows(), coded->rows());
      fused_gemm(x, kDac, *coded, y, epilogue());
    }
    return values;
  }
};

}  // namespace

TEST_CASE("A task's memory is its own, also where a stage makes a call", "[small_stack]") {
  const Shape shape{50, 5000, 33};
  Problem p(shape);
  const CodedWeights<8> coded = encode_weights<8>(p.w);
  fused_gemm(p.x, kDac, coded, p.expected, epilogue());
  fused_gemm(p.x, kDac, coded, p.y, epilogue(CallInside{p.x.constant(), &coded}));
  CHECK(difference(p.y, p.expected) == "");
}
