// What several seeds say together.
#pragma once

#include <cmath>
#include <span>

namespace example {

struct MeanAndSpread {
  double mean = 0.0;
  double spread = 0.0;  ///< the standard deviation (with n − 1); 0 where there is one value

  explicit MeanAndSpread(std::span<const double> values) {
    const auto count = static_cast<double>(values.size());
    for (const double v : values) mean += v / count;
    if (values.size() < 2) return;
    for (const double v : values) spread += (v - mean) * (v - mean) / (count - 1.0);
    spread = std::sqrt(spread);
  }
};

}  // namespace example
