// IDX, the file format of MNIST and its relatives: 0, 0, the element type, the number of
// dimensions, each dimension as a big-endian 32-bit number, then the elements, last dimension
// fastest.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace example {

struct IdxFile {
  std::vector<std::size_t> shape;
  std::vector<std::uint8_t> elements;
};

/// Reads a file of unsigned bytes, gzipped or not.
inline IdxFile read_idx(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), &gzclose);
  if (!file) throw std::runtime_error("cannot open " + path);
  const auto read = [&](std::uint8_t* to, std::size_t bytes) {
    const int got = gzread(file.get(), to, static_cast<unsigned>(bytes));
    if (got < 0 || static_cast<std::size_t>(got) != bytes) {
      throw std::runtime_error(path + " is damaged or too short");
    }
  };

  std::uint8_t head[4];
  read(head, sizeof head);
  constexpr std::uint8_t kUnsignedBytes = 8;
  if (head[0] != 0 || head[1] != 0 || head[2] != kUnsignedBytes) {
    throw std::runtime_error(path + " is no IDX file of unsigned bytes");
  }
  IdxFile idx;
  std::size_t count = 1;
  for (int dimension = 0; dimension < head[3]; ++dimension) {
    std::uint8_t size[4];
    read(size, sizeof size);
    idx.shape.push_back(std::size_t{size[0]} << 24 | std::size_t{size[1]} << 16 |
                        std::size_t{size[2]} << 8 | size[3]);
    count *= idx.shape.back();
  }
  idx.elements.resize(count);
  read(idx.elements.data(), count);
  return idx;
}

}  // namespace example
