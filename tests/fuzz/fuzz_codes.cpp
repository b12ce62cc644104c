// Coded weights and the calls with them: codes, scales and sums are the rule's, outputs of floats
// and of codes the oracle's, and what is refused has written nothing.
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include <lumina/fused_gemm.hpp>
#include <lumina/reference_weights.hpp>
#include <lumina/weight_noise.hpp>

#include "support/check.hpp"
#include "support/input.hpp"
#include "support/problem.hpp"
#include "support/stages.hpp"

namespace {

using fuzz::Input;
using fuzz::require;
using lumina::MatrixView;
using test::TestMatrix;
using test::TestMatrixOf;

/// Codes and scales as the oracle takes them.
struct PlainCodes {
  lumina::Matrix<std::int8_t> codes;
  std::vector<float> row_scales;

  std::int32_t code(std::size_t row, std::size_t col) const { return codes(row, col); }
  std::span<const float> scales() const { return row_scales; }
};

/// How weights become codes.
struct Encoding {
  enum class Scales { per_output, per_matrix, given };
  enum class Noise { none, additive, multiplicative, drop };

  Scales how;
  Noise noise;
  int bits;  ///< chosen at run time, where it is not the type's
  float strength;
  lumina::NoiseKey key;
  std::vector<float> given;
  bool given_valid;

  Encoding(Input& input, std::size_t out, int most_bits)
      : how(input.one_of(std::array{Scales::per_output, Scales::per_matrix, Scales::given})),
        noise(input.one_of(std::array{Noise::none, Noise::none, Noise::additive,
                                      Noise::multiplicative, Noise::drop})),
        bits(most_bits),
        strength(input.rarely(16) ? input.any_float() : static_cast<float>(input.byte()) / 256.0f),
        key(fuzz::noise_key(input)),
        given(out + (input.rarely(64) ? 1 : 0)),
        given_valid(given.size() == out) {
    if (input.flag()) bits = static_cast<int>(input.byte() % 10);
    if (most_bits != 8) noise = Noise::none;  // noisy weights are held in 8 bits
    for (float& scale : given) {
      scale =
          input.rarely(128) ? input.any_float() : 0x1p-7f * static_cast<float>(input.byte() + 1);
      given_valid = given_valid && scale > 0.0f && scale <= test::kLargest;
    }
    fuzz::note("scales", static_cast<int>(how));
    fuzz::note("noise", static_cast<int>(noise));
    fuzz::note("weights' bits", bits);
    fuzz::note("weight noise", strength);
  }

  bool valid(int most_bits, float largest) const {
    if (bits < 2 || bits > most_bits) return false;
    if (!(largest <= test::kLargest)) return false;
    if (how == Scales::given && !given_valid) return false;
    switch (noise) {
      case Noise::none:
        return true;
      case Noise::drop:
        return strength >= 0.0f && strength < 1.0f;
      default:
        return fuzz::strength_valid(strength) && strength * largest <= test::kLargest;
    }
  }

  /// encode_weights.
  template <int Bits>
  void run(MatrixView<const float> w, lumina::CodedWeights<Bits>& coded) const {
    const auto encode = [&](const auto&... arguments) {
      if (how == Scales::given) {
        lumina::encode_weights(w, coded, arguments..., std::span<const float>(given));
      } else {
        lumina::encode_weights(w, coded, arguments...,
                               how == Scales::per_matrix ? lumina::WeightScale::per_matrix
                                                         : lumina::WeightScale::per_output);
      }
    };
    const auto with_bits = [&](const auto&... arguments) {
      if (bits == Bits) return encode(arguments...);
      encode(bits, arguments...);
    };
    if constexpr (Bits != 8) {
      with_bits();
    } else if (noise == Noise::additive) {
      with_bits(lumina::AdditiveWeightNoise{strength}, key);
    } else if (noise == Noise::multiplicative) {
      with_bits(lumina::MultiplicativeWeightNoise{strength}, key);
    } else if (noise == Noise::drop) {
      with_bits(lumina::DropConnect{strength}, key);
    } else {
      with_bits();
    }
  }

  /// What they become.
  PlainCodes expected(MatrixView<const float> w) const {
    std::vector<float> scales(w.rows());
    for (std::size_t row = 0; row < w.rows(); ++row) {
      const std::size_t first = how == Scales::per_matrix ? 0 : row;
      const std::size_t end = how == Scales::per_matrix ? w.rows() : row + 1;
      scales[row] = how == Scales::given ? given[row] : scale_for(largest(w, first, end));
    }
    lumina::reference::SymmetricCodes codes = codes_at(w, scales);
    PlainCodes result{{w.rows(), w.cols()}, std::move(codes.scales)};
    for (std::size_t row = 0; row < w.rows(); ++row) {
      for (std::size_t col = 0; col < w.cols(); ++col) {
        result.codes(row, col) = static_cast<std::int8_t>(codes.codes(row, col));
      }
    }
    return result;
  }

  static float largest(MatrixView<const float> w, std::size_t first, std::size_t end) {
    float result = 0.0f;
    for (std::size_t row = first; row < end; ++row) {
      for (std::size_t col = 0; col < w.cols(); ++col) {
        const float magnitude = std::fabs(w(row, col));
        if (!(magnitude <= test::kLargest)) return test::kNaN;
        result = std::fmax(result, magnitude);
      }
    }
    return result;
  }

 private:
  /// The smallest denormal instead of a scale of 0; finite codes.
  float scale_for(float limit) const {
    const int max_code = (1 << (bits - 1)) - 1;
    if (limit == 0.0f) return 0.0f;
    auto step = static_cast<float>(static_cast<double>(limit) / max_code);
    if (std::isinf(step * static_cast<float>(max_code))) step = std::nextafter(step, 0.0f);
    return std::fmax(step, test::kDenormal);
  }
  lumina::reference::SymmetricCodes codes_at(MatrixView<const float> w,
                                             const std::vector<float>& scales) const {
    using namespace lumina;
    switch (noise) {
      case Noise::additive:
        return reference::encode_noisy(w, bits, scales, AdditiveWeightNoise{strength}, key);
      case Noise::multiplicative:
        return reference::encode_noisy(w, bits, scales, MultiplicativeWeightNoise{strength}, key);
      case Noise::drop:
        return reference::encode_noisy(w, bits, scales, DropConnect{strength}, key);
      default: {
        reference::SymmetricCodes result{Matrix<std::int32_t>(w.rows(), w.cols()), scales};
        for (std::size_t row = 0; row < w.rows(); ++row) {
          for (std::size_t col = 0; col < w.cols(); ++col) {
            result.codes(row, col) = reference::encode_symmetric(w(row, col), scales[row], bits);
          }
        }
        return result;
      }
    }
  }
};

template <int Bits>
void require_codes(const lumina::CodedWeights<Bits>& coded, const PlainCodes& expected,
                   const char* what) {
  require(coded.rows() == expected.codes.rows() && coded.cols() == expected.codes.cols(), what);
  fuzz::require_same(test::difference(coded.codes(), expected.codes), what);
  fuzz::require_same(test::difference(coded.scales(), expected.scales()), what);
  for (std::size_t row = 0; row < coded.rows(); ++row) {
    std::int32_t sum = 0;
    for (std::size_t col = 0; col < coded.cols(); ++col) sum += expected.code(row, col);
    require(coded.view().code_sums()[row] == sum, "sums of codes");
  }
}

/// x of X [batch, in], y of Y [batch, out].
/// `Workspaces`: with SerialIn too, which compiles all of it again.
template <int Bits, class X, class Y, bool Workspaces>
struct Problem {
  fuzz::Dimensions shape;
  TestMatrixOf<X> x;
  TestMatrix w;
  TestMatrixOf<Y> y;
  lumina::NoiseKey key;
  lumina::RuntimeQuantizer dac;
  fuzz::OnError how;
  std::size_t x_cols, y_rows;  ///< of the call: those of the problem, or wrong ones

  explicit Problem(Input& input)
      : shape(fuzz::dimensions(input, 67000, std::size_t{1} << 22)),
        x(shape.batch, shape.in, shape.in + fuzz::gap(input)),
        w(fuzz::matrix(input, shape.out, shape.in)),
        y(shape.batch, shape.out, shape.out + fuzz::gap(input)),
        key(fuzz::noise_key(input)),
        dac(fuzz::converter(input, input.rarely(32) ? 16 : 8)),
        how(input.flag() ? fuzz::OnError::throws : fuzz::OnError::returns),
        x_cols(shape.in - (input.rarely(50) && shape.in > 0 ? 1 : 0)),
        y_rows(shape.batch - (input.rarely(50) && shape.batch > 0 ? 1 : 0)) {
    if constexpr (std::is_same_v<X, float>) {
      x.fill(fuzz::Numbers(input));
      fuzz::patch(input, x);
    } else {
      test::Engine engine(input.byte());
      x.fill([&] { return static_cast<X>(engine()); });
    }
    fuzz::note("dac", dac.bits());
    fuzz::note("x_cols", x_cols);
    fuzz::note("y_rows", y_rows);
  }

  bool valid() const {
    return x_cols == shape.in && y_rows == shape.batch && dac.bits() <= 8 &&
           shape.in <= lumina::kMostCodedInputs;
  }

  template <class Weights, class Stages, class Executor>
  std::size_t call(const Weights& weights, const Stages& stages, const Executor& executor) {
    const MatrixView<const X> inputs(x.constant().data(), shape.batch, x_cols,
                                     x.constant().row_stride());
    const MatrixView<Y> outputs(y.view().data(), y_rows, shape.out, y.view().row_stride());
    return fuzz::reports_of(
        how, [&] { lumina::fused_gemm(inputs, dac, weights, outputs, stages, key, executor); });
  }

  template <class Stages>
  void check(Input& input, const lumina::CodedWeights<Bits>& coded, const PlainCodes& plain,
             const Stages& stages, bool stages_valid) {
    bool right = valid() && stages_valid, perhaps = false;
    std::size_t reports = 0;
    const bool computes = shape.batch != 0 && shape.out != 0;
    switch (input.byte() % 3) {
      case 0:
        reports = call(coded, stages, fuzz::AnyOrder{input.byte()});
        break;
      case 1:
        if constexpr (Workspaces) {
          fuzz::Workspace workspace(input, lumina::coded_workspace_bytes(shape.batch, shape.in));
          perhaps = right && computes && workspace.aligned() && !workspace.surely_enough();
          right = right && (!computes || workspace.aligned());
          reports = call(coded, stages, workspace.executor());
          break;
        }
        [[fallthrough]];
      default:
        reports = call_with_borrowed_weights(input, coded, stages, right);
    }
    if (!perhaps) require((reports != 0) == !right, "what is wrong, and only that, is refused");
    require(y.gaps_untouched(), "nobody writes between rows");
    if (reports != 0) {
      require(y.untouched(), "a refused call has written nothing");
      return;
    }
    // Codes of the inputs, once for all outputs.
    TestMatrixOf<std::uint8_t> codes(shape.batch, shape.in);
    for (std::size_t row = 0; row < shape.batch; ++row) {
      for (std::size_t k = 0; k < shape.in; ++k) {
        // Counted from the lowest one.
        const std::int64_t code = lumina::reference::input_code(x(row, k), dac);
        codes(row, k) = static_cast<std::uint8_t>(code - dac.lowest());
      }
    }
    TestMatrixOf<Y> expected(shape.batch, shape.out);
    lumina::reference::fused_gemm(codes.constant(), dac, plain, expected.view(), stages, key);
    fuzz::require_same(test::difference(y, expected), "y is the oracle's");
  }

  /// Weights in other memory, of exactly the size that they need, at cache lines or somewhat
  /// behind.
  template <class Stages>
  std::size_t call_with_borrowed_weights(Input& input, const lumina::CodedWeights<Bits>& coded,
                                         const Stages& stages, bool& right) {
    const lumina::CodedWeightsView<Bits> view = coded.view();
    const std::size_t words = lumina::coded_word_count<Bits>(shape.out, shape.in);
    const std::size_t outputs = lumina::padded_outputs(shape.out);
    const std::size_t shift = input.rarely(16) ? 4 : 0;
    fuzz::Memory word_memory(words * 4, 0), scale_memory(outputs * 4, shift),
        sum_memory(outputs * 4, 0);
    const auto copied = [](std::span<std::byte> to, const auto* from, std::size_t count) {
      if (count != 0) std::memcpy(to.data(), from, count * 4);
      std::memset(to.data() + count * 4, 0, to.size() - count * 4);
      return std::span(
          reinterpret_cast<std::remove_const_t<std::remove_pointer_t<decltype(from)>>*>(to.data()),
          to.size() / 4);
    };
    const lumina::CodedWeightsView<Bits> borrowed(
        shape.out, shape.in, copied(word_memory.bytes(), view.words().data(), view.words().size()),
        copied(scale_memory.bytes(), view.scales().data(), shape.out),
        copied(sum_memory.bytes(), view.code_sums().data(), shape.out));
    right = right && shift == 0;
    return call(borrowed, stages, fuzz::AnyOrder{input.byte()});
  }
};

template <int Bits, class X, class Y, bool Workspaces = false>
void check(Input& input) {
  Problem<Bits, X, Y, Workspaces> problem(input);
  const Encoding encoding(input, problem.shape.out, Bits);
  const float largest = Encoding::largest(problem.w, 0, problem.shape.out);

  // Into weights that hold others, which stay where there is an error.
  lumina::CodedWeights<Bits> coded;
  const PlainCodes before{{3, 2}, {0.0f, 0.0f, 0.0f}};
  lumina::encode_weights(lumina::Matrix<float>(3, 2), coded);
  const std::size_t reports =
      fuzz::reports_of(problem.how, [&] { encoding.run<Bits>(problem.w, coded); });
  require((reports != 0) == !encoding.valid(Bits, largest),
          "weights that have no codes, and only those, are refused");
  if (reports != 0) return require_codes(coded, before, "refused weights change nothing");
  const PlainCodes plain = encoding.expected(problem.w);
  require_codes(coded, plain, "codes are the rule's");

  using namespace lumina;
  fuzz::StageParameters stages(input, problem.shape.out);
  const bool adc_fits =
      std::is_same_v<Y, float> ||
      (stages.adc.bits() <= std::numeric_limits<Y>::digits && !stages.adc.is_symmetric());
  problem.check(
      input, coded, plain,
      epilogue(AddBias{stages.columns()}, Attenuation{stages.factor}, ShotNoise{stages.shot},
               GaussianNoise{stages.gaussian}, stages.picky, Relu{}, stages.adc),
      stages.valid && adc_fits);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::notes.clear();
  Input input(data, size);
  const std::uint8_t form = input.byte() % 5;
  fuzz::note("form", form);
  switch (form) {
    case 0:
      check<8, float, float, true>(input);
      break;
    case 1:
      check<4, std::uint8_t, float>(input);
      break;
    case 2:
      check<2, float, std::uint8_t, true>(input);
      break;
    case 3:
      check<6, std::uint8_t, std::uint16_t>(input);
      break;
    default:
      check<3, float, float>(input);
  }
  return 0;
}
