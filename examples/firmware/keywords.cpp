// Hears keywords on a microcontroller: a network of four layers whose weights lie in flash, without
// heap, exceptions and iostream. The same source, compiled for the host, must say the same.
//
// Lines that begin with # are measures, which differ.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "keyword_image.hpp"
#include "support/console.hpp"
#include "support/measures.hpp"
#include "support/network.hpp"

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

/// FNV-1a of all codes.
std::uint32_t checksum(std::span<const std::uint8_t> bytes) {
  std::uint32_t hash = 2166136261u;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 16777619u;
  return hash;
}

std::size_t hear(std::size_t number) {
  const lumina::SerialIn executor(workspace);
  run_hidden_layers(image::samples + number * kInputs, number, layers, codes, executor);
  run_last_layer(codes, number, image::scores, image::bias, scores, executor);
  return static_cast<std::size_t>(std::ranges::max_element(scores) - scores);
}

void report(std::size_t number, std::size_t heard) {
  console::write("sample ");
  console::write_number(number);
  console::write(": heard ");
  console::write_number(heard);
  console::write(", codes");
  for (const auto& layer : {codes.hidden1, codes.hidden2, codes.hidden3}) {
    console::write(" ");
    console::write_word(checksum({layer, kHidden}));
  }
  console::write(", scores");
  for (const float score : scores) {
    console::write(" ");
    console::write_word(std::bit_cast<std::uint32_t>(score));
  }
  console::write("\n");
}

void report_measure(const char* what, std::size_t value) {
  console::write("# ");
  console::write(what);
  console::write(" ");
  console::write_number(value);
  console::write("\n");
}

}  // namespace

int main() {
  lumina::set_error_handler([](const char* message) {
    console::write(message);
    console::write("\n");
  });
  std::size_t right = 0, instructions = 0;
  for (std::size_t number = 0; number < image::kSamples; ++number) {
    const InstructionCounter counter;
    const std::size_t heard = hear(number);
    instructions += counter.count();
    right += heard == number % kKeywords ? 1 : 0;
    report(number, heard);
  }
  console::write_number(right);
  console::write(" of ");
  console::write_number(image::kSamples);
  console::write(" right\n");
  report_measure("instructions", instructions / image::kSamples);
  report_measure("workspace", kWorkspaceBytes);
  report_measure("stack", stack_bytes_used());
  return right * 10 >= image::kSamples * 9 ? 0 : 1;
}
