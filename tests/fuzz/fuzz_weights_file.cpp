// Files of weights, those that save() writes and what becomes of them: a file is refused with one
// report and changes nothing, or it is one that save() writes of what was read.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <lumina/coded_weights.hpp>
#include <lumina/tiled_weights.hpp>
#include <lumina/weights.hpp>
#include <lumina/weights_file.hpp>

#include "support/check.hpp"
#include "support/input.hpp"
#include "support/problem.hpp"
#include "support/weights_file.hpp"

namespace {

using fuzz::Input;
using fuzz::require;
using test::Bytes;

/// Changes of a file: numbers, its length; and its checksums, so that those don't find them.
void damage(Input& input, Bytes& file) {
  for (std::size_t left = input.byte() % 4; left > 0; --left) {
    const std::size_t last = file.size() - 1;
    const std::size_t at = input.flag() ? input.integer(0, 31) * 4 : input.integer(0, last);
    const std::uint32_t value = input.flag() ? input.byte() : input.word();
    for (std::size_t i = 0; i < 4 && at + i <= last; ++i) {
      const auto byte = static_cast<std::byte>(value >> (8 * i) & 0xff);
      file[at + i] = input.flag() ? byte : file[at + i] ^ byte;
    }
  }
  if (input.rarely(6)) file.resize(input.integer(0, std::min<std::size_t>(file.size() + 8, 60000)));
  if (!input.rarely(6)) test::reseal(file);
}

template <int Bits>
void check_codes(const lumina::CodedWeightsView<Bits>& weights) {
  constexpr std::int32_t kMax = lumina::CodedWeights<Bits>::max_code;
  for (std::size_t row = 0; row < weights.rows(); ++row) {
    std::int32_t sum = 0;
    for (std::size_t col = 0; col < weights.cols(); ++col) {
      const std::int32_t code = weights.code(row, col);
      require(code >= -kMax && code <= kMax, "codes are not beyond the largest one");
      sum += code;
    }
    require(weights.code_sums()[row] == sum, "sums are those of the codes");
    require(weights.scales()[row] >= 0.0f && weights.scales()[row] <= test::kLargest,
            "scales are positive, or 0");
  }
}
template <int Bits>
void check_codes(const lumina::CodedWeights<Bits>& weights) {
  check_codes(weights.view());
}
template <int Bits>
void check_codes(const lumina::TiledWeights<Bits>& weights) {
  for (std::size_t tile = 0; tile < weights.tiles(); ++tile) {
    for (std::size_t row = 0; row < weights.rows(); ++row) {
      std::int32_t sum = 0;
      for (std::size_t col = 0; col < weights.input_count(tile); ++col) {
        const std::int32_t code = weights.code(row, weights.first_input(tile) + col);
        require(code >= -weights.max_code && code <= weights.max_code,
                "codes are not beyond the largest one");
        sum += code;
      }
      require(weights.code_sums(tile)[row] == sum, "sums are those of the codes");
    }
  }
}
void check_codes(const lumina::PackedWeights&) {}

/// load(), and where the file lies; `before`: what the weights are, if it is refused.
template <class Weights>
void check_load(Input& input, std::span<const std::byte> file, const Weights& before) {
  const auto how = input.flag() ? fuzz::OnError::throws : fuzz::OnError::returns;
  Weights read = before;
  const std::size_t reports = fuzz::reports_of(how, [&] { return lumina::load(file, read); });
  const Bytes again = test::file_of(read);
  if (reports != 0) {
    require(again == test::file_of(before), "a file that is refused changes nothing");
  } else {
    require(std::ranges::equal(again, file), "what is read is what save() writes");
    check_codes(read);
  }
  if constexpr (requires { before.view(); }) {
    using View = lumina::CodedWeightsView<Weights::bits>;
    lumina::detail::AlignedBuffer<std::byte> mapped(file.size() + 64);
    const std::size_t skip = input.byte() % 8 == 7 ? 4 : 0;
    std::ranges::copy(file, mapped.data() + skip);
    View view;
    const std::size_t refused = fuzz::reports_of(how, [&] {
      view = lumina::view_of<View>({mapped.data() + skip, file.size()});
    });
    require((refused != 0) == (reports != 0 || skip != 0), "view_of() refuses what load() does");
    if (refused == 0) check_codes(view);
  }
}

template <class Weights>
void check(Input& input, const Weights& weights, const Weights& others) {
  Bytes file = test::file_of(weights);
  fuzz::note("bytes", file.size());
  require(fuzz::reports_of(fuzz::OnError::returns,
                           [&] {
                             Weights read = others;
                             const bool loaded = lumina::load(file, read);
                             require(test::file_of(read) == file, "what is saved is loaded");
                             return loaded;
                           }) == 0,
          "what is saved is no error");
  damage(input, file);
  check_load(input, file, others);
  if (input.rarely(4)) check_load(input, file, lumina::PackedWeights());
  if (input.rarely(4)) check_load(input, file, lumina::CodedWeights<3>());
}

template <int Bits>
void check_coded(Input& input, std::size_t out, std::size_t in) {
  test::Engine engine(input.byte());
  test::TestMatrix w(out, in), few(3, 5);
  const auto weights = lumina::encode_weights<Bits>(w.fill_uniform(engine));
  check(input, weights, lumina::encode_weights<Bits>(few.fill_uniform(engine)));
}

template <int Bits>
void check_tiled(Input& input, std::size_t out, std::size_t in) {
  test::Engine engine(input.byte());
  test::TestMatrix w(out, in), few(3, 5);
  const lumina::Mapping mapping{
      {input.integer(1, 80), input.integer(1, 80)},
      input.flag() ? lumina::TileScale::per_tile : lumina::TileScale::per_column,
      input.flag() ? lumina::TileSplit::equal : lumina::TileSplit::maximal};
  const auto weights = lumina::encode_tiles<Bits>(w.fill_uniform(engine), mapping);
  check(input, weights, lumina::encode_tiles<Bits>(few.fill_uniform(engine)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::notes.clear();
  Input input(data, size);
  const std::size_t out = fuzz::dimension(input) % 70, in = fuzz::dimension(input) % 70;
  fuzz::note("out", out);
  fuzz::note("in", in);
  switch (input.byte() % 7) {
    case 0:
      check_coded<8>(input, out, in);
      break;
    case 1:
      check_coded<4>(input, out, in);
      break;
    case 2:
      check_coded<2>(input, out, in);
      break;
    case 3:
      check_coded<3>(input, out, in);
      break;
    case 4:
      check_tiled<8>(input, out, in);
      break;
    case 5:
      check_tiled<4>(input, out, in);
      break;
    default: {
      test::TestMatrix w(out, in), few(3, 5);
      w.fill(fuzz::Numbers(input));
      few.fill([] { return 0.5f; });
      check(input, lumina::pack_weights(w), lumina::pack_weights(few));
    }
  }
  return 0;
}
