// Box–Muller as kernels have it, whose square root is an approximation once corrected
// (platform/float_math.hpp), against its plain form with the rounded root, on the GPU: for every
// radius word, and for every angle.
#include <lumina/cuda.hpp>

#include <bit>
#include <cstdint>
#include <cstdio>

using namespace lumina;

/// How many words differ.
template <class Count>
__global__ void count_different(Count* different) {
  using Words = detail::gpu::Pair<std::uint32_t>;
  const auto differ = [](std::uint32_t radius, std::uint32_t angle) {
    const auto quick = detail::box_muller(Words(radius), Words(angle));
    const detail::NormalPair plain = detail::box_muller(radius, angle);
    const auto bits = [](float v) { return std::bit_cast<std::uint32_t>(v); };
    return bits(quick.cosine.first) != bits(plain.cosine) ||
           bits(quick.sine.first) != bits(plain.sine);
  };
  const std::uint64_t threads = std::uint64_t{gridDim.x} * blockDim.x;
  Count own = 0;
  for (std::uint64_t i = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
       i < std::uint64_t{1} << 32; i += threads) {
    const auto word = static_cast<std::uint32_t>(i);
    own += differ(word, 0x12345678u) || differ(0x23456789u, word) ? 1 : 0;
  }
  if (own != 0) atomicAdd(different, own);
}

int main() {
  unsigned long long* different = nullptr;
  if (cudaMallocManaged(&different, sizeof(*different)) != cudaSuccess) return 77;
  *different = 0;
  count_different<<<1024, 256>>>(different);
  if (cudaDeviceSynchronize() != cudaSuccess) return 1;
  std::printf("%llu of 2^32 words give other normals\n", *different);
  return *different == 0 ? 0 : 1;
}
