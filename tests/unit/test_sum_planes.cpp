// The extra sums of a panel (detail/kernels/sum_planes.hpp) against plain loops over 64-bit
// integers: exact, whatever the set, the stored bits, the shape.
#include <lumina/detail/kernels/plane_dot.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <lumina/coded_weights.hpp>
#include <lumina/detail/epilogue/plane_sums.hpp>
#include <lumina/detail/kernels/matrix_unit.hpp>
#include <lumina/detail/kernels/plane_kernel.hpp>
#include <lumina/detail/packing/panel_sums.hpp>
#include <lumina/detail/rows/encoded_planes.hpp>
#include <lumina/reference_sums.hpp>

#include "support/catch.hpp"
#include "support/coded_problem.hpp"
#include "support/emulated_matrix_unit.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace lumina::detail;
using namespace test;

namespace {

constexpr int kBias = Native::Codes::input_bias;
/// The emulated unit reads codes as bytes; some architectures want theirs otherwise.
constexpr bool kCodesAreBytes = std::is_same_v<Native::Codes::Input, std::uint8_t> && kBias == 0;

// --- what is meant, in plain loops -------------------------------------------------------------

enum class Sum { product, magnitudes, squared_inputs, squares, positions };

/// The sums of a set, in the order of their planes.
std::vector<Sum> sums_in(unsigned set) {
  std::vector<Sum> sums{Sum::product};
  if ((set & 8) != 0) sums.push_back(Sum::positions);
  if ((set & 1) != 0) sums.push_back(Sum::magnitudes);
  if ((set & 2) != 0) sums.push_back(Sum::squared_inputs);
  if ((set & 4) != 0) sums.push_back(Sum::squares);
  return sums;
}

/// Of a code, counted from the lowest one.
std::int64_t input_of(Sum sum, const UniformQuantizer& dac, std::int32_t code) {
  if (sum == Sum::product) return code;
  const double range = std::max(std::abs(double{dac.lo()}), std::abs(double{dac.hi()}));
  const double first = double{dac.offset()} + double{dac.step()} * dac.lowest();
  const double factor = sum == Sum::magnitudes ? 255.0 : std::sqrt(255.0);
  const float v =
      std::fma(static_cast<float>(code), static_cast<float>(factor * (dac.step() / range)),
               static_cast<float>(factor * (first / range)));
  // A product of floats is exact in double.
  const double exact = sum == Sum::magnitudes ? std::abs(double{v}) : double{v} * double{v};
  return static_cast<std::int64_t>(std::nearbyint(exact));
}
/// Of the k-th of n inputs: 1 − (1 − k/n)² of what the code stands for, in 127ths, less the bias.
std::int64_t input_by_position(const UniformQuantizer& dac, std::int32_t code, std::size_t k,
                               std::size_t n) {
  const double range = std::max(std::abs(double{dac.lo()}), std::abs(double{dac.hi()}));
  const double first = double{dac.offset()} + double{dac.step()} * dac.lowest();
  const float v =
      std::fma(static_cast<float>(code), static_cast<float>(127.0 * (dac.step() / range)),
               static_cast<float>(127.0 * (first / range)));
  const float far = std::fma(static_cast<float>(k), -1.0f / static_cast<float>(n), 1.0f);
  const double exact = double{v} * double{std::fma(-far, far, 1.0f)};
  return static_cast<std::int64_t>(std::nearbyint(static_cast<float>(exact))) + 128;
}
/// Of a code in so many stored bits, which lies at the upper end of its byte.
std::int64_t weight_of(Sum sum, int stored_bits, std::int32_t code) {
  const std::int64_t byte = code * (1 << (8 - stored_bits));
  if (sum == Sum::product || sum == Sum::positions) return byte;
  return sum == Sum::squares ? (byte * byte + 64) / 128 : std::abs(byte);
}

template <class X>
std::int32_t code_of(const UniformQuantizer& dac, X x) {
  if constexpr (std::is_same_v<X, std::uint8_t>) {
    return x;
  } else {
    return static_cast<std::int32_t>(dac.encode(x));
  }
}

// --- a layer ------------------------------------------------------------------------------------

struct Layer {
  std::size_t batch, in, out;
  std::size_t first_input = 0;  ///< of x, which has three more than these behind them
};

/// Up to 128 outputs, whose weights are codes: every scale is 1.
template <int Bits, class X>
struct CodedLayer {
  static constexpr int kStored = CodedWeights<Bits>::stored_bits;

  Layer shape;
  RuntimeQuantizer dac;
  TestMatrixOf<X> x;
  TestMatrix w;
  CodedWeights<Bits> weights;

  CodedLayer(Engine& engine, const Layer& layer, const RuntimeQuantizer& converter)
      : shape(layer),
        dac(converter),
        x(layer.batch, layer.first_input + layer.in + 3),
        w(layer.out, layer.in) {
    constexpr std::size_t top = CodedWeights<Bits>::max_code;
    x.fill([&] { return draw_input(engine, dac, X{}); });
    w.fill(
        [&] { return static_cast<float>(integer(engine, 0, 2 * top)) - static_cast<float>(top); });
    encode();
  }
  void encode() { weights = encode_weights<Bits>(w, std::vector<float>(shape.out, 1.0f)); }

  Range inputs() const { return {shape.first_input, shape.in}; }
  std::int32_t x_code(std::size_t row, std::size_t k) {
    return code_of(dac, x(row, shape.first_input + k));
  }
  std::int64_t sum(Sum which, std::size_t row, std::size_t column) {
    std::int64_t result = 0;
    for (std::size_t k = 0; k < shape.in; ++k) {
      result += weight_of(which, kStored, static_cast<std::int32_t>(w(column, k))) *
                (input_of(which, dac, x_code(row, k)) - kBias);
    }
    return result;
  }
  /// The same of all, faster: [virtual row][column].
  std::vector<std::int32_t> sums(unsigned set) {
    const std::vector<Sum> planes = sums_in(set);
    std::vector<std::int32_t> result(shape.batch * planes.size() * kBlockColumns);
    std::vector<std::int32_t> factors(shape.in * shape.out);
    for (std::size_t p = 0; p < planes.size(); ++p) {
      std::int32_t of_code[256];
      for (int code = 0; code < 256; ++code) {
        of_code[code] = static_cast<std::int32_t>(input_of(planes[p], dac, code)) - kBias;
      }
      for (std::size_t k = 0; k < shape.in; ++k) {
        for (std::size_t column = 0; column < shape.out; ++column) {
          factors[k * shape.out + column] = static_cast<std::int32_t>(
              weight_of(planes[p], kStored, static_cast<std::int32_t>(w(column, k))));
        }
      }
      for (std::size_t row = 0; row < shape.batch; ++row) {
        std::int32_t* const to = &result[(row * planes.size() + p) * kBlockColumns];
        for (std::size_t k = 0; k < shape.in; ++k) {
          std::int32_t input = of_code[x_code(row, k)];
          if (planes[p] == Sum::positions) {
            input = static_cast<std::int32_t>(input_by_position(dac, x_code(row, k), k, shape.in)) -
                    kBias;
          }
          for (std::size_t column = 0; column < shape.out; ++column) {
            to[column] += input * factors[k * shape.out + column];
          }
        }
      }
    }
    return result;
  }
};

/// Memory that begins at a cache line.
template <class T>
AlignedBuffer<T> buffer(std::size_t size) {
  AlignedBuffer<T> result;
  REQUIRE(result.grow_to(size));
  std::fill_n(result.data(), size, T(0x55));
  return result;
}

/// What the kernel K makes of the problem: [virtual row][128 columns]. `cut`: inputs after which it
/// continues sums.
template <class K, unsigned Set, int Bits, class X>
AlignedBuffer<std::int32_t> multiplied(CodedLayer<Bits, X>& problem, std::size_t cut) {
  constexpr std::size_t planes = plane_count(Set);
  const auto [batch, in, out, first_input] = problem.shape;
  const EncodedPlanes<Native, X, Set> source(problem.x.constant(), problem.dac, problem.inputs());
  auto sums = buffer<std::int32_t>(batch * planes * kBlockColumns);
  Prefetcher none;
  const Ahead ahead{reinterpret_cast<const char*>(sums.data()), 0, 0, 0, true, false, &none};
  for (std::size_t begin = 0; begin == 0 || begin < in; begin += cut) {
    const Range part{first_input + begin, std::min(cut, in - begin)};
    const std::size_t stride = round_up(std::max<std::size_t>(part.size, 1), kCacheLine);
    auto rows = buffer<typename K::Input>(batch * planes * stride);
    source.read({0, batch}, part, rows.data(), stride);
    const auto panels = problem.weights.panels();
    const std::size_t first_word =
        begin / kCodesPerWord<CodedLayer<Bits, X>::kStored> * kPanelColumns;
    const typename K::Session session(batch * planes);
    K::multiply({rows.data(), stride, batch * planes, part.size},
                PanelView<std::int32_t>{panels.words + first_word,
                                        panels.panel_size,
                                        {0, panel_count(out) * kPanelColumns},
                                        true},
                {sums.data(), kBlockColumns}, begin != 0, ahead);
  }
  return sums;
}

template <class K, unsigned Set, int Bits, class X>
void check_kernel(Engine& engine, const Layer& layer, const RuntimeQuantizer& dac,
                  std::size_t cut = 4096) {
  CodedLayer<Bits, X> problem(engine, layer, dac);
  const auto sums = multiplied<K, Set>(problem, cut);
  const std::vector<std::int32_t> expected = problem.sums(Set);
  std::size_t different = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (i % kBlockColumns < layer.out) different += sums.data()[i] != expected[i];
  }
  CAPTURE(Set, Bits, sizeof(X), layer.batch, layer.in, layer.out, dac.lo(), dac.hi());
  REQUIRE(different == 0);
}

RuntimeQuantizer any_dac(Engine& engine) {
  switch (integer(engine, 0, 5)) {
    case 0:
      return RuntimeQuantizer::symmetric(8, 1.1f);
    case 1:
      return RuntimeQuantizer::symmetric(static_cast<int>(integer(engine, 2, 7)), 3e-7f);
    case 2:
      return {8, 0.0f, 1.0f};
    case 3:
      return {8, -1.0f, 3.0f};
    case 4:
      return {4, -2e9f, 1e9f};
    default:
      return {static_cast<int>(integer(engine, 1, 8)), 0.25f, 0.75f};
  }
}

template <unsigned Set, int Bits>
void check_set(Engine& engine, std::size_t depth_step) {
  using K = PlaneKernel<CodeDot<Native, stored_bits(Bits)>, Set>;
  // (One type of x for each set: compilers take long for all.)
  using X = std::conditional_t<(Set & kSquareSums) != 0, std::uint8_t, float>;
  const auto out = [&] { return integer(engine, 1, kBlockColumns); };
  for (std::size_t batch = 1; batch <= 26; ++batch) {
    const std::size_t rows = batch <= 25 ? batch : 48;
    const Layer layer{rows, integer(engine, 1, 90), out(), integer(engine, 0, 5)};
    check_kernel<K, Set, Bits, X>(engine, layer, any_dac(engine));
  }
  for (std::size_t in = 1; in <= 300; in += depth_step) {
    const Layer layer{integer(engine, 1, 7), in, out(), integer(engine, 0, 70)};
    check_kernel<K, Set, Bits, X>(engine, layer, any_dac(engine));
  }
  for (const std::size_t rows : {5u, 29u}) {
    check_kernel<K, Set, Bits, X>(engine, {rows, 300, 97}, any_dac(engine), 64);  // sums continue
    check_kernel<K, Set, Bits, X>(engine, {rows, 700, 70}, any_dac(engine));
    check_kernel<K, Set, Bits, X>(engine, {rows, 0, 40}, any_dac(engine));
  }
}

/// On the emulated unit, where it reads what the architecture has as codes.
template <unsigned Set, int Bits>
void check_unit(Engine& engine) {
  if constexpr (kCodesAreBytes) {
    using Dot = PlaneDot<CodeDot<Native, stored_bits(Bits)>, Set>;
    using K = MatrixUnitKernel<typename OnUnit<Dot>::type, EmulatedUnit>;
    STATIC_REQUIRE(K::blocks.max_chunk_rows() == kUnitRows * plane_count(Set));
    for (const std::size_t batch : {1u, 5u, 16u, 17u, 32u}) {
      for (const std::size_t in : {0u, 1u, 63u, 64u, 65u, 200u}) {
        const Layer layer{batch, in, integer(engine, 1, kBlockColumns)};
        check_kernel<K, Set, Bits, std::uint8_t>(engine, layer, any_dac(engine));
      }
    }
    check_kernel<K, Set, Bits, std::uint8_t>(engine, {20, 300, 97, 3}, any_dac(engine), 128);
  }
}

}  // namespace

TEST_CASE("Planes come in the order of their sums", "[sum_planes]") {
  for (unsigned set = 0; set <= (kAllExtraSums | kPositionSums); ++set) {
    const std::vector<Sum> sums = sums_in(set);
    REQUIRE(plane_count(set) == sums.size());
    for (std::size_t plane = 1; plane < sums.size(); ++plane) {
      const unsigned sum = 1u << (static_cast<unsigned>(sums[plane]) - 1);
      CHECK(sum_of_plane(set, plane) == sum);
      CHECK(plane_of(set, sum) == plane);
    }
    CHECK(sum_of_plane(set, 0) == 0);
  }
}

TEST_CASE("Extra sums of codes in 8 bits are exact", "[sum_planes]") {
  Engine engine(1);
  check_set<kMagnitudeSums, 8>(engine, 29);
  check_set<kSquaredInputSums, 8>(engine, 1);
  check_set<kMagnitudeSums | kSquaredInputSums, 8>(engine, 23);
  check_set<kSquareSums, 8>(engine, 29);
  check_set<kMagnitudeSums | kSquareSums, 8>(engine, 29);
  check_set<kSquaredInputSums | kSquareSums, 8>(engine, 29);
  check_set<kAllExtraSums, 8>(engine, 7);
}

TEST_CASE("Sums by position are exact", "[sum_planes]") {
  Engine engine(9);
  check_set<kPositionSums | kMagnitudeSums, 8>(engine, 29);
  check_set<kPositionSums | kMagnitudeSums, 2>(engine, 29);
  check_unit<kPositionSums | kMagnitudeSums, 8>(engine);
  check_unit<kPositionSums | kMagnitudeSums, 4>(engine);
}

TEST_CASE("Extra sums of codes in 4 and 2 bits are exact", "[sum_planes]") {
  Engine engine(2);
  check_set<kSquaredInputSums, 4>(engine, 5);
  check_set<kAllExtraSums, 4>(engine, 11);
  check_set<kAllExtraSums, 2>(engine, 11);
}

TEST_CASE("Extra sums of the largest codes do not saturate", "[sum_planes]") {
  // Every pattern of signs in neighbouring products: pairs and fours are where kernels add first.
  using K = PlaneKernel<CodeDot<Native, 8>, kAllExtraSums>;
  Engine engine(3);
  CodedLayer<8, std::uint8_t> problem(engine, {60, 300, 16}, Quantizer<8>(0.0f, 1.0f));
  problem.x.fill([] { return std::uint8_t{255}; });
  for (std::size_t pattern = 0; pattern < 16; ++pattern) {
    for (std::size_t k = 0; k < 300; ++k) {
      problem.w(pattern, k) = (pattern >> k % 4 & 1) != 0 ? 127.0f : -127.0f;
    }
  }
  problem.encode();
  for (const std::size_t rows : {1u, 60u}) {
    problem.shape.batch = rows;
    const auto sums = multiplied<K, kAllExtraSums>(problem, 4096);
    for (std::size_t column = 0; column < 16; ++column) {
      for (std::size_t plane = 0; plane < 4; ++plane) {
        const Sum which = sums_in(kAllExtraSums)[plane];
        const std::int64_t exact = problem.sum(which, rows - 1, column);
        CHECK(sums.data()[(4 * (rows - 1) + plane) * kBlockColumns + column] == exact);
      }
    }
  }
}

TEST_CASE("Extra sums on a matrix unit are exact", "[sum_planes]") {
  Engine engine(4);
  check_unit<kSquaredInputSums, 8>(engine);
  check_unit<kAllExtraSums, 8>(engine);
  check_unit<kMagnitudeSums | kSquareSums, 4>(engine);
  check_unit<kAllExtraSums, 2>(engine);
}

TEST_CASE("Planes of inputs are the nearest to magnitudes and squares", "[sum_planes]") {
  Engine engine(5);
  for (int i = 0; i < 200; ++i) {
    const RuntimeQuantizer dac = any_dac(engine);
    const InputPlanes planes(dac);
    const double range = std::max(std::abs(dac.lo()), std::abs(dac.hi()));
    for (std::uint32_t code = 0; code <= dac.max_code(); ++code) {
      const double x = dac.decode(code) / range;
      CHECK(std::abs(planes.magnitude(code) - std::abs(x) * 255.0) < 0.5001);
      CHECK(std::abs(planes.square(code) - x * x * 255.0) < 0.5001);
      CHECK(planes.magnitude(code) <= 255);
      CHECK(planes.square(code) <= 255);
    }
  }
  // 0 of a symmetric DAC is 0 here too.
  const InputPlanes planes(SymmetricQuantizer<8>(2.0f));
  CHECK(planes.magnitude(127) == 0);
  CHECK(planes.square(127) == 0);
  CHECK(planes.square(0) == 255);
  CHECK(planes.square(254) == 255);
}

TEST_CASE("Rows may have DACs of their own, and sums of their squares", "[sum_planes]") {
  Engine engine(6);
  constexpr unsigned kSet = kMagnitudeSums | kSquareSums;
  const auto check = [&]<class X>(X) {
    for (const std::size_t in : {0u, 1u, 64u, 65u, 300u}) {
      constexpr std::size_t batch = 5, first = 7;
      const std::size_t stride = round_up(in, kCacheLine) + kCacheLine;
      std::vector<RuntimeQuantizer> dacs;
      TestMatrixOf<X> x(batch + 2, first + in + 1);
      for (std::size_t row = 0; row < batch + 2; ++row) {
        dacs.push_back(any_dac(engine));
        for (std::size_t k = 0; k < first + in + 1; ++k) {
          x(row, k) = draw_input(engine, dacs[row], X{});
        }
      }
      const auto dac_of = [&](std::size_t row) { return dacs[row]; };
      using Source = EncodedPlanes<Native, X, kSet>;
      const Source source(x.constant(), dacs[0]);
      auto rows = buffer<typename Source::Element>(3 * batch * stride);
      auto own = buffer<typename Source::Element>(3 * stride);
      std::vector<std::uint32_t> squares(batch);
      source.read({2, batch}, {first, in}, rows.data(), stride, dac_of, squares.data());
      for (std::size_t row = 0; row < batch; ++row) {
        Source(x.constant(), dacs[row + 2]).read({row + 2, 1}, {first, in}, own.data(), stride);
        std::int64_t sum = 0;
        for (std::size_t k = 0; k < in; ++k) {
          const std::int32_t code = code_of(dacs[row + 2], x(row + 2, first + k));
          sum += input_of(Sum::squares, dacs[row + 2], code);
        }
        CHECK(std::equal(own.data(), own.data() + 3 * stride, rows.data() + 3 * row * stride));
        CHECK(squares[row] == sum);
      }
    }
  };
  check(1.0f);
  check(std::uint8_t{1});
}

TEST_CASE("Extra sums become floats in units of weights and inputs", "[sum_planes]") {
  Engine engine(7);
  const auto check = [&]<int Bits>() {
    constexpr int kStored = stored_bits(Bits);
    using K = PlaneKernel<CodeDot<Native, kStored>, kAllExtraSums>;
    const Layer layer{3, 77, 128};
    CodedLayer<Bits, float> problem(engine, layer, Quantizer<8>(-1.0f, 3.0f));
    const auto sums = multiplied<K, kAllExtraSums>(problem, 4096);
    auto magnitude_sums = buffer<std::int32_t>(kBlockColumns);
    auto square_sums = buffer<std::int32_t>(kBlockColumns);
    for (std::size_t panel = 0; panel < 4; ++panel) {
      store_panel_sums<kStored>(problem.weights.panel(panel), problem.weights.steps(),
                                magnitude_sums.data() + panel * kPanelColumns,
                                square_sums.data() + panel * kPanelColumns);
    }
    constexpr float code_value = 1.0f / static_cast<float>(CodedWeights<Bits>::max_code);
    using Sums = PlaneSums<Native, kStored, kAllExtraSums>;
    const auto values = Sums(code_value, magnitude_sums.data(), square_sums.data()).values(0);
    using Floats = typename Sums::Values::Floats;
    std::vector<std::uint8_t> x(layer.in);
    std::vector<std::int32_t> w(layer.in);
    for (std::size_t row = 0; row < layer.batch; ++row) {
      for (std::size_t k = 0; k < layer.in; ++k) {
        x[k] = static_cast<std::uint8_t>(problem.x_code(row, k));
      }
      const std::int32_t* const of_row = sums.data() + row * 4 * kBlockColumns;
      for (std::size_t column = 0; column < kBlockColumns; ++column) {
        double exact = 0.0;
        for (std::size_t k = 0; k < layer.in; ++k) {
          w[k] = static_cast<std::int32_t>(problem.w(column, k));
          exact += std::abs(w[k] * double{code_value}) *
                   std::abs(problem.dac.decode(x[k]) / problem.dac.hi());
        }
        const auto lane = [&]<unsigned S>() {
          const std::size_t in_vector = column % Floats::size;
          alignas(kCacheLine) float lanes[Floats::size];
          values.template value<S>(of_row, kBlockColumns, column - in_vector).store_aligned(lanes);
          return lanes[in_vector];
        };
        const reference::ExtraSums expected =
            reference::extra_sums(x.data(), w.data(), layer.in, problem.dac, code_value, kStored);
        REQUIRE(lane.template operator()<kMagnitudeSums>() == expected.magnitudes);
        REQUIRE(lane.template operator()<kSquaredInputSums>() == expected.squared_inputs);
        REQUIRE(lane.template operator()<kSquareSums>() == expected.squares);
        REQUIRE(expected.magnitudes == Approx(exact).epsilon(0.01));  // in the units that are meant
        REQUIRE(expected.squared_inputs <= expected.magnitudes * 1.01f);
        REQUIRE(expected.squares <= expected.squared_inputs * 1.01f);
      }
    }
    for (std::size_t column = 0; column < kBlockColumns; ++column) {
      std::int64_t magnitudes = 0, squares = 0;
      for (std::size_t k = 0; k < layer.in; ++k) {
        const auto code = static_cast<std::int32_t>(problem.w(column, k));
        magnitudes += std::abs(code);
        squares += weight_of(Sum::squares, kStored, code);
      }
      REQUIRE(magnitude_sums.data()[column] == magnitudes);
      REQUIRE(square_sums.data()[column] == squares);
    }
  };
  check.operator()<8>();
  check.operator()<4>();
  check.operator()<2>();
}

TEST_CASE("Rounding squares to 8 bits changes a deviation by a percent at most", "[sum_planes]") {
  // σ = √(Σŵ²x̂²) of 64 to 1024 inputs, weights uniform or as a trained layer has them, inputs too.
  Engine engine(8);
  const SymmetricQuantizer<8> dac(1.0f);
  const InputPlanes planes(dac);
  double total = 0.0, largest = 0.0;
  constexpr int kTrials = 400;
  for (int trial = 0; trial < kTrials; ++trial) {
    const std::size_t in = integer(engine, 64, 1024);
    const int powers = trial % 3;  // uniform, its square, its cube: ever more small numbers
    double exact = 0.0, rounded = 0.0;
    for (std::size_t k = 0; k < in; ++k) {
      const float w = uniform(engine, -1.0f, 1.0f), x = uniform(engine, -1.0f, 1.0f);
      const auto code =
          static_cast<std::int32_t>(std::lrint(127 * std::pow(std::abs(w), powers + 1)));
      const std::uint32_t input =
          static_cast<std::uint32_t>(dac.encode(powers == 0 ? x : x * x * x) + 127);
      const double position_x = (static_cast<double>(input) - 127.0) / 127.0;
      exact += code * code * position_x * position_x;
      rounded += rounded_square(code) * 128.0 * planes.square(input) / 255.0;
    }
    const double error = std::abs(std::sqrt(rounded / exact) - 1.0);
    total += error;
    largest = std::max(largest, error);
  }
  CAPTURE(total / kTrials, largest);
  CHECK(total / kTrials < 1e-3);
  CHECK(largest < 0.01);
}
