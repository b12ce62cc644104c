// The golden vectors (tests/golden): each number that an oracle in another language has computed.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <lumina/lumina.hpp>

#include "golden/golden_checks.hpp"
#include "support/console.hpp"

namespace {

golden::F32Workspace f32_memory;
golden::CodedWorkspace coded_memory;
golden::TiledWorkspace tiled_memory;

/// Counts what is compared, and says how it came out.
class Findings {
 public:
  void operator()(const char* area, std::uint64_t index, std::uint64_t expected,
                  std::uint64_t actual) {
    ++compared_;
    if (actual == expected) return;
    if (++different_ > 10) return;
    console::write("different: ");
    console::write(area);
    console::write(" ");
    console::write_number(static_cast<std::size_t>(index));
    console::write("\n");
  }
  /// True where something was compared and nothing differs. (How many numbers one check compares
  /// depends on the length of vectors.)
  bool say(const char* what) const {
    console::write("# compared: ");
    console::write_number(compared_);
    console::write("\n");
    console::write(what);
    console::write(different_ == 0 ? ": none differs\n" : ": differences\n");
    return compared_ > 0 && different_ == 0;
  }

 private:
  std::size_t compared_ = 0;
  std::size_t different_ = 0;
};

template <class Check>
bool passes(const char* what, Check check) {
  Findings findings;
  check(findings);
  return findings.say(what);
}

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

/// The same of a layer on arrays.
auto tiles() {
  using namespace lumina;
  const Mapping mapping{{golden::kTileInputs, golden::kTiledOut}};
  if constexpr (detail::Native::words_behind == 0 && detail::Native::Codes::input_bias == 0) {
    return TiledWeightsView<4>(golden::kTiledOut, golden::kTiledIn, mapping, golden::kTiledWords,
                               golden::kTiledScales, golden::kTiledCodeSums);
  } else {
    static float w[golden::kTiledOut * golden::kTiledIn];
    golden::fill_weights(golden::kTiledW, golden::kTiledOut, golden::kTiledIn, w);
    return encode_tiles<4>(MatrixView<const float>(w, golden::kTiledOut, golden::kTiledIn),
                           mapping);
  }
}

}  // namespace

int main() {
  bool all = passes("fused multiply-add", [](auto& f) { golden::check_multiply_add(f); });
  all &= passes("quantizers", [](auto& f) { golden::check_quantizers(f); });
  all &= passes("FastRng", [](auto& f) { golden::check_fast_rng(f); });
  all &= passes("noise field", [](auto& f) { golden::check_noise_field(f); });
  all &= passes("exp, log, tanh", [](auto& f) { golden::check_elementary(f); });
  all &= passes("devices of PCM", [](auto& f) { golden::check_pcm(f); });
  all &= passes("f32 engine", [](auto& f) { golden::check_f32_engine(f, f32_memory); });
  all &= passes("coded engine", [](auto& f) {
    golden::check_coded_engine(f, coded_memory, [](const auto& l) { return weights_of(l); });
  });
  all &= passes("arrays", [](auto& f) { golden::check_tiles(f, tiled_memory, tiles()); });
  return all ? 0 : 1;
}
