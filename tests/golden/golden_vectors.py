#!/usr/bin/env python3
"""The golden vectors: what every machine must compute, from docs/numerics.md, in exact arithmetic.

Nothing is shared with the C++ code but the polynomials of the normals, and of exp, log and tanh. Writes the headers beside it:

    python3 tests/golden/golden_vectors.py

With --check nothing is written; the exit status says whether the headers are as this program makes them.
"""
import contextlib
import io
import sys
from pathlib import Path

import cell_vectors
import convolution_vectors
import gemm_vectors
import noise_field
import quantizer_vectors
import rng_vectors
import slice_vectors
import tile_vectors
import weights_file_vectors

FOLDER = Path(__file__).resolve().parent


def noise_field_text():
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        noise_field.main()
    return text.getvalue()


HEADERS = {
    "noise_field.hpp": noise_field_text,
    "quantizer_vectors.hpp": quantizer_vectors.text,
    "rng_vectors.hpp": rng_vectors.text,
    "f32_vectors.hpp": gemm_vectors.f32_text,
    "coded_vectors.hpp": gemm_vectors.coded_text,
    "cell_vectors.hpp": cell_vectors.text,
    "convolution_vectors.hpp": convolution_vectors.text,
    "slice_vectors.hpp": slice_vectors.text,
    "tile_vectors.hpp": tile_vectors.text,
    "weights_file_vectors.hpp": weights_file_vectors.text,
}


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    different = 0
    for name, text in HEADERS.items():
        path, expected = FOLDER / name, text()
        if not check:
            path.write_text(expected)
        elif not path.exists() or path.read_text() != expected:
            print(f"{name} is not what golden_vectors.py makes")
            different += 1
    if check and different == 0:
        print(f"{len(HEADERS)} headers are what golden_vectors.py makes")
    sys.exit(different)


if __name__ == "__main__":
    main()
