// Wrong arguments on a microcontroller: each reaches the program's own handler, which returns, and
// then so does the call; the output is as before.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <lumina/lumina.hpp>

#include "support/console.hpp"

namespace {

using namespace lumina;

constexpr std::size_t kBatch = 2, kIn = 12, kOut = 5;
constexpr Quantizer<8> dac(0.0f, 1.0f), adc(-9.0f, 9.0f);

// All weights have code 1 and scale 0.5: of 12 inputs with 4 bits each, two words for an output.
struct Words {
  std::int32_t elements[coded_word_count<4>(kOut, kIn)];
};
alignas(64) constexpr Words words = [] {
  Words result{};
  for (std::size_t output = 0; output < kOut; ++output) {
    result.elements[output] = 0x11111111;
    result.elements[32 + output] = 0x01010101;
  }
  return result;
}();
alignas(64) constexpr float scales[padded_outputs(kOut)] = {0.5f, 0.5f, 0.5f, 0.5f, 0.5f};
alignas(64) constexpr std::int32_t code_sums[padded_outputs(kOut)] = {12, 12, 12, 12, 12};
constexpr CodedWeightsView<4> weights(kOut, kIn, words.elements, scales, code_sums);

constexpr std::size_t kWorkspaceBytes = coded_workspace_bytes(kBatch, kIn);
alignas(kWorkspaceAlignment) std::byte workspace[kWorkspaceBytes + kWorkspaceAlignment];
std::uint8_t x[kBatch * kIn];
float y[kBatch * kOut];

char first_message[256];
std::size_t messages = 0;

/// The first one: a view that has been refused is refused again by the call.
void take_note(const char* message) {
  if (messages++ > 0) return;
  const std::string_view text(message);
  *std::copy(text.begin(), text.end(), first_message) = '\0';
}

int failures = 0;

void check(const char* what, bool good) {
  console::write(good ? "ok: " : "WRONG: ");
  console::write(what);
  console::write("\n");
  if (!good) ++failures;
}

constexpr float kUntouched = 77.0f;

void call(std::size_t in, std::size_t out, std::span<std::byte> memory,
          const CodedWeightsView<4>& w = weights) {
  fused_gemm_noise_quant(MatrixView<const std::uint8_t>(x, kBatch, in), dac, w,
                         MatrixView<float>(y, kBatch, out), 0.1f, adc, {.seed = 3},
                         SerialIn(memory));
}

/// f() must be refused with a text that has `part`, and leave y alone.
template <class F>
void check_refused(const char* what, std::string_view part, F f) {
  messages = 0;
  std::fill(std::begin(y), std::end(y), kUntouched);
  f();
  const bool untouched =
      std::all_of(std::begin(y), std::end(y), [](float value) { return value == kUntouched; });
  check(what, messages > 0 && untouched &&
                  std::string_view(first_message).find(part) != std::string_view::npos);
}

}  // namespace

int main() {
  set_error_handler(&take_note);
  const std::span<std::byte> memory(workspace, kWorkspaceBytes);
  std::fill(std::begin(x), std::end(x), std::uint8_t{255});

  check_refused("x and w do not fit", "x is [2, 11], w is [5, 12]",
                [&] { call(kIn - 1, kOut, memory); });
  check_refused("w and y do not fit", "y is [2, 4]", [&] { call(kIn, kOut - 1, memory); });
  check_refused("the workspace is too small", "the workspace has",
                [&] { call(kIn, kOut, memory.first(kWorkspaceBytes - 1)); });
  check_refused("there is no workspace", "the workspace has 0 bytes", [&] { call(kIn, kOut, {}); });
  check_refused("the workspace is not aligned", "multiple of 64 bytes",
                [&] { call(kIn, kOut, std::span(workspace).subspan(4)); });
  check_refused("the workspace is y", "overlaps",
                [&] { call(kIn, kOut, std::as_writable_bytes(std::span(y))); });
  check_refused("the weights are too short", "words", [&] {
    call(kIn, kOut, memory, {kOut, kIn + 9, words.elements, scales, code_sums});
  });
  check_refused("a range upside down", "lo must be smaller than hi", [] {
    volatile float hi = -1.0f;
    static_cast<void>(Quantizer<8>(1.0f, hi));
  });

  messages = 0;
  call(kIn, kOut, memory);
  const bool near = std::all_of(std::begin(y), std::end(y),
                                [](float value) { return value > 5.0f && value < 7.0f; });
  check("nothing is wrong: 12 × 0.5", messages == 0 && near);
  return failures == 0 ? 0 : 1;
}
