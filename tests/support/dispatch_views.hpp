// What tests of lumina::dispatch share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <lumina/dispatch.hpp>
#include <lumina/matrix.hpp>

#include "catch.hpp"
#include "random_matrix.hpp"

namespace test {

inline lumina::MatrixMemory<const float> view(const lumina::Matrix<float>& m) {
  return {m.data(), m.rows(), m.cols(), m.cols()};
}
inline lumina::MatrixMemory<float> view(lumina::Matrix<float>& m) {
  return {m.data(), m.rows(), m.cols(), m.cols()};
}

inline lumina::Matrix<float> random_matrix(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Engine engine(seed);
  lumina::Matrix<float> m(rows, cols);
  for (float& element : m.elements()) element = uniform(engine, -1.0f, 1.0f);
  return m;
}

/// Forces each instruction set that is here, and the first one in the end.
template <class F>
void on_every_isa(F f) {
  namespace ld = lumina::dispatch;
  for (const std::string_view isa : ld::available_isas()) {
    CAPTURE(std::string(isa));
    ld::force_isa(isa);
    REQUIRE(ld::isa() == isa);
    f(isa);
  }
  ld::force_isa(ld::available_isas().front());
}

}  // namespace test
