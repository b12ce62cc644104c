// Kernels that are compiled and looked at, not run: products on arrays, with the DACs, sums and
// outputs that make other kernels.
#include <lumina/array_stages.hpp>
#include <lumina/cuda.hpp>
#include <lumina/ir_drop.hpp>
#include <lumina/read_noise.hpp>

#include <cstdint>
#include <span>

using namespace lumina;

namespace {

template <int Bits = 8, class Y = float, class Dac, class InArray, class Behind>
void on_arrays(const Dac& dac, const InArray& in_array, const Behind& behind) {
  cuda::analog_gemm(cuda::DeviceView<const float>(), dac, cuda::TiledWeights<Bits>(), in_array,
                    behind, cuda::DeviceView<Y>(), NoiseKey(), cuda::Stream(), cuda::Workspace());
}

}  // namespace

void instantiate(std::span<const float> bias, MatrixView<const float> gains) {
  const SymmetricQuantizer<8> dac(1.0f), adc(4.0f);
  const ManagedDac managed{8, 1.0f, NoiseManagement::abs_max, 3};
  on_arrays(dac, array(GaussianNoise{0.1f}, adc), digital(AddBias{bias}, Relu{}));
  on_arrays<8, std::uint8_t>(managed, array(GaussianNoise{0.1f}, adc),
                             digital(GaussianNoise{0.1f}, Quantizer<8>(-1.0f, 1.0f)));
  on_arrays(NoisyDac(StochasticDac(managed), 0.1f), array(GaussianNoise{0.1f}, adc), digital());
  on_arrays(managed,
            array(ColumnGain{ColumnVectors{gains}}, IntensityNoise{0.1f}, ShotNoise{0.1f},
                  GaussianNoise{0.1f}, adc),
            digital(GaussianNoise{0.1f}));
  on_arrays(dac, array(ReadNoise(0.1f), adc), digital());
  on_arrays<4>(managed, array(IrDrop{}, GaussianNoise{0.1f}, adc), digital());
  on_arrays<2>(managed,
               array(IrDrop{}, ReadNoise(0.1f), ProportionalReadNoise(0.1f),
                     ConstantReadNoise(0.1f), BalancedShotNoise(0.1f), adc),
               digital(Relu{}));
}
