// expect: which a ManagedDac and a
// A DAC whose range a row of inputs may choose has seen them.
#include <lumina/cuda.hpp>

#include <cstdint>

using namespace lumina;

bool call(cuda::DeviceView<const std::uint8_t> x, const cuda::TiledWeights<8>& w,
          cuda::DeviceView<float> y) {
#if defined(MISTAKE)
  const ManagedDac dac;
#else
  const Quantizer<8> dac(0.0f, 1.0f);
#endif
  return cuda::analog_gemm(x, dac, w, array(), digital(), y, NoiseKey(), cuda::Stream(),
                           cuda::Workspace());
}
