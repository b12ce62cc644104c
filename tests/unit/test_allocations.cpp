// With packed weights a call allocates nothing, not even the first one. The global operator new of
// the whole test program is replaced by one that counts.
#include <lumina/lumina.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/shared_kernels.hpp"

namespace {

std::atomic<std::size_t> allocations{0};
std::atomic<std::size_t> allocated_bytes{0};

void* allocate(std::size_t size, std::size_t alignment = alignof(std::max_align_t)) noexcept {
  ++allocations;
  allocated_bytes += size;
  if (alignment <= alignof(std::max_align_t)) return std::malloc(std::max<std::size_t>(size, 1));
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
void* allocate_or_throw(std::size_t size, std::size_t alignment = alignof(std::max_align_t)) {
  void* const memory = allocate(size, alignment);
#if LUMINA_TEST_EXCEPTIONS
  if (memory == nullptr) throw std::bad_alloc();
#else
  if (memory == nullptr) std::abort();
#endif
  return memory;
}
/// Not inlined: g++ would warn that free() meets a pointer of operator new, which is the plan here.
[[gnu::noinline]] void release(void* memory) noexcept { std::free(memory); }

std::size_t number(std::align_val_t alignment) { return static_cast<std::size_t>(alignment); }

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size); }
void* operator new[](std::size_t size) { return allocate_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new(std::size_t size, std::align_val_t a) {
  return allocate_or_throw(size, number(a));
}
void* operator new[](std::size_t size, std::align_val_t a) {
  return allocate_or_throw(size, number(a));
}
void* operator new(std::size_t size, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(size, number(a));
}
void* operator new[](std::size_t size, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(size, number(a));
}
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t) noexcept { release(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { release(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { release(p); }
void operator delete(void* p, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { release(p); }
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept { release(p); }

namespace {

using namespace lumina;
using namespace test;

struct Count {
  std::size_t allocations, bytes;
};

template <class F>
Count count(F&& call) {
  const std::size_t before = allocations;
  const std::size_t bytes_before = allocated_bytes;
  call();
  return {allocations - before, allocated_bytes - bytes_before};
}

}  // namespace

TEST_CASE("The counter counts", "[allocations]") {
  // Plain calls, because a compiler may drop a new expression whose result nobody needs.
  CHECK(count([] { ::operator delete(::operator new(400)); }).allocations == 1);
  CHECK(count([] { ::operator delete(::operator new(400)); }).bytes == 400);
  CHECK(count([] { Matrix<float>(10, 10); }).allocations == 1);
}

TEST_CASE("With packed weights a call allocates nothing", "[allocations]") {
  Engine engine(1);
  struct Shape {
    std::size_t batch, in, out;
  };
  for (const Shape& shape :
       {Shape{1, 1, 1}, Shape{3, 50, 33}, Shape{150, 70, 270}, Shape{1, 300, 130}}) {
    const auto [batch, in, out] = shape;
    TestMatrix x(batch, in, in + 1), w(out, in), y(batch, out, out + 1), bias(1, out);
    x.fill_uniform(engine);
    w.fill_uniform(engine);
    bias.fill_uniform(engine);
    const PackedWeights packed = pack_weights(w);
    const Quantizer<8> adc(-1.0f, 1.0f);
    const std::span<const float> columns(bias.view().data(), out);
    CAPTURE(batch, in, out);
    for (const float stddev : {0.5f, 0.0f}) {
      CHECK(count([&] {
              fused_gemm_noise_quant(x, packed, y, stddev, adc, {1, 2, 3});
            }).allocations == 0);
    }
    CHECK(count([&] {
            fused_gemm(x.view(), packed, y,
                       epilogue(AddBias{columns}, ShotNoise{0.1f}, GaussianNoise{0.1f}, adc),
                       {1, 2, 3});
          }).allocations == 0);
  }
}

TEST_CASE("Weights that are packed on the way cost nothing, with large batches one buffer",
          "[allocations]") {
  Engine engine(2);
  TestMatrix x(300, 50), w(33, 50), y(300, 33);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  const Quantizer<8> dac(-1.0f, 1.0f), adc(-1.0f, 1.0f);
  const auto stages = epilogue(GaussianNoise{0.5f}, adc);
  for (const std::size_t batch : {1u, 3u, 8u}) {
    const MatrixView<const float> rows(x.view().data(), batch, 50);
    const MatrixView<float> outputs(y.view().data(), batch, 33);
    CHECK(count([&] { fused_gemm(rows, w.view(), outputs, stages); }).allocations == 0);
    CHECK(count([&] { fused_gemm(rows, dac, w.view(), outputs, stages); }).allocations == 0);
  }
  std::vector<std::byte> memory(float_workspace_bytes(300, 50) + kWorkspaceAlignment);
  void* begin = memory.data();
  std::size_t size = memory.size();
  std::align(kWorkspaceAlignment, float_workspace_bytes(300, 50), begin, size);
  const SerialIn in_workspace({static_cast<std::byte*>(begin), size});
  CHECK(count([&] { fused_gemm(x.view(), w.view(), y, stages, {}, in_workspace); }).allocations ==
        0);
  const Count raw = count([&] { fused_gemm(x.view(), w.view(), y, stages); });
  CHECK(raw.allocations == 1);
  CHECK(raw.bytes == 2 * 32 * 50 * sizeof(float));
}

TEST_CASE("Packing again allocates nothing where the size is the same", "[allocations]") {
  Engine engine(3);
  TestMatrix w(33, 50), same_panels(40, 50);
  w.fill_uniform(engine);
  same_panels.fill_uniform(engine);
  PackedWeights packed = pack_weights(w);
  CHECK(count([&] { pack_weights(w, packed); }).allocations == 0);
  CHECK(count([&] { pack_weights(same_panels, packed); }).allocations == 0);
}

TEST_CASE("With coded weights a call allocates nothing, but for a thread's first large one",
          "[allocations]") {
  Engine engine(4);
  struct Shape {
    std::size_t batch, in, out;
  };
  const Quantizer<8> dac(-1.0f, 1.0f), adc(-3.0f, 3.0f);
  for (const Shape& shape :
       {Shape{1, 1, 1}, Shape{3, 50, 33}, Shape{150, 70, 270}, Shape{20, 12000, 3}}) {
    const auto [batch, in, out] = shape;
    TestMatrix x(batch, in, in + 1), w(out, in), y(batch, out, out + 1);
    TestMatrixOf<std::uint8_t> x_codes(batch, in), y_codes(batch, out);
    x.fill_uniform(engine);
    x_codes.fill([&] { return static_cast<std::uint8_t>(engine()); });
    const auto coded = encode_weights<4>(w.fill_uniform(engine));
    CAPTURE(batch, in, out);
    if (in == 12000) {  // the rows' codes are more than the stack should hold: a block that stays
      for (const bool codes : {false, true}) {
        const Count first = count([&] {
          codes ? fused_gemm(x_codes, dac, coded, y, epilogue())
                : fused_gemm(x, dac, coded, y, epilogue());
        });
        CHECK(first.allocations <= 1);
        CHECK(first.bytes <= 512 * 1024);
      }
    }
    for (const float stddev : {0.5f, 0.0f}) {
      CHECK(count([&] {
              fused_gemm_noise_quant(x, dac, coded, y, stddev, adc, {1, 2, 3});
            }).allocations == 0);
      CHECK(count([&] {
              fused_gemm_noise_quant(x_codes, dac, coded, y_codes, stddev, adc, {1, 2, 3});
            }).allocations == 0);
    }
  }
}

TEST_CASE("Encoding weights again allocates nothing where the size is the same", "[allocations]") {
  Engine engine(5);
  TestMatrix w(33, 50), same_panels(40, 50);
  auto coded = encode_weights<4>(w.fill_uniform(engine));
  same_panels.fill_uniform(engine);
  const std::vector<float> scales(33, 0.1f);
  CHECK(count([&] { encode_weights(w, coded); }).allocations == 0);
  CHECK(count([&] { encode_weights(w, coded, scales); }).allocations == 0);
  CHECK(count([&] { encode_weights(same_panels, coded); }).allocations == 0);
}

TEST_CASE("Normals, quantizers and errors allocate nothing", "[allocations]") {
  std::vector<float> values(1000);
  FastRng rng(1);
  CHECK(count([&] { rng.fill_normal(values); }).allocations == 0);
  CHECK(count([&] { Quantizer<8>(-1.0f, 1.0f).apply(values); }).allocations == 0);

  TestMatrix x(2, 3), w(4, 5), y(2, 4);
  w.fill([] { return 1.0f; });
  const PackedWeights packed = pack_weights(w);
  const ErrorHandler before = set_error_handler([](const char*) {});
  CHECK(count([&] { fused_gemm(x.view(), packed, y, epilogue(), {}); }).allocations == 0);
  set_error_handler(before);
}

TEST_CASE("A second forward and backward pass allocates nothing, nor does a smaller one",
          "[allocations]") {
  Engine engine(6);
  const Quantizer<8> dac(-1.0f, 1.0f), adc(-3.0f, 3.0f);
  ForwardRecord record;
  BackwardWorkspace workspace;
  struct Shape {
    std::size_t batch, in, out;
  };
  // Smaller in one dimension and in all.
  const Shape shapes[] = {{150, 70, 140}, {150, 70, 140}, {20, 70, 140},
                          {150, 33, 140}, {150, 70, 50},  {1, 1, 1}};
  for (const Shape& shape : shapes) {
    const auto [batch, in, out] = shape;
    TestMatrix x(batch, in), w(out, in), y(batch, out), bias(1, out), grad_y(batch, out);
    TestMatrix by_x(batch, in), by_w(out, in), by_bias(1, out);
    for (TestMatrix* m : {&x, &w, &bias, &grad_y}) m->fill_uniform(engine);
    const PackedWeights packed = pack_weights(w);
    const auto coded = encode_weights<4>(w);
    const AddBias add{{bias.view().data(), out}};
    const Gradients gradients{by_x, by_w, {by_bias.view().data(), out}};
    const auto step = [&](const auto& pass) {
      forward(pass, y, record);
      backward(pass, grad_y, record, gradients, workspace);
    };
    const Count made = count([&] {
      step(forward_pass(x, packed, epilogue(add, Relu{}, adc)));
      step(forward_pass(x.constant(), dac, coded,
                        epilogue(ShotNoiseWithDerivative{0.1f}, add, Relu{}, adc)));
    });
    CAPTURE(batch, in, out);
    if (&shape == shapes) {
      // The record, the gradient by the dot products and its sums, and both packed operands.
      CHECK(made.allocations == 5);
      CHECK(made.bytes == 150 * 2 * 32 + (150 * 140 + 140 + 96 * 140 + 96 * 150) * sizeof(float));
    } else {
      CHECK(made.allocations == 0);
    }
  }
}

TEST_CASE("A layer's steps allocate nothing once it has seen its largest batch", "[allocations]") {
  Engine engine(7);
  const std::size_t in = 70, out = 140, batch = 40;
  AnalogLinear<4, MultiplicativeWeightNoise> layer(
      AnalogLinearConfig::of(profiles::lumina_nano_v1, in, out), batch, {0.1f});
  TestMatrix w(out, in), bias(1, out);
  w.fill_uniform(engine);
  bias.fill_uniform(engine);
  bool seen = false;
  for (const std::size_t rows : {batch, batch, std::size_t{7}, batch}) {
    TestMatrix x(rows, in), y(rows, out), grad_y(rows, out);
    TestMatrix by_x(rows, in), by_w(out, in), by_bias(1, out);
    x.fill_uniform(engine);
    grad_y.fill_uniform(engine);
    const Count made = count([&] {
      layer.load(w, {bias.view().data(), out}, {1});
      layer.forward(x, y, {2});
      layer.backward(x, grad_y, {by_x, by_w, {by_bias.view().data(), out}});
      layer.infer(x, y);
    });
    CAPTURE(rows);
    if (seen) CHECK(made.allocations == 0);
    seen = true;
  }
}

TEST_CASE("On arrays a call allocates nothing, a training step nothing again", "[allocations]") {
  Engine engine(5);
  const SymmetricQuantizer<8> dac(1.0f), adc(3.0f);
  const ManagedDac managed{.noise_management = NoiseManagement::abs_max, .bound_iterations = 3};
  const auto stages = array(independent(ReadNoise(0.02f), GaussianNoise{0.1f}), adc);
  struct Shape {
    std::size_t batch, in, out;
  };
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{3, 50, 33}, Shape{60, 300, 140}}) {
    const auto [batch, in, out] = shape;
    TestMatrix x(batch, in, in + 1), w(out, in), y(batch, out, out + 1), bias(1, out);
    const auto weights = encode_tiles<8>(w.fill_uniform(engine), {{64, 64}});
    const auto behind = digital(AddBias{{bias.fill_uniform(engine).view().data(), out}});
    x.fill_uniform(engine);
    CAPTURE(batch, in, out);
    CHECK(count([&] { analog_gemm(x, dac, weights, stages, behind, y, {1, 2}); }).allocations == 0);
    CHECK(count([&] { analog_gemm(x, managed, weights, stages, behind, y); }).allocations == 0);

    TestMatrix grad_x(batch, in), grad_w(out, in);
    const auto pass = analog_pass(x, dac, weights, stages, behind, {1, 2});
    ForwardRecord record;
    BackwardWorkspace workspace;
    const auto step = [&] {
      forward(pass, y, record);
      backward(pass, y, record, {.input = grad_x.view(), .weights = grad_w.view()}, workspace);
    };
    CHECK(count(step).allocations > 0);
    CHECK(count(step).allocations == 0);
  }
}

TEST_CASE("A convolution has a task's pixels and patches, and no unfolded images",
          "[allocations]") {
  Engine engine(6);
  // Unfolded: 4.7 million inputs.
  const Convolution shape{64, 64, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}};
  const Size3 size{1, 32, 32};
  TestMatrix x(8, 64 * 1024), y(8, 64 * 1024), filters(64, shape.filter_size());
  x.fill_uniform(engine);
  filters.fill_uniform(engine);
  const auto weights = encode_weights<8>(filter_matrix(filters, shape));
  const Quantizer<8> dac(-1.0f, 1.0f);
  const ImageView<float> images{x.view().data(), 8, 64, size},
      outputs{y.view().data(), 8, 64, size};
  const auto call = [&] {
    fused_convolution(images, dac, weights, outputs, shape, epilogue(Quantizer<8>(-9.0f, 9.0f)));
  };
  CHECK(count(call).bytes <= 3 * detail::Native::row_scratch_bytes + 60000);
  CHECK(count(call).allocations == 0);

  const auto pass = convolution_pass(images, dac, weights, shape, epilogue(Relu{}));
  Matrix<float> by_x(8, 64 * 1024), by_filters(64, shape.filter_size());
  ForwardRecord record;
  ConvolutionBackwardWorkspace workspace;
  const auto step = [&] {
    forward(pass, outputs, record);
    backward(pass, outputs, record, {{by_x.data(), 8, 64, size}, by_filters, {}}, workspace);
  };
  CHECK(count(step).allocations > 0);
  CHECK(count(step).allocations == 0);
}

TEST_CASE("A second product of activations allocates nothing, nor does a smaller one",
          "[allocations]") {
  Engine engine(9);
  const SymmetricQuantizer<8> dac(1.0f);
  CodedOperand<8> codes;
  TiledOperand<8> tiles(Mapping{{30, 40}});
  ForwardRecord record;
  BackwardWorkspace workspace;
  struct Shape {
    std::size_t m, k, n;
  };
  const Shape shapes[] = {{50, 70, 140}, {50, 70, 140}, {20, 70, 50}, {50, 33, 140}, {1, 1, 1}};
  for (const Shape& shape : shapes) {
    TestMatrix a(shape.m, shape.k), b(shape.k, shape.n), y(shape.m, shape.n);
    TestMatrix by_a(shape.m, shape.k), by_b(shape.k, shape.n);
    a.fill_uniform(engine);
    b.fill_uniform(engine);
    const auto step = [&](const auto& pass) {
      forward(pass, y, record);
      backward(pass, y, record, {.input = by_a.view(), .weights = by_b.view()}, workspace);
    };
    const auto turned = transposed(b.constant());
    const Count made = count([&] {
      analog_matmul(a, dac, turned, codes, y, epilogue(GaussianNoise{0.1f}));
      step(matmul_pass(a.constant(), dac, turned, codes, epilogue(Relu{})));
      step(matmul_pass(a.constant(), dac, turned, tiles, array(), digital(Relu{})));
    });
    CAPTURE(shape.m, shape.k, shape.n);
    CHECK((made.allocations == 0) == (&shape != shapes));
  }
}
