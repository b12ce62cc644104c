// oneDNN's f32 matrix product with packed weights, on one thread.
#pragma once

#if defined(LUMINA_BENCH_ONEDNN)

#include <cstdint>
#include <string>
#include <unordered_map>

#include <oneapi/dnnl/dnnl.hpp>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <lumina/matrix.hpp>

namespace bench {

/// Before any other use: one thread, and no instruction set that this file is not compiled for.
inline void prepare_onednn() {
#if defined(_OPENMP)
  omp_set_num_threads(1);
#endif
#if defined(LUMINA_ISA_AVX2)
  dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
#elif defined(LUMINA_ISA_SCALAR)
  dnnl::set_max_cpu_isa(dnnl::cpu_isa::sse41);
#endif
}

inline std::string onednn_version() {
  const dnnl_version_t* const v = dnnl_version();
  return "oneDNN " + std::to_string(v->major) + '.' + std::to_string(v->minor) + '.' +
         std::to_string(v->patch)
#if defined(LUMINA_ISA_AVX2)
         + " (limited to AVX2)"
#elif defined(LUMINA_ISA_SCALAR)
         + " (limited to SSE4.1)"
#endif
      ;
}

/// y [batch, out] = x [batch, in] · wᵀ, w [out, in]; the weights in the layout that oneDNN chooses.
class OneDnnProduct {
 public:
  /// The arguments of one call, made beforehand: oneDNN's users keep them too.
  using Arguments = std::unordered_map<int, dnnl::memory>;

  OneDnnProduct(lumina::MatrixView<const float> w, std::size_t batch) {
    using Tag = dnnl::memory::format_tag;
    const auto in = static_cast<std::int64_t>(w.cols()), out = static_cast<std::int64_t>(w.rows());
    const auto rows = static_cast<std::int64_t>(batch);
    x_ = describe({rows, in}, Tag::ab);
    y_ = describe({rows, out}, Tag::ab);
    const dnnl::matmul::desc product(x_, describe({in, out}, Tag::any), y_);
    const dnnl::matmul::primitive_desc chosen(product, engine_);
    implementation_ = chosen.impl_info_str();
    matmul_ = dnnl::matmul(chosen);

    dnnl::memory plain(describe({in, out}, Tag::ba), engine_, const_cast<float*>(w.data()));
    weights_ = dnnl::memory(chosen.weights_desc(), engine_);
    dnnl::reorder(plain, weights_).execute(stream_, plain, weights_);
    stream_.wait();
  }

  Arguments arguments(const float* x, float* y) const {
    return {{DNNL_ARG_SRC, dnnl::memory(x_, engine_, const_cast<float*>(x))},
            {DNNL_ARG_WEIGHTS, weights_},
            {DNNL_ARG_DST, dnnl::memory(y_, engine_, y)}};
  }
  void operator()(const Arguments& arguments) {
    matmul_.execute(stream_, arguments);
    stream_.wait();
  }
  /// The name of oneDNN's kernel.
  const std::string& implementation() const { return implementation_; }

 private:
  static dnnl::memory::desc describe(const dnnl::memory::dims& shape,
                                     dnnl::memory::format_tag tag) {
    return {shape, dnnl::memory::data_type::f32, tag};
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::memory::desc x_, y_;
  dnnl::memory weights_;
  dnnl::matmul matmul_;
  std::string implementation_;
};

}  // namespace bench

#endif
