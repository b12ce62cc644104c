// Hears keywords on a microcontroller: a network of four layers whose weights lie in flash, without
// heap, exceptions and iostream. The same source, compiled for the host, must say the same.
//
// Lines that begin with # are measures, which differ.
#include <algorithm>
#include <cstddef>

#include "keyword_image.hpp"
#include "support/measures.hpp"
#include "support/network.hpp"
#include "support/report.hpp"

namespace {

using namespace keywords;

/// The hidden layers, in flash.
struct Layers {
  lumina::CodedWeightsView<4> hidden1 = image::hidden1, hidden2 = image::hidden2,
                              hidden3 = image::hidden3;
};
constexpr Layers layers;

alignas(lumina::kWorkspaceAlignment) std::byte workspace[kWorkspaceBytes];
Codes codes;
float scores[kKeywords];

std::size_t hear(std::size_t number) {
  const lumina::SerialIn executor(workspace);
  run_hidden_layers(image::samples + number * kInputs, number, layers, codes, executor);
  run_last_layer(codes, number, image::scores, image::bias, scores, executor);
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
    report(number, heard, {codes.hidden1, codes.hidden2, codes.hidden3}, scores);
  }
  report_right(right, image::kSamples);
  report_measure("instructions", instructions / image::kSamples);
  report_measure("workspace", kWorkspaceBytes);
  report_measure("stack", stack_bytes_used());
  return right * 10 >= image::kSamples * 9 ? 0 : 1;
}
