// Weights as bytes: of a file, of flash, of a message. The same on every machine, and checked when
// they are read (docs/weights-file.md); streams and paths: weights_io.hpp.
//
//   std::vector<std::byte> file(file_size(weights));
//   save(weights, file);
//   …
//   load(file, weights);                                      // into memory of its own
//   const auto mapped = view_of<CodedWeightsView<4>>(file);   // where the file lies
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "coded_weights.hpp"
#include "coded_weights_view.hpp"
#include "config.hpp"
#include "detail/base/aligned_buffer.hpp"
#include "detail/base/little_endian.hpp"
#include "detail/base/message.hpp"
#include "detail/base/range.hpp"
#include "detail/packing/panel_sums.hpp"
#include "detail/packing/weights_file.hpp"
#include "tiled_weights.hpp"
#include "weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

inline FileHeader header_of(const PackedWeights& weights) {
  FileHeader header;
  header.rows = weights.rows();
  header.cols = weights.cols();
  return header;
}
template <int Bits>
FileHeader header_of(const CodedWeightsView<Bits>& weights) {
  FileHeader header;
  header.kind = FileKind::codes;
  header.bits = Bits;
  header.rows = weights.rows();
  header.cols = weights.cols();
  return header;
}
template <int Bits>
FileHeader header_of(const CodedWeights<Bits>& weights) {
  return header_of(weights.view());
}

template <int Bits>
FileHeader header_of(const TiledWeights<Bits>& weights) {
  FileHeader header;
  header.kind = FileKind::tiled_codes;
  header.bits = Bits;
  header.rows = weights.rows();
  header.cols = weights.cols();
  header.mapping = weights.mapping();
  header.code_value = weights.code_value();
  return header;
}

/// What the engine of this instruction set has of the codes besides, as TiledEncoder stores it.
template <int Bits>
void store_magnitude_sums(const TiledWeights<Bits>& weights, const TiledArrays& to) {
  if constexpr (Native::Codes::input_bias != 0) {
    constexpr int kStored = stored_bits(Bits);
    const std::size_t padded = padded_outputs(weights.rows()), sums = weights.tiles() * padded;
    for (std::size_t first = 0; first < weights.rows(); first += kPanelColumns) {
      const std::int32_t* panel = to.words + first / kPanelColumns * weights.panel_size();
      for (std::size_t tile = 0; tile < weights.tiles(); ++tile) {
        const std::size_t steps = coded_steps<Bits>(weights.input_count(tile));
        std::int32_t* const own = to.sums + tile * padded + first;
        store_panel_sums<kStored>(panel, steps, own + sums, own + 2 * sums);
        panel += steps * kPanelColumns;
      }
    }
  }
}

/// Reports a file that is not as long as the weights are.
inline bool file_fits(const FileHeader& header, std::size_t there) {
  const std::size_t needed = FileSections::of(header).end;
  if (there == needed) return true;
  Message message;
  message << "lumina::save: " << header << " are " << needed << " bytes, the file has " << there;
  report_error(message.c_str());
  return false;
}

}  // namespace detail

/// Bytes that save() writes: a multiple of 64.
inline std::size_t file_size(const PackedWeights& weights) {
  return detail::FileSections::of(detail::header_of(weights)).end;
}
template <int Bits>
std::size_t file_size(const CodedWeightsView<Bits>& weights) {
  return detail::FileSections::of(detail::header_of(weights)).end;
}
template <int Bits>
std::size_t file_size(const CodedWeights<Bits>& weights) {
  return file_size(weights.view());
}

template <int Bits>
std::size_t file_size(const TiledWeights<Bits>& weights) {
  return detail::FileSections::of(detail::header_of(weights)).end;
}

/// Writes weights to `file`, of file_size(weights) bytes at any address. Error: another number of
/// bytes; then nothing is written, and the result is false.
inline bool save(const PackedWeights& weights, std::span<std::byte> file) {
  const detail::FileHeader header = detail::header_of(weights);
  if (!detail::file_fits(header, file.size())) return false;
  const auto sections = detail::FileSections::of(header);
  if (sections.word_count() != 0) {
    detail::store_all(weights.panel(0), sections.word_count(), file.data() + sections.words);
  }
  detail::write_header(header, file);
  return true;
}
template <int Bits>
bool save(const CodedWeightsView<Bits>& weights, std::span<std::byte> file) {
  const detail::FileHeader header = detail::header_of(weights);
  if (!detail::file_fits(header, file.size())) return false;
  const auto sections = detail::FileSections::of(header);
  std::fill(file.begin(), file.end(), std::byte{0});  // what fills up the arrays
  detail::store_all(weights.words().data(), weights.words().size(), file.data() + sections.words);
  detail::store_all(weights.scales().data(), weights.rows(), file.data() + sections.scales);
  detail::store_all(weights.code_sums().data(), weights.rows(), file.data() + sections.code_sums);
  detail::write_header(header, file);
  return true;
}
template <int Bits>
bool save(const CodedWeights<Bits>& weights, std::span<std::byte> file) {
  return save(weights.view(), file);
}

template <int Bits>
bool save(const TiledWeights<Bits>& weights, std::span<std::byte> file) {
  const detail::FileHeader header = detail::header_of(weights);
  if (!detail::file_fits(header, file.size())) return false;
  const auto sections = detail::FileSections::of(header);
  std::fill(file.begin(), file.end(), std::byte{0});  // what fills up the arrays
  const detail::TiledPanels panels = weights.panels();
  if (panels.words != nullptr) {
    const std::size_t words = detail::panel_count(weights.rows()) * panels.panel_size;
    detail::store_all(panels.words, words, file.data() + sections.words);
    detail::store_all(panels.scales, sections.output_count(), file.data() + sections.scales);
    detail::store_all(panels.code_sums, sections.output_count(), file.data() + sections.code_sums);
  }
  detail::write_header(header, file);
  return true;
}

/// Reads what save() has written, at any address, into `weights`, whose memory is used again where
/// it is large enough. Errors: a file of something else, of another version, kind or number of
/// bits, too short or too long, whose checksums are wrong, or whose contents are no weights: codes
/// beyond ±max_code, scales that are negative or not finite, sums that are not those of the codes.
/// `weights` are as before then, and the result is false. (Where memory runs out, they are empty.)
inline bool load(std::span<const std::byte> file, PackedWeights& weights) {
  detail::WeightsFile read("lumina::load", file);
  if (!read.read_header(detail::FileKind::floats, 32) || !read.check_contents()) return false;
  const detail::FileHeader& header = read.header();
  float* const to = detail::reshape(weights, header.rows, header.cols);
  if (to == nullptr) return weights.rows() == header.rows;
  detail::load_all(read.at(read.sections().words), read.sections().word_count(), to);
  return true;
}
template <int Bits>
bool load(std::span<const std::byte> file, CodedWeights<Bits>& weights) {
  detail::WeightsFile read("lumina::load", file);
  if (!read.read_header(detail::FileKind::codes, Bits) || !read.check_contents()) return false;
  const detail::FileHeader& header = read.header();
  const detail::CodedArrays to = detail::reshape(weights, header.rows, header.cols);
  if (to.words == nullptr) return false;
  const detail::FileSections& sections = read.sections();
  detail::load_all(read.at(sections.words), sections.word_count(), to.words);
  detail::load_all(read.at(sections.scales), sections.output_count(), to.scales);
  detail::load_all(read.at(sections.code_sums), sections.output_count(), to.code_sums);
  return true;
}
template <int Bits>
bool load(std::span<const std::byte> file, TiledWeights<Bits>& weights) {
  detail::WeightsFile read("lumina::load", file);
  if (!read.read_header(detail::FileKind::tiled_codes, Bits) || !read.check_contents()) {
    return false;
  }
  const detail::FileHeader& header = read.header();
  const detail::TiledArrays to =
      detail::reshape(weights, header.rows, header.cols, header.mapping, header.code_value);
  if (to.words == nullptr) return false;
  const detail::FileSections& sections = read.sections();
  const std::size_t outputs = sections.output_count();
  detail::load_all(read.at(sections.words), sections.word_count(), to.words);
  detail::load_all(read.at(sections.scales), outputs, to.scales);
  detail::load_all(read.at(sections.code_sums), outputs, to.sums);
  detail::store_magnitude_sums(weights, to);
  return true;
}

/// What is looked at before weights are used where they lie.
enum class FileCheck {
  contents,  ///< every byte, as load() does
  header,    ///< the first 128: for files that nobody else can have changed
};

/// The weights of a file that lies in memory, say one that is mapped, without copying: valid as
/// long as the file is there. View: a CodedWeightsView. Errors: those of load(), a file that does
/// not begin at a multiple of 64 bytes, and a machine whose numbers have their bytes in the other
/// order; the view is empty then.
template <class View>
View view_of(std::span<const std::byte> file, FileCheck check = FileCheck::contents) {
  detail::WeightsFile read("lumina::view_of", file);
  if (!read.read_header(detail::FileKind::codes, View::bits)) return View();
  if (!detail::kLittleEndian) {
    read.refuse(read.error() << "this machine has to load the file: its numbers are big-endian");
    return View();
  }
  if (reinterpret_cast<std::uintptr_t>(file.data()) % detail::kCacheLine != 0) {
    read.refuse(read.about() << " must begin at a multiple of 64 bytes");
    return View();
  }
  if (check == FileCheck::contents && !read.check_contents()) return View();
  const detail::FileSections& sections = read.sections();
  const auto* const words = reinterpret_cast<const std::int32_t*>(read.at(sections.words));
  const auto* const scales = reinterpret_cast<const float*>(read.at(sections.scales));
  const auto* const sums = reinterpret_cast<const std::int32_t*>(read.at(sections.code_sums));
  return View(read.header().rows, read.header().cols, {words, sections.word_count()},
              {scales, sections.output_count()}, {sums, sections.output_count()});
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
