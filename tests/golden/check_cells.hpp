// exp, log and tanh; devices of cells, and weights on them, at three times.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>

#include <lumina/cells.hpp>
#include <lumina/elementary.hpp>
#include <lumina/programmed.hpp>

#include "bits.hpp"
#include "cell_vectors.hpp"
#include "operands.hpp"

namespace golden {

template <class Report>
void check_elementary(Report&& report) {
  using Floats = lumina::detail::Native::Batch<float>;
  constexpr std::size_t kCount = std::size(kElementaryArguments);
  const auto check = [&](const char* area, const std::uint32_t(&expected)[kCount], auto function,
                         bool positive) {
    for (std::size_t first = 0; first < kCount; first += Floats::size) {
      float lanes[Floats::size] = {};
      const std::size_t count = std::min(kCount - first, Floats::size);
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t bits = kElementaryArguments[first + i];
        lanes[i] = float_of(positive ? bits & 0x7fffffffu : bits);
      }
      function(Floats::load_unaligned(lanes)).store_unaligned(lanes);
      for (std::size_t i = 0; i < count; ++i) {
        report(area, first + i, expected[first + i], bits_of(lanes[i]));
      }
    }
  };
  check(
      "exp", kExp, [](const Floats& x) { return lumina::exp(x); }, false);
  check(
      "log", kLog, [](const Floats& x) { return lumina::log(x); }, true);
  check(
      "tanh", kTanh, [](const Floats& x) { return lumina::tanh(x); }, false);
}

inline lumina::NoiseKey cell_key() { return {kCellKey[0], kCellKey[1], kCellKey[2]}; }

/// The devices of a cell as they were programmed, and where it changes at the times.
template <class Report, class Cell, std::size_t Count>
void check_devices(Report&& report, const char* area, const Cell& cell,
                   const std::uint32_t (&expected)[Count]) {
  float targets[kDevices], result[kDevices];
  for (std::size_t i = 0; i < kDevices; ++i) {
    targets[i] = cell.g_max * (static_cast<float>(37 * i % 65) / 64.0f);
  }
  for (std::size_t time = 0; time < Count / kDevices; ++time) {
    const auto seconds = time == 0 ? std::nullopt : std::optional<double>(kCellTimes[time - 1]);
    const bool made = lumina::conductances(cell, targets, result, seconds, cell_key());
    report(area, time, 1, made ? 1 : 0);
    for (std::size_t i = 0; i < kDevices; ++i) {
      const std::size_t index = time * kDevices + i;
      report(area, index, expected[index], bits_of(result[i]));
    }
  }
}

template <class Report>
void check_pcm(Report&& report) {
  check_devices(report, "PCM", lumina::Pcm{}, kPcmDevices);
}
template <class Report>
void check_other_cells(Report&& report) {
  using namespace lumina;
  check_devices(report, "PCM, Joshi 2020", PcmJoshi2020{}, kPcmJoshiDevices);
  check_devices(report, "PCM, stuck", StuckAt<Pcm>{Pcm{}, 0.25f, 0.125f, 0.5f}, kStuckPcmDevices);
  check_devices(report, "ReRAM, Milo 2021", ReRamMilo2021{}, kReRamMiloDevices);
  check_devices(report, "ReRAM, Wan 2022", ReRamWan2022{}, kReRamWanDevices);
}

/// Weights on arrays of PCM. (Allocates.)
template <class Report>
void check_programmed(Report&& report) {
  float w[kProgrammedOut * kProgrammedIn];
  fill_weights(kProgrammedSeed, kProgrammedOut, kProgrammedIn, w);
  const lumina::Programmed chip(lumina::MatrixView<const float>(w, kProgrammedOut, kProgrammedIn),
                                lumina::Pcm{}, cell_key(),
                                {.tile = {kProgrammedTile, kProgrammedTile}});
  lumina::TiledWeights<8> weights;
  std::size_t index = 0;
  for (std::size_t time = 0; time <= std::size(kCellTimes); ++time) {
    const auto seconds = time == 0 ? std::nullopt : std::optional<double>(kCellTimes[time - 1]);
    report("programmed", time, 1, chip.at(seconds, weights) ? 1 : 0);
    report("what a code is", time, kProgrammedCodeValue, bits_of(weights.code_value()));
    for (std::size_t row = 0; row < kProgrammedOut; ++row) {
      for (std::size_t col = 0; col < kProgrammedIn; ++col, ++index) {
        report("code of a device", index, static_cast<std::uint64_t>(kProgrammedCodes[index]),
               static_cast<std::uint64_t>(weights.code(row, col)));
      }
    }
  }
}

}  // namespace golden
