// Descriptions of matrices for the copy engine, made on the host.
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstddef>

#include "device_facts.hpp"
#include "tensor_memory.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
/// Of `rows` rows of k bytes, `row_stride_bytes` (a multiple of 16) apart, codes aligned to 16:
/// boxes of 128 bytes × box_rows (1 … 256). The driver's function is asked for at run time, so that
/// no program needs to link the driver.
inline Error make_tensor_map(TensorMap& map, const void* codes, std::size_t rows, std::size_t k,
                             std::size_t row_stride_bytes, unsigned box_rows) {
  static void* encode = nullptr;
  static const Error found = [] {
    cudaDriverEntryPointQueryResult result{};
    const Error error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &encode, 12000,
                                                         cudaEnableDefault, &result);
    const bool is_there = result == cudaDriverEntryPointSuccess && encode != nullptr;
    return error == kSuccess && !is_there ? cudaErrorNotSupported : error;
  }();
  if (found != kSuccess) return found;
  const cuuint64_t sizes[] = {k, rows}, strides[] = {row_stride_bytes};
  const cuuint32_t box[] = {128, box_rows}, steps[] = {1, 1};
  const auto make = [&] {
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(encode)(
        &map, CU_TENSOR_MAP_DATA_TYPE_UINT8, 2, const_cast<void*>(codes), sizes, strides, box,
        steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
        CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  };
  CUresult result = make();
  if (result == CUDA_ERROR_INVALID_CONTEXT) {  // a thread that has called nothing that makes one
    const Error error = apart_from_captures([] {
      int device = 0;
      const Error got = cudaGetDevice(&device);
      return got != kSuccess ? got : cudaSetDevice(device);
    });
    if (error != kSuccess) return error;
    result = make();
  }
  return static_cast<Error>(result);  // both enumerations have the same numbers for the same errors
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
