// The golden vectors (tests/golden): each number that an oracle in another language has computed.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <lumina/lumina.hpp>

#include "golden/golden_checks.hpp"

#include "findings.hpp"

namespace {

golden::F32Workspace f32_memory;
golden::CodedWorkspace coded_memory;
golden::ConvolutionWorkspace images;
alignas(lumina::kWorkspaceAlignment) std::byte workspace[16384];

/// The oracle's words where they lie; for AMX, which reads on behind them, a copy.
template <int Bits, class X, class Y>
auto weights_of(const golden::CodedLayer<Bits, X, Y>& layer) {
  using namespace lumina;
  if constexpr (detail::Native::words_behind == 0) {
    const std::size_t outputs = padded_outputs(layer.out);
    return CodedWeightsView<Bits>(layer.out, layer.in, {layer.words, layer.word_count},
                                  {layer.scales, outputs}, {layer.code_sums, outputs});
  } else {
    static float w[golden::kMaxCodedW];
    return encode_weights<Bits>(golden::weights_in_floats(layer, w));
  }
}

}  // namespace

int main() {
  bool all = findings::passes("fused multiply-add", [](auto& f) { golden::check_multiply_add(f); });
  all &= findings::passes("quantizers", [](auto& f) { golden::check_quantizers(f); });
  all &= findings::passes("FastRng", [](auto& f) { golden::check_fast_rng(f); });
  all &= findings::passes("noise field", [](auto& f) { golden::check_noise_field(f); });
  all &= findings::passes("exp, log, tanh", [](auto& f) { golden::check_elementary(f); });
  all &= findings::passes("devices of PCM", [](auto& f) { golden::check_pcm(f); });
  all &= findings::passes("f32 engine", [](auto& f) { golden::check_f32_engine(f, f32_memory); });
  all &= findings::passes("coded engine", [](auto& f) {
    golden::check_coded_engine(f, coded_memory, [](const auto& l) { return weights_of(l); });
  });
  all &= findings::passes("a convolution", [](auto& f) {
    golden::check_convolution(f, images, weights_of(golden::kConvolution),
                              lumina::SerialIn(workspace));
  });
  return all ? 0 : 1;
}
