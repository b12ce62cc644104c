// expect: DeviceView
// A matrix of the host's memory is no matrix of a device's.
#include <lumina/cuda.hpp>

using namespace lumina;

bool call(Matrix<float>& x, const cuda::PackedWeights& w, cuda::DeviceView<float> y) {
#if defined(MISTAKE)
  return cuda::fused_gemm(x, w, y, epilogue(), NoiseKey(), cuda::Stream());
#else
  return cuda::fused_gemm(cuda::device_view(x.data(), x.rows(), x.cols()), w, y, epilogue(),
                          NoiseKey(), cuda::Stream());
#endif
}
