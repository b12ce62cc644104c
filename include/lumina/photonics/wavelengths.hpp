// Wavelength division: inputs are channels of one bus, and what should weight one channel weights
// its neighbours' light a little too. That is linear in the inputs, so it is mixed into the weights
// while they are programmed:
//
//   w'[o, i] = Σ over j of X[i, j]·w[o, j]        over the channels j of i's bus
//
// (crosstalk.hpp mixes outputs.) Sums are in double over ascending j, products of floats being
// exact there, so the bits are the same on every machine.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../config.hpp"
#include "../detail/base/double_math.hpp"
#include "../detail/base/message.hpp"
#include "../detail/rows/photonic_checks.hpp"
#include "../matrix.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// X[i, j] = 1 / (1 + (2·(i − j)·spacing)²): the part of channel i that a resonance at channel j
/// takes, of Lorentzian shape; `spacing` of neighbouring channels in widths of a resonance (full
/// width at half maximum). Source: W. Bogaerts et al., "Silicon microring resonators", Laser &
/// Photonics Reviews 6, 47 (2012), whose resonances are Lorentzian near their centre.
inline Matrix<float> lorentzian_crosstalk(std::size_t channels, double spacing) {
  Matrix<float> x(channels, channels);
  for (std::size_t i = 0; i < channels; ++i) {
    for (std::size_t j = 0; j < channels; ++j) {
      const double distance = static_cast<double>(i > j ? i - j : j - i);
      const double detuning = 2.0 * detail::rounded_product(distance, spacing);
      x(i, j) = static_cast<float>(1.0 / (1.0 + detail::rounded_product(detuning, detuning)));
    }
  }
  return x;
}

/// `mixed` [out, in] = w with the crosstalk X [channels, channels] of each bus: inputs 0 … channels
/// − 1 are on the first one, the next ones on the second one, …; the last one may have fewer.
/// Errors, before anything is written: X that is not square or is empty, or overlaps mixed; another
/// shape of mixed, missing data, overlapping matrices, a weight that is infinite or NaN. The
/// result: whether it was mixed.
inline bool mix_channels(MatrixView<const float> w, MatrixView<const float> crosstalk,
                         MatrixView<float> mixed) {
  using namespace detail;
  const std::size_t channels = crosstalk.rows();
  if (channels == 0 || crosstalk.cols() != channels || crosstalk.data() == nullptr ||
      overlap(crosstalk, mixed)) {
    report_error((Message() << "lumina::mix_channels: the crosstalk is "
                            << Shape{crosstalk.rows(), crosstalk.cols()}
                            << "; it must be square, with data, and apart from the result")
                     .c_str());
    return false;
  }
  if (!photonic_weights_valid("mix_channels", w, mixed, w.cols())) return false;
  for (std::size_t out = 0; out < w.rows(); ++out) {
    for (std::size_t first = 0; first < w.cols(); first += channels) {
      const std::size_t count = std::min(channels, w.cols() - first);
      for (std::size_t i = 0; i < count; ++i) {
        double sum = 0.0;
        for (std::size_t j = 0; j < count; ++j) {
          sum += static_cast<double>(crosstalk(i, j)) * static_cast<double>(w(out, first + j));
        }
        mixed(out, first + i) = static_cast<float>(sum);
      }
    }
  }
  return true;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
