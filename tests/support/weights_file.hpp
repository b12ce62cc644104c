// Files of weights that somebody has changed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <lumina/weights_file.hpp>

namespace test {

using Bytes = std::vector<std::byte>;

template <class Weights>
Bytes file_of(const Weights& weights) {
  Bytes file(lumina::file_size(weights));
  lumina::save(weights, file);
  return file;
}

/// Both checksums, as they must be: what else is wrong has to be found out.
inline void reseal(std::span<std::byte> file) {
  using Header = lumina::detail::FileHeader;
  if (file.size() < Header::kBytes) return;
  lumina::detail::store_u32(lumina::detail::crc32(file.subspan(Header::kBytes)),
                            file.data() + Header::kContentsSumAt);
  lumina::detail::store_u32(lumina::detail::crc32(file.first(Header::kHeaderSumAt)),
                            file.data() + Header::kHeaderSumAt);
}

}  // namespace test
