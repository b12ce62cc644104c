// Tables in Markdown that are aligned in plain text too.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// Three significant digits, without an exponent.
inline std::string number(double value) {
  if (!std::isfinite(value)) return "";
  const int magnitude =
      value == 0.0 ? 0 : static_cast<int>(std::floor(std::log10(std::fabs(value))));
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", std::clamp(2 - magnitude, 0, 4), value);
  return text;
}
inline std::string percent(double share) { return number(100.0 * share) + " %"; }
inline std::string times(double ratio) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f ×", ratio);
  return text;
}

/// The first column is aligned to the left, the others to the right.
class MarkdownTable {
 public:
  using Row = std::vector<std::string>;

  explicit MarkdownTable(Row header) : rows_{std::move(header)} {}

  void add(Row row) {
    row.resize(rows_.front().size());
    rows_.push_back(std::move(row));
  }

  void print(std::ostream& out) const {
    std::vector<std::size_t> widths(rows_.front().size(), 4);
    for (const Row& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], length(row[i]));
    }
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      for (std::size_t i = 0; i < widths.size(); ++i) {
        const std::string& text = rows_[r][i];
        const std::string padding(widths[i] - length(text), ' ');
        out << "| " << (i == 0 ? text + padding : padding + text) << ' ';
      }
      out << "|\n";
      if (r != 0) continue;
      for (std::size_t i = 0; i < widths.size(); ++i) {
        out << '|' << std::string(widths[i] + 1, '-') << (i == 0 ? '-' : ':');
      }
      out << "|\n";
    }
    out << '\n';
  }

 private:
  /// Characters, not bytes, of UTF-8.
  static std::size_t length(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
  }

  std::vector<Row> rows_;
};

}  // namespace bench
