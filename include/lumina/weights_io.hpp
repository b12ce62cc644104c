// Weights in streams and files (docs/weights-file.md). For machines with a file system: lumina.hpp
// does not include it.
//
//   save(weights, "layer1.lumina");
//   load("layer1.lumina", weights);
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <ostream>
#include <span>
#include <string>
#include <utility>

#include "config.hpp"
#include "detail/base/aligned_buffer.hpp"
#include "detail/base/little_endian.hpp"
#include "detail/base/message.hpp"
#include "detail/packing/weights_file.hpp"
#include "weights_file.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What has a file's bytes, and for how long.
class FileBytes {
 public:
  std::span<const std::byte> bytes() const { return {memory_.data(), size_}; }

  /// The next `count` bytes of a stream, behind those that are there; fewer where it ends. Memory
  /// grows with what the stream has, whatever a header says.
  bool append(std::istream& from, std::size_t count) {
    constexpr std::size_t kPiece = std::size_t{1} << 20;
    while (count != 0) {
      const std::size_t piece = std::min(count, std::max(kPiece, size_));
      if (!reserve(size_ + piece)) return false;
      from.read(reinterpret_cast<char*>(memory_.data() + size_),
                static_cast<std::streamsize>(piece));
      const auto read = static_cast<std::size_t>(from.gcount());
      size_ += read;
      count -= read;
      if (read != piece) break;
    }
    return true;
  }

 private:
  bool reserve(std::size_t size) {
    if (memory_.size() >= size) return true;
    AlignedBuffer<std::byte> larger(std::max(size, 2 * memory_.size()));
    if (larger.size() < size) return false;
    if (size_ != 0) std::memcpy(larger.data(), memory_.data(), size_);
    memory_ = std::move(larger);
    return true;
  }

  AlignedBuffer<std::byte> memory_;
  std::size_t size_ = 0;
};

inline bool report_file(const char* caller, const char* problem,
                        const std::filesystem::path& path) {
  report_error((Message() << caller << ": " << problem << " " << path.string()).c_str());
  return false;
}

}  // namespace detail

/// Writes weights to a stream, opened as binary. Error: the stream does not take them.
template <class Weights>
bool save(const Weights& weights, std::ostream& stream) {
  const std::size_t size = file_size(weights);
  detail::AlignedBuffer<std::byte> file(size);
  if (file.size() != size || !save(weights, std::span<std::byte>(file.data(), size))) return false;
  stream.write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(size));
  stream.flush();
  if (stream) return true;
  detail::report_error(
      (detail::Message() << "lumina::save: the stream did not take " << size << " bytes").c_str());
  return false;
}

/// Reads weights from where a stream, opened as binary, stands, and no byte more: several may lie
/// one behind the other. Errors: those of load() of bytes; `weights` are as before then, the stream
/// is somewhere behind.
template <class Weights>
bool load(std::istream& stream, Weights& weights) {
  detail::FileBytes file;
  if (!file.append(stream, detail::FileHeader::kBytes)) return false;
  if (file.bytes().size() == detail::FileHeader::kBytes) {
    // A header that is damaged is found out by load().
    const std::uint64_t size =
        detail::load_u64(file.bytes().data() + detail::FileHeader::kFileBytesAt);
    const std::size_t most = detail::kTooMany;
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size, most));
    if (wanted > file.bytes().size() && !file.append(stream, wanted - file.bytes().size())) {
      return false;
    }
  }
  return load(file.bytes(), weights);
}

/// Writes weights to a file, which is made or replaced. Errors: it can't be opened or written.
template <class Weights>
bool save(const Weights& weights, const std::filesystem::path& path) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  if (!stream) return detail::report_file("lumina::save", "can't open", path);
  return save(weights, static_cast<std::ostream&>(stream));
}

/// Reads weights from a file that has nothing else. Errors: it can't be opened; those of load() of
/// bytes; more bytes behind the weights; `weights` are as before then.
template <class Weights>
bool load(const std::filesystem::path& path, Weights& weights) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return detail::report_file("lumina::load", "can't open", path);
  Weights read;
  if (!load(static_cast<std::istream&>(stream), read)) return false;
  if (stream.peek() != std::ifstream::traits_type::eof()) {
    return detail::report_file("lumina::load", "there is more than weights in", path);
  }
  weights = std::move(read);
  return true;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
