"""Keys of noise from several words."""

from __future__ import annotations

_WORDS = 1 << 64


def mixed(*words: int) -> int:
    """A fixed hash of 64-bit words, 0 … 2^63 − 1: SplitMix64, which each word moves on."""
    state = 0
    for word in words:
        state = (state + word + 0x9E3779B97F4A7C15) % _WORDS
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % _WORDS
        state = (state ^ state >> 27) * 0x94D049BB133111EB % _WORDS
        state ^= state >> 31
    return state >> 1
