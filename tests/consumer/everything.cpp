// Each public template, once: compiled for the warnings that it must not give, and with each series
// of xsimd. Run, it prints a hash of the bits of all that it has computed, which are the same on
// every machine with FMA.
#include <lumina/lumina.hpp>
#include <lumina/reference.hpp>
#include <lumina/reference_backward.hpp>
#include <lumina/reference_converters.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <type_traits>
#include <vector>

namespace {

// Tails in every dimension, and two column blocks.
constexpr std::size_t kBatch = 5, kIn = 37, kOut = 133;
constexpr lumina::NoiseKey kKey{.seed = 3, .stream = 5, .row_offset = 7};

/// FNV-1a, for each part of the program.
class Hash {
 public:
  template <class T>
  void add(std::span<T> values) {
    for (const T value : values) add_value(value);
  }
  template <class T>
  void add_value(T value) {
    std::array<unsigned char, sizeof(T)> bytes =
        std::bit_cast<std::array<unsigned char, sizeof(T)>>(value);
    for (const unsigned char byte : bytes) state_ = (state_ ^ byte) * 0x100000001b3u;
  }
  void print(const char* part) const {
    std::printf("%s %016llx\n", part, static_cast<unsigned long long>(state_));
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325u;
};

struct Operands {
  lumina::Matrix<float> x{kBatch, kIn}, w{kOut, kIn};
  std::vector<float> bias = std::vector<float>(kOut);

  Operands() {
    lumina::FastRng rng(11);
    rng.fill_normal(x.elements());
    rng.fill_normal(w.elements(), 0.0f, 0.25f);
    rng.fill_normal(bias);
  }
};

void quantizers() {
  Hash hash;
  std::vector<float> values;
  for (int i = -40; i < 40; ++i) values.push_back(static_cast<float>(i) * 0.0625f);
  const auto each = [&](const auto& quantizer) {
    std::vector<float> applied = values;
    quantizer.apply(applied);
    hash.add(std::span(applied));
    for (const float v : values) {
      hash.add_value(quantizer.encode(v));
      hash.add_value(quantizer(v));
    }
  };
  each(lumina::Quantizer<3>(-1.0f, 2.0f));
  each(lumina::RuntimeQuantizer(11, -1.0f, 2.0f));
  each(lumina::SymmetricQuantizer<6>(1.5f));
  lumina::FastRng rng(4);
  rng.jump();
  rng.long_jump();
  hash.add_value(rng.uniform());
  hash.add_value(rng.normal());
  hash.add_value(lumina::standard_normal_at(kKey, 3, 70));
  hash.print("quantizers");
}

void floats() {
  Hash hash;
  const Operands given;
  const lumina::PackedWeights packed = lumina::pack_weights(given.w);
  lumina::Matrix<float> y(kBatch, kOut);
  const lumina::Quantizer<8> adc(-3.0f, 3.0f), dac(-1.0f, 1.0f);
  const auto add = [&] { hash.add(y.elements()); };

  lumina::fused_gemm(given.x, packed, y, lumina::epilogue());
  add();
  lumina::fused_gemm(given.x, given.w, y, lumina::epilogue());
  add();
  lumina::fused_gemm(
      given.x, packed, y,
      lumina::epilogue(lumina::AddBias{given.bias}, lumina::Relu{},
                       lumina::Attenuation::from_decibel(0.5f), lumina::ShotNoise{0.1f},
                       lumina::GaussianNoise{0.05f}, lumina::SymmetricQuantizer<6>(4.0f)),
      kKey);
  add();
  lumina::fused_gemm_noise_quant(given.x, packed, y, 0.1f, adc, kKey);
  add();
  std::vector<std::byte> memory(lumina::float_workspace_bytes(kBatch, kIn) + 64);
  const std::size_t skip = 64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64;
  const lumina::SerialIn executor(std::span<std::byte>(memory).subspan(skip));
  lumina::fused_gemm(given.x, dac, packed, y, lumina::epilogue(adc), {}, executor);
  add();

  lumina::PackedWeights quantized;
  lumina::pack_quantized_weights<9>(given.w, quantized);
  lumina::pack_quantized_weights<10>(given.w, quantized, lumina::DropConnect{0.25f}, kKey);
  lumina::fused_gemm(given.x, quantized, y, lumina::epilogue());
  add();
  const lumina::Matrix<float> pairs(kOut, 2 * kIn);
  hash.add_value(lumina::pack_complex_weights(pairs).rows());
  hash.print("floats");
}

template <int Bits>
void coded_call(Hash& hash, const Operands& given, const auto& adc) {
  const lumina::CodedWeights<Bits> weights = lumina::encode_weights<Bits>(given.w);
  const lumina::Quantizer<6> dac(-1.0f, 1.0f);
  lumina::Matrix<float> y(kBatch, kOut);
  lumina::fused_gemm_noise_quant(given.x, dac, weights, y, 0.1f, adc, kKey);
  hash.add(y.elements());
  const lumina::Matrix<float> decoded = weights.decode();
  hash.add(decoded.elements());
}

void codes() {
  Hash hash;
  const Operands given;
  const lumina::RuntimeQuantizer adc(7, -3.0f, 3.0f), dac(6, -1.0f, 1.0f);
  coded_call<8>(hash, given, adc);
  coded_call<2>(hash, given, lumina::Quantizer<8>(-3.0f, 3.0f));

  lumina::CodedWeights<4> weights = lumina::encode_weights<4>(given.w);
  lumina::Matrix<std::uint8_t> in_codes(kBatch, kIn), out_codes(kBatch, kOut);
  lumina::Matrix<std::uint16_t> wide_codes(kBatch, kOut);
  for (std::size_t i = 0; i < in_codes.elements().size(); ++i) {
    in_codes.elements()[i] = static_cast<std::uint8_t>(i % 64);
  }
  lumina::fused_gemm(given.x, dac, weights, out_codes, lumina::epilogue(lumina::Relu{}, adc));
  hash.add(out_codes.elements());
  lumina::fused_gemm(in_codes, dac, weights.view(), wide_codes, lumina::epilogue(adc));
  hash.add(wide_codes.elements());

  lumina::encode_weights(given.w, weights, 3, lumina::WeightScale::per_matrix);
  const lumina::Matrix<float> levels = weights.decode();
  hash.add(levels.elements());
  const std::vector<float> scales(kOut, 0.01f);
  lumina::CodedWeights<8> noisy;
  lumina::encode_weights(given.w, noisy, 4, lumina::MultiplicativeWeightNoise{0.1f}, kKey);
  lumina::encode_weights(given.w, noisy, lumina::AdditiveWeightNoise{0.01f}, kKey, scales);
  const lumina::Matrix<float> decoded = noisy.decode();
  hash.add(decoded.elements());
  hash.print("codes");
}

template <class Weights>
void through_a_file(Hash& hash, const Weights& weights) {
  std::vector<std::byte> file(lumina::file_size(weights));
  lumina::save(weights, file);
  Weights read;
  lumina::load(file, read);
  const Weights copied = read;
  lumina::save(copied, file);
  for (const std::byte byte : file) hash.add_value(byte);
}

void files() {
  Hash hash;
  const Operands given;
  const lumina::CodedWeights<4> coded = lumina::encode_weights<4>(given.w);
  through_a_file(hash, lumina::pack_weights(given.w));
  through_a_file(hash, coded);
  through_a_file(hash, lumina::coded_weights_of<8>(coded.codes(), coded.scales()));
  through_a_file(hash, lumina::encode_tiles<2>(given.w, {{9, 40}}));
  std::vector<std::byte> memory(lumina::file_size(coded) + 64);
  const std::size_t skip = 64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64;
  const std::span<std::byte> file = std::span(memory).subspan(skip, lumina::file_size(coded));
  lumina::save(coded.view(), file);
  hash.add(lumina::view_of<lumina::CodedWeightsView<4>>(file).words());
  const std::vector<std::vector<float>> rows(3, std::vector<float>(5, 0.5f));
  const lumina::Matrix<float> copied = lumina::matrix_of(rows);
  hash.add(copied.elements());
  hash.add_value(lumina::MatrixView<const float>(copied.elements(), 5, 3)(4, 2));
  hash.print("files");
}

void report() {
  Hash hash;
  const Operands given;
  const auto weights = lumina::encode_tiles<8>(given.w, {{16, 512}});
  lumina::Matrix<float> y(kBatch, kOut);
  lumina::LayerReport layer;
  lumina::analog_gemm(
      given.x, lumina::SymmetricQuantizer<8>(2.0f), weights,
      lumina::array(lumina::GaussianNoise{0.04f}, lumina::SymmetricQuantizer<8>(3.0f)),
      lumina::digital(), y, layer, kKey);
  hash.add(y.elements());
  for (const lumina::ArrayReport& array : layer.arrays()) {
    hash.add_value(array.signal);
    hash.add_value(array.error);
    hash.add_value(array.output_error);
    hash.add_value(array.device_squares);
    hash.add_value(array.adc.above);
    hash.add_value(array.dac.codes_used);
  }
  hash.print("report");
}

void photonics() {
  Hash hash;
  const Operands given;
  lumina::Matrix<float> made(kOut, kIn), pairs(kOut, 2 * kIn), seen(kOut, kIn);
  const lumina::PhaseShifters shifters{.bits = 10, .deviation = 0.01, .crosstalk = 0.02};
  const lumina::MziArray triangular{16, lumina::MeshLayout::triangular, shifters};
  lumina::mzi_weights(given.w, {.modes = 32, .shifters = shifters}, kKey, made);
  hash.add(made.elements());
  lumina::complex_mzi_weights(given.w, triangular, kKey, pairs);
  hash.add(pairs.elements());
  lumina::detect(pairs, seen, lumina::Detection::magnitude);
  hash.add(seen.elements());
  lumina::transmission_weights(given.w, lumina::MicroRing{.shifters = shifters}, kKey, made);
  hash.add(made.elements());
  lumina::transmission_weights(
      given.w, lumina::IntensityModulator{.extinction_ratio = 30.0, .bits = 6, .deviation = 0.01},
      kKey, made, lumina::Transmissions::single, lumina::WeightScale::per_matrix);
  hash.add(made.elements());
  lumina::mix_channels(given.w, lumina::lorentzian_crosstalk(8, 2.0), made);
  hash.add(made.elements());
  hash.print("photonics");
}

void products() {
  Hash hash;
  const Operands given;
  const lumina::SymmetricQuantizer<8> dac(2.0f);
  lumina::Matrix<float> y(kBatch, kOut), turned(kIn, kOut);
  lumina::FastRng(6).fill_normal(turned.elements());
  lumina::CodedOperand<4> codes;
  lumina::analog_matmul(given.x, dac, given.w, codes, y,
                        lumina::epilogue(lumina::GaussianNoise{0.1f}), kKey);
  hash.add(y.elements());
  lumina::TiledOperand<8> tiles(lumina::Mapping{{9, 40}});
  const auto pass = lumina::matmul_pass(given.x, dac, lumina::transposed(turned), tiles,
                                        lumina::array(), lumina::digital(), kKey);
  lumina::ForwardRecord record;
  lumina::BackwardWorkspace workspace;
  lumina::forward(pass, y, record);
  lumina::Matrix<float> grad(kIn, kOut);
  lumina::backward(pass, y, record, {.weights = grad}, workspace);
  hash.add(grad.elements());
  hash.print("products");
}

void converters() {
  Hash hash;
  const Operands given;
  const auto weights = lumina::encode_tiles<8>(given.w, {{16, 512}});
  const lumina::SymmetricQuantizer<6> ideal(3.0f);
  const lumina::Mismatch mismatch{0.05f, kKey};
  std::vector<float> thresholds(62);
  lumina::Matrix<float> y(kBatch, kOut), bits(6, kOut);
  lumina::ramp_thresholds(ideal, thresholds);
  lumina::draw_bit_weights(mismatch, 6, bits);
  const auto add = [&](const auto& adc) {
    lumina::analog_gemm(given.x, lumina::SymmetricQuantizer<8>(2.0f), weights, lumina::array(adc),
                        lumina::digital(), y, kKey);
    hash.add(y.elements());
  };
  add(lumina::StochasticQuantizer(ideal));
  add(lumina::RampAdc(ideal, thresholds));
  add(lumina::SarAdc(ideal));
  add(lumina::SarAdc(ideal, mismatch));
  add(lumina::SarAdc(ideal, lumina::ColumnVectors{bits}));
  const auto add_dac = [&](const auto& dac) {
    lumina::analog_gemm(given.x, dac, weights, lumina::array(lumina::ReadNoise(0.1f)),
                        lumina::digital(), y, kKey);
    hash.add(y.elements());
  };
  add_dac(lumina::NoisyDac(lumina::ManagedDac{}, 0.1f));
  add_dac(lumina::StochasticDac(lumina::Quantizer<5>(-2.0f, 2.0f)));
  add_dac(lumina::NoisyDac(lumina::StochasticDac(lumina::SymmetricQuantizer<8>(2.0f)), 0.1f));
  hash.print("converters");
}

void slices() {
  Hash hash;
  const Operands given;
  const auto weights = lumina::encode_slices<5>(given.w, {{16, 512}}, {.input_bits = 3});
  const lumina::SymmetricQuantizer<8> dac(2.0f);
  const auto in_array = lumina::array(
      lumina::GaussianNoise{0.4f}, lumina::granular_adc(5, lumina::largest_current(weights, dac)));
  lumina::Matrix<float> y(kBatch, kOut), grad_w(kOut, kIn);
  lumina::ForwardRecord record;
  lumina::BackwardWorkspace workspace;
  const auto pass = lumina::analog_pass(given.x, dac, weights, in_array, lumina::digital(), kKey);
  lumina::forward(pass, y, record);
  lumina::Gradients gradients;
  gradients.weights = grad_w;
  lumina::backward(pass, y, record, gradients, workspace);
  hash.add(y.elements());
  hash.add(grad_w.elements());
  lumina::backward(pass, y, record, gradients, workspace, lumina::IntegerSplitProducts<2>{});
  hash.add(grad_w.elements());
  hash.print("slices");
}

template <class Stages>
void train(Hash& hash, const Operands& given, const Stages& stages) {
  const lumina::CodedWeights<4> coded = lumina::encode_weights<4>(given.w);
  const lumina::PackedWeights packed = lumina::pack_weights(given.w);
  const lumina::Quantizer<6> dac(-1.0f, 1.0f);
  lumina::Matrix<float> y(kBatch, kOut), grad_y(kBatch, kOut), grad_x(kBatch, kIn),
      grad_w(kOut, kIn);
  std::vector<float> grad_bias(kOut);
  lumina::FastRng(5).fill_normal(grad_y.elements());
  lumina::ForwardRecord record;
  lumina::BackwardWorkspace workspace;
  const auto step = [&](const auto& pass, const auto& products) {
    lumina::forward(pass, y, record);
    lumina::backward(pass, grad_y, record, {grad_x, grad_w, grad_bias}, workspace, products);
    hash.add(y.elements());
    hash.add(grad_x.elements());
    hash.add(grad_w.elements());
    hash.add(std::span(grad_bias));
  };
  step(lumina::forward_pass(given.x, packed, stages, kKey), lumina::F32Products{});
  const std::vector<float> scales(kOut, 0.05f);
  step(lumina::forward_pass(given.x, dac, coded, stages, kKey)
           .with_weight_stages(lumina::epilogue(lumina::WeightGate<4>{given.w, scales})),
       lumina::F32Products{});
}

template <int Bits, class WeightNoise>
void layer(Hash& hash, const Operands& given, const WeightNoise& noise) {
  const auto config =
      lumina::AnalogLinearConfig::of(lumina::hardware_profile("lumina_nano_v1"), kIn, kOut);
  lumina::AnalogLinear<Bits, WeightNoise> analog(config, kBatch, noise);
  analog.load(given.w, given.bias, kKey);
  lumina::Matrix<float> y(kBatch, kOut), grad_x(kBatch, kIn), grad_w(kOut, kIn);
  std::vector<float> grad_bias(kOut);
  analog.forward(given.x, y, kKey);
  hash.add(y.elements());
  analog.backward(given.x, y, {grad_x, grad_w, grad_bias});
  hash.add(grad_w.elements());
  analog.infer(given.x, y);
  hash.add(y.elements());
}

void training() {
  Hash hash;
  const Operands given;
  const lumina::Quantizer<8> adc(-3.0f, 3.0f);
  const lumina::AddBias bias{given.bias};
  train(hash, given, lumina::epilogue(bias, lumina::Relu{}, adc));
  train(hash, given,
        lumina::epilogue(bias, lumina::ShotNoiseWithDerivative{0.1f}, lumina::GaussianNoise{0.1f},
                         lumina::SymmetricQuantizer<6>(4.0f)));
  layer<4>(hash, given, lumina::NoWeightNoise{});
  layer<10>(hash, given, lumina::MultiplicativeWeightNoise{0.05f});
  hash.print("training");
}

void convolutions() {
  Hash hash;
  const lumina::Convolution shape{6, 10, {1, 3, 2}, {1, 1, 2}, {0, 1, 1}, {1, 1, 1}, 2};
  const lumina::Size3 size{1, 5, 6}, out = shape.output_size(size);
  lumina::Matrix<float> x(3, 6 * 30), filters(10, shape.filter_size()), y(3, 10 * 20),
      grad_x(3, 180), grad_filters(10, shape.filter_size());
  lumina::FastRng rng(12);
  rng.fill_normal(x.elements());
  rng.fill_normal(filters.elements());
  const lumina::ImageView<const float> images{x.data(), 3, 6, size};
  const lumina::ImageView<float> outputs{y.data(), 3, 10, out};

  lumina::AnalogConv<4, lumina::AdditiveWeightNoise> layer(
      lumina::AnalogConvConfig::of(lumina::hardware_profile("lumina_nano_v1"), shape), {0.05f});
  layer.load(filters, {}, kKey);
  layer.forward(images, outputs, kKey);
  layer.backward(images, outputs, {{grad_x.data(), 3, 6, size}, grad_filters, {}});
  hash.add(grad_filters.elements());
  layer.backward(images, outputs, {{grad_x.data(), 3, 6, size}, grad_filters, {}},
                 lumina::IntegerSplitProducts<1>{});
  hash.add(y.elements());
  hash.add(grad_x.elements());
  hash.add(grad_filters.elements());

  const auto tiles = lumina::convolution_weights(
      filters, shape, [](lumina::MatrixView<const float> w, std::size_t) {
        return lumina::encode_tiles<8>(w, {{16, 512}});
      });
  const auto stages =
      lumina::array(lumina::GaussianNoise{0.04f}, lumina::SymmetricQuantizer<8>(4.0f));
  lumina::fused_convolution(images, lumina::SymmetricQuantizer<8>(2.0f), tiles, outputs, shape,
                            stages, lumina::digital(lumina::Relu{}), kKey);
  hash.add(y.elements());
  hash.print("convolutions");
}

}  // namespace

int main() {
  quantizers();
  floats();
  codes();
  files();
  report();
  products();
  photonics();
  converters();
  slices();
  training();
  convolutions();
}
