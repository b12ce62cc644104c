// The native module lumina_kernel_cuda._cuda: lumina/cuda.hpp on memory that PyTorch has allocated.
// (_cuda.pyi says what its functions take.)
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>

#include <lumina/config.hpp>
#include <lumina/cuda.hpp>
#include <lumina/hardware_profile.hpp>

#include "platform_of_module.hpp"
#include "readout.hpp"

namespace {

namespace nb = nanobind;
namespace cuda = lumina::cuda;
namespace gpu = lumina::detail::gpu;
using lumina::RuntimeQuantizer;

using Address = std::uintptr_t;
using Matrix = std::tuple<Address, std::size_t, std::size_t, std::size_t>;
using Weights = std::tuple<Address, std::size_t, std::size_t, int, bool>;
using Converter = std::tuple<int, float, float, bool>;
using Readout = std::tuple<float, float, float, float>;
using Key = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;
using Memory = std::tuple<Address, std::size_t>;
using Place = std::tuple<int, Address>;

// Codes have a byte each, whatever their number of bits: products of 8 bits multiply them all.
using Codes = cuda::CodedWeights<8>;

template <class T>
T* pointer(Address address) {
  return reinterpret_cast<T*>(address);
}
template <class T>
cuda::DeviceView<T> view(const Matrix& matrix) {
  const auto& [address, rows, cols, stride] = matrix;
  return cuda::device_view(pointer<T>(address), rows, cols, stride);
}
lumina::Converter numbers(const Converter& of) {
  const auto& [bits, lo, hi, symmetric] = of;
  return {bits, lo, hi, symmetric};
}

lumina::Readout numbers(const Readout& of) {
  const auto& [gain, shot_noise, noise, attenuation] = of;
  return {gain, shot_noise, noise, attenuation};
}
Codes codes_in(const Weights& weights) {
  return {pointer<void>(std::get<0>(weights)), std::get<1>(weights), std::get<2>(weights)};
}
/// f(the weights).
template <class F>
auto with_weights(const Weights& weights, const F& f) {
  const auto& [memory, outputs, inputs, bits, coded] = weights;
  return coded ? f(codes_in(weights))
               : f(cuda::PackedWeights(pointer<void>(memory), outputs, inputs));
}

/// f(stream) on that device, without the GIL: the first call on a device waits for it.
template <class F>
void on(const Place& place, const F& f) {
  const auto& [device, stream] = place;
  const nb::gil_scoped_release release;
  const lumina::python::CurrentDevice current(device);
  f(cuda::Stream{pointer<std::remove_pointer_t<gpu::StreamHandle>>(stream)});
}

void require(gpu::Error error) {
  if (error != gpu::kSuccess) throw std::runtime_error(gpu::error_name(error));
}

// --- Weights -------------------------------------------------------------------------------------

std::size_t weights_bytes(std::size_t outputs, std::size_t inputs, bool coded) {
  return coded ? Codes::bytes(outputs, inputs) : cuda::PackedWeights::bytes(outputs, inputs);
}

void encode_weights(const Matrix& w, const Weights& weights, const Place& place) {
  const auto& [memory, outputs, inputs, bits, coded] = weights;
  const cuda::DeviceView<const float> from = view<const float>(w);
  on(place, [&, memory = memory, outputs = outputs, inputs = inputs, bits = bits,
             coded = coded](const cuda::Stream& stream) {
    void* const to = pointer<void>(memory);
    if (coded) {
      cuda::encode_weights(from, Codes(to, outputs, inputs), bits, stream);
    } else {
      cuda::pack_weights(from, cuda::PackedWeights(to, outputs, inputs), stream);
    }
  });
}

__global__ void decode_codes(gpu::CodedRows rows, float* to, std::size_t stride, int outputs,
                             int inputs) {
  const int row = static_cast<int>(blockIdx.x);
  const int column = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x);
  if (row >= outputs || column >= inputs) return;
  const auto code = static_cast<float>(rows.codes[row * rows.row_bytes + column]);
  to[row * stride + column] = gpu::multiply(code, rows.scales[row]);
}

void decode_weights(const Weights& weights, const Matrix& to, const Place& place) {
  const auto& [memory, outputs, inputs, bits, coded] = weights;
  if (!coded) throw std::invalid_argument("only codes are decoded");
  const gpu::CodedRows rows = codes_in(weights).arrays();
  constexpr unsigned kThreads = 128;
  const gpu::LaunchShape shape{
      static_cast<unsigned>(outputs),
      static_cast<unsigned>(lumina::detail::ceil_div(inputs, std::size_t{kThreads})), kThreads, 0,
      false};
  on(place, [&, outputs = static_cast<int>(outputs),
             inputs = static_cast<int>(inputs)](const cuda::Stream& stream) {
    if (outputs == 0 || inputs == 0) return;
    require(gpu::launch(&decode_codes, shape, stream.handle, rows, pointer<float>(std::get<0>(to)),
                        std::get<3>(to), outputs, inputs));
  });
}

// --- Forward -------------------------------------------------------------------------------------

/// In front of the workspace of a product: an ADC that make_adc() makes.
constexpr std::size_t kAdcBytes = 128;
static_assert(sizeof(RuntimeQuantizer) <= kAdcBytes);

/// An ADC in the device's memory, whose range only the device may know.
struct AdcInMemory {
  const RuntimeQuantizer* adc;

  template <class Floats, class Normals>
  __device__ Floats apply(const Floats& v, const lumina::Coordinates&, const lumina::ActiveLanes&,
                          const Normals&) const {
    return adc->quantize_lanes(v);
  }
  template <class Floats>
  __device__ auto passes(const Floats& v) const {
    return adc->passes(v);
  }
};

/// `known`, or, where there is a limit, of its bits over ± limit.
__global__ void make_adc(const RuntimeQuantizer known, const float* limit, RuntimeQuantizer* adc) {
  if (limit == nullptr) {
    *adc = known;
  } else if (known.is_symmetric()) {
    *adc = RuntimeQuantizer::symmetric(known.bits(), *limit);
  } else {
    *adc = RuntimeQuantizer(known.bits(), -*limit, *limit);
  }
}

std::size_t workspace_bytes(std::size_t rows, std::size_t inputs, bool coded, bool has_dac) {
  if (coded) return kAdcBytes + cuda::coded_workspace_bytes(rows, inputs);
  return kAdcBytes + (has_dac ? cuda::float_workspace_bytes(rows, inputs) : 0);
}

struct Call {
  cuda::DeviceView<const float> x;
  cuda::DeviceView<float> y;
  Weights weights;
  std::optional<lumina::Converter> dac;
  lumina::Readout readout;
  RuntimeQuantizer adc;
  lumina::NoiseKey key;
  const float *bias, *output_bias;
  const float* adc_limit;
  void* record;
  float* largest;
  cuda::Workspace workspace;

  /// Whether nobody looks on, and the ADC is known.
  bool codes_alone() const {
    return std::get<4>(weights) && adc_limit == nullptr && record == nullptr && largest == nullptr;
  }
  cuda::Workspace of_product() const {
    return {static_cast<std::byte*>(workspace.data) + kAdcBytes, workspace.bytes - kAdcBytes};
  }
};

template <std::size_t Draws, class Adc>
auto stages_of(const Call& call, const Adc& adc) {
  namespace unit = lumina::unit;
  const unit::ReadoutStage<Draws> readout{{call.readout.gain},
                                          {call.readout.attenuation},
                                          call.readout.shot_noise_behind_gain(),
                                          {call.readout.noise},
                                          {call.bias}};
  return lumina::epilogue(readout, adc, unit::OptionalBias{call.output_bias});
}

/// Of codes, while nobody looks on: kernels that have registers for nothing else.
template <std::size_t Draws>
void multiply_codes(const Call& call, const cuda::Stream& stream) {
  cuda::fused_gemm(call.x, RuntimeQuantizer::of(*call.dac), codes_in(call.weights), call.y,
                   stages_of<Draws>(call, call.adc), call.key, stream, call.of_product());
}

template <std::size_t Draws>
void multiply_observed(const Call& call, const cuda::Stream& stream) {
  auto* const adc = static_cast<RuntimeQuantizer*>(call.workspace.data);
  require(
      gpu::launch(&make_adc, {1, 1, 1, 0, false}, stream.handle, call.adc, call.adc_limit, adc));
  const auto stages = stages_of<Draws>(call, AdcInMemory{adc});
  const cuda::ForwardRecord record(call.record, call.y.rows(), call.y.cols(), 1);
  const cuda::PassObservers observers{call.record != nullptr ? &record : nullptr, call.largest};
  const auto run = [&](const auto& pass) {
    cuda::forward(pass, call.y, observers, stream, call.of_product());
  };
  with_weights(call.weights, [&]<class W>(const W& weights) {
    if (call.dac) {
      run(cuda::forward_pass(call.x, RuntimeQuantizer::of(*call.dac), weights, stages, call.key));
    } else if constexpr (std::is_same_v<W, cuda::PackedWeights>) {
      run(cuda::forward_pass(call.x, weights, stages, call.key));
    }
  });
}

template <std::size_t Draws>
void multiply(const Call& call, const cuda::Stream& stream) {
  if (call.codes_alone()) return multiply_codes<Draws>(call, stream);
  multiply_observed<Draws>(call, stream);
}

void forward(const Matrix& x, const Weights& weights, const Matrix& y,
             const std::optional<Converter>& dac, const Readout& readout, const Converter& adc,
             const Key& key, Address bias, Address output_bias, Address adc_limit, Address record,
             Address largest, const Memory& workspace, const Place& place) {
  const auto& [seed, stream_of_key, row_offset] = key;
  const auto& [memory, bytes] = workspace;
  if (bytes < kAdcBytes) throw std::invalid_argument("the workspace is too small");
  if (std::get<4>(weights) && !dac) throw std::invalid_argument("coded weights need a DAC");
  const Call call{view<const float>(x),
                  view<float>(y),
                  weights,
                  dac ? std::optional(numbers(*dac)) : std::nullopt,
                  numbers(readout),
                  RuntimeQuantizer::of(numbers(adc)),
                  {seed, stream_of_key, row_offset},
                  pointer<const float>(bias),
                  pointer<const float>(output_bias),
                  pointer<const float>(adc_limit),
                  pointer<void>(record),
                  pointer<float>(largest),
                  {pointer<void>(memory), bytes}};
  on(place, [&](const cuda::Stream& stream) {
    if (call.readout.shot_noise != 0.0f) return multiply<2>(call, stream);
    if (call.readout.noise != 0.0f) return multiply<1>(call, stream);
    multiply<0>(call, stream);
  });
}

// --- Backward ------------------------------------------------------------------------------------

/// f(products): those of the name, of such weights.
template <class W, class F>
auto with_products(const W&, const std::string& name, const F& f) {
  if constexpr (std::is_same_v<W, cuda::PackedWeights>) {
    if (name == "float32") return f(lumina::F32Products());
  } else {
    if (name == "int8") return f(lumina::IntegerSplitProducts<1>());
    if (name == "int16") return f(lumina::IntegerSplitProducts<2>());
    if (name == "int24") return f(lumina::IntegerSplitProducts<3>());
  }
  throw std::invalid_argument("these weights have no gradients by products of " + name);
}

/// f(pass, products): that of straight-through gradients, in which noise has no part. Of the bias
/// only the length is read, of the ADC nothing.
template <class F>
auto with_backward(const cuda::DeviceView<const float>& x, const Weights& weights,
                   const Converter& dac, const Readout& readout, std::uint64_t seed,
                   const std::string& products, const F& f) {
  const lumina::Readout factors = numbers(readout);
  const float length_alone = 0.0f;
  const auto stages = lumina::epilogue(
      lumina::Attenuation{factors.gain}, lumina::Attenuation{factors.attenuation},
      RuntimeQuantizer(1, 0.0f, 1.0f), lumina::AddBias{{&length_alone, std::get<1>(weights)}});
  return with_weights(weights, [&](const auto& w) {
    const auto pass = cuda::forward_pass(x, RuntimeQuantizer::of(numbers(dac)), w, stages,
                                         lumina::NoiseKey{seed});
    return with_products(w, products, [&](const auto& known) { return f(pass, known); });
  });
}

std::size_t backward_workspace_bytes(std::size_t rows, const Weights& weights,
                                     const std::string& products) {
  return with_backward(cuda::device_view<const float>(nullptr, rows, std::get<2>(weights)), weights,
                       {8, 0.0f, 1.0f, false}, {1.0f, 0.0f, 0.0f, 1.0f}, 0, products,
                       [](const auto& pass, const auto& known) {
                         return cuda::backward_workspace_bytes(pass, known);
                       });
}

void backward(const Matrix& grad_y, const Matrix& x, const Weights& weights, const Converter& dac,
              const Readout& readout, Address record, const std::string& products,
              std::uint64_t seed, const std::optional<Matrix>& grad_x,
              const std::optional<Matrix>& grad_w, Address grad_bias, const Memory& workspace,
              const Place& place) {
  const auto from = view<const float>(grad_y);
  cuda::DeviceGradients gradients;
  if (grad_x) gradients.input = view<float>(*grad_x);
  if (grad_w) gradients.weights = view<float>(*grad_w);
  if (grad_bias != 0) {
    gradients.bias = cuda::device_view(pointer<float>(grad_bias), 1, from.cols());
  }
  const cuda::ForwardRecord filled(pointer<void>(record), from.rows(), from.cols(), 1);
  on(place, [&](const cuda::Stream& stream) {
    with_backward(view<const float>(x), weights, dac, readout, seed, products,
                  [&](const auto& pass, const auto& known) {
                    cuda::backward(pass, from, filled, gradients, stream,
                                   {pointer<void>(std::get<0>(workspace)), std::get<1>(workspace)},
                                   known);
                  });
  });
}

std::string version() {
  return std::to_string(LUMINA_VERSION_MAJOR) + "." + std::to_string(LUMINA_VERSION_MINOR) + "." +
         std::to_string(LUMINA_VERSION_PATCH);
}

}  // namespace

NB_MODULE(_cuda, package) {
  nb::set_leak_warnings(false);  // objects that live until the interpreter ends are no leak
  package.doc() = "The compiled part of lumina_kernel_cuda.";
  lumina::python::prepare_platform();
  package.attr("device_type") = lumina::python::kDeviceType;
  package.def("version", &version);
  package.def("weights_bytes", &weights_bytes);
  package.def("encode_weights", &encode_weights);
  package.def("decode_weights", &decode_weights);
  package.def("workspace_bytes", &workspace_bytes);
  package.def("forward", &forward, nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(),
              nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
              nb::arg(), nb::arg());
  package.def("backward_workspace_bytes", &backward_workspace_bytes);
  package.def("backward", &backward);
}
