// Quantizer::apply, in place, against a memory copy of the same size.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <utility>

#include <benchmark/benchmark.h>

#include <lumina/lumina.hpp>

#include "support/contest.hpp"
#include "support/markdown.hpp"
#include "support/random_data.hpp"
#include "support/run.hpp"

namespace {

using lumina::Matrix;

const std::string kCopy = "memcpy to another buffer";

Matrix<float> random_values(std::size_t count) {
  return bench::random_matrix(1, count, -1.2f, 1.2f, 3);
}

/// Work in place on values that have not been quantized before: those would be on the grid already,
/// far from its ties, which a quantizer may treat better than what comes out of a product. So the
/// grid moves from call to call, and every 64th call begins with fresh values, which adds 2 % of a
/// memory copy to the time.
class InPlace {
 public:
  explicit InPlace(std::size_t count)
      : fresh_(random_values(std::min(count, std::size_t{1} << 18))), values_(1, count) {}

  /// The values, ready to be quantized.
  std::span<float> values(std::size_t turn) {
    if (turn % 64 == 0) {
      for (std::size_t i = 0; i < values_.cols(); i += fresh_.cols()) {
        const std::size_t count = std::min(fresh_.cols(), values_.cols() - i);
        std::memcpy(values_.data() + i, fresh_.data(), count * sizeof(float));
      }
    }
    return {values_.data(), values_.cols()};
  }
  /// An upper end of the range near 1: a step of its own for each call.
  static float upper_end(std::size_t turn) {
    constexpr std::array<float, 7> ends{1.0f, 0.962f, 1.031f, 0.987f, 1.043f, 0.951f, 1.018f};
    return ends[turn % ends.size()];
  }

 private:
  Matrix<float> fresh_;
  Matrix<float> values_;
};

/// `work(values, hi)` quantizes to [-1, hi], in place.
template <class Work>
bench::Contestant in_place(const std::string& title, std::size_t count, Work work) {
  return {.title = title, .work = static_cast<double>(count), .prepare = [count, work] {
            return [work, data = std::make_shared<InPlace>(count)](std::size_t turn) {
              work(data->values(turn), InPlace::upper_end(turn));
              benchmark::ClobberMemory();
            };
          }};
}

template <int Bits>
bench::Contestant quantizer(std::size_t count) {
  return in_place(
      "lumina: Quantizer<" + std::to_string(Bits) + ">::apply", count,
      [](std::span<float> values, float hi) { lumina::Quantizer<Bits>(-1.0f, hi).apply(values); });
}

/// As it is usually written, left to the compiler to vectorise.
void quantize_plainly(std::span<float> values, float hi) {
  const float lo = -1.0f, step = (hi - lo) / 255.0f;
  for (float& value : values) {
    const float code = std::nearbyint((value - lo) / step);
    value = lo + step * (code < 0.0f ? 0.0f : code > 255.0f ? 255.0f : code);
  }
}

void quantize_one_by_one(std::span<float> values, float hi) {
  const lumina::Quantizer<8> adc(-1.0f, hi);
  for (float& value : values) value = adc(value);
}

bench::Contestant copy(std::size_t count) {
  return {.title = kCopy, .work = static_cast<double>(count), .prepare = [count] {
            const auto from = std::make_shared<Matrix<float>>(random_values(count));
            const auto to = std::make_shared<Matrix<float>>(*from);
            return [=](std::size_t) {
              std::memcpy(to->data(), from->data(), count * sizeof(float));
              benchmark::ClobberMemory();
            };
          }};
}

void print(const bench::Contest& contest, std::ostream& out) {
  bench::MarkdownTable table(
      {contest.name() + " of floats", "ns per element", "best", "GB/s quantized", "time / memcpy"});
  for (std::size_t i = 0; i < contest.contestants().size(); ++i) {
    const double elements = contest.contestants()[i].work;
    table.add({contest.contestants()[i].title, bench::number(1e9 * contest.median(i) / elements),
               bench::number(1e9 * contest.best(i) / elements),
               bench::number(4e-9 * contest.rate(i)),
               bench::times(contest.time_ratio(i, contest.index(kCopy)))});
  }
  table.print(out);
}

bench::Event event(const std::string& size, std::size_t bytes) {
  const auto contest = std::make_shared<bench::Contest>(size, "elements");
  const std::size_t count = bytes / sizeof(float);
  contest->add(quantizer<4>(count));
  contest->add(quantizer<8>(count));
  contest->add(quantizer<12>(count));
  contest->add(quantizer<16>(count));
  contest->add(in_place("loop of Quantizer<8>::operator()", count, quantize_one_by_one));
  contest->add(in_place("loop of std::nearbyint, 8 bits", count, quantize_plainly));
  contest->add(copy(count));
  return {contest, print};
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run(argc, argv, "Quantizer", "",
                    {event("16 KiB", std::size_t{16} << 10), event("1 MiB", std::size_t{1} << 20),
                     event("64 MiB", std::size_t{64} << 20)});
}
