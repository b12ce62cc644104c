// Whether the compiler was told to change floats: nvcc has no macro that shows -use_fast_math,
// -ftz=true or -fmad=true, so a kernel of this unit computes what has a known answer.
#pragma once

#include <math.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../detail/base/message.hpp"
#include "../platform/platform.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Answers, as bits.
struct KnownAnswers {
  std::uint32_t contracted;   ///< a·b + c of plain floats
  std::uint32_t flushed;      ///< 2^-100 · 2^-30
  std::uint32_t approximate;  ///< a / b and √a of plain floats
  std::uint32_t has_tensor_memory;
};

/// For a grid of one block. (A template, for units share what is inline.)
template <class Answers>
__global__ void __launch_bounds__(32) answer(Answers* to) {
  if (threadIdx.x != 0) return;
  // The compiler must not know that it is 0 (as it does of threadIdx.x here): it would answer
  // itself, and exactly.
  const int zero = static_cast<int>(blockIdx.x);
  const auto hidden = [&](float v) { return v + static_cast<float>(zero); };
  // 1 + 2^-23 squared is 1 + 2^-22 + 2^-46: less 1 + 2^-22, only an FMA has anything left.
  const float a = hidden(0x1.000002p0f), c = hidden(-0x1.000004p0f);
  const float left = a * a + c;
  const float small = hidden(0x1p-100f) * hidden(0x1p-30f);
  // RN(1/3·…) and RN(√2), a last place away from what approximations give for some of these.
  float sum = 0.0f;
  for (int i = 1; i <= 32; ++i) {
    const auto n = static_cast<float>(i + zero);
    const float quotient = hidden(1.0f) / (n * 3.0f), root = ::sqrtf(n);
    sum = sum + quotient;
    sum = sum + root;
  }
  *to = {std::bit_cast<std::uint32_t>(left), std::bit_cast<std::uint32_t>(small),
         std::bit_cast<std::uint32_t>(sum), kHasTensorMemory ? 1u : 0u};
}

/// The same on the host.
inline std::uint32_t exact_answer() {
  float sum = 0.0f;
  for (int i = 1; i <= 32; ++i) {
    const volatile float n = static_cast<float>(i), three = n * 3.0f;
    const volatile float quotient = 1.0f / three, root = __builtin_sqrtf(n);
    const volatile float half = sum + quotient;
    sum = half + root;
  }
  return std::bit_cast<std::uint32_t>(sum);
}

/// What this unit's code is on a device; asked once a device.
struct CompiledFor {
  Error error;
  bool exact;  ///< floats are as written
  bool has_tensor_memory;
};
inline CompiledFor compiled_for(const DeviceFacts& facts) {
  enum : int { kUnknown, kInexact, kExact, kExactWithTensorMemory };
  static std::array<std::atomic<int>, 64> known;
  const bool keeps = static_cast<std::size_t>(facts.device) < known.size();
  int state = keeps ? known[facts.device].load(std::memory_order_relaxed) : kUnknown;
  if (state == kUnknown) {
    KnownAnswers answers;
    if (const Error error = run_and_read(&answer<KnownAnswers>, &answers, sizeof(answers));
        error != kSuccess) {
      return {error, false, false};
    }
    const bool exact = answers.contracted == 0 &&
                       answers.flushed == std::bit_cast<std::uint32_t>(0x1p-130f) &&
                       answers.approximate == exact_answer();
    state = !exact ? kInexact : answers.has_tensor_memory != 0 ? kExactWithTensorMemory : kExact;
    if (keeps) known[facts.device].store(state, std::memory_order_relaxed);
  }
  return {kSuccess, state != kInexact, state == kExactWithTensorMemory};
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
