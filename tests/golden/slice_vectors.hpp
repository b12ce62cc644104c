// Written by tests/golden/golden_vectors.py; do not edit.
// A layer on arrays of sliced weights (analog_slices.hpp), 8 bits in slices of 3: operands as operands.hpp
// says; outputs behind GaussianNoise and ADC of each slice and plane.
#pragma once

#include <cstddef>
#include <cstdint>

namespace golden {

inline constexpr std::size_t kSlicedBatch = 2, kSlicedIn = 45, kSlicedOut = 12, kSlicedTile = 20;
inline constexpr std::uint64_t kSlicedX = 84, kSlicedW = 85;
inline constexpr std::uint64_t kSlicedKey[] = {7, 8, 9};
inline constexpr float kSlicedDac = 0x733333p-23f, kSlicedAdc = 0xfp+2f;
inline constexpr int kSlicedDacBits = 6, kSlicedAdcBits = 5;
inline constexpr int kCellBits = 3, kInputBits = 2;
inline constexpr float kSlicedAdditive = 0x3p-1f;

inline constexpr std::uint32_t kSlicedByPulses[] = {
    0xbd83264c, 0xbf929b24, 0xbf0ef56b, 0x3e70444c, 0xbf620457, 0x4057d461, 0xbde5d1d2, 0xbe2bfe23,
    0x407495e0, 0x3ff76045, 0xbeccfafc, 0xbdf60377, 0xc049c346, 0xbd525e50, 0x3f670966, 0xbf006879,
    0xbf3f4909, 0xbf93ab1f, 0xbefbe240, 0xbebf7143, 0x4039b354, 0xbf2c90b6, 0x3f90b0c8, 0x3ec55ae8,
};

inline constexpr std::uint32_t kSlicedByPasses[] = {
    0xbefe6552, 0xbf9004c1, 0xbf08f8b3, 0x3e650e1d, 0xbf8c0fdc, 0x403cab40, 0x3eb338d7, 0xbebfa489,
    0x405529eb, 0x3ef173fb, 0xbec2c11b, 0xbe842b1d, 0xc06ca395, 0xbf2aabb3, 0x3fabfb3a, 0xbed29afb,
    0xbf868852, 0xbf79ad5c, 0xbe7a2845, 0xbe828b4f, 0x3db19489, 0xbf9a5a9b, 0x3f745fbe, 0x3ed66802,
};

}  // namespace golden
