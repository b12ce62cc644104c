"""Files of weights, byte by byte from docs/weights-file.md."""
import struct
import zlib

import tables

HEADER, PANEL, OUTPUTS, WORDS_BEHIND = 128, 32, 128, 15 * 32


def round_up(length, multiple):
    return -(-length // multiple) * multiple


def file_of(kind, bits, rows, cols, contents, tile=(0, 0), split=0, scale=0, code_value=0.0):
    header = bytearray(HEADER)
    struct.pack_into("<8sIII4xQQQQQIIf", header, 0, b"\x89Lumina\n", 1, kind, bits, rows, cols,
                     HEADER + len(contents), *tile, split, scale, code_value)
    struct.pack_into("<I", header, 120, zlib.crc32(contents))
    struct.pack_into("<I", header, 124, zlib.crc32(header[:124]))
    return bytes(header) + contents


def packed(weights):
    """weights: rows of floats."""
    rows, cols = len(weights), len(weights[0])
    contents = b""
    for first in range(0, rows, PANEL):
        for k in range(cols):
            for row in range(first, first + PANEL):
                contents += struct.pack("<f", weights[row][k] if row < rows else 0.0)
    return file_of(1, 32, rows, cols, contents)


def stored_bits(bits):
    return 2 if bits <= 2 else 4 if bits <= 4 else 8


def word(codes, stored):
    """Byte i has the codes i, 4 + i, 8 + i, … from its lowest bits up."""
    result = 0
    for k, code in enumerate(codes):
        result |= (code & (2**stored - 1)) << (k % 4 * 8 + k // 4 * stored)
    return result


def contents_of(bits, codes, tiles, scales):
    """scales: for each tile one for each row."""
    words = words_of(codes, tiles, stored_bits(bits))
    contents = struct.pack(f"<{len(words)}I", *words)
    fill = [0] * (round_up(len(codes), OUTPUTS) - len(codes))
    for own in scales:
        contents += struct.pack(f"<{len(own) + len(fill)}f", *own, *fill)
    for begin, inputs in tiles:
        sums = [sum(row[begin:begin + inputs]) for row in codes]
        contents += struct.pack(f"<{len(sums) + len(fill)}i", *sums, *fill)
    return contents


def coded(bits, codes, scales):
    rows, cols = len(codes), len(codes[0])
    return file_of(2, bits, rows, cols, contents_of(bits, codes, [(0, cols)], [scales]))


def equal_tiles(length, tile):
    """As few as there must be, whose sizes differ by one at most, the longer ones first."""
    count, begin, tiles = -(-length // tile), 0, []
    for i in range(count):
        size = length // count + (1 if i < length % count else 0)
        tiles.append((begin, size))
        begin += size
    return tiles


def tiled(bits, codes, scales, tile, code_value):
    """Split into equal tiles, with a scale for each."""
    rows, cols = len(codes), len(codes[0])
    contents = contents_of(bits, codes, equal_tiles(cols, tile[0]), scales)
    return file_of(3, bits, rows, cols, contents, tile, 1, 1, code_value)


def words_of(codes, tiles, stored):
    """tiles: (first input, inputs) of each."""
    rows, per_word, words = len(codes), 32 // stored, []
    for first in range(0, rows, PANEL):
        for begin, inputs in tiles:
            for k in range(begin, begin + inputs, per_word):
                end = min(k + per_word, begin + inputs)
                for row in range(first, first + PANEL):
                    words.append(word(codes[row][k:end], stored) if row < rows else 0)
    return words + [0] * WORDS_BEHIND


def some_codes(bits, rows, cols):
    largest = 2**(bits - 1) - 1
    return [[(row * 5 + col * 3 + row * col) % (2 * largest + 1) - largest for col in range(cols)]
            for row in range(rows)]


def table(name, file):
    """Its words that are not 0."""
    words = struct.unpack(f"<{len(file) // 4}I", file)
    elements = [f"{{{i}, {w:#x}}}" for i, w in enumerate(words) if w != 0]
    return (f"inline constexpr std::size_t {name}Bytes = {len(file)};\n"
            + tables.array(name, "FileWord", elements))


def tiled_file():
    """All weights of a tile ±its scale or 0."""
    scales = [[(tile + 1) / 4] * 3 for tile in range(3)]
    codes = [[(row + col) % 3 - 1 for col in range(25)] for row in range(3)]
    return tiled(2, codes, scales, (9, 4), 1.0)


def text():
    floats = [[row * 0.25 - col for col in range(5)] for row in range(3)]
    return tables.header(
        "Files of weights; operands are those of weights_file_vectors.py.",
        "/// A 32-bit number of a file, least significant byte first; the others are 0.\n"
        "struct FileWord {\n  std::uint32_t index, value;\n};\n",
        table("kPackedFile", packed(floats)),
        *(table(f"kCoded{bits}File",
                coded(bits, some_codes(bits, rows, cols), [(row + 1) / 8 for row in range(rows)]))
          for bits, rows, cols in ((8, 3, 7), (3, 35, 11), (2, 2, 21))),
        table("kTiledFile", tiled_file()),
        includes=("cstddef", "cstdint"))
