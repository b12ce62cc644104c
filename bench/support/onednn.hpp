// oneDNN's matrix product of floats or codes with packed weights, on one thread.
#pragma once

#if defined(LUMINA_BENCH_ONEDNN)

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <lumina/matrix.hpp>

#include "contest.hpp"

namespace bench {

/// The instruction set of this file in oneDNN's words; `name` is empty where it is not limited.
struct OneDnnIsa {
  dnnl::cpu_isa isa = dnnl::cpu_isa::all;
  const char* name = "";
};
inline constexpr OneDnnIsa kOneDnnIsa =
#if defined(LUMINA_ISA_AMX)
    {dnnl::cpu_isa::avx512_core_amx, "AMX"};
#elif defined(LUMINA_ISA_AVX512) && defined(LUMINA_ISA_VNNI)
    {dnnl::cpu_isa::avx512_core_vnni, "AVX-512 with VNNI"};
#elif defined(LUMINA_ISA_AVX512)
    {dnnl::cpu_isa::avx512_core, "AVX-512"};
#elif defined(LUMINA_ISA_AVX2) && defined(LUMINA_ISA_VNNI)
    {dnnl::cpu_isa::avx2_vnni, "AVX2 with VNNI"};
#elif defined(LUMINA_ISA_AVX2)
    {dnnl::cpu_isa::avx2, "AVX2"};
#elif defined(LUMINA_ISA_SCALAR)
    {dnnl::cpu_isa::sse41, "SSE4.1"};
#else
    {};
#endif

/// Before any other use: one thread, and no instruction set that this file is not compiled for.
inline void prepare_onednn() {
#if defined(_OPENMP)
  omp_set_num_threads(1);
#endif
  dnnl::set_max_cpu_isa(kOneDnnIsa.isa);
}

inline std::string onednn_version() {
  const dnnl_version_t* const v = dnnl_version();
  std::string text = "oneDNN " + std::to_string(v->major) + '.' + std::to_string(v->minor) + '.' +
                     std::to_string(v->patch);
  if (*kOneDnnIsa.name != '\0') text += std::string(" (limited to ") + kOneDnnIsa.name + ")";
  return text;
}

template <class T>
inline constexpr auto kOneDnnType = dnnl::memory::data_type::undef;
template <>
inline constexpr auto kOneDnnType<float> = dnnl::memory::data_type::f32;
template <>
inline constexpr auto kOneDnnType<std::uint8_t> = dnnl::memory::data_type::u8;
template <>
inline constexpr auto kOneDnnType<std::int8_t> = dnnl::memory::data_type::s8;
template <>
inline constexpr auto kOneDnnType<std::int32_t> = dnnl::memory::data_type::s32;

/// The arguments of one call, made beforehand: oneDNN's users keep them too.
using OneDnnArguments = std::unordered_map<int, dnnl::memory>;

/// y [batch, out] = x [batch, in] · wᵀ, w [out, in]; the weights in the layout that oneDNN chooses.
template <class X, class W, class Y>
class OneDnnProduct {
 public:
  OneDnnProduct(lumina::MatrixView<const W> w, std::size_t batch) {
    using Tag = dnnl::memory::format_tag;
    const auto in = static_cast<std::int64_t>(w.cols()), out = static_cast<std::int64_t>(w.rows());
    const auto rows = static_cast<std::int64_t>(batch);
    x_ = {{rows, in}, kOneDnnType<X>, Tag::ab};
    y_ = {{rows, out}, kOneDnnType<Y>, Tag::ab};
    const dnnl::memory::desc any_w({in, out}, kOneDnnType<W>, Tag::any);
    const dnnl::matmul::primitive_desc chosen(dnnl::matmul::desc(x_, any_w, y_), engine_);
    implementation_ = chosen.impl_info_str();
    matmul_ = dnnl::matmul(chosen);

    dnnl::memory plain({{in, out}, kOneDnnType<W>, Tag::ba}, engine_, const_cast<W*>(w.data()));
    weights_ = dnnl::memory(chosen.weights_desc(), engine_);
    dnnl::reorder(plain, weights_).execute(stream_, plain, weights_);
    stream_.wait();
  }

  OneDnnArguments arguments(const X* x, Y* y) const {
    return {{DNNL_ARG_SRC, dnnl::memory(x_, engine_, const_cast<X*>(x))},
            {DNNL_ARG_WEIGHTS, weights_},
            {DNNL_ARG_DST, dnnl::memory(y_, engine_, y)}};
  }
  void operator()(const OneDnnArguments& arguments) {
    matmul_.execute(stream_, arguments);
    stream_.wait();
  }
  /// The name of oneDNN's kernel.
  const std::string& implementation() const { return implementation_; }

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::memory::desc x_, y_;
  dnnl::memory weights_;
  dnnl::matmul matmul_;
  std::string implementation_;
};

/// y [m, n] = aᵀ·b, a [k, m], b [k, n], all floats where they lie: a product over the batch.
class OneDnnBatchProduct {
 public:
  OneDnnBatchProduct(std::size_t k, std::size_t m, std::size_t n) {
    using Tag = dnnl::memory::format_tag;
    const auto f32 = dnnl::memory::data_type::f32;
    const auto depth = static_cast<std::int64_t>(k), rows = static_cast<std::int64_t>(m),
               columns = static_cast<std::int64_t>(n);
    a_ = {{rows, depth}, f32, Tag::ba};
    b_ = {{depth, columns}, f32, Tag::ab};
    y_ = {{rows, columns}, f32, Tag::ab};
    matmul_ = dnnl::matmul(dnnl::matmul::primitive_desc(dnnl::matmul::desc(a_, b_, y_), engine_));
  }

  OneDnnArguments arguments(const float* a, const float* b, float* y) const {
    return {{DNNL_ARG_SRC, dnnl::memory(a_, engine_, const_cast<float*>(a))},
            {DNNL_ARG_WEIGHTS, dnnl::memory(b_, engine_, const_cast<float*>(b))},
            {DNNL_ARG_DST, dnnl::memory(y_, engine_, y)}};
  }
  void operator()(const OneDnnArguments& arguments) {
    matmul_.execute(stream_, arguments);
    stream_.wait();
  }

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::memory::desc a_, b_, y_;
  dnnl::matmul matmul_;
};

/// Makes a contestant's call, which multiplies one of several inputs in turn; `owner` owns them.
/// `implementation`, where given, gets the name of oneDNN's kernel.
template <class X, class W, class Y, std::size_t Sets>
Call onednn_call(std::shared_ptr<void> owner, const lumina::Matrix<W>& w,
                 const std::array<lumina::Matrix<X>, Sets>& x,
                 std::array<lumina::Matrix<Y>, Sets>& y, std::string* implementation = nullptr) {
  const auto matmul = std::make_shared<OneDnnProduct<X, W, Y>>(w, x[0].rows());
  if (implementation != nullptr) *implementation = matmul->implementation();
  std::vector<OneDnnArguments> arguments;
  for (std::size_t set = 0; set < Sets; ++set) {
    arguments.push_back(matmul->arguments(x[set].data(), y[set].data()));
  }
  return [owner = std::move(owner), matmul, arguments = std::move(arguments)](std::size_t turn) {
    (*matmul)(arguments[turn % Sets]);
  };
}

}  // namespace bench

#endif
