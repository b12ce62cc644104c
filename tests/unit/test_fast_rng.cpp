#include <lumina/fast_rng.hpp>
#include <lumina/noise.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using lumina::FastRng;
using namespace test;

namespace {

static_assert(std::uniform_random_bit_generator<FastRng>);
static_assert(FastRng::min() == 0 && FastRng::max() == ~std::uint64_t{0});

using Ten = std::array<std::uint64_t, 10>;

template <class Generator>
constexpr Ten next_ten(Generator&& generator) {
  Ten words{};
  for (std::uint64_t& word : words) word = generator();
  return words;
}

// The first ten words of FastRng(seed), and after jumps. Printed by the crate rand_xoshiro 0.6.0
// (Debian: librust-rand-xoshiro-dev), Xoshiro256PlusPlus::seed_from_u64(seed), jump(), long_jump().
// A second, independent computation gave the same: a few lines of Python that derive the jumps from
// nothing but the generator's step (its minimal polynomial P by Berlekamp-Massey, then x^(2^128)
// and x^(2^192) modulo P).
constexpr Ten kSeed42 = {15021278609987233951u, 5881210131331364753u,  18149643915985481100u,
                         12933668939759105464u, 14637574242682825331u, 10848501901068131965u,
                         2312344417745909078u,  11162538943635311430u, 3831705504650218695u,
                         17217215411128672468u};
constexpr Ten kSeed42Jump = {13886555598616206053u, 6751983904886340403u, 635420893945114766u,
                             15945997345469317965u, 118857652418012005u,  2358633787429415496u,
                             13422591562835860256u, 7758334647821409849u, 14175376340856296725u,
                             15369059159739530447u};
constexpr Ten kSeed42LongJump = {
    144566570880908039u,   2719862540853148003u,  2379150343223650805u,  1692991554232539330u,
    12979667418723589497u, 16721262594582989899u, 17798191049383635037u, 16245768192323705333u,
    10948284444706160686u, 17820010737985929044u};
constexpr Ten kSeed42JumpJump = {13626344447376589899u, 6866272446064134760u, 5967244582632191458u,
                                 3471631850228312087u,  7713562435358191738u, 13156818701271151103u,
                                 16306478672500007976u, 183964211588966614u,  8201547579466686738u,
                                 16363301009620641499u};
// One word, jump(), long_jump().
constexpr Ten kSeed42Mixed = {5131619481066912328u,  13642295807308182423u, 18184556738632508197u,
                              13908609277967706370u, 4711718383762402350u,  12395387862806088990u,
                              5008960256339084883u,  15540016772609031963u, 8215033099465788964u,
                              3031881202895017917u};
constexpr Ten kSeed0 = {5987356902031041503u,  7051070477665621255u,  6633766593972829180u,
                        211316841551650330u,   9136120204379184874u,  379361710973160858u,
                        15813423377499357806u, 15596884590815070553u, 5439680534584881407u,
                        1369371744833522710u};
constexpr Ten kSeedAllOnes = {6254647548650071986u,  16610832622747802512u, 16422857234328439435u,
                              5048281510058307187u,  12093889312535503841u, 7417986222439541780u,
                              16304073528878514024u, 8976797394443910655u,  11710966923038033957u,
                              15754321882623561431u};

// The generators' own test vectors, made by S. Vigna's xoshiro256plusplus.c with the state
// {1, 2, 3, 4} and by splitmix64.c with the state 1477776061723855037; both quoted from the tests
// of rand_xoshiro 0.6.0.
constexpr Ten kXoshiro1234 = {41943041u,
                              58720359u,
                              3588806011781223u,
                              3591011842654386u,
                              9228616714210784205u,
                              9973669472204895162u,
                              14011001112246962877u,
                              12406186145184390807u,
                              15849039046786891736u,
                              10450023813501588000u};
constexpr Ten kSplitMix = {1985237415132408290u,  2979275885539914483u,  13511426838097143398u,
                           8488337342461049707u,  15141737807933549159u, 17093170987380407015u,
                           16389528042912955399u, 13177319091862933652u, 10841969400225389492u,
                           17094824097954834098u};

template <class... Moves>
constexpr Ten after(std::uint64_t seed, Moves... moves) {
  FastRng rng(seed);
  (moves(rng), ...);
  return next_ten(rng);
}
constexpr auto kNext = [](FastRng& rng) { rng(); };
constexpr auto kJump = [](FastRng& rng) { rng.jump(); };
constexpr auto kLongJump = [](FastRng& rng) { rng.long_jump(); };

// In constant expressions, too.
static_assert(after(42) == kSeed42);
static_assert(after(42, kJump) == kSeed42Jump);

/// The normals of FastRng(seed) by scalar code: the first word seeds eight lanes, see fast_rng.hpp.
std::vector<float> scalar_normals(FastRng rng, std::size_t count) {
  using namespace lumina::detail;
  SplitMix64 seeder{rng()};
  std::uint64_t lanes[8][4];
  for (auto& lane : lanes) {
    for (std::uint64_t& word : lane) word = seeder();
  }
  std::vector<float> normals;
  while (normals.size() < count) {
    float cosines[16], sines[16];
    for (std::size_t i = 0; i < 8; ++i) {
      const std::uint64_t radius = xoshiro256pp_next<WordOperations>(lanes[i]);
      const std::uint64_t angle = xoshiro256pp_next<WordOperations>(lanes[i]);
      for (const int half : {0, 1}) {
        const NormalPair pair = box_muller(static_cast<std::uint32_t>(radius >> (32 * half)),
                                           static_cast<std::uint32_t>(angle >> (32 * half)));
        cosines[2 * i + static_cast<std::size_t>(half)] = pair.cosine;
        sines[2 * i + static_cast<std::size_t>(half)] = pair.sine;
      }
    }
    normals.insert(normals.end(), cosines, cosines + 16);
    normals.insert(normals.end(), sines, sines + 16);
  }
  normals.resize(count);
  return normals;
}

std::vector<float> filled(FastRng& rng, std::size_t count) {
  // Exactly so many floats: a sanitizer sees an access behind them.
  const std::unique_ptr<float[]> memory(new float[count]);
  rng.fill_normal({memory.get(), count});
  return {memory.get(), memory.get() + count};
}

}  // namespace

TEST_CASE("FastRng is the published Xoshiro256++, seeded by SplitMix64", "[fast_rng]") {
  CHECK(after(42) == kSeed42);
  CHECK(after(0) == kSeed0);
  CHECK(after(~std::uint64_t{0}) == kSeedAllOnes);
}

TEST_CASE("FastRng's jumps are the published ones", "[fast_rng]") {
  CHECK(after(42, kJump) == kSeed42Jump);
  CHECK(after(42, kLongJump) == kSeed42LongJump);
  CHECK(after(42, kJump, kJump) == kSeed42JumpJump);
  CHECK(after(42, kNext, kJump, kLongJump) == kSeed42Mixed);
  CHECK(after(42, kLongJump, kNext, kJump) == kSeed42Mixed);  // they commute
}

TEST_CASE("The bare generators give their authors' test vectors", "[fast_rng]") {
  std::uint64_t state[4] = {1, 2, 3, 4};
  CHECK(next_ten([&] {
          return lumina::detail::xoshiro256pp_next<lumina::detail::WordOperations>(state);
        }) == kXoshiro1234);
  CHECK(next_ten(lumina::detail::SplitMix64{1477776061723855037u}) == kSplitMix);
}

TEST_CASE("FastRng works where the standard library wants a generator", "[fast_rng]") {
  FastRng rng(7);
  std::vector<int> cards(52);
  std::iota(cards.begin(), cards.end(), 0);
  std::vector<int> shuffled = cards;
  std::shuffle(shuffled.begin(), shuffled.end(), rng);
  CHECK(shuffled != cards);
  std::sort(shuffled.begin(), shuffled.end());
  CHECK(shuffled == cards);
  CHECK(std::uniform_int_distribution<int>(3, 3)(rng) == 3);
}

TEST_CASE("FastRng::uniform takes the highest 24 bits of a word", "[fast_rng]") {
  FastRng rng(1);
  FastRng words(1);
  bool right = true;
  double sum = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const float u = rng.uniform();
    right &= u >= 0.0f && u < 1.0f;
    right &= static_cast<double>(u) == static_cast<double>(words() >> 40) / 16777216.0;
    sum += static_cast<double>(u);
  }
  CHECK(right);
  CHECK(std::fabs(sum / kCount - 0.5) < 5 * std::sqrt(1.0 / 12 / kCount));
}

TEST_CASE("FastRng's normals are those of the lanes that its first word seeds", "[fast_rng]") {
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{42}, ~std::uint64_t{0}}) {
    const std::vector<float> expected = scalar_normals(FastRng(seed), 1000);
    FastRng filling(seed);
    CHECK(difference(filled(filling, 1000), expected) == "");
    FastRng single(seed);
    std::vector<float> one_by_one;
    for (int i = 0; i < 1000; ++i) one_by_one.push_back(single.normal());
    CHECK(difference(one_by_one, expected) == "");
    // One word, however many normals: the words behind it are untouched.
    FastRng words(seed);
    words();
    const std::uint64_t next = words();
    CHECK(filling() == next);
    CHECK(single() == next);
  }
}

TEST_CASE("FastRng's normals do not depend on how the calls are split", "[fast_rng]") {
  const std::vector<float> expected = scalar_normals(FastRng(5), 20000);
  const auto from = [&](std::size_t begin, std::size_t count) {
    return std::span<const float>(expected).subspan(begin, count);
  };
  SECTION("3 + 5 = 8") {
    FastRng rng(5);
    CHECK(difference(filled(rng, 3), from(0, 3)) == "");
    CHECK(difference(filled(rng, 5), from(3, 5)) == "");
  }
  SECTION("every length, alone") {
    for (std::size_t length = 0; length <= 200; ++length) {
      FastRng rng(5);
      REQUIRE(difference(filled(rng, length), from(0, length)) == "");
    }
  }
  SECTION("every length, behind each other, with normal() and words between them") {
    FastRng rng(5);
    std::size_t done = 0;
    bool same = true;
    for (std::size_t i = 1; i <= 190; ++i) {
      const std::size_t length = i * 37 % 191;
      REQUIRE(difference(filled(rng, length), from(done, length)) == "");
      done += length;
      for (std::size_t single = 0; single < i % 4; ++single) {
        same &= rng.normal() == expected[done++];
      }
      rng();  // takes a word, not a normal
    }
    CHECK(same);
    CHECK(done > 15000);
  }
}

TEST_CASE("FastRng::fill_normal scales by one FMA", "[fast_rng]") {
  const std::vector<float> normals = scalar_normals(FastRng(9), 200);
  for (const std::size_t length : {5u, 32u, 47u, 200u}) {
    FastRng rng(9);
    std::vector<float> scaled(length);
    rng.fill_normal(scaled, 3.1f, 0.7f);
    bool same = true;
    for (std::size_t i = 0; i < length; ++i) same &= scaled[i] == std::fma(0.7f, normals[i], 3.1f);
    CHECK(same);
  }
  FastRng rng(9);
  std::vector<float> constant(100);
  rng.fill_normal(constant, 2.5f, 0.0f);
  CHECK(std::all_of(constant.begin(), constant.end(), [](float v) { return v == 2.5f; }));
}

TEST_CASE("FastRng's normals have mean 0 and variance 1", "[fast_rng]") {
  FastRng rng(3);
  const std::vector<float> normals = filled(rng, 400000);
  double sum = 0, squares = 0;
  bool bounded = true;
  for (const float v : normals) {
    sum += static_cast<double>(v);
    squares += static_cast<double>(v) * static_cast<double>(v);
    bounded &= std::fabs(v) < 6.67f;
  }
  const auto count = static_cast<double>(normals.size());
  CHECK(std::fabs(sum / count) < 5 / std::sqrt(count));
  CHECK(std::fabs(squares / count - 1) < 5 * std::sqrt(2 / count));
  CHECK(bounded);
}

TEST_CASE("FastRng: a jump starts the normals anew", "[fast_rng]") {
  FastRng jumped_first(11);
  jumped_first.jump();
  const std::vector<float> expected = scalar_normals(jumped_first, 100);

  FastRng rng(11);
  rng.jump();
  filled(rng, 7);
  FastRng restarted(11);
  restarted.jump();
  CHECK(difference(filled(restarted, 100), expected) == "");

  // Normals that were left over from before the jump are not handed out behind it.
  FastRng used(11);
  used.normal();  // takes a word
  used.jump();
  FastRng fresh(11);
  fresh();
  fresh.jump();
  CHECK(difference(filled(used, 100), scalar_normals(fresh, 100)) == "");
  used.long_jump();
  fresh();
  fresh.long_jump();
  CHECK(difference(filled(used, 100), scalar_normals(fresh, 100)) == "");
}

TEST_CASE("A copy of a FastRng goes on like the original", "[fast_rng]") {
  FastRng rng(13);
  filled(rng, 45);
  FastRng copy = rng;
  CHECK(difference(filled(copy, 77), filled(rng, 77)) == "");
  CHECK(copy() == rng());
}

TEST_CASE("FastRng: neighbouring seeds and jumped streams differ", "[fast_rng]") {
  std::vector<std::uint64_t> first_words;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) first_words.push_back(FastRng(seed)());
  FastRng jumping(0);
  for (int i = 0; i < 20; ++i) {
    jumping.jump();
    first_words.push_back(FastRng(jumping)());
  }
  std::sort(first_words.begin(), first_words.end());
  CHECK(std::adjacent_find(first_words.begin(), first_words.end()) == first_words.end());
}
