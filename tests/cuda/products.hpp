// One call on the device against the same call on the CPU, bit for bit, and what lies beside y.
#pragma once

#include "on_device.hpp"

#include <lumina/cuda.hpp>
#include <lumina/lumina.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

namespace gpu_tests {

struct Sizes {
  std::size_t batch, in, out;
};

inline const lumina::NoiseKey kKey{7, 3, 1000};

/// Inputs and weights, and how they and y lie on the device: `padding` elements between rows,
/// `shift` elements before the first one.
struct Data {
  explicit Data(const Sizes& sizes) : x(sizes.batch, sizes.in), w(sizes.out, sizes.in) {
    lumina::FastRng rng(sizes.batch * 131 + sizes.in * 17 + sizes.out);
    for (float& v : x.elements()) v = rng.uniform() * 2.4f - 1.2f;
    rng.fill_normal(w.elements(), 0.0f, 0.3f);
  }
  lumina::Matrix<float> x, w;
  std::size_t padding = 0, shift = 0;
};

/// NaN, infinities, denormals, limits, zeros of both signs, over the first elements of each row.
inline void put_extremes(lumina::Matrix<float>& x) {
  using Limits = std::numeric_limits<float>;
  const float values[] = {Limits::quiet_NaN(),
                          Limits::infinity(),
                          -Limits::infinity(),
                          Limits::denorm_min(),
                          -Limits::denorm_min(),
                          Limits::max(),
                          -Limits::max(),
                          0.0f,
                          -0.0f,
                          Limits::min()};
  for (std::size_t row = 0; row < x.rows(); ++row) {
    x(row, row % x.cols()) = values[row % std::size(values)];
  }
}

/// A matrix on the device as Data says. `T` may be const.
template <class T>
class Placed {
 public:
  using Element = std::remove_const_t<T>;

  Placed(std::size_t rows, std::size_t cols, const Data& data, const Element* from = nullptr)
      : rows_(rows),
        cols_(cols),
        stride_(cols + data.padding),
        shift_(data.shift),
        host_(shift_ + rows * stride_),
        memory_(host_.size()) {
    std::memset(host_.data(), 0xa5, host_.size() * sizeof(Element));
    for (std::size_t row = 0; from != nullptr && row < rows; ++row) {
      std::copy_n(from + row * cols, cols, host_.data() + shift_ + row * stride_);
    }
    memory_.upload(host_);
  }
  lumina::cuda::DeviceView<T> view() {
    return lumina::cuda::device_view<T>(memory_.data() + shift_, rows_, cols_, stride_);
  }
  /// Elements that differ from those of y, and what was written beside them.
  std::size_t differing(const lumina::Matrix<Element>& y) {
    for (std::size_t row = 0; row < rows_; ++row) {
      std::copy_n(y.data() + row * cols_, cols_, host_.data() + shift_ + row * stride_);
    }
    const std::vector<Element> found = memory_.download();
    std::size_t count = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      count += std::memcmp(&found[i], &host_[i], sizeof(Element)) != 0 ? 1 : 0;
    }
    return count;
  }

 private:
  std::size_t rows_, cols_, stride_, shift_;
  std::vector<Element> host_;
  OnDevice<Element> memory_;
};

/// y of `Y` = stages(DAC(x)·wᵀ), x of floats and of codes.
template <int Bits, class Y, class Dac, class HostStages, class DeviceStages>
void check_codes(const Data& data, const Dac& dac, const HostStages& on_host,
                 const DeviceStages& on_device) {
  using namespace lumina;
  const std::size_t batch = data.x.rows(), in = data.x.cols(), out = data.w.rows();
  const auto coded = encode_weights<Bits>(data.w);
  Matrix<Y> expected(batch, out);
  REQUIRE(lumina::fused_gemm(data.x, dac, coded, expected, on_host, kKey));

  OnDevice<std::byte> memory(cuda::CodedWeights<Bits>::bytes(out, in));
  const cuda::CodedWeights<Bits> weights(memory.data(), out, in);
  REQUIRE(cuda::copy_weights(coded, weights, stream()));
  OnDevice<std::byte> workspace(cuda::coded_workspace_bytes(batch, in));
  const cuda::Workspace scratch{workspace.data(), workspace.size()};

  Placed<const float> x(batch, in, data, data.x.data());
  Placed<Y> y(batch, out, data);
  REQUIRE(cuda::fused_gemm(x.view(), dac, weights, y.view(), on_device, kKey, stream(), scratch));
  CHECK(y.differing(expected) == 0);

  Matrix<std::uint8_t> codes(batch, in);
  for (std::size_t i = 0; i < codes.elements().size(); ++i) {
    codes.data()[i] = static_cast<std::uint8_t>(
        static_cast<const detail::UniformQuantizer&>(dac).encode(data.x.data()[i]));
  }
  Placed<const std::uint8_t> x_codes(batch, in, data, codes.data());
  Placed<Y> again(batch, out, data);
  REQUIRE(cuda::fused_gemm(x_codes.view(), dac, weights, again.view(), on_device, kKey, stream(),
                           scratch));
  CHECK(again.differing(expected) == 0);
}
template <int Bits, class Y, class Dac, class Stages>
void check_codes(const Sizes& sizes, const Dac& dac, const Stages& stages) {
  check_codes<Bits, Y>(Data(sizes), dac, stages, stages);
}
template <int Bits, class Y, class Dac, class HostStages, class DeviceStages>
void check_codes(const Sizes& sizes, const Dac& dac, const HostStages& on_host,
                 const DeviceStages& on_device) {
  check_codes<Bits, Y>(Data(sizes), dac, on_host, on_device);
}

/// y = stages(DAC(x)·wᵀ) in floats. `Dac`: a quantizer, or NoDac.
template <class Dac, class HostStages, class DeviceStages>
void check_floats(const Data& data, const Dac& dac, const HostStages& on_host,
                  const DeviceStages& on_device) {
  using namespace lumina;
  const std::size_t batch = data.x.rows(), in = data.x.cols(), out = data.w.rows();
  OnDevice<std::byte> memory(cuda::PackedWeights::bytes(out, in));
  const cuda::PackedWeights weights(memory.data(), out, in);
  Placed<const float> w(out, in, data, data.w.data());
  REQUIRE(cuda::pack_weights(w.view(), weights, stream()));

  Matrix<float> expected(batch, out);
  Placed<const float> x(batch, in, data, data.x.data());
  Placed<float> y(batch, out, data);
  const PackedWeights packed = pack_weights(data.w);
  if constexpr (std::is_same_v<Dac, NoDac>) {
    REQUIRE(lumina::fused_gemm(data.x, packed, expected, on_host, kKey));
    REQUIRE(cuda::fused_gemm(x.view(), weights, y.view(), on_device, kKey, stream()));
  } else {
    OnDevice<std::byte> workspace(cuda::float_workspace_bytes(batch, in));
    REQUIRE(lumina::fused_gemm(data.x, dac, packed, expected, on_host, kKey));
    REQUIRE(cuda::fused_gemm(x.view(), dac, weights, y.view(), on_device, kKey, stream(),
                             {workspace.data(), workspace.size()}));
  }
  CHECK(y.differing(expected) == 0);
}
template <class Dac, class HostStages, class DeviceStages>
void check_floats(const Sizes& sizes, const Dac& dac, const HostStages& on_host,
                  const DeviceStages& on_device) {
  check_floats(Data(sizes), dac, on_host, on_device);
}

}  // namespace gpu_tests
