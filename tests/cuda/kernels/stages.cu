// Every built-in stage, quantizer and formula over Pair in kernels that are compiled and looked at,
// not run: no trap, no local memory, no calls (tests/cuda/CMakeLists.txt).
#include <lumina/cuda/detail/pair.hpp>
#include <lumina/cuda/platform/platform.hpp>
#include <lumina/lumina.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "../../../examples/user_stages.hpp"

struct Elementary {
  template <class Vector, class Normals>
  constexpr Vector apply(const Vector& values, const lumina::Coordinates&,
                         const lumina::ActiveLanes&, const Normals&) const {
    const Vector small = lumina::tanh(values);
    return lumina::exp(lumina::log(lumina::sqrt(values)) + small) +
           lumina::detail::logarithm_of_normal(lumina::detail::exponential_of_small(small));
  }
};

namespace {

using lumina::detail::gpu::Pair;
using Floats = Pair<float>;
using Words = Pair<std::uint32_t>;

template <class Stage>
__global__ void apply_to(float* y, const Stage stage, const float* noise,
                         const lumina::Coordinates at, const unsigned columns) {
  const unsigned column = 2 * threadIdx.x;
  if (column >= columns) return;
  lumina::Coordinates own = at;
  own.column += column;
  std::array<Floats, lumina::detail::normals_of<Stage>> normals;
  for (std::size_t i = 0; i != normals.size(); ++i) {
    normals[i] = Floats::load_unaligned(noise + i * columns + column);
  }
  lumina::Facts<Floats> facts;
  facts.magnitudes = Floats::load_unaligned(noise + column);
  facts.squared_inputs = facts.squares = facts.positions = facts.magnitudes;
  facts.row = {y[0], y[1], y[2]};
  const lumina::ActiveLanes active{columns - column > 1 ? 2u : 1u};
  const Floats result = lumina::detail::apply_stage(stage, Floats::load_unaligned(y + column), own,
                                                    active, normals, facts);
  lumina::detail::store_first(result, y + column, active.count);
}

__global__ void make_normals(float* y, const std::uint64_t* words) {
  const std::uint64_t radii = words[2 * threadIdx.x], angles = words[2 * threadIdx.x + 1];
  const auto of = [](std::uint64_t word) {
    return Words(static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32));
  };
  const auto pair = lumina::detail::box_muller(of(radii), of(angles));
  pair.cosine.store_unaligned(y + 4 * threadIdx.x);
  pair.sine.store_unaligned(y + 4 * threadIdx.x + 2);
}

__global__ void make_elements(float* y, const lumina::NoiseKey key, const unsigned columns) {
  const unsigned row = blockIdx.x, column = threadIdx.x;
  y[2 * (row * columns + column)] = lumina::standard_normal_at(key, row, column);
  y[2 * (row * columns + column) + 1] = lumina::standard_uniform_at(key, row, column);
}

template <class Code>
__global__ void encode(Code* codes, const float* x, const lumina::detail::UniformQuantizer dac) {
  const std::array<Floats, 1> values{Floats::load_unaligned(x + 2 * threadIdx.x)};
  const auto two = dac.encode_lanes(values);
  codes[2 * threadIdx.x] = static_cast<Code>(two[0].first);
  codes[2 * threadIdx.x + 1] = static_cast<Code>(two[0].second);
  x += 1024;
  codes[1024 + threadIdx.x] = static_cast<Code>(dac.encode(x[threadIdx.x]));
}

template <class Stage>
void launch(float* y, const Stage& stage) {
  apply_to<<<1, 32>>>(y, stage, y, lumina::Coordinates{}, 32u);
}

}  // namespace

void launch_all(float* y, std::uint64_t* words, std::uint8_t* codes,
                std::span<const float> columns) {
  using namespace lumina;
  const Quantizer<8> adc(-1.0f, 1.0f);
  const ColumnVectors own{MatrixView<const float>(columns.data(), 1, columns.size())};
  const Mismatch drawn{0.1f, NoiseKey{1}};
  launch(y,
         epilogue(AddBias{columns}, Attenuation{0.8f}, ShotNoise{0.1f}, GaussianNoise{0.1f}, adc));
  launch(y, epilogue(Relu{}, ShotNoiseWithDerivative{0.1f}, SymmetricQuantizer<4>(1.0f),
                     RuntimeQuantizer(6, 0.0f, 1.0f)));
  launch(y, epilogue(Amplifier{columns, 0.1f}, Saturation{1.0f}));
  launch(y, epilogue(ColumnGain{own}, ColumnOffset{own}, ColumnAsymmetry{own},
                     OutputNonlinearity{own, 0.0f, columns}));
  launch(y, epilogue(ColumnGain{drawn}, ColumnOffset{drawn}, OutputNonlinearity{drawn, 1.0f}));
  launch(y, epilogue(ReadNoise{0.1f}, ProportionalReadNoise{0.1f}, ConstantReadNoise{0.1f},
                     BalancedShotNoise{0.1f}, IntensityNoise{0.1f}));
  launch(y, epilogue(IrDrop{}, StochasticQuantizer{adc}, SarAdc{adc}, RampAdc{adc, columns}));
  launch(y, epilogue(independent(GaussianNoise{0.1f}, ShotNoise{0.1f}, ReadNoise{0.1f})));
  launch(y, epilogue(MultiplicativeWeightNoise{0.1f}.gradient_stage(),
                     DropConnect{0.1f}.gradient_stage(), Elementary{}));
  launch(y, WeightGate<8>{MatrixView<const float>(columns.data(), 1, columns.size()), columns});
  make_normals<<<1, 32>>>(y, words);
  make_elements<<<1, 32>>>(y, NoiseKey{1}, 32u);
  encode<<<1, 32>>>(codes, y, adc);
}
