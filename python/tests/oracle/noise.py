"""Sections 2 and 3: integer sequences and the normals made of them."""
import numpy as np

from .float32 import fma32
from .golden import noise_field

MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15
JUMP = (0x180EC6D33CFD0ABA, 0xD5A61266F0C9392C, 0xA9582618E03FC9AA, 0x39ABDC4529B1661C)
LONG_JUMP = (0x76E15D3EFEFDCBBF, 0xC5004E441C522FB3, 0x77710069854EE241, 0x39109BB02ACBE635)

_float = np.float32
_LOG, _SINE, _COSINE = (
    [_float(float(c)) for c in coefficients]
    for coefficients in (noise_field.LOG, noise_field.SINE, noise_field.COSINE)
)
_MINUS_TWO_LN2 = _float(float(noise_field.MINUS_TWO_LN2))


class SplitMix64:
    def __init__(self, state):
        self.state = state & MASK

    def next(self):
        self.state, word = noise_field.splitmix(self.state)
        return word


class FastRng:
    """Xoshiro256++, in Python's integers, with the normals of section 2."""

    def __init__(self, seed):
        seeder = SplitMix64(seed)
        self._begin([seeder.next() for _ in range(4)])

    def _begin(self, state):
        self.state, self.blocks, self.pending = state, None, np.empty(0, np.float32)

    def next(self):
        return noise_field.xoshiro(self.state)

    def uniform(self):
        return (self.next() >> 40) * 2.0**-24

    def normals(self, count):
        """The next `count` normals, however the calls are split."""
        if self.blocks is None:
            self.blocks = _Lanes(np.array([self.next()], np.uint64))
        while self.pending.size < count:
            self.pending = np.append(self.pending, self.blocks.next_normals()[0])
        result, self.pending = self.pending[:count], self.pending[count:]
        return result

    def jump(self, polynomial=JUMP):
        state = [0, 0, 0, 0]
        for word in polynomial:
            for bit in range(64):
                if word >> bit & 1:
                    state = [a ^ b for a, b in zip(state, self.state)]
                self.next()
        self._begin(state)

    def long_jump(self):
        self.jump(LONG_JUMP)


def normals(seed, rows, cols, stream=0, row_offset=0, draw=0):
    """The noise field, float32[rows, cols] (section 3)."""
    field = SplitMix64(SplitMix64(SplitMix64(seed).next() ^ stream).next() ^ draw).next()
    row_states = [SplitMix64(field ^ (row_offset + row & MASK)).next() for row in range(rows)]
    panels = range(-(-cols // 128))
    states = np.array([[h ^ panel for panel in panels] for h in row_states], np.uint64)
    lanes = _Lanes(states.reshape(rows, len(panels)))
    blocks = [lanes.next_normals() for _ in range(4)]
    return np.concatenate(blocks, axis=-1).reshape(rows, 128 * len(panels))[:, :cols]


class _Lanes:
    """Eight Xoshiro256++ for each of the panel states h."""

    def __init__(self, h):
        gammas = np.array([n * GAMMA & MASK for n in range(1, 33)], np.uint64)
        words = _mix(h[..., None] + gammas).reshape(*h.shape, 8, 4)
        self.s = [words[..., w].copy() for w in range(4)]

    def next_normals(self):
        """The next block, float32[..., 32]."""
        return np.concatenate(_box_muller(self._step(), self._step()), axis=-1)

    def _step(self):
        """int32[..., 16]"""
        s = self.s
        result = _rotate(s[0] + s[3], 23) + s[0]
        shifted = s[1] << np.uint64(17)
        s[2] = s[2] ^ s[0]
        s[3] = s[3] ^ s[1]
        s[1] = s[1] ^ s[2]
        s[0] = s[0] ^ s[3]
        s[2] = s[2] ^ shifted
        s[3] = _rotate(s[3], 45)
        halves = result & np.uint64(0xFFFFFFFF), result >> np.uint64(32)
        words = np.stack(halves, axis=-1).astype(np.uint32)
        return words.reshape(*result.shape[:-1], 16).view(np.int32)


def _mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _rotate(word, bits):
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


def _polynomial(coefficients, x):
    value = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = fma32(value, x, coefficient)
    return value


def _box_muller(radius_words, angle_words):
    n = radius_words.astype(np.float32)
    u = fma32(np.abs(n), _float(2**-31), _float(2**-32))
    exponent = (u.view(np.int32) - np.int32(0x3F2AAAAB)) & np.int32(-(2**23))
    f = (u.view(np.int32) - exponent).view(np.float32) - _float(1)
    log_ratio = f * _polynomial(_LOG, f)
    radius = np.sqrt(fma32(exponent.astype(np.float32), _MINUS_TWO_LN2, log_ratio))
    radius = np.where(n < 0, -radius, radius)
    x = angle_words.astype(np.float32) * _float(2**-32)
    x2 = x * x
    return radius * _polynomial(_COSINE, x2), radius * (x * _polynomial(_SINE, x2))
