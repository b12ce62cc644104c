// The golden vectors: what an oracle in another language has computed (tests/golden/), on this
// instruction set.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <lumina/fused_gemm.hpp>

#include "golden/check_slices.hpp"
#include "golden/golden_checks.hpp"
#include "support/catch.hpp"
#include "support/shared_kernels.hpp"

namespace {

/// Counts, and keeps the first difference.
class Findings {
 public:
  void operator()(const char* area, std::uint64_t index, std::uint64_t expected,
                  std::uint64_t actual) {
    ++compared;
    if (actual == expected || !first_difference.empty()) return;
    std::ostringstream text;
    text << area << " " << index << std::hex << ": " << actual << " instead of " << expected;
    first_difference = text.str();
  }

  std::size_t compared = 0;
  std::string first_difference;
};

/// All numbers equal, and as many as there are.
void require(const Findings& findings, std::size_t at_least) {
  CHECK(findings.first_difference == "");
  CHECK(findings.compared >= at_least);
}

}  // namespace

TEST_CASE("Golden: a product and a sum rounded once", "[golden]") {
  Findings findings;
  golden::check_multiply_add(findings);
  require(findings, 2 * std::size(golden::kMultiplyAdds));
}

TEST_CASE("Golden: quantizers", "[golden]") {
  Findings findings;
  golden::check_quantizers(findings);
  require(findings, 3 * std::size(golden::kQuantized));
}

TEST_CASE("Golden: FastRng and the noise field", "[golden]") {
  Findings findings;
  golden::check_fast_rng(findings);
  require(findings, std::size(golden::kRngWords) + std::size(golden::kRngFloats));
  golden::check_noise_field(findings);
  require(findings, std::size(golden::kNoiseField) + 2 * std::size(golden::kBoxMuller));
}

TEST_CASE("Golden: exp, log, tanh and cells at three times", "[golden]") {
  Findings findings;
  golden::check_elementary(findings);
  require(findings, 3 * std::size(golden::kElementaryArguments));
  golden::check_pcm(findings);
  golden::check_other_cells(findings);
  require(findings, std::size(golden::kPcmDevices) + std::size(golden::kReRamWanDevices));
  golden::check_programmed(findings);
  require(findings, std::size(golden::kProgrammedCodes));
}

TEST_CASE("Golden: the f32 engine", "[golden]") {
  const auto memory = std::make_unique<golden::F32Workspace>();
  Findings findings;
  SECTION("weights as they lie") { golden::check_f32_engine(findings, *memory); }
  SECTION("packed weights") {
    golden::check_f32_engine(findings, *memory,
                             [](const auto& w) { return lumina::pack_weights(w); });
  }
  require(findings, 2 * std::size(golden::kF32Sums));
}

TEST_CASE("Golden: the coded engine and its weights", "[golden]") {
  const auto memory = std::make_unique<golden::CodedWorkspace>();
  const auto w = std::make_unique<float[]>(golden::kMaxCodedW);
  Findings findings;
  golden::check_weight_encoding(findings, w.get());
  require(findings, std::size(golden::kCoded8Words) + std::size(golden::kCoded5Words) +
                        std::size(golden::kCoded4Words) + std::size(golden::kCoded2Words));
  findings = {};
  golden::check_coded_engine(
      findings, *memory, [&]<int Bits, class X, class Y>(const golden::CodedLayer<Bits, X, Y>& l) {
        return lumina::encode_weights<Bits>(golden::weights_in_floats(l, w.get()));
      });
  require(findings, std::size(golden::kCoded8Outputs) + std::size(golden::kCoded5Outputs) +
                        std::size(golden::kCoded4Outputs) + std::size(golden::kCoded2Outputs));
}

TEST_CASE("Golden: a layer on arrays", "[golden]") {
  using namespace golden;
  std::vector<float> w(kTiledOut * kTiledIn);
  fill_weights(kTiledW, kTiledOut, kTiledIn, w.data());
  const auto weights = lumina::encode_tiles<4>(
      lumina::MatrixView<const float>(w.data(), kTiledOut, kTiledIn), {{kTileInputs, kTiledOut}});
  Findings findings;
  const auto panels = weights.panels();
  for (std::size_t i = 0; i < std::size(kTiledWords); ++i) {
    findings("words", i, static_cast<std::uint32_t>(kTiledWords[i]),
             static_cast<std::uint32_t>(panels.words[i]));
  }
  for (std::size_t i = 0; i < std::size(kTiledScales); ++i) {
    findings("scales", i, bits_of(kTiledScales[i]), bits_of(panels.scales[i]));
    findings("sums of codes", i, static_cast<std::uint32_t>(kTiledCodeSums[i]),
             static_cast<std::uint32_t>(panels.code_sums[i]));
  }
  TiledWorkspace memory;
  check_tiles(findings, memory, weights);
  require(findings,
          std::size(kTiledWords) + 2 * std::size(kTiledScales) + std::size(kTiledOutputs));
}

TEST_CASE("Golden: a convolution", "[golden]") {
  using namespace golden;
  std::vector<float> filters(kConvolution.out * kConvolution.in);
  fill_weights(kConvolution.w_seed, kConvolution.out, kConvolution.in, filters.data());
  const auto weights = lumina::encode_weights<4>(lumina::filter_matrix(
      lumina::MatrixView<const float>(filters.data(), kConvolution.out, kConvolution.in),
      convolution()));
  Findings findings;
  const auto panels = weights.panels();
  for (std::size_t i = 0; i < kConvolution.word_count; ++i) {
    findings("words", i, static_cast<std::uint32_t>(kConvolution.words[i]),
             static_cast<std::uint32_t>(panels.words[i]));
  }
  ConvolutionWorkspace memory;
  check_convolution(findings, memory, weights);
  require(findings, kConvolution.word_count + std::size(kConvolutionOutputs));
}

TEST_CASE("Golden: a layer on arrays of sliced weights", "[golden]") {
  Findings findings;
  golden::check_slices(findings);
  require(findings, std::size(golden::kSlicedByPulses) + std::size(golden::kSlicedByPasses));
}
