// OpenBLAS's matrix product, on one thread. It has no packed weights.
#pragma once

#if defined(LUMINA_BENCH_OPENBLAS)

#include <chrono>
#include <string>
#include <thread>

#include <cblas.h>

#include <lumina/matrix.hpp>

namespace bench {

inline void prepare_openblas() {
  openblas_set_num_threads(1);
  // The workers that it started before main spin for a while before they sleep.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
}

/// With the kernels that it chose; the environment variable OPENBLAS_CORETYPE chooses others.
inline std::string openblas_version() {
  return std::string("OpenBLAS with kernels for ") + openblas_get_corename();
}

/// y [batch, out] = x [batch, in] · wᵀ, w [out, in].
inline void openblas_product(lumina::MatrixView<const float> x, lumina::MatrixView<const float> w,
                             lumina::MatrixView<float> y) {
  const auto batch = static_cast<blasint>(x.rows()), in = static_cast<blasint>(x.cols());
  const auto out = static_cast<blasint>(w.rows());
  if (batch == 1) {
    cblas_sgemv(CblasRowMajor, CblasNoTrans, out, in, 1.0f, w.data(), in, x.data(), 1, 0.0f,
                y.data(), 1);
  } else {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, batch, out, in, 1.0f, x.data(), in,
                w.data(), in, 0.0f, y.data(), out);
  }
}

}  // namespace bench

#endif
