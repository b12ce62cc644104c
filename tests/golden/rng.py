"""docs/numerics.md, sections 2 and 3: integer sequences, and the floats made of them."""
from fractions import Fraction

import noise_field
from noise_field import MASK, box_muller, splitmix, xoshiro


def seeded_state(seed):
    words = []
    for _ in range(4):
        seed, word = splitmix(seed)
        words.append(word)
    return words


class FastRng:
    def __init__(self, seed):
        self._begin(seeded_state(seed))

    def _begin(self, state):
        self.state, self.lanes, self.pending = state, None, []

    def word(self):
        return xoshiro(self.state)

    def uniform(self):
        return Fraction(self.word() >> 40, 2**24)

    def normal(self):
        if self.lanes is None:
            h, outputs = self.word(), []
            for _ in range(32):
                h, out = splitmix(h)
                outputs.append(out)
            self.lanes = [outputs[4 * lane : 4 * lane + 4] for lane in range(8)]
        if not self.pending:
            radii, angles = ([half for lane in self.lanes for half in halves(xoshiro(lane))]
                             for _ in range(2))
            pairs = [box_muller(r, a)[0] for r, a in zip(radii, angles)]
            self.pending = [cosine for cosine, _ in pairs] + [sine for _, sine in pairs]
        return self.pending.pop(0)

    def advance(self, jump):
        self._begin(jump(self.state))


def halves(word):
    return word & 0xFFFFFFFF, word >> 32


def pack(state):
    return sum(word << 64 * i for i, word in enumerate(state))


def unpack(bits):
    return [bits >> 64 * i & MASK for i in range(4)]


class Jumps:
    """By 2^128 and 2^192 steps: not by the published polynomials but by powers of the step itself, which
    is a 256 × 256 matrix of bits, here a list of its columns."""

    def __init__(self):
        columns = []
        for bit in range(256):
            state = unpack(1 << bit)
            xoshiro(state)
            columns.append(pack(state))
        for _ in range(128):
            columns = self._squared(columns)
        self._jump = self._tables(columns)
        for _ in range(64):
            columns = self._squared(columns)
        self._long_jump = self._tables(columns)

    def jump(self, state):
        return unpack(self._times(self._jump, pack(state)))

    def long_jump(self, state):
        return unpack(self._times(self._long_jump, pack(state)))

    @staticmethod
    def _tables(columns):
        """For each byte of a vector the sums of columns that its 256 values select."""
        tables = []
        for first in range(0, 256, 8):
            sums = [0]
            for column in columns[first : first + 8]:
                sums += [s ^ column for s in sums]
            tables.append(sums)
        return tables

    @staticmethod
    def _times(tables, vector):
        result = 0
        for table, byte in zip(tables, vector.to_bytes(32, "little")):
            result ^= table[byte]
        return result

    @classmethod
    def _squared(cls, columns):
        tables = cls._tables(columns)
        return [cls._times(tables, column) for column in columns]


def unit(word):
    """A word as an element of a matrix: a multiple of 2^-23 in [−1, 1)."""
    return Fraction(word >> 40, 2**23) - 1


def unit_matrix(seed, rows, cols):
    rng = FastRng(seed)
    return [[unit(rng.word()) for _ in range(cols)] for _ in range(rows)]


def weight_matrix(seed, rows, cols):
    """The same, row r divided by 2^(r mod 4): rows differ in their scales."""
    return [[w / 2 ** (r % 4) for w in row]
            for r, row in enumerate(unit_matrix(seed, rows, cols))]


def normal_at(key, row, col, draw):
    return noise_field.standard_normal_at(*key, row, col, draw)[0]
