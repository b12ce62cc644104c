// Hears keywords on a microcontroller with a small convolutional network, whose weights lie in
// flash; otherwise as keywords.cpp. The same source, compiled for the host, must say the same.
#include <algorithm>
#include <cstddef>

#include "keyword_image.hpp"
#include "support/convolutions.hpp"
#include "support/measures.hpp"
#include "support/report.hpp"

namespace {

using namespace keywords;
using namespace keywords::convolutions;

/// The convolutions, in flash.
struct Layers {
  lumina::CodedWeightsView<4> maps1 = image::maps1, maps2 = image::maps2;
};
constexpr Layers layers;

alignas(lumina::kWorkspaceAlignment) std::byte workspace[convolutions::kWorkspaceBytes];
convolutions::Codes codes;
float scores[kKeywords];

std::size_t hear(std::size_t number) {
  const lumina::SerialIn executor(workspace);
  run_convolutions(image::samples + number * kInputs, number, layers, codes, executor);
  convolutions::run_last_layer(codes, number, image::map_scores, image::map_bias, scores, executor);
  return static_cast<std::size_t>(std::ranges::max_element(scores) - scores);
}

}  // namespace

int main() {
  write_errors_to_console();
  std::size_t right = 0, instructions = 0;
  for (std::size_t number = 0; number < image::kSamples; ++number) {
    const InstructionCounter counter;
    const std::size_t heard = hear(number);
    instructions += counter.count();
    right += heard == number % kKeywords ? 1 : 0;
    report(number, heard, {codes.maps1, codes.maps2}, scores);
  }
  report_right(right, image::kSamples);
  report_measure("instructions", instructions / image::kSamples);
  report_measure("workspace", sizeof(workspace));
  report_measure("stack", stack_bytes_used());
  return right * 10 >= image::kSamples * 9 ? 0 : 1;
}
