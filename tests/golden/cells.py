"""docs/numerics.md, section 13: what devices of a cell have, in µS."""
import struct
from fractions import Fraction

from elementary import exp, log, polynomial, product
from exact_float import INFINITY, MINUS_INFINITY, fma, nearest, square_root
from noise_field import MASK, standard_normal_at, standard_uniform_at


def floats(*literals):
    return [nearest(Fraction(literal)) for literal in literals]


def limited(x, low, high):
    return min(max(x, low), high)


def reading_stream(stream, seconds):
    """The stream of readings at a time, from the bits of that double."""
    z = struct.unpack("<Q", struct.pack("<d", seconds + 0.0))[0]
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return stream ^ z ^ (z >> 31)


def programmed_around(target, deviation, normal):
    return max(fma(deviation, normal, target), Fraction(0))


class PolynomialCell:
    draws = ("programming",)

    def __init__(self, coefficients, g_max):
        self.coefficients, self.g_max = coefficients, g_max

    def deviation(self, target):
        return max(polynomial(self.coefficients, target), Fraction(0))

    def device(self, target, seconds, drawn):
        return programmed_around(target, self.deviation(target), drawn[0])

    def largest_deviation(self):
        return max(self.deviation(nearest(self.g_max * Fraction(i, 256))) for i in range(257))


class Pcm(PolynomialCell):
    draws = ("programming", "drift", "reading")

    def __init__(self, coefficients, g_max, full_argument):
        super().__init__(coefficients, g_max)
        self.to_argument, self.inverse = nearest(full_argument / g_max), nearest(1 / g_max)

    def deviation(self, target):
        return product(polynomial(self.coefficients, product(target, self.to_argument)),
                       nearest(self.g_max / 25))

    def device(self, target, seconds, drawn):
        programmed = super().device(target, seconds, drawn)
        if seconds is None:
            return programmed
        # Python's floats are doubles, whose operations are IEEE 754's.
        drift_time = log(nearest(Fraction((seconds + 20.0) / 20.0)))
        read_ratio = (seconds + 20.0 + 250e-9) / (2.0 * 250e-9)
        read_root = square_root(log(nearest(Fraction(read_ratio))))

        least, = floats("1e-7")
        slope, offset, low, high = floats("-0.0155", "0.0244", "0.049", "0.1")
        of_target = log(max(product(target, self.inverse), least))
        mean = limited(fma(slope, of_target, offset), low, high)
        slope, offset, low, high = floats("-0.0125", "-0.0059", "0.008", "0.045")
        spread = limited(fma(slope, of_target, offset), low, high)
        exponent = abs(fma(spread, drawn[1], mean))
        drifted = product(programmed, exp(product(exponent, -drift_time)))

        factor, power, most = floats("0.0088", "-0.65", "0.2")
        of_programmed = log(product(programmed, self.inverse))
        if of_programmed == MINUS_INFINITY:
            strength = most
        else:
            grown = exp(product(power, of_programmed))
            strength = most if grown == INFINITY else min(product(factor, grown), most)
        return programmed_around(drifted, product(product(drifted, strength), read_root), drawn[2])


class StuckAt:
    def __init__(self, cell, p_off, p_on, g_min):
        self.cell, self.p_off, self.p_on = cell, p_off, p_on
        self.g_min, self.g_max = g_min, cell.g_max
        self.draws = (*cell.draws, "uniform")

    def device(self, target, seconds, drawn):
        if drawn[-1] > nearest(1 - self.p_on):
            return self.g_max
        if drawn[-1] < self.p_off:
            return self.g_min
        return self.cell.device(target, seconds, drawn)

    def largest_deviation(self):
        return self.cell.largest_deviation()


PCM = Pcm(floats("0.26348", "1.9650", "-1.1731"), Fraction(25), Fraction(1))
PCM_JOSHI = Pcm(floats("0.28638599", "0.07585724", "-0.00178767"), Fraction(25), Fraction(25))
RERAM_MILO = PolynomialCell(floats("4.782321", "-0.009107"), Fraction(225))
RERAM_WAN = PolynomialCell(floats("1.053", "0.2374", "-1.167e-2", "1.536e-4"), Fraction(40))
STUCK_PCM = StuckAt(PCM, *floats("0.25", "0.125", "0.5"))


def device_at(cell, target, seconds, key, row, column, number=0):
    """key: seed, stream, row offset; number: which device of (row, column)."""
    seed, stream, row_offset = key
    reading = stream if seconds is None else reading_stream(stream, seconds)
    drawn = []
    for i, kind in enumerate(cell.draws):
        own = reading if kind == "reading" else stream
        where = (seed, own, row_offset, row, column, number * len(cell.draws) + i)
        drawn.append(standard_uniform_at(*where) if kind == "uniform"
                     else nearest(standard_normal_at(*where)[0]))
    return cell.device(target, seconds, drawn)


class Pairs:
    """Differential pairs of a cell, one of them off, and the grid of 8 bits that they are read on."""

    def __init__(self, cell, g_min=Fraction(0)):
        self.cell, self.g_min = cell, g_min
        self.range = nearest(cell.g_max - g_min)
        self.inverse = nearest(1 / self.range)
        headroom = fma(product(Fraction(4), cell.largest_deviation()), self.inverse, Fraction(1))
        self.code_value = nearest(headroom / 127)

    def code(self, weight, scale, seconds, key, row, column):
        """Of a weight of an output whose array has this scale."""
        if scale == 0:
            return 0
        relative = nearest(weight / scale)
        devices = []
        for number, own in enumerate((relative, -relative)):
            target = fma(limited(own, 0, 1), self.range, self.g_min)
            devices.append(device_at(self.cell, min(target, self.cell.g_max), seconds, key, row,
                                     column, number))
        held = product(nearest(devices[0] - devices[1]), self.inverse)
        return limited(round(nearest(held / self.code_value)), -127, 127)
