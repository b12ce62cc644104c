// A progress bar on a terminal; a plain line for each finished bar elsewhere, as in a log file.
// (Debian has no such library for C++ that can show a loss beside the bar.)
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>

namespace example {

class ProgressBar {
 public:
  ProgressBar(std::string title, std::size_t steps) : title_(std::move(title)), steps_(steps) {}

  /// After `done` steps; `text` stands behind the bar.
  void show(std::size_t done, const std::string& text) {
    const std::size_t filled = done * kWidth / steps_;
    if (!terminal_ || filled == filled_) return;
    filled_ = filled;
    const std::string bar = std::string(filled, '#') + std::string(kWidth - filled, '.');
    std::printf("\r%s [%s] %s", title_.c_str(), bar.c_str(), text.c_str());
    std::fflush(stdout);
  }

  void finish(const std::string& text) const {
    std::printf("%s%s  %s\n", terminal_ ? "\r\033[K" : "", title_.c_str(), text.c_str());
    std::fflush(stdout);
  }

 private:
  static constexpr std::size_t kWidth = 40;
  std::string title_;
  std::size_t steps_;
  std::size_t filled_ = kWidth + 1;  // none drawn yet
  bool terminal_ = isatty(STDOUT_FILENO) != 0;
};

}  // namespace example
