// Writes a header with what keywords.cpp has in flash: the weights, and samples to hear.
//
//   make_image > keyword_image.hpp
//
// The task is synthetic: a keyword is a random smooth pattern, a sample of it is shifted in time,
// louder or quieter, and has noise. The hidden layers are random projections; the last one holds
// the mean of each keyword's features on the hardware, noise included, so that the largest score is
// that of the nearest mean. That is all the training there is.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <lumina/lumina.hpp>

#include "convolutions.hpp"
#include "network.hpp"

namespace {

using namespace keywords;

constexpr std::size_t kTrainingSamples = 60 * kKeywords, kSamples = 2 * kKeywords;

/// A pattern for each keyword: noise, smoothed over time.
class Patterns {
 public:
  explicit Patterns(lumina::FastRng& rng) : patterns_(kKeywords, kInputs) {
    for (std::size_t keyword = 0; keyword < kKeywords; ++keyword) {
      for (std::size_t feature = 0; feature < kFeatures; ++feature) {
        float level = rng.normal();
        for (std::size_t frame = 0; frame < kFrames; ++frame) {
          level = 0.8f * level + 0.6f * rng.normal();
          patterns_(keyword, frame * kFeatures + feature) = 0.5f + 0.2f * level;
        }
      }
    }
  }

  /// One sample, as codes of the DAC.
  void draw(std::size_t keyword, lumina::FastRng& rng, std::uint8_t* sample) const {
    const std::size_t shift = rng() % 3;
    const float volume = 0.8f + 0.4f * rng.uniform();
    for (std::size_t frame = 0; frame < kFrames; ++frame) {
      const std::size_t from = std::min(frame + shift, kFrames - 1);
      for (std::size_t feature = 0; feature < kFeatures; ++feature) {
        const float clean = volume * patterns_(keyword, from * kFeatures + feature);
        sample[frame * kFeatures + feature] =
            static_cast<std::uint8_t>(dac.encode(clean + 0.15f * rng.normal()));
      }
    }
  }

 private:
  lumina::Matrix<float> patterns_;
};

lumina::CodedWeights<4> random_projection(std::size_t in, lumina::FastRng& rng,
                                          std::size_t out = kHidden) {
  lumina::Matrix<float> w(out, in);
  rng.fill_normal(w.elements(), 0.0f, 1.0f / std::sqrt(static_cast<float>(in)));
  return lumina::encode_weights<4>(w);
}

struct Layers {
  lumina::CodedWeights<4> hidden1, hidden2, hidden3;
};

/// Random filters; their order does not matter.
struct Convolutions {
  lumina::CodedWeights<4> maps1, maps2;
};

struct LastLayer {
  lumina::CodedWeights<4> weights;
  std::vector<float> bias;
};

/// −½|f − mean|², without what is the same for all keywords: f·(mean − m) − ½|mean|², where m is
/// the mean of all.
LastLayer nearest_mean(const lumina::Matrix<float>& means) {
  lumina::Matrix<float> w(kKeywords, means.cols());
  for (std::size_t i = 0; i < means.cols(); ++i) {
    float all = 0.0f;
    for (std::size_t keyword = 0; keyword < kKeywords; ++keyword) all += means(keyword, i);
    for (std::size_t keyword = 0; keyword < kKeywords; ++keyword) {
      w(keyword, i) = means(keyword, i) - all / static_cast<float>(kKeywords);
    }
  }
  LastLayer layer{lumina::encode_weights<4>(w), std::vector<float>(kKeywords)};
  for (std::size_t keyword = 0; keyword < kKeywords; ++keyword) {
    float square = 0.0f;
    for (std::size_t i = 0; i < means.cols(); ++i) square += means(keyword, i) * means(keyword, i);
    layer.bias[keyword] = -0.5f * square;
  }
  return layer;
}

/// The means of the features that run(sample, number) makes of training samples: codes of `adc`.
template <class Run>
lumina::Matrix<float> mean_features(const Patterns& patterns, lumina::FastRng& rng,
                                    std::size_t features, const lumina::Quantizer<8>& adc,
                                    const Run& run) {
  lumina::Matrix<float> means(kKeywords, features);
  std::uint8_t sample[kInputs];
  for (std::size_t i = 0; i < kTrainingSamples; ++i) {
    patterns.draw(i % kKeywords, rng, sample);
    const std::uint8_t* const codes = run(sample, 1000 + i);
    for (std::size_t k = 0; k < features; ++k) {
      means(i % kKeywords, k) += adc.decode(codes[k]) * kKeywords / kTrainingSamples;
    }
  }
  return means;
}

/// Memory of so many bytes at a cache line.
class Workspace {
 public:
  explicit Workspace(std::size_t bytes) : memory_(1, bytes) {}
  lumina::SerialIn executor() {
    return lumina::SerialIn(std::as_writable_bytes(memory_.elements()));
  }

 private:
  lumina::Matrix<std::uint8_t> memory_;
};

void write_element(float value) { std::printf("%af", double{value}); }
void write_element(std::int32_t value) { std::printf("%ld", static_cast<long>(value)); }
void write_element(std::uint8_t value) { std::printf("%d", value); }

/// …{first, second, …};
template <class Range>
void write_list(const Range& elements) {
  std::printf("{");
  std::size_t count = 0;
  for (const auto element : elements) {
    std::printf(count++ % 12 == 0 ? "\n    " : " ");
    write_element(element);
    std::printf(",");
  }
  std::printf("};\n");
}

void write_weights(const char* name, const lumina::CodedWeights<4>& coded) {
  const lumina::CodedWeightsView<4> weights = coded;
  const std::size_t rows = weights.rows(), cols = weights.cols();
  std::printf(
      "\nalignas(64) inline constexpr std::int32_t %s_words[lumina::coded_word_count<4>"
      "(%zu, %zu)] = ",
      name, rows, cols);
  write_list(weights.words());
  std::printf("alignas(64) inline constexpr float %s_scales[lumina::padded_outputs(%zu)] = ", name,
              rows);
  write_list(weights.scales());
  std::printf(
      "alignas(64) inline constexpr std::int32_t %s_code_sums[lumina::padded_outputs(%zu)]"
      " = ",
      name, rows);
  write_list(weights.code_sums());
  std::printf(
      "inline constexpr lumina::CodedWeightsView<4> %s(%zu, %zu, %s_words, %s_scales,\n"
      "    %s_code_sums);\n",
      name, rows, cols, name, name, name);
}

void write_samples(const Patterns& patterns, lumina::FastRng& rng) {
  std::printf(
      "\ninline constexpr std::size_t kSamples = %zu;  // number i is of keyword i mod %zu\n"
      "inline constexpr std::uint8_t samples[] = ",
      kSamples, kKeywords);
  std::vector<std::uint8_t> samples(kSamples * kInputs);
  for (std::size_t i = 0; i < kSamples; ++i) {
    patterns.draw(i % kKeywords, rng, samples.data() + i * kInputs);
  }
  write_list(samples);
}

}  // namespace

int main() {
  lumina::FastRng rng(2024);
  const Patterns patterns(rng);
  Layers layers{random_projection(kInputs, rng), random_projection(kHidden, rng),
                random_projection(kHidden, rng)};
  Workspace workspace(std::max(kWorkspaceBytes, convolutions::kWorkspaceBytes));
  Codes codes;
  const LastLayer last = nearest_mean(mean_features(
      patterns, rng, kHidden, adc3, [&](const std::uint8_t* sample, std::uint64_t number) {
        run_hidden_layers(sample, number, layers, codes, workspace.executor());
        return codes.hidden3;
      }));
  lumina::FastRng samples_rng = rng;  // the samples are what they were without convolutions
  const Convolutions filters{
      random_projection(convolutions::shape1.filter_size(), rng, convolutions::shape1.outputs),
      random_projection(convolutions::shape2.filter_size(), rng, convolutions::shape2.outputs)};
  convolutions::Codes maps;
  const LastLayer last_of_maps = nearest_mean(mean_features(
      patterns, rng, convolutions::kMaps, convolutions::adc2,
      [&](const std::uint8_t* sample, std::uint64_t number) {
        convolutions::run_convolutions(sample, number, filters, maps, workspace.executor());
        return maps.maps2;
      }));

  std::printf(
      "// Written by make_image.\n#pragma once\n\n#include <cstddef>\n#include <cstdint>\n\n"
      "#include <lumina/lumina.hpp>\n\nnamespace image {\n");
  write_weights("hidden1", layers.hidden1);
  write_weights("hidden2", layers.hidden2);
  write_weights("hidden3", layers.hidden3);
  write_weights("scores", last.weights);
  std::printf("inline constexpr float bias[] = ");
  write_list(last.bias);
  write_weights("maps1", filters.maps1);
  write_weights("maps2", filters.maps2);
  write_weights("map_scores", last_of_maps.weights);
  std::printf("inline constexpr float map_bias[] = ");
  write_list(last_of_maps.bias);
  write_samples(patterns, samples_rng);
  std::printf("\n}  // namespace image\n");
}
