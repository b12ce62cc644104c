// FastRng: Xoshiro256++ for those who want a sequence rather than a noise field (noise.hpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>

#include "config.hpp"
#include "detail/base/scalar_math.hpp"
#include "detail/isa/native.hpp"
#include "detail/random/noise_generator.hpp"
#include "detail/random/xoshiro.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// Xoshiro256++ 1.0, seeded by SplitMix64: the published sequence bit for bit. Models
/// std::uniform_random_bit_generator.
///
/// Normals come from a sequence of their own: the first one asked for takes one 64-bit word as the
/// seed of eight lanes (detail/random/noise_generator.hpp). However the calls are split (normal()
/// three times and fill_normal of five, or fill_normal of eight), the normals are the same, on
/// every machine.
class FastRng {
 public:
  using result_type = std::uint64_t;
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }

  explicit constexpr FastRng(std::uint64_t seed) {
    detail::SplitMix64 seeder{seed};
    for (std::uint64_t& word : state_) word = seeder();
  }

  constexpr std::uint64_t operator()() {
    return detail::xoshiro256pp_next<detail::WordOperations>(state_);
  }

  /// Advances by 2^128 words: streams for parallel use. The normals start anew.
  constexpr void jump() {
    advance({0x180ec6d33cfd0abau, 0xd5a61266f0c9392cu, 0xa9582618e03fc9aau, 0x39abdc4529b1661cu});
  }
  /// Advances by 2^192 words: beginnings for groups of jump()s. The normals start anew.
  constexpr void long_jump() {
    advance({0x76e15d3efefdcbbfu, 0xc5004e441c522fb3u, 0x77710069854ee241u, 0x39109bb02acbe635u});
  }

  /// [0, 1), a multiple of 2^-24; takes one word.
  float uniform() { return static_cast<float>((*this)() >> 40) * 0x1p-24f; }

  /// N(0, 1), |result| < 6.67.
  float normal() {
    if (next_normal_ == block_size) refill();
    return normals_[next_normal_++];
  }

  /// Fills `out` with mean + stddev·N(0, 1), vectorised; an FMA, so rounded once.
  void fill_normal(std::span<float> out, float mean = 0.0f, float stddev = 1.0f);

  /// Goes on where the generator stood whose bytes these are, as std::memcpy takes them: the same
  /// on every instruction set of an architecture. False, and nothing is done: no generator has
  /// them.
  bool restore(std::span<const std::byte> bytes);

 private:
  using Generator = detail::NoiseGenerator<detail::Native>;
  static constexpr std::size_t block_size = detail::kNormalsPerRound;

  constexpr void advance(const std::array<std::uint64_t, 4>& polynomial);
  void refill();
  Generator lanes();

  std::uint64_t state_[4]{};
  typename Generator::State lanes_{};
  std::uint8_t lanes_seeded_ = 0;         // not bool: restore() takes any byte
  std::size_t next_normal_ = block_size;  // index into normals_: those before it are used up
  std::array<float, block_size> normals_{};
};

constexpr void FastRng::advance(const std::array<std::uint64_t, 4>& polynomial) {
  std::uint64_t advanced[4]{};
  for (const std::uint64_t coefficients : polynomial) {
    for (int bit = 0; bit < 64; ++bit) {
      if ((coefficients >> bit & 1) != 0) {
        for (std::size_t i = 0; i < 4; ++i) advanced[i] ^= state_[i];
      }
      (*this)();
    }
  }
  for (std::size_t i = 0; i < 4; ++i) state_[i] = advanced[i];
  lanes_seeded_ = 0;
  next_normal_ = block_size;
}

inline FastRng::Generator FastRng::lanes() {
  if (lanes_seeded_ != 0) return Generator(lanes_);
  lanes_seeded_ = 1;
  return Generator((*this)());
}

inline void FastRng::refill() {
  Generator generator = lanes();
  Generator::store(generator.next_round(), normals_.data());
  lanes_ = generator.state();
  next_normal_ = 0;
}

inline void FastRng::fill_normal(std::span<float> out, float mean, float stddev) {
  using Floats = Generator::Floats;
  std::size_t done = 0;
  const auto from_buffer = [&] {
    while (done < out.size() && next_normal_ < block_size) {
      out[done++] = detail::fused_multiply_add(stddev, normals_[next_normal_++], mean);
    }
  };
  from_buffer();
  if (out.size() - done >= block_size) {
    Generator generator = lanes();
    for (; out.size() - done >= block_size; done += block_size) {
      Generator::Round block = generator.next_round();
      for (Floats& values : block) {
        values = detail::fused_multiply_add(Floats(stddev), values, Floats(mean));
      }
      Generator::store(block, out.data() + done);
    }
    lanes_ = generator.state();
  }
  if (done < out.size()) {
    refill();
    from_buffer();
  }
}

inline bool FastRng::restore(std::span<const std::byte> bytes) {
  static_assert(std::is_trivially_copyable_v<FastRng>);
  if (bytes.size() != sizeof(FastRng)) return false;
  FastRng copy(0);
  std::memcpy(static_cast<void*>(&copy), bytes.data(), sizeof(FastRng));
  const bool any = (copy.state_[0] | copy.state_[1] | copy.state_[2] | copy.state_[3]) != 0;
  if (!any || copy.next_normal_ > block_size) return false;
  copy.lanes_seeded_ = copy.lanes_seeded_ != 0 ? 1 : 0;
  *this = copy;
  return true;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
