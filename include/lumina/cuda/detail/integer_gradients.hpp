// The two products of a backward pass in integers, put into a stream (docs/numerics.md, "Integer
// split"; detail/training/integer_split.hpp is the CPU's).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../detail/base/range.hpp"
#include "../../detail/epilogue/first_stage.hpp"
#include "../../detail/epilogue/split_sums.hpp"
#include "../../detail/random/noise_field.hpp"
#include "../../detail/training/backward.hpp"
#include "../../detail/training/integer_split.hpp"
#include "../../epilogue.hpp"
#include "../../gradients.hpp"
#include "../../noise.hpp"
#include "../../quantizer.hpp"
#include "../coded_weights.hpp"
#include "../platform/platform.hpp"
#include "checks.hpp"
#include "code_columns.hpp"
#include "encode_kernel.hpp"
#include "finish.hpp"
#include "fixed_rows.hpp"
#include "fixed_sums.hpp"
#include "pieces.hpp"
#include "product.hpp"
#include "sinks.hpp"
#include "tile_rows.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// The operands of a product [rows, columns] over `depth` numbers in fixed point.
template <int Parts>
struct FixedProduct {
  std::size_t rows, columns, depth;
  FixedBytes fixed;
  ByteColumns codes;
  std::uint32_t* largest;  ///< of rows
  std::size_t sum_bytes;   ///< from codes.sums on: what is added to, largest and fixed.sums too

  FixedProduct(std::size_t of_rows, std::size_t of_columns, std::size_t of_depth, Pieces& pieces)
      : rows(of_rows), columns(of_columns), depth(of_depth) {
    const std::size_t stride = std::max(round_up(depth, std::size_t{16}), std::size_t{16});
    fixed.stride = codes.stride = stride;
    fixed.bytes =
        pieces.take<std::uint8_t>(size_product(PartRows<Parts>::count_of_x(rows), stride));
    codes.bytes = pieces.take<std::uint8_t>(size_product(columns, stride));
    fixed.units = pieces.take<float>(rows);
    const std::size_t before = pieces.used();
    codes.sums = pieces.take<std::int32_t>(round_up(columns, kOutputMultiple));
    largest = pieces.take<std::uint32_t>(rows);
    fixed.sums = pieces.take<std::int32_t>(size_product(rows, std::size_t{Parts}));
    sum_bytes = pieces.used() - before;
  }

  /// y = stages(what the product stands for).
  template <bool AreBytes, class Stages>
  Error multiply(const ByteValue& value, MatrixView<float> y, const Stages& stages,
                 const NoiseKey& key, const Device& device, StreamHandle stream) const {
    const FixedFacts facts{fixed.units, fixed.sums, codes.sums, static_cast<std::int32_t>(depth)};
    const Finish finish(stages, FixedSums<Parts, AreBytes>(facts, value), FloatSink(y), key, rows,
                        columns);
    const auto all_rows = static_cast<int>(PartRows<Parts>::count_of_x(rows));
    const CodeOperands operands{{fixed.bytes, fixed.stride, all_rows},
                                {codes.bytes, codes.stride, static_cast<int>(columns)},
                                static_cast<int>(depth)};
    return multiply_codes_on(operands, finish, device, stream);
  }

  /// The codes: what `map` makes of rows [depth, columns].
  template <class Map>
  Error turn_codes(const MatrixView<const typename Map::Input>& from, const Map& map,
                   std::uint8_t flip, StreamHandle stream) const {
    const InputRows<typename Map::Input> inputs{
        from.data(), from.row_stride(), static_cast<int>(depth), static_cast<int>(columns), false};
    return launch(&transpose_codes<Map>, turning_shape(columns, kTransposeShared), stream, inputs,
                  codes, map, flip);
  }
  LaunchShape turning_shape(std::size_t turned, std::size_t shared_bytes) const {
    return {
        static_cast<unsigned>(std::max(ceil_div(depth, std::size_t{kTurnedRows}), std::size_t{1})),
        static_cast<unsigned>(ceil_div(turned, std::size_t{32})), kTurningThreads, shared_bytes,
        true};
  }
};

/// The gradient by the input, gradient·W: stages(…) to `input`.
template <int Parts, class Stages>
Error integer_input_gradient(const FloatMatrix& gradient, const CodedRows& weights,
                             MatrixView<float> input, const Stages& stages, const NoiseKey& key,
                             void* memory, const Device& device, StreamHandle stream) {
  Pieces pieces(memory);
  const FixedProduct<Parts> product(gradient.rows, input.cols(), gradient.columns, pieces);
  const NoiseKey rounding = gradient_key(key);
  return in_turn([&] { return fill_zero(product.codes.sums, product.sum_bytes, stream); },
                 [&] {
                   return launch(&fix_rows<Parts>, shape_of_rows(gradient.rows), stream, gradient,
                                 static_cast<const float*>(weights.scales), product.fixed,
                                 RoundingNumbers{NoiseField(rounding, 0), rounding.row_offset, 0});
                 },
                 [&] {
                   const MatrixView<const std::uint8_t> codes(
                       reinterpret_cast<const std::uint8_t*>(weights.codes), gradient.columns,
                       input.cols(), weights.row_bytes);
                   return product.turn_codes(codes, CodesAsTheyAre(), 0, stream);
                 },
                 [&] {
                   return product.template multiply<true>({}, input, stages, NoiseKey{}, device,
                                                          stream);
                 });
}

/// The gradient by the weights, gradientᵀ·X: weight_stages(…) to `by_weights`; of kMostSplitDepth
/// rows of the batch at a time, which add up in floats.
template <int Parts, class X, class Dac, class Stages>
Error integer_weight_gradient(const FloatMatrix& gradient, const MatrixView<const X>& x,
                              const Dac& dac, MatrixView<float> by_weights,
                              const Stages& weight_stages, const NoiseKey& weight_key,
                              const NoiseKey& key, void* memory, const Device& device,
                              StreamHandle stream) {
  constexpr std::uint8_t kFlip = 0x80;  // the code 128 is the byte 0
  const UniformQuantizer& quantizer = dac;
  const ByteValue value{kFlip + quantizer.lowest(), quantizer.step(), quantizer.offset()};
  const NoiseKey rounding = gradient_key({key.seed, key.stream, 0});
  std::size_t first = 0;
  do {
    const std::size_t rows = std::min(kMostSplitDepth, x.rows() - first);
    const FloatMatrix own{gradient.row(first), gradient.stride, rows, gradient.columns};
    Pieces pieces(memory);
    const FixedProduct<Parts> product(gradient.columns, x.cols(), rows, pieces);
    const AddMatrix add{first == 0 ? MatrixView<const float>()
                                   : MatrixView<const float>(by_weights)};
    const Error error = in_turn(
        [&] { return fill_zero(product.codes.sums, product.sum_bytes, stream); },
        [&] {
          if (rows == 0) return kSuccess;
          return launch(
              &measure_columns<std::uint32_t>,
              {static_cast<unsigned>(ceil_div(own.columns, std::size_t{128})),
               static_cast<unsigned>(ceil_div(rows, std::size_t{kMeasuredRows})), 128, 0, true},
              stream, own, product.largest);
        },
        [&] {
          return launch(&fix_columns<Parts>,
                        product.turning_shape(own.columns, kFixColumnsShared<Parts>), stream, own,
                        static_cast<const std::uint32_t*>(product.largest), product.fixed,
                        RoundingNumbers{NoiseField(rounding, 1), 0, first / kBlockColumns});
        },
        [&] {
          const MatrixView<const X> inputs(x.row(first), rows, x.cols(), x.row_stride());
          if constexpr (std::is_same_v<X, float>) {
            return product.turn_codes(inputs, ToCodes{dac}, kFlip, stream);
          } else {
            return product.turn_codes(inputs, CodesAsTheyAre(), kFlip, stream);
          }
        },
        [&] {
          if (first + rows < x.rows()) {
            return product.template multiply<false>(value, by_weights, epilogue(add), NoiseKey{},
                                                    device, stream);
          }
          return product.template multiply<false>(
              value, by_weights, with_first_stage(add, weight_stages), weight_key, device, stream);
        });
    if (error != kSuccess) return error;
    first += rows;
  } while (first < x.rows());
  return kSuccess;
}

/// How much memory the two take, one after the other.
template <int Parts>
std::size_t integer_gradients_bytes(std::size_t batch, std::size_t in, std::size_t out) {
  Pieces input, weights;
  FixedProduct<Parts>(batch, in, out, input);
  FixedProduct<Parts>(out, in, std::min(batch, kMostSplitDepth), weights);
  return std::max(input.used(), weights.used());
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
