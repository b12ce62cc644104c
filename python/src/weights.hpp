// The Python classes PackedWeights and CodedWeights.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>

#include <lumina/dispatch.hpp>

namespace lumina::python {

namespace nb = nanobind;

struct PackedWeights {
  dispatch::Weights weights;
};
struct CodedWeights {
  dispatch::Weights weights;
};

/// Float32 weights [out, in], packed as they are (0 bits) or quantized to 2 … 16 bits; as codes of
/// 2 … 8 bits. Error: std::invalid_argument that names the argument, where weights to be quantized
/// are not finite.
dispatch::Weights pack(const char* name, const MatrixMemory<const float>& w, int bits);
dispatch::Weights encode(const char* name, const MatrixMemory<const float>& w, int bits);

/// Rows of w.cols() floats: w with crosstalk between its outputs, quantized before that to `bits`
/// bits unless that is 0. Error: std::invalid_argument, as above.
std::unique_ptr<float[]> mixed(const char* name, const MatrixMemory<const float>& w, int bits,
                               float crosstalk);

/// The weights of either class, or null where `object` is of neither.
const dispatch::Weights* packed_weights(nb::handle object);

void bind_weights(nb::module_& module);

}  // namespace lumina::python
