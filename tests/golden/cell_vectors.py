"""exp, log and tanh; devices at three times; weights on arrays of devices at three times."""
from fractions import Fraction

import cells
import elementary
import tables
from exact_float import SMALLEST, bits_of, nearest, value_of
from rng import FastRng, unit
from tables import bits

DEVICES = 40  # more than the lanes of any vector, and not a multiple of them
TIMES = (None, 3600.0, 365 * 86400.0)
KEY = (42, 7, 3)
CELLS = (("kPcmDevices", cells.PCM), ("kPcmJoshiDevices", cells.PCM_JOSHI),
         ("kStuckPcmDevices", cells.STUCK_PCM), ("kReRamMiloDevices", cells.RERAM_MILO),
         ("kReRamWanDevices", cells.RERAM_WAN))
OUT, IN, TILE, WEIGHT_SEED = 3, 45, 20, 11


def arguments():
    rng = FastRng(5)
    powers = [Fraction(2) ** e for e in range(-149, 128, 12)]
    found = [Fraction(0), SMALLEST, value_of(0x3F2AAAAA), value_of(0x3F2AAAAB), Fraction(5, 8)]
    found += [nearest(Fraction(x)) for x in ("-103.97208", "-103.9", "-88", "88.72283", "88.72284",
                                             "0.62499994", "9.0109", "1", "-0.1")]
    found += powers + [nearest(90 * unit(rng.word())) for _ in range(24)]
    return found + [nearest(unit(rng.word()) ** 3) for _ in range(12)]


def targets(cell):
    """Multiples of g_max / 64, all over the range."""
    return [nearest(cell.g_max * Fraction(37 * i % 65, 64)) for i in range(DEVICES)]


def device_words(cell):
    times = TIMES if len(cell.draws) > 1 else TIMES[:1]
    return [bits_of(cells.device_at(cell, target, seconds, KEY, 0, i))
            for seconds in times for i, target in enumerate(targets(cell))]


def programmed_codes():
    rng = FastRng(WEIGHT_SEED)
    weights = [[unit(rng.word()) / 2 ** (row % 4) for _ in range(IN)] for row in range(OUT)]
    pairs, codes = cells.Pairs(cells.PCM), []
    for seconds in TIMES:
        for row, own in enumerate(weights):
            for column, weight in enumerate(own):
                first = column // TILE * TILE
                scale = max(abs(w) for w in own[first : first + TILE])
                codes.append(pairs.code(weight, scale, seconds, KEY, row, column))
    return codes, pairs.code_value


def word(value):
    return f"{value:#010x}"


def text():
    xs = arguments()
    positive = [abs(x) for x in xs]
    codes, code_value = programmed_codes()
    key = ", ".join(f"{part}u" for part in KEY)
    return tables.header(
        "The calls are in check_cells.hpp.",
        tables.array("kElementaryArguments", "std::uint32_t", map(bits, xs)),
        "/// exp(x), log |x|, tanh(x).\n"
        + tables.array("kExp", "std::uint32_t", map(bits, map(elementary.exp, xs))),
        tables.array("kLog", "std::uint32_t", map(bits, map(elementary.log, positive))),
        tables.array("kTanh", "std::uint32_t", map(bits, map(elementary.tanh, xs))),
        f"inline constexpr std::uint64_t kCellKey[] = {{{key}}};  ///< seed, stream, row offset\n"
        f"inline constexpr std::size_t kDevices = {DEVICES};\n"
        "/// Seconds after programming; in front of them the devices as they were programmed.\n"
        f"inline constexpr double kCellTimes[] = {{{', '.join(map(str, TIMES[1:]))}}};\n",
        *(tables.array(name, "std::uint32_t", map(word, device_words(cell)))
          for name, cell in CELLS),
        "/// Codes of weights [out, in] of fill_weights on arrays of PCM, at the same times.\n"
        f"inline constexpr std::size_t kProgrammedOut = {OUT}, kProgrammedIn = {IN}, "
        f"kProgrammedTile = {TILE};\n"
        f"inline constexpr std::uint64_t kProgrammedSeed = {WEIGHT_SEED};\n"
        f"inline constexpr std::uint32_t kProgrammedCodeValue = {bits(code_value)};\n"
        + tables.array("kProgrammedCodes", "std::int8_t", map(str, codes)),
        includes=("cstddef", "cstdint"))
