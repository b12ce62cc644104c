// A whole training run, 200 steps on images of Fashion-MNIST, ends with the same bits on every
// instruction set and with any number of threads: with those that the oracle's plain loops come to.
#include <lumina/backward.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include <lumina/fast_rng.hpp>
#include <lumina/hardware_profile.hpp>
#include <lumina/reference_backward.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;

namespace {

constexpr std::size_t kPixels = 784, kHidden = 128, kClasses = 10, kBatch = 64, kSteps = 200;

/// Pixels, then labels, as tests/CMakeLists.txt has unpacked them.
struct Images {
  std::vector<std::uint8_t> pixels, labels;

  Images() {
    std::ifstream file(LUMINA_FASHION_MNIST_FILE, std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
    const std::size_t count = bytes.size() / (kPixels + 1);
    REQUIRE(count >= 1000);
    pixels.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count * kPixels));
    labels.assign(bytes.begin() + static_cast<std::ptrdiff_t>(count * kPixels), bytes.end());
  }
};

/// A layer under a profile, its parameters and how they moved last.
struct Layer {
  Matrix<float> w, bias, w_velocity, bias_velocity, w_gradient, bias_gradient;
  Quantizer<8> dac, adc;
  std::uint64_t stream;

  Layer(std::size_t in, std::size_t out, const Quantizer<8>& input, const Quantizer<8>& output,
        std::uint64_t number)
      : w(out, in),
        bias(1, out),
        w_velocity(out, in),
        bias_velocity(1, out),
        w_gradient(out, in),
        bias_gradient(1, out),
        dac(input),
        adc(output),
        stream(number) {
    FastRng rng(number);
    const float scale = 2.0f / std::sqrt(static_cast<float>(in));
    for (float& v : w.elements()) v = scale * (rng.uniform() - 0.5f);
  }
  template <class X>
  auto pass(const Matrix<X>& x, const CodedWeights<8>& coded, std::uint64_t step) const {
    const HardwareProfile& profile = profiles::lumina_micro_v1;
    return forward_pass(x, dac, coded,
                        epilogue(Attenuation{profile.attenuation}, ShotNoise{profile.noise_level},
                                 GaussianNoise{0.005f}, adc, AddBias{bias.elements()}),
                        {.seed = 1, .stream = 2 * step + stream});
  }
  Gradients gradients(MatrixView<float> input = {}) {
    return {input, w_gradient, bias_gradient.elements()};
  }
  void descend() {
    descend(w, w_velocity, w_gradient);
    descend(bias, bias_velocity, bias_gradient);
  }

 private:
  static void descend(Matrix<float>& values, Matrix<float>& velocity,
                      const Matrix<float>& gradient) {
    for (std::size_t i = 0; i < values.elements().size(); ++i) {
      float& v = velocity.data()[i];
      v = std::fma(0.9f, v, gradient.data()[i]);
      values.data()[i] = std::fma(-0.05f, v, values.data()[i]);
    }
  }
};

struct Outcome {
  std::uint64_t hash;
  double first_loss, last_loss;  ///< means over 20 steps
};

/// `step`: (pass, values of weights) to outputs, and to gradients given those by outputs.
template <class Machine>
Outcome train(const Images& images, Machine machine) {
  Layer hidden(kPixels, kHidden, {0.0f, 1.0f}, {-4.0f, 4.0f}, 0);
  Layer output(kHidden, kClasses, {0.0f, 4.0f}, {-4.0f, 4.0f}, 1);
  Matrix<std::uint8_t> x(kBatch, kPixels);
  Matrix<float> h(kBatch, kHidden), y(kBatch, kClasses), grad_h = h, grad_y = y;
  Outcome outcome{14695981039346656037u, 0.0, 0.0};
  const std::size_t count = images.labels.size();
  for (std::size_t step = 0; step < kSteps; ++step) {
    const auto image = [&](std::size_t row) { return (step * kBatch + row) % count; };
    for (std::size_t row = 0; row < kBatch; ++row) {
      std::memcpy(&x(row, 0), &images.pixels[image(row) * kPixels], kPixels);
    }
    const CodedWeights<8> hidden_codes = encode_weights<8>(hidden.w);
    const CodedWeights<8> output_codes = encode_weights<8>(output.w);
    const auto first = hidden.pass(x, hidden_codes, step);
    machine.forward(first, h, 0);
    const auto second = output.pass(h, output_codes, step);
    machine.forward(second, y, 1);
    double loss = 0.0;
    for (std::size_t row = 0; row < kBatch; ++row) {
      for (std::size_t k = 0; k < kClasses; ++k) {
        const float target = images.labels[image(row)] == k ? 1.0f : 0.0f;
        const float error = y(row, k) - target;
        loss += static_cast<double>(error) * static_cast<double>(error) / kBatch;
        grad_y(row, k) = error / static_cast<float>(kBatch);
      }
    }
    (step < 20 ? outcome.first_loss : outcome.last_loss) +=
        step < 20 || step >= kSteps - 20 ? loss / 20 : 0.0;
    machine.backward(second, grad_y, output.gradients(grad_h), 1);
    machine.backward(first, grad_h, hidden.gradients(), 0);
    output.descend();
    hidden.descend();
  }
  for (const Layer* layer : {&hidden, &output}) {
    for (const Matrix<float>* values : {&layer->w, &layer->bias}) {
      for (const float value : values->elements()) {  // FNV-1a
        const auto bits = std::bit_cast<std::uint32_t>(value);
        for (int shift = 0; shift < 32; shift += 8) {
          outcome.hash = (outcome.hash ^ (bits >> shift & 0xffu)) * 1099511628211u;
        }
      }
    }
  }
  return outcome;
}

template <class Executor>
struct Library {
  Executor executor;
  ForwardRecord records[2] = {};
  BackwardWorkspace workspace = {};

  template <class Pass>
  void forward(const Pass& pass, Matrix<float>& y, std::size_t layer) {
    REQUIRE(lumina::forward(pass, y.view(), records[layer], executor));
  }
  template <class Pass>
  void backward(const Pass& pass, const Matrix<float>& grad_y, const Gradients& gradients,
                std::size_t layer) {
    REQUIRE(lumina::backward(pass, grad_y, records[layer], gradients, workspace,
                             IntegerSplitProducts<2>{}, executor));
  }
};

struct Oracle {
  template <class Pass>
  static void forward(const Pass& pass, Matrix<float>& y, std::size_t) {
    reference::fused_gemm(pass.x, pass.dac, pass.weights, y.view(), pass.epilogue, pass.key);
  }
  template <class Pass>
  static void backward(const Pass& pass, const Matrix<float>& grad_y, const Gradients& gradients,
                       std::size_t) {
    Matrix<float> y(grad_y.rows(), grad_y.cols());
    reference::forward_and_backward(pass, MatrixView<const float>(), grad_y, y.view(), gradients,
                                    IntegerSplitProducts<2>{});
  }
};

/// What "[.oracle]" prints.
constexpr std::uint64_t kHashOfOracle = 4539223209925084942u;

}  // namespace

TEST_CASE("A training run ends with the oracle's bits, at 1 and 2 threads", "[backward]") {
  const Images images;
  const Outcome serial = train(images, Library<Serial>{});
  CHECK(serial.hash == kHashOfOracle);
  CHECK(serial.last_loss < 0.6 * serial.first_loss);
  const Outcome on_threads = train(images, Library<test::ShuffledThreads>{{2}});
  CHECK(on_threads.hash == kHashOfOracle);
}

TEST_CASE("The oracle's training run", "[.oracle]") {
  const Outcome outcome = train(Images(), Oracle());
  std::printf("hash %llu, loss %.3f to %.3f\n", static_cast<unsigned long long>(outcome.hash),
              outcome.first_loss, outcome.last_loss);
  CHECK(outcome.hash == kHashOfOracle);
}
