// Where the numbers come from: processor, instruction set, compiler, libraries.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <string>
#include <thread>

#include <lumina/config.hpp>
#include <lumina/detail/isa/native.hpp>

namespace bench {

inline std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown CPU";
}

/// Bytes, 0 where the system does not say.
inline std::size_t l2_bytes() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
  const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (size > 0) return static_cast<std::size_t>(size);
#endif
  return 0;
}

inline std::string cache_sizes() {
  std::string text;
#if defined(_SC_LEVEL1_DCACHE_SIZE) && defined(_SC_LEVEL3_CACHE_SIZE)
  const auto add = [&text](const char* name, long bytes) {
    if (bytes <= 0) return;
    const long kib = bytes / 1024;
    const bool mib = kib % 1024 == 0;
    text += std::string(", ") + name + ' ' + std::to_string(mib ? kib / 1024 : kib) +
            (mib ? " MiB" : " KiB");
  };
  add("L1d", sysconf(_SC_LEVEL1_DCACHE_SIZE));
  add("L2", sysconf(_SC_LEVEL2_CACHE_SIZE));
  add("L3", sysconf(_SC_LEVEL3_CACHE_SIZE));
#endif
  return text;
}

inline std::string compiler() {
#if defined(__clang__)
  return "clang++ " __clang_version__;
#elif defined(__GNUC__)
  return "g++ " __VERSION__;
#else
  return "unknown compiler";
#endif
}

inline std::string machine_line() {
  std::string line = cpu_model() + ", " + std::to_string(std::thread::hardware_concurrency()) +
                     " cores" + cache_sizes() + "; compiled for " + lumina::detail::Native::name +
                     " by " + compiler();
#if defined(XSIMD_VERSION_MAJOR)
  line += ", xsimd " + std::to_string(XSIMD_VERSION_MAJOR) + '.' +
          std::to_string(XSIMD_VERSION_MINOR) + '.' + std::to_string(XSIMD_VERSION_PATCH);
#endif
  return line;
}

}  // namespace bench
