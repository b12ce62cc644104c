// expect: DeviceView
// Nor is a view.
#include <lumina/cuda.hpp>

#include <cstdint>

using namespace lumina;

bool call(MatrixView<std::uint8_t> x, const cuda::CodedWeights<8>& w, cuda::DeviceView<float> y) {
#if defined(MISTAKE)
  const MatrixView<const std::uint8_t> view = x;
#else
  const auto view = cuda::device_view<const std::uint8_t>(x.data(), x.rows(), x.cols());
#endif
  return cuda::fused_gemm(view, Quantizer<8>(0.0f, 1.0f), w, y, epilogue(), NoiseKey(),
                          cuda::Stream());
}
