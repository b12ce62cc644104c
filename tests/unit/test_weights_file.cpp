#include <lumina/weights_file.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

#include <lumina/weight_codes.hpp>

#include "golden/weights_file_vectors.hpp"
#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/weights_file.hpp"

using namespace lumina;
using namespace test;

namespace {

using Header = detail::FileHeader;

bool same(const PackedWeights& a, const PackedWeights& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return false;
  const std::size_t count = detail::panel_count(a.rows()) * a.panel_size();
  return count == 0 || std::memcmp(a.panel(0), b.panel(0), count * sizeof(float)) == 0;
}

/// Also what lies behind the arrays.
template <int Bits>
bool same(const CodedWeights<Bits>& a, const CodedWeights<Bits>& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return false;
  const auto p = a.panels(), q = b.panels();
  if (p.words == nullptr || q.words == nullptr) return a.view().words().empty();
  const std::size_t words = a.view().words().size() + detail::kMaxWordsBehind;
  const std::size_t outputs = padded_outputs(a.rows());
  return std::memcmp(p.words, q.words, 4 * words) == 0 &&
         std::equal(p.scales, p.scales + outputs, q.scales) &&
         std::equal(p.code_sums, p.code_sums + outputs, q.code_sums);
}

template <int Bits>
bool same(const TiledWeights<Bits>& a, const TiledWeights<Bits>& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols() || a.tiles() != b.tiles()) return false;
  const auto p = a.panels(), q = b.panels();
  if (p.words == nullptr || q.words == nullptr) return a.rows() == 0;
  const Mapping m = a.mapping(), n = b.mapping();
  const std::size_t words = detail::panel_count(a.rows()) * p.panel_size + detail::kMaxWordsBehind;
  const std::size_t outputs = a.tiles() * padded_outputs(a.rows());
  return m.tile.inputs == n.tile.inputs && m.tile.outputs == n.tile.outputs && m.split == n.split &&
         m.scale == n.scale && same_bits(a.code_value(), b.code_value()) &&
         std::memcmp(p.words, q.words, 4 * words) == 0 &&
         std::equal(p.scales, p.scales + outputs, q.scales) &&
         std::equal(p.code_sums, p.code_sums + 3 * outputs, q.code_sums);  // the others behind it
}

template <class Weights>
void check_round_trip(const Weights& weights, Weights& used) {
  CAPTURE(weights.rows(), weights.cols());
  const Bytes file = file_of(weights);
  CHECK(file.size() % 64 == 0);
  Weights read;
  REQUIRE(load(file, read));
  CHECK(same(read, weights));
  // At an odd address, into memory that had others.
  Bytes shifted(file.size() + 1);
  std::copy(file.begin(), file.end(), shifted.begin() + 1);
  REQUIRE(load(std::span(shifted).subspan(1), used));
  CHECK(same(used, weights));
  CHECK(file_of(used) == file);
  REQUIRE(save(weights, std::span(shifted).subspan(1)));
  CHECK(std::equal(file.begin(), file.end(), shifted.begin() + 1));
}

constexpr std::pair<std::size_t, std::size_t> kShapes[] = {{33, 70}, {1, 1}, {32, 16}, {130, 5},
                                                           {3, 0},   {0, 3}, {0, 0}};

template <int Bits>
void check_coded_round_trips() {
  Engine engine(Bits);
  CodedWeights<Bits> used;
  for (const auto& [rows, cols] : kShapes) {
    TestMatrix w(rows, cols);
    w.fill_uniform(engine);
    check_round_trip(encode_weights<Bits>(w), used);
  }
  check_round_trip(CodedWeights<Bits>(), used);
}

template <std::size_t N>
Bytes golden_file(std::size_t bytes, const golden::FileWord (&words)[N]) {
  Bytes file(bytes);
  for (const auto& [index, value] : words) detail::store_u32(value, file.data() + 4 * index);
  return file;
}

template <int Bits, std::size_t N>
void check_golden(std::size_t rows, std::size_t cols, std::size_t bytes,
                  const golden::FileWord (&words)[N]) {
  constexpr std::size_t kMax = CodedWeights<Bits>::max_code;
  Matrix<std::int8_t> codes(rows, cols);
  Matrix<float> scales(1, rows);
  for (std::size_t row = 0; row < rows; ++row) {
    scales(0, row) = static_cast<float>(row + 1) / 8;
    for (std::size_t col = 0; col < cols; ++col) {
      const std::size_t code = (row * 5 + col * 3 + row * col) % (2 * kMax + 1);
      codes(row, col) = static_cast<std::int8_t>(static_cast<int>(code) - static_cast<int>(kMax));
    }
  }
  const auto expected = coded_weights_of<Bits>(codes, scales.elements());
  const Bytes file = golden_file(bytes, words);
  CodedWeights<Bits> read;
  REQUIRE(load(file, read));
  CHECK(same(read, expected));
  CHECK(file_of(expected) == file);
}

CodedWeights<4> some_weights(std::size_t rows = 35, std::size_t cols = 21) {
  Engine engine(3);
  TestMatrix w(rows, cols);
  return encode_weights<4>(w.fill_uniform(engine));
}

/// A file in memory that begins at a cache line, as one that is mapped.
struct Mapped {
  detail::AlignedBuffer<std::byte> memory;
  explicit Mapped(const Bytes& file) : memory(file.size()) {
    std::copy(file.begin(), file.end(), memory.data());
  }
  std::span<const std::byte> bytes() const { return {memory.data(), memory.size()}; }
};

}  // namespace

TEST_CASE("Weights go through files", "[weights_file]") {
  check_coded_round_trips<8>();
  check_coded_round_trips<5>();
  check_coded_round_trips<4>();
  check_coded_round_trips<2>();
  Engine engine(1);
  PackedWeights used;
  for (const auto& [rows, cols] : kShapes) {
    TestMatrix w(rows, cols);
    w.fill_uniform(engine);
    if (rows * cols != 0) w(0, 0) = kNaN;  // floats are not looked at
    check_round_trip(pack_weights(w), used);
  }
}

template <int Bits>
void check_tiled_round_trips() {
  Engine engine(Bits);
  TiledWeights<Bits> used;
  for (const auto& [rows, cols] : kShapes) {
    TestMatrix w(rows, cols);
    w.fill_uniform(engine);
    check_round_trip(encode_tiles<Bits>(w), used);
    check_round_trip(encode_tiles<Bits>(w, {{25, 40}, TileScale::per_tile}), used);
    check_round_trip(encode_tiles<Bits>(w, {{9, 8}, TileScale::per_column, TileSplit::equal}),
                     used);
    constexpr std::size_t kAll = ~std::size_t{0};
    check_round_trip(encode_tiles<Bits>(w, {{kAll, kAll}}), used);
  }
  check_round_trip(TiledWeights<Bits>(), used);
}

TEST_CASE("Tiled weights go through files, and copies", "[weights_file]") {
  check_tiled_round_trips<8>();
  check_tiled_round_trips<4>();
  check_tiled_round_trips<2>();
  Engine engine(9);
  TestMatrix w(33, 70);
  const TiledWeights<4> tiled = encode_tiles<4>(w.fill_uniform(engine), {{25, 512}});
  TiledWeights<4> copied = tiled;
  CHECK(same(copied, tiled));
  CHECK(copied.panels().words != tiled.panels().words);
  copied = TiledWeights<4>();
  CHECK(copied.rows() == 0);
}

TEST_CASE("Files of weights are those that another program writes", "[weights_file][golden]") {
  check_golden<8>(3, 7, golden::kCoded8FileBytes, golden::kCoded8File);
  check_golden<3>(35, 11, golden::kCoded3FileBytes, golden::kCoded3File);
  check_golden<2>(2, 21, golden::kCoded2FileBytes, golden::kCoded2File);
  {
    // Of weights whose largest ones are scales: tiles of 9, 8 and 8 inputs.
    Matrix<float> w(3, 25);
    for (std::size_t row = 0; row < 3; ++row) {
      for (std::size_t col = 0; col < 25; ++col) {
        const auto scale = static_cast<float>(col < 9 ? 1 : col < 17 ? 2 : 3) / 4;
        w(row, col) = scale * (static_cast<float>((row + col) % 3) - 1);
      }
    }
    const auto expected = encode_tiles<2>(w, {{9, 4}, TileScale::per_tile, TileSplit::equal});
    const Bytes file = golden_file(golden::kTiledFileBytes, golden::kTiledFile);
    TiledWeights<2> read;
    REQUIRE(load(file, read));
    CHECK(same(read, expected));
    CHECK(file_of(expected) == file);
  }
  Matrix<float> w(3, 5);
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t col = 0; col < 5; ++col) {
      w(row, col) = 0.25f * static_cast<float>(row) - static_cast<float>(col);
    }
  }
  const Bytes file = golden_file(golden::kPackedFileBytes, golden::kPackedFile);
  PackedWeights read;
  REQUIRE(load(file, read));
  CHECK(same(read, pack_weights(w)));
  CHECK(file_of(read) == file);
}

TEST_CASE("Weights of a file that is mapped are where they lie", "[weights_file]") {
  const CodedWeights<4> weights = some_weights();
  const Mapped mapped(file_of(weights.view()));
  const auto view = view_of<CodedWeightsView<4>>(mapped.bytes());
  REQUIRE(view.rows() == 35);
  REQUIRE(view.cols() == 21);
  CHECK(static_cast<const void*>(view.words().data()) == mapped.bytes().data() + 128);
  CHECK(std::ranges::equal(view.words(), weights.view().words()));
  CHECK(std::ranges::equal(view.scales(), weights.scales()));
  CHECK(std::ranges::equal(view.code_sums(), weights.view().code_sums()));
  CHECK(file_of(view) == file_of(weights));
}

TEST_CASE("view_of: where the file must lie, and how much of it is looked at", "[weights_file]") {
  const Bytes file = file_of(some_weights());
  const auto rows_of = [](std::span<const std::byte> bytes, FileCheck check = FileCheck::contents) {
    return view_of<CodedWeightsView<4>>(bytes, check).rows();
  };
  std::size_t rows = 9;
  {
    Bytes longer(file.size() + 64);
    Mapped mapped(longer);
    std::copy(file.begin(), file.end(), mapped.memory.data() + 4);
    expect_error([&] { rows = rows_of(mapped.bytes().subspan(4, file.size())); },
                 {"lumina::view_of", "[35, 21]", "multiple of 64"});
    CHECK(rows == 0);
  }
  Mapped damaged(file);
  damaged.memory.data()[200] ^= std::byte{1};
  expect_error([&] { rows = rows_of(damaged.bytes()); }, {"lumina::view_of", "checksum"});
  CHECK(rows == 0);
  CHECK(rows_of(damaged.bytes(), FileCheck::header) == 35);
  damaged.memory.data()[24] ^= std::byte{1};
  expect_error([&] { rows = rows_of(damaged.bytes(), FileCheck::header); }, {"header", "checksum"});
  CHECK(rows == 0);
}

TEST_CASE("Any change of a file is found", "[weights_file][errors]") {
  const CodedWeights<4> weights = some_weights(2, 3);
  const Bytes file = file_of(weights);
  CodedWeights<4> read = some_weights();
  const CodedWeights<4> before = read;
  std::size_t accepted = 0;
  const auto refused = [&](std::span<const std::byte> bytes) {
    bool result = true;
    const auto errors = errors_of([&] { result = load(bytes, read); });
    if (result || errors.size() != 1) ++accepted;
  };
  for (std::size_t i = 0; i < file.size(); ++i) {
    Bytes changed = file;
    changed[i] ^= std::byte(1u << (i % 8));
    refused(changed);
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{127}, std::size_t{128},
                                 file.size() - 64, file.size() - 1}) {
    refused(std::span(file).first(size));
  }
  Bytes longer = file;
  longer.push_back(std::byte{0});
  refused(longer);
  CHECK(accepted == 0);
  CHECK(same(read, before));
}

TEST_CASE("Files whose checksums are right, and whose contents are not", "[weights_file][errors]") {
  const Bytes file = file_of(some_weights());
  CodedWeights<4> read = some_weights(2, 2);
  const CodedWeights<4> before = read;
  const auto refused = [&](std::size_t at, std::uint32_t value,
                           std::initializer_list<std::string_view> parts) {
    Bytes changed = file;
    detail::store_u32(value, changed.data() + at);
    reseal(changed);
    CAPTURE(at, value);
    expect_error([&] { static_cast<void>(load(changed, read)); }, parts);
  };
  const std::size_t words = 128, scales = words + (2 * 3 * 32 + 15 * 32) * 4,
                    sums = scales + 128 * 4;
  REQUIRE(file.size() == sums + 128 * 4);
  refused(0, 0, {"lumina::load", "no file of weights"});
  refused(8, 2, {"version 2", "this is 1"});
  refused(12, 9, {"kind 9"});
  refused(12, 1, {"kind 1 with 4 bits"});
  refused(16, 9, {"9 bits"});
  refused(16, 5, {"coded weights of 5 bits [35, 21]", "coded ones of 4 bits"});
  refused(12, 3, {"tiled weights of 4 bits [35, 21]", "coded ones of 4 bits"});
  refused(20, 1, {"byte 20"});
  refused(24, 65, {"[65, 21]", "bytes"});
  refused(28, 1u << 31, {"bytes"});  // 2^63 outputs
  refused(32, 25, {"[35, 25]", "bytes"});
  refused(36, 1u << 30, {"bytes"});
  refused(40, 128, {"names 128", "there are"});
  refused(48, 7, {"speaks of tiles"});
  refused(68, 1, {"speaks of tiles"});
  refused(116, 1, {"byte 116"});
  refused(words, 0x08, {"coded weights of 4 bits [35, 21]", "outputs 0 to 31", "beyond +-7"});
  refused(words + 3 * 32 * 4 + 3 * 4, 1, {"outputs 32 to 63", "behind"});    // output 35
  refused(words + 2 * 32 * 4, 0x10000000, {"inputs from 16 on", "behind"});  // input 23
  refused(words + 2 * 3 * 32 * 4 + 4, 1, {"behind the codes"});
  refused(scales, 0xbf800000, {"scale 0"});
  refused(scales + 4 * 34, 0x7f800000, {"scale 34"});
  refused(scales + 4 * 35, 0x3f800000, {"scale 35"});
  refused(sums + 4, 100, {"output 1", "another sum"});
  refused(sums + 4 * 40, 1, {"another sum"});
  refused(sums + 4 * 100, 1, {"behind the sums"});
  CHECK(same(read, before));

  // Shapes whose sizes are what the file has, counted modulo 2^64.
  for (const auto& [rows, cols] : {std::pair<std::uint64_t, std::uint64_t>{1ull << 62, 1ull << 62},
                                   {~0ull, ~0ull},
                                   {32, ~0ull},
                                   {~0ull, 0}}) {
    Bytes changed = file;
    detail::store_u64(rows, changed.data() + Header::kRowsAt);
    detail::store_u64(cols, changed.data() + Header::kColsAt);
    reseal(changed);
    CHECK(errors_of([&] { CHECK(!load(changed, read)); }).size() == 1);
  }
}

TEST_CASE("Files of packed weights are checked", "[weights_file][errors]") {
  TestMatrix w(33, 3);
  Engine engine(5);
  const Bytes file = file_of(pack_weights(w.fill_uniform(engine)));
  PackedWeights read = pack_weights(w);
  CodedWeights<8> coded;
  expect_error([&] { static_cast<void>(load(file, coded)); },
               {"packed weights [33, 3]", "coded ones of 8 bits"});
  expect_error([&] { static_cast<void>(load(file_of(some_weights()), read)); },
               {"coded weights of 4 bits [35, 21]", "packed ones"});
  Bytes changed = file;
  changed[128 + (3 * 32 + 2 * 32 + 1) * 4] = std::byte{1};  // output 33
  reseal(changed);
  expect_error([&] { static_cast<void>(load(changed, read)); }, {"last panel", "input 2"});
  CHECK(same(read, pack_weights(w)));
}

TEST_CASE("Files of tiled weights are checked", "[weights_file][errors]") {
  Engine engine(6);
  TestMatrix w(33, 40);
  const Bytes file = file_of(encode_tiles<4>(w.fill_uniform(engine), {{20, 64}}));
  TiledWeights<4> read = encode_tiles<4>(w);
  const TiledWeights<4> before = read;
  const auto refused = [&](std::size_t at, std::uint32_t value,
                           std::initializer_list<std::string_view> parts) {
    Bytes changed = file;
    detail::store_u32(value, changed.data() + at);
    reseal(changed);
    CAPTURE(at, value);
    expect_error([&] { static_cast<void>(load(changed, read)); }, parts);
  };
  // Two panels of two tiles of three steps.
  const std::size_t words = 128, scales = words + (2 * 6 * 32 + 15 * 32) * 4;
  REQUIRE(file.size() == scales + 2 * 2 * 128 * 4);
  refused(48, 0, {"tiled weights of 4 bits [33, 40]", "0 inputs"});
  refused(56, 0, {"0 outputs"});
  refused(48, 10, {"bytes"});
  refused(64, 2, {"split 2"});
  refused(68, 2, {"scale 2"});
  refused(72, 0, {"code 1"});
  refused(72, 0x7fc00000, {"code 1"});
  refused(words + 4 * 32 * 5, 0x10, {"inputs from 36 on", "behind"});  // the tile's 21st … input
  refused(scales + 4 * (128 + 3), 0xbf800000, {"scale 3 of tile 1"});
  refused(scales + 4 * (256 + 128 + 32), 1, {"output 32 in tile 1"});
  CHECK(same(read, before));
  // Without outputs tiles take no bytes.
  Bytes changed = file_of(encode_tiles<4>(MatrixView<const float>(nullptr, 0, 40), {{20, 64}}));
  detail::store_u64(1, changed.data() + Header::kTileInputsAt);
  detail::store_u64(std::uint64_t{1} << 40, changed.data() + Header::kColsAt);
  reseal(changed);
  expect_error([&] { static_cast<void>(load(changed, read)); }, {"tiles are more than its bytes"});
  CodedWeights<4> coded;
  expect_error([&] { static_cast<void>(load(file, coded)); }, {"tiled", "coded ones"});
}

TEST_CASE("save refuses a file of another size", "[weights_file][errors]") {
  const CodedWeights<4> weights = some_weights();
  Bytes file(file_size(weights) + 1, std::byte{7});
  expect_error([&] { static_cast<void>(save(weights, file)); },
               {"lumina::save", "coded weights of 4 bits [35, 21]", "bytes"});
  CHECK(file.front() == std::byte{7});
}
