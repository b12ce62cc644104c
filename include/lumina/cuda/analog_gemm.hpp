// Layers on arrays on a GPU, each array with noise and an ADC of its own, in one pass, with the
// bits of the same call on the CPU (analog_gemm.hpp).
//
//   x [batch, in]   w [out, in]   y [batch, out], all in the device's memory
//
//   cuda::analog_gemm(x, SymmetricQuantizer<8>(3.0f), weights,
//                     array(GaussianNoise{0.04f}, SymmetricQuantizer<8>(10.0f)),
//                     digital(AddBias{bias}), y, key, stream, workspace);
//
// Streams and errors are those of fused_gemm.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "../array_epilogue.hpp"
#include "../border.hpp"
#include "../config.hpp"
#include "../detail/base/message.hpp"
#include "../detail/base/range.hpp"
#include "../detail/engine/array_dac.hpp"
#include "../detail/engine/checks.hpp"
#include "../detail/rows/array_input.hpp"
#include "../detail/rows/random_input.hpp"
#include "../executor.hpp"
#include "../matrix.hpp"
#include "../noisy_dac.hpp"
#include "../quantizer.hpp"
#include "detail/array_finish.hpp"
#include "detail/array_input_kernel.hpp"
#include "detail/array_kernel.hpp"
#include "detail/array_tiling.hpp"
#include "detail/checks.hpp"
#include "detail/finish.hpp"
#include "detail/product.hpp"
#include "detail/sinks.hpp"
#include "detail/sums.hpp"
#include "device_view.hpp"
#include "platform/platform.hpp"
#include "tiled_weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Blocks of products on arrays: sums of all planes, partial sums and generators must fit into
/// registers, and what happens at an array's end takes longer than the product, so many warps are
/// worth more than large tiles.
template <int Sums, std::size_t ArrayDraws>
struct ArrayBlocks {
  static constexpr bool kLight = Sums == 1 && ArrayDraws <= 2;
  using Many = MmaBlocks<4, 1, Sums <= 3 ? 2 : 1, 64, 4, kLight ? 3 : 2>;  // 64 × 64 or 64 × 32
  using Few = MmaBlocks<2, 1, 1, kLight ? 128 : 64, 4, kLight ? 6 : 4>;    // 32 × 32
};

/// Where a call's workspace has what; `planes`: of x.
struct ArrayWorkspace {
  std::size_t of_numbers, of_flags, of_codes;

  constexpr ArrayWorkspace(std::size_t batch, const ArrayTiling& tiling, int planes, bool repeats)
      : of_numbers(round_up(size_product(batch, tiling.count(), sizeof(ArrayNumbers)), kMultiple)),
        of_flags(repeats ? round_up(batch, kMultiple) : 0),
        of_codes(size_product(batch, tiling.row_bytes(), static_cast<std::size_t>(planes))) {}
  constexpr std::size_t bytes() const { return of_numbers + 2 * of_flags + of_codes; }

  ArrayCodes codes(void* memory) const {
    auto* const first = static_cast<std::byte*>(memory);
    return {reinterpret_cast<ArrayNumbers*>(first), first + of_numbers + 2 * of_flags};
  }
  /// Rows that are to be computed are flagged by turns in one array and in another.
  Repetition repetition(void* memory, std::size_t number, std::size_t of) const {
    if (of == 0) return {};
    auto* const first = static_cast<std::uint8_t*>(memory) + of_numbers;
    const std::size_t own = number % 2 * of_flags, other = of_flags - own;
    return {number, number == 0 ? nullptr : first + other, number == of ? nullptr : first + own};
  }

 private:
  static constexpr std::size_t kMultiple = 128;
};

/// What a DAC's inputs and stages of arrays multiply.
template <class Dac, class Stages, int Bits>
using PlanesOf =
    SumPlanes<sums_of<Stages> | (is_noisy_dac<Dac> ? kLowByteSums : 0u), stored_bits(Bits)>;

/// A DAC as kernels take it.
inline DeviceInput device_input(const UniformQuantizer& dac, const NoiseKey&) {
  return {{dac, FixedInput(dac).range()}};
}
inline DeviceManagedInput device_input(const ManagedDac& dac, const NoiseKey&) {
  return {ManagedInput(dac).dac().highest(), dac.range,
          dac.noise_management == NoiseManagement::abs_max};
}
template <RandomDac Dac>
auto device_input(const Dac& random, const NoiseKey& key) {
  const auto input = input_of(random, key);
  using Base = decltype(device_input(ideal_dac(random), key));
  return DeviceRandomInput<Base, is_noisy_dac<Dac>, rounds_at_random<Dac>>{
      {device_input(ideal_dac(random), key)}, input.key(), input.fine(), input.deviation()};
}
template <class Dac>
inline constexpr bool may_repeat =  // bound management
    std::is_same_v<std::remove_cvref_t<decltype(ideal_dac(std::declval<const Dac&>()))>,
                   ManagedDac>;

template <class FinishT>
Error multiply_arrays_on(const CodeOperands& operands, const FinishT& finish, const Device& device,
                         StreamHandle stream) {
  using Planes = typename FinishT::Planes;
  using Sizes = ArrayBlocks<Planes::sums, FinishT::DrawsT::count>;
  const auto rows = static_cast<std::size_t>(operands.x.rows);
  const auto columns = static_cast<std::size_t>(operands.w.rows);
  const auto units = static_cast<std::size_t>(device.facts.multiprocessors);
  const auto with = [&]<class Blocks>(Blocks) {
    const std::size_t shared_bytes = Blocks::shared_bytes_of(Planes::inputs);
    return launch(&multiply_arrays<Blocks, FinishT>, shape_of<Blocks>(rows, columns, shared_bytes),
                  stream, operands, finish);
  };
  if (tiles_of<typename Sizes::Many>(rows, columns) >= units) return with(typename Sizes::Many());
  return with(typename Sizes::Few());
}

template <class X, class Dac, int Bits, class ArrayStagesT, class OutputStages, class Y>
bool call_arrays(const cuda::DeviceView<const X>& x, const Dac& dac,
                 const cuda::TiledWeights<Bits>& weights, const ArrayStagesT& in_array,
                 const OutputStages& behind, const cuda::DeviceView<Y>& y, const NoiseKey& key,
                 const cuda::Stream& stream, const cuda::Workspace& workspace) {
  using Planes = PlanesOf<Dac, ArrayStagesT, Bits>;
  const MatrixView<const X>& inputs = x.addresses();
  const MatrixView<Y>& outputs = y.addresses();
  const Shape x_shape{inputs.rows(), inputs.cols()}, w_shape{weights.rows(), weights.cols()};
  const Call call("lumina::cuda::analog_gemm", Message() << "x is " << x_shape << ", w is "
                                                         << w_shape << ", y is "
                                                         << Shape{outputs.rows(), outputs.cols()});
  if (!operands_valid(inputs, weights, outputs, Serial()) || !array_dac_valid(dac) ||
      !code_output_valid(x_shape, w_shape, outputs, behind) ||
      !stage_valid_for(in_array, outputs.rows(), outputs.cols()) ||
      !stage_valid_for(behind, outputs.rows(), outputs.cols())) {
    return false;
  }
  const ArrayTiling tiling = weights.tiling();
  if (!array_sums_fit<Bits>(dac, w_shape, static_cast<std::size_t>(tiling.size(0))) ||
      !sizes_valid(call, outputs, tiling.row_bytes())) {
    return false;
  }
  constexpr std::size_t kMostRows = std::numeric_limits<int>::max();
  if (size_product(inputs.rows(), tiling.count() + Planes::inputs) > kMostRows) {
    return call.refuse(Message() << "rows of all arrays and planes are more than " << kMostRows);
  }
  if (outputs.rows() == 0 || outputs.cols() == 0) return true;

  constexpr bool kRepeats = may_repeat<Dac>;
  const ArrayWorkspace parts(inputs.rows(), tiling, Planes::inputs, kRepeats);
  const Named w{"the memory of w", weights.memory(),
                cuda::TiledWeights<Bits>::bytes(weights.rows(), weights.cols(), weights.mapping()),
                128};
  Device device;
  if (!call.on_device(device) || !call.memory_valid(device, {named("x", x), w, named("y", y)}) ||
      !call.workspace_valid(device, workspace, parts.bytes(), {named("x", x), w, named("y", y)})) {
    return false;
  }

  const TiledRows arrays = weights.arrays();
  const ArrayCodes codes = parts.codes(workspace.data);
  const CodeOperands operands{{codes.codes, tiling.row_bytes(), static_cast<int>(inputs.rows())},
                              {arrays.codes, arrays.row_bytes, static_cast<int>(weights.rows())},
                              static_cast<int>(tiling.row_bytes())};
  const auto host_input = input_of(dac, key);
  const auto input = device_input(dac, key);
  using Input = std::remove_const_t<decltype(input)>;
  constexpr unsigned kThreads = 128;
  const std::size_t warps = size_product(inputs.rows(), tiling.count());
  const LaunchShape shape{static_cast<unsigned>(ceil_div(warps, std::size_t{kThreads / 32})), 1,
                          kThreads, 0, true};
  const ArrayInputs<X> from{inputs.data(), inputs.row_stride(), static_cast<int>(inputs.rows()),
                            tiling};
  return with_device_sink(behind, outputs, [&](const auto& stages, const auto& sink) {
    const std::size_t in_arrays = tiling.count() * normals_of<ArrayStagesT>;
    const std::size_t draws = in_arrays + normals_of<std::decay_t<decltype(stages)>>;
    for (std::size_t number = 0; number <= host_input.iterations(); ++number) {
      const Repetition repetition =
          parts.repetition(workspace.data, number, host_input.iterations());
      const std::size_t first_draw = number * draws;
      const Finish output_finish(stages, FloatSums(), sink, key, outputs.rows(), outputs.cols(),
                                 first_draw + in_arrays);
      using OutputFinish = std::remove_const_t<decltype(output_finish)>;
      const ArrayFinish<Planes, ArrayStagesT, OutputFinish, kRepeats> finish(
          ArraySums<Planes>(host_input.scale(), arrays, tiling), codes.numbers, in_array, key,
          first_draw, repetition, output_finish);
      constexpr bool kSumsSquares = wants_row_facts<ArrayStagesT>;
      if (!call.launched(launch(&encode_for_arrays<X, Input, Planes, kSumsSquares>, shape,
                                stream.handle, from, codes, input, repetition)) ||
          !call.launched(multiply_arrays_on(operands, finish, device, stream.handle))) {
        return false;
      }
    }
    return true;
  });
}

}  // namespace detail::gpu

namespace cuda {

/// How much memory a call needs for x [batch, in] of floats or of codes: for each row and array 8
/// bytes; for each row 2 behind a ManagedDac; and a byte for each input, each array's rounded up to
/// a multiple of 128, as many times as there are planes of x: one, one more behind a NoisyDac, and
/// one for each of Sums::magnitudes, Sums::positions, and for squares, that stages want.
template <int Bits, ArrayDac Dac, class... InArray>
std::size_t analog_workspace_bytes(std::size_t batch, const TiledWeights<Bits>& weights, const Dac&,
                                   const ArrayStages<InArray...>&) {
  using Planes = detail::gpu::PlanesOf<Dac, Epilogue<InArray...>, Bits>;
  return detail::gpu::ArrayWorkspace(batch, weights.tiling(), Planes::inputs,
                                     detail::gpu::may_repeat<Dac>)
      .bytes();
}

/// y = digital(Σ over arrays of r·s·array(ŷ)), each output written once.
///
///   x       floats, which the DAC encodes, or std::uint8_t, codes already (not with a ManagedDac
///           or a StochasticDac)
///   dac     as of lumina::analog_gemm. With bound management there are two kernels more on the
///           stream for each iteration that it may take, which have nothing to do where no row is
///           left; y is written again
///   y       of float, std::uint8_t or std::uint16_t; integers take the codes of the quantizer that
///           is the last digital stage
///
/// Stages are those known at compile time, and may want all sums and facts that they may want on
/// the CPU. `workspace`: analog_workspace_bytes(). Errors: those of lumina::analog_gemm and of
/// fused_gemm. The result: whether the call is on the stream.
template <class X, ArrayDac Dac, int Bits, class... InArray, class... Behind, class Y>
bool analog_gemm(DeviceView<X> x, const Dac& dac, const TiledWeights<Bits>& weights,
                 const ArrayStages<InArray...>& in_array, const DigitalStages<Behind...>& behind,
                 DeviceView<Y> y, const NoiseKey& key, const Stream& stream,
                 const Workspace& workspace) {
  using Input = std::remove_const_t<X>;
  static_assert(std::is_same_v<Input, float> ||
                    (std::is_same_v<Input, std::uint8_t> && !detail::gpu::may_repeat<Dac> &&
                     !detail::rounds_at_random<Dac>),
                "lumina::cuda::analog_gemm: x is of floats, or of codes, which a ManagedDac and a "
                "StochasticDac do not take");
  return detail::gpu::call_arrays(DeviceView<const Input>(x), dac, weights, in_array.stages,
                                  behind.stages, y, key, stream, workspace);
}

}  // namespace cuda
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
