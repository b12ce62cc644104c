// Random words and normals against the generators of others. Each contestant fills a buffer that
// stays in the L1 cache.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <utility>

#include <benchmark/benchmark.h>

#include <lumina/lumina.hpp>

#include "support/contest.hpp"
#include "support/markdown.hpp"
#include "support/not_there.hpp"
#include "support/random_data.hpp"
#include "support/run.hpp"

#if __has_include(<boost/random/normal_distribution.hpp>)
#define LUMINA_BENCH_BOOST
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#endif
#if __has_include(<pcg_random.hpp>)
#define LUMINA_BENCH_PCG
#include <pcg_random.hpp>
#endif
#if defined(LUMINA_BENCH_GSL)
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#endif
#if defined(LUMINA_BENCH_MKL)
#include <mkl_service.h>
#include <mkl_vsl.h>
#endif

namespace {

constexpr std::size_t kCount = 4096;

template <class T>
using Buffer = std::array<T, kCount>;

/// One sample after the other: `make()` returns a generator, a callable without arguments.
template <class T, class Make>
bench::Contestant one_by_one(const std::string& title, Make make) {
  return {.title = title, .work = kCount, .prepare = [make] {
            const auto buffer = std::make_shared<Buffer<T>>();
            return [buffer, next = make()](std::size_t) mutable {
              for (T& sample : *buffer) sample = static_cast<T>(next());
              benchmark::DoNotOptimize(buffer->data());
              benchmark::ClobberMemory();
            };
          }};
}

/// All at once: `make()` returns a callable that takes the buffer.
template <class Make>
bench::Contestant filled(const std::string& title, Make make) {
  return {.title = title, .work = kCount, .prepare = [make] {
            const auto buffer = std::make_shared<Buffer<float>>();
            return [buffer, fill = make()](std::size_t turn) mutable {
              fill(*buffer, turn);
              benchmark::DoNotOptimize(buffer->data());
              benchmark::ClobberMemory();
            };
          }};
}

/// Distribution(Engine), as the standard library and Boost have them.
template <class Engine, class Distribution>
bench::Contestant distribution(const std::string& title) {
  return one_by_one<float>(title, [] {
    return [engine = Engine(5), normal = Distribution(0.0f, 1.0f)]() mutable {
      return normal(engine);
    };
  });
}

#if defined(LUMINA_BENCH_GSL)
std::shared_ptr<gsl_rng> gsl_generator(const gsl_rng_type* type) {
  return {gsl_rng_alloc(type), &gsl_rng_free};
}
#endif

std::shared_ptr<bench::Contest> words() {
  const auto contest = std::make_shared<bench::Contest>("64-bit words", "samples");
  const auto engine = [&]<class Engine>(const std::string& title, Engine) {
    contest->add(one_by_one<std::uint64_t>(title, [] { return Engine(5); }));
  };
  engine("lumina: FastRng", lumina::FastRng(5));
  engine("std::mt19937_64", std::mt19937_64(5));
#if defined(LUMINA_BENCH_BOOST)
  engine("boost::random::mt19937_64", boost::random::mt19937_64(5));
#else
  contest->add(bench::not_there("boost::random::mt19937_64", kCount, "libboost-dev"));
#endif
#if defined(LUMINA_BENCH_PCG)
  engine("pcg64", pcg64(5));
#else
  contest->add(bench::not_there("pcg64", kCount, "libpcg-cpp-dev"));
#endif
#if defined(LUMINA_BENCH_GSL)
  contest->add(one_by_one<std::uint64_t>("GSL: taus2, two 32-bit words", [] {
    return [rng = gsl_generator(gsl_rng_taus2)] {
      return std::uint64_t{gsl_rng_get(rng.get())} << 32 | gsl_rng_get(rng.get());
    };
  }));
#else
  contest->add(bench::not_there("GSL: taus2", kCount, "libgsl-dev"));
#endif
  return contest;
}

void add_lumina_normals(bench::Contest& contest) {
  contest.add(filled("lumina: FastRng::fill_normal", [] {
    return [rng = lumina::FastRng(5)](Buffer<float>& out, std::size_t) mutable {
      rng.fill_normal(out);
    };
  }));
  contest.add(one_by_one<float>("lumina: FastRng::normal", [] {
    return [rng = lumina::FastRng(5)]() mutable { return rng.normal(); };
  }));
  // A fused call with a single input: nearly all of it is what noise costs an output.
  contest.add(filled("lumina: fused call with one input", [] {
    const auto x = std::make_shared<lumina::Matrix<float>>(bench::random_matrix(8, 1, 0, 1, 1));
    const auto w = std::make_shared<lumina::PackedWeights>(
        lumina::pack_weights(bench::random_matrix(kCount / 8, 1, -1, 1, 2)));
    return [=](Buffer<float>& out, std::size_t turn) {
      const lumina::MatrixView<float> y(out.data(), 8, kCount / 8);
      lumina::fused_gemm(*x, *w, y, lumina::epilogue(lumina::GaussianNoise{1.0f}),
                         {.seed = 5, .stream = turn});
    };
  }));
  contest.add(filled("lumina: noise lanes, kept in registers", [] {
    return [](Buffer<float>& out, std::size_t turn) {
      using Lanes = lumina::detail::NoiseGenerator<lumina::detail::Native>;
      Lanes lanes(turn);
      Lanes::Round sum = lanes.next_round();
      for (std::size_t i = sum.size() * sum[0].size; i < kCount; i += sum.size() * sum[0].size) {
        const Lanes::Round block = lanes.next_round();
        for (std::size_t j = 0; j < sum.size(); ++j) sum[j] = sum[j] + block[j];
      }
      Lanes::store(sum, out.data());
    };
  }));
  contest.add(filled("lumina: standard_normal_at", [] {
    return [](Buffer<float>& out, std::size_t turn) {
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = lumina::standard_normal_at({}, turn, i);
    };
  }));
}

void add_other_normals(bench::Contest& contest) {
  using StdNormal = std::normal_distribution<float>;
  contest.add(distribution<std::mt19937_64, StdNormal>("std::normal_distribution, mt19937_64"));
  contest.add(distribution<std::mt19937, StdNormal>("std::normal_distribution, mt19937"));
  contest.add(distribution<lumina::FastRng, StdNormal>("std::normal_distribution, FastRng"));
#if defined(LUMINA_BENCH_BOOST)
  using BoostNormal = boost::random::normal_distribution<float>;
  contest.add(distribution<boost::random::mt19937, BoostNormal>(
      "boost::random::normal_distribution (ziggurat), mt19937"));
  contest.add(distribution<lumina::FastRng, BoostNormal>(
      "boost::random::normal_distribution (ziggurat), FastRng"));
#else
  contest.add(bench::not_there("boost::random::normal_distribution", kCount, "libboost-dev"));
#endif
#if defined(LUMINA_BENCH_GSL)
  contest.add(one_by_one<float>("GSL: gsl_ran_gaussian_ziggurat, taus2", [] {
    return
        [rng = gsl_generator(gsl_rng_taus2)] { return gsl_ran_gaussian_ziggurat(rng.get(), 1.0); };
  }));
#else
  contest.add(bench::not_there("GSL: gsl_ran_gaussian_ziggurat", kCount, "libgsl-dev"));
#endif
#if defined(LUMINA_BENCH_MKL)
  mkl_set_threading_layer(MKL_THREADING_SEQUENTIAL);
  const auto mkl = [&](const std::string& title, MKL_INT engine, MKL_INT method) {
    contest.add(filled(title, [=] {
      VSLStreamStatePtr stream = nullptr;
      vslNewStream(&stream, engine, 5);
      const std::shared_ptr<void> owner(stream, [](void* s) { vslDeleteStream(&s); });
      return [=](Buffer<float>& out, std::size_t) {
        vsRngGaussian(method, owner.get(), static_cast<MKL_INT>(out.size()), out.data(), 0.0f,
                      1.0f);
      };
    }));
  };
  mkl("MKL: vsRngGaussian, Box-Muller, SFMT", VSL_BRNG_SFMT19937,
      VSL_RNG_METHOD_GAUSSIAN_BOXMULLER2);
  mkl("MKL: vsRngGaussian, inverse, Philox", VSL_BRNG_PHILOX4X32X10, VSL_RNG_METHOD_GAUSSIAN_ICDF);
#else
  contest.add(bench::not_there("MKL: vsRngGaussian", kCount, "not in Debian 12's main section"));
#endif
}

std::shared_ptr<bench::Contest> normals() {
  const auto contest = std::make_shared<bench::Contest>("normals", "samples");
  add_lumina_normals(*contest);
  add_other_normals(*contest);
  return contest;
}

void print(const bench::Contest& contest, std::ostream& out) {
  const std::size_t ours = 0;
  bench::MarkdownTable table({contest.name(), "ns per sample", "best", "time / lumina"});
  for (std::size_t i = 0; i < contest.contestants().size(); ++i) {
    const bench::Contestant& contestant = contest.contestants()[i];
    if (contest.there(i)) {
      table.add({contestant.title, bench::number(1e9 * contest.median(i) / contestant.work),
                 bench::number(1e9 * contest.best(i) / contestant.work),
                 bench::times(contest.time_ratio(i, ours))});
    } else {
      table.add({contestant.title});
    }
  }
  table.print(out);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run(argc, argv, "Random numbers", "", {{words(), print}, {normals(), print}});
}
