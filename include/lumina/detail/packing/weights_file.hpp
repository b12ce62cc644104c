// Weights in files (docs/weights-file.md): a header, and the arrays of packed, coded or tiled
// weights as they lie in memory, so that a file that is mapped can be multiplied with where it is.
// Nothing in it is believed before it has been checked.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "../../border.hpp"
#include "../../coded_weights_view.hpp"
#include "../../config.hpp"
#include "../base/crc32.hpp"
#include "../base/little_endian.hpp"
#include "../base/message.hpp"
#include "../base/range.hpp"
#include "../layout/code_panels.hpp"
#include "../layout/float_panels.hpp"
#include "../layout/tiles.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

enum class FileKind : std::uint32_t { floats = 1, codes = 2, tiled_codes = 3 };

/// What a file says of its weights.
struct FileHeader {
  static constexpr std::size_t kBytes = 128;
  static constexpr std::array<std::uint8_t, 8> kMagic{0x89, 'L', 'u', 'm', 'i', 'n', 'a', '\n'};
  static constexpr std::uint32_t kVersion = 1;
  // Where its numbers lie; between them are zeros.
  static constexpr std::size_t kVersionAt = 8, kKindAt = 12, kBitsAt = 16, kRowsAt = 24,
                               kColsAt = 32, kFileBytesAt = 40, kTileInputsAt = 48,
                               kTileOutputsAt = 56, kSplitAt = 64, kScaleAt = 68, kCodeValueAt = 72,
                               kContentsSumAt = 120, kHeaderSumAt = 124;

  FileKind kind = FileKind::floats;
  std::uint32_t bits = 32;
  std::size_t rows = 0, cols = 0;
  // Of tiled codes.
  Mapping mapping = {{0, 0}};
  float code_value = 0.0f;

  constexpr int stored_bits() const { return detail::stored_bits(static_cast<int>(bits)); }
  /// One tile, where there are none.
  constexpr Tiling tiles() const {
    if (kind == FileKind::tiled_codes) return Tiling::of(cols, mapping.tile.inputs, mapping.split);
    return {1, 1, cols, cols};
  }
};

inline Message& operator<<(Message& message, const FileHeader& header) {
  if (header.kind == FileKind::floats) {
    message << "packed weights";
  } else {
    message << (header.kind == FileKind::codes ? "coded" : "tiled") << " weights of " << header.bits
            << " bits";
  }
  return message << " " << Shape{header.rows, header.cols};
}

/// Bytes from the file's beginning where its arrays begin, and end.
struct FileSections {
  std::size_t words = FileHeader::kBytes, scales = 0, code_sums = 0, end = kTooMany;

  static constexpr FileSections of(const FileHeader& header) {
    if (header.rows >= kTooMany || header.cols >= kTooMany) return {};
    const std::size_t panels = panel_count(header.rows);
    std::size_t words = 0, outputs = 0;
    if (header.kind == FileKind::floats) {
      words = size_product(panels, header.cols, kPanelColumns);
    } else {
      const Tiling tiles = header.tiles();
      const std::size_t steps = header.stored_bits() == 8   ? steps_before<8>(tiles, tiles.count)
                                : header.stored_bits() == 4 ? steps_before<4>(tiles, tiles.count)
                                                            : steps_before<2>(tiles, tiles.count);
      words = std::min(kTooMany, size_product(panels, steps, kPanelColumns) + kMaxWordsBehind);
      outputs = size_product(tiles.count, padded_outputs(header.rows));
    }
    FileSections sections;
    if (words >= kTooMany / 32 || outputs >= kTooMany / 32) return sections;
    sections.scales = sections.words + 4 * words;
    sections.code_sums = sections.scales + 4 * outputs;
    sections.end = sections.code_sums + 4 * outputs;
    return sections;
  }
  constexpr std::size_t word_count() const { return (scales - words) / 4; }
  constexpr std::size_t output_count() const { return (end - code_sums) / 4; }
};

/// The header, and the sums of all that lies behind it already.
inline void write_header(const FileHeader& header, std::span<std::byte> file) {
  std::byte* const to = file.data();
  std::fill_n(to, FileHeader::kBytes, std::byte{0});
  for (std::size_t i = 0; i < FileHeader::kMagic.size(); ++i) {
    to[i] = static_cast<std::byte>(FileHeader::kMagic[i]);
  }
  store_u32(FileHeader::kVersion, to + FileHeader::kVersionAt);
  store_u32(static_cast<std::uint32_t>(header.kind), to + FileHeader::kKindAt);
  store_u32(header.bits, to + FileHeader::kBitsAt);
  store_u64(header.rows, to + FileHeader::kRowsAt);
  store_u64(header.cols, to + FileHeader::kColsAt);
  store_u64(file.size(), to + FileHeader::kFileBytesAt);
  store_u64(header.mapping.tile.inputs, to + FileHeader::kTileInputsAt);
  store_u64(header.mapping.tile.outputs, to + FileHeader::kTileOutputsAt);
  store_u32(header.mapping.split == TileSplit::equal ? 1 : 0, to + FileHeader::kSplitAt);
  store_u32(header.mapping.scale == TileScale::per_tile ? 1 : 0, to + FileHeader::kScaleAt);
  store_u32(std::bit_cast<std::uint32_t>(header.code_value), to + FileHeader::kCodeValueAt);
  store_u32(crc32(file.subspan(FileHeader::kBytes)), to + FileHeader::kContentsSumAt);
  store_u32(crc32(file.first(FileHeader::kHeaderSumAt)), to + FileHeader::kHeaderSumAt);
}

/// A file that somebody gives, and what is wrong with it. Checks report the first mistake.
class WeightsFile {
 public:
  /// `caller`: whose errors they are.
  WeightsFile(const char* caller, std::span<const std::byte> bytes)
      : caller_(caller), bytes_(bytes) {}

  const FileHeader& header() const { return header_; }
  const FileSections& sections() const { return sections_; }
  const std::byte* at(std::size_t offset) const { return bytes_.data() + offset; }

  /// Its header, which must be one of `wanted`'s kind and bits; and that all is there.
  bool read_header(FileKind kind, std::uint32_t bits) {
    if (bytes_.size() < FileHeader::kBytes) {
      return refuse(error() << "the file has " << bytes_.size() << " bytes, its header alone "
                            << FileHeader::kBytes);
    }
    if (!std::equal(FileHeader::kMagic.begin(), FileHeader::kMagic.end(), bytes_.data(),
                    [](std::uint8_t a, std::byte b) { return static_cast<std::byte>(a) == b; })) {
      return refuse(error() << "this is no file of weights: it does not begin as one");
    }
    if (const std::uint32_t version = u32(FileHeader::kVersionAt);
        version != FileHeader::kVersion) {
      return refuse(error() << "the file has version " << version << " of the format, this is "
                            << FileHeader::kVersion);
    }
    if (crc32(bytes_.first(FileHeader::kHeaderSumAt)) != u32(FileHeader::kHeaderSumAt)) {
      return refuse(error() << "the header does not have the checksum that it names");
    }
    return read_kind(kind, bits) && read_shape();
  }

  /// That the contents have the header's checksum, and are weights.
  bool check_contents() const {
    if (crc32(bytes_.subspan(FileHeader::kBytes)) != u32(FileHeader::kContentsSumAt)) {
      return refuse(about() << ": their checksum is not the one that the header names");
    }
    if (header_.kind == FileKind::floats) return check_free_floats();
    if (!check_scales()) return false;
    return header_.stored_bits() == 8   ? check_codes<8>()
           : header_.stored_bits() == 4 ? check_codes<4>()
                                        : check_codes<2>();
  }

  bool refuse(const Message& problem) const {
    report_error(problem.c_str());
    return false;
  }
  /// How an error of the file begins; and one of its contents.
  Message error() const { return Message() << caller_ << ": "; }
  Message about() const {
    Message message = error();
    message << header_;
    return message;
  }

 private:
  std::uint32_t u32(std::size_t offset) const { return load_u32(at(offset)); }
  /// A length of the header; where this machine has no such sizes, its largest one.
  std::size_t length(std::size_t offset) const {
    constexpr std::uint64_t kLargest = std::numeric_limits<std::size_t>::max();
    return static_cast<std::size_t>(std::min(load_u64(at(offset)), kLargest));
  }

  bool read_kind(FileKind kind, std::uint32_t bits) {
    const std::uint32_t own = u32(FileHeader::kKindAt);
    header_.bits = u32(FileHeader::kBitsAt);
    if (own < 1 || own > 3 ||
        (own == 1 ? header_.bits != 32 : header_.bits < 2 || header_.bits > 8)) {
      return refuse(error() << "there are no weights of kind " << own << " with " << header_.bits
                            << " bits");
    }
    header_.kind = static_cast<FileKind>(own);
    if (header_.kind == kind && header_.bits == bits) return true;
    header_.rows = length(FileHeader::kRowsAt);
    header_.cols = length(FileHeader::kColsAt);
    Message message = error() << "the file has ";
    message << header_ << "; wanted are ";
    if (kind == FileKind::floats) return refuse(message << "packed ones");
    return refuse(message << (kind == FileKind::codes ? "coded" : "tiled") << " ones of " << bits
                          << " bits");
  }

  bool read_shape() {
    header_.rows = length(FileHeader::kRowsAt);
    header_.cols = length(FileHeader::kColsAt);
    const std::uint32_t split = u32(FileHeader::kSplitAt), scale = u32(FileHeader::kScaleAt);
    header_.mapping = {{length(FileHeader::kTileInputsAt), length(FileHeader::kTileOutputsAt)},
                       scale == 1 ? TileScale::per_tile : TileScale::per_column,
                       split == 1 ? TileSplit::equal : TileSplit::maximal};
    header_.code_value = std::bit_cast<float>(u32(FileHeader::kCodeValueAt));
    const TileShape& tile = header_.mapping.tile;
    if (header_.kind == FileKind::tiled_codes) {
      if (tile.inputs == 0 || tile.outputs == 0 || split > 1 || scale > 1) {
        return refuse(about() << ": tiles of " << tile.inputs << " inputs and " << tile.outputs
                              << " outputs, split " << split << ", scale " << scale);
      }
      if (!positive_and_finite(header_.code_value)) {
        return refuse(about() << ": what code 1 is worth is not positive and finite");
      }
    } else if (tile.inputs != 0 || tile.outputs != 0 || split != 0 || scale != 0 ||
               u32(FileHeader::kCodeValueAt) != 0) {
      return refuse(about() << ": the header speaks of tiles, which they have not");
    }
    sections_ = FileSections::of(header_);
    if (const std::size_t named = length(FileHeader::kFileBytesAt);
        sections_.end != bytes_.size() || named != bytes_.size()) {
      return refuse(about() << " are " << sections_.end << " bytes; the header names " << named
                            << ", there are " << bytes_.size());
    }
    // (Tiles without outputs take no bytes, and whoever counts them takes his time.)
    if (header_.kind == FileKind::tiled_codes && header_.tiles().count > bytes_.size()) {
      return refuse(about() << ": " << header_.tiles().count << " tiles are more than its bytes");
    }
    for (const Range& zeros : {Range{20, 4}, Range{76, 44}}) {
      for (std::size_t i = zeros.begin; i < zeros.end(); ++i) {
        if (bytes_[i] != std::byte{0}) {
          return refuse(about() << ": byte " << i << " of the header must be 0");
        }
      }
    }
    return true;
  }

  static bool positive_and_finite(float value) {
    return value > 0.0f && value <= std::numeric_limits<float>::max();
  }

  /// What fills up the last panel of floats is zeros. (Weights may be any float.)
  bool check_free_floats() const {
    const std::size_t used = header_.rows % kPanelColumns;
    if (used == 0) return true;
    const std::byte* last = at(sections_.end) - header_.cols * kPanelColumns * 4;
    for (std::size_t col = 0; col < header_.cols; ++col, last += kPanelColumns * 4) {
      for (std::size_t column = used; column < kPanelColumns; ++column) {
        if (load_u32(last + 4 * column) != 0) {
          return refuse(about() << ": what fills up the last panel is not 0 at input " << col);
        }
      }
    }
    return true;
  }

  /// Scales are finite, positive or 0; behind them are zeros.
  bool check_scales() const {
    const std::size_t padded = padded_outputs(header_.rows);
    for (std::size_t i = 0; i < sections_.output_count(); ++i) {
      const auto scale = std::bit_cast<float>(u32(sections_.scales + 4 * i));
      const std::size_t row = i % padded, tile = i / padded;
      if (row < header_.rows ? positive_and_finite(scale) || scale == 0.0f
                             : std::bit_cast<std::uint32_t>(scale) == 0) {
        continue;
      }
      return refuse(about() << ": scale " << row << " of tile " << tile
                            << " is not finite and positive, or 0");
    }
    return true;
  }

  /// Codes are not beyond ±max_code, have the sums that the file names, and what fills up words,
  /// panels and arrays is 0.
  template <int Stored>
  bool check_codes() const {
    const Tiling tiles = header_.tiles();
    const std::size_t padded = padded_outputs(header_.rows);
    const std::byte* from = at(sections_.words);
    for (std::size_t first = 0; first < header_.rows; first += kPanelColumns) {
      const std::size_t outputs = std::min(kPanelColumns, header_.rows - first);
      for (std::size_t tile = 0; tile < tiles.count; ++tile) {
        std::array<std::uint32_t, kPanelColumns> sums{};
        const std::size_t size = tiles[tile].size;
        for (std::size_t k = 0; k < size; k += kCodesPerWord<Stored>) {
          if (!add_codes<Stored>(from, outputs, size - k, sums)) {
            return refuse(about() << ": a code of outputs " << first << " to " << first + 31
                                  << ", inputs from " << tiles[tile].begin + k
                                  << " on, is beyond +-" << max_code()
                                  << ", or not 0 behind the weights");
          }
          from += kPanelColumns * 4;
        }
        for (std::size_t column = 0; column < kPanelColumns; ++column) {
          const std::size_t at = tile * padded + first + column;
          if (sums[column] == u32(sections_.code_sums + 4 * at)) continue;
          return refuse(about() << ": the codes of output " << first + column << " in tile " << tile
                                << " have another sum than the file names");
        }
      }
    }
    return check_zeros("codes", static_cast<std::size_t>(from - bytes_.data()), sections_.scales) &&
           check_sums_behind(tiles.count, padded);
  }

  std::size_t max_code() const { return (std::size_t{1} << (header_.bits - 1)) - 1; }

  /// A row of words: its codes, added to `sums`. False where one is beyond ±max_code, or not 0
  /// where there is no input or output for it.
  template <int Stored>
  bool add_codes(const std::byte* from, std::size_t outputs, std::size_t inputs,
                 std::array<std::uint32_t, kPanelColumns>& sums) const {
    std::array<std::int32_t, kPanelColumns> panel, limits;
    load_all(from, kPanelColumns, panel.data());
    const auto largest = static_cast<std::int32_t>(max_code());
    for (std::size_t column = 0; column < kPanelColumns; ++column) {
      limits[column] = column < outputs ? largest : 0;
    }
    std::int32_t wrong = 0;
    for (std::size_t k = 0; k < kCodesPerWord<Stored>; ++k) {
      const std::int32_t has_input = k < inputs ? -1 : 0;
      for (std::size_t column = 0; column < kPanelColumns; ++column) {
        const std::int32_t code = unpack_code<Stored>(panel.data(), column, k);
        const std::int32_t limit = limits[column] & has_input;
        wrong |= (code > limit ? 1 : 0) | (code < -limit ? 1 : 0);
        sums[column] += static_cast<std::uint32_t>(code);
      }
    }
    return wrong == 0;
  }

  bool check_zeros(const char* what, std::size_t begin, std::size_t end) const {
    for (std::size_t i = begin; i < end; ++i) {
      if (bytes_[i] == std::byte{0}) continue;
      return refuse(about() << ": what lies behind the " << what << ", byte " << i
                            << " of the file, is not 0");
    }
    return true;
  }
  bool check_sums_behind(std::size_t tiles, std::size_t padded) const {
    if (padded == 0) return true;
    const std::size_t there = panel_count(header_.rows) * kPanelColumns;  // the others are compared
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      const std::size_t begin = sections_.code_sums + 4 * tile * padded;
      if (!check_zeros("sums of codes", begin + 4 * there, begin + 4 * padded)) return false;
    }
    return true;
  }

  const char* caller_;
  std::span<const std::byte> bytes_;
  FileHeader header_;
  FileSections sections_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
