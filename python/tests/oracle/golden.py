"""tests/golden: the noise field in exact rational arithmetic, and its table of values."""
import importlib.util
import re
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[3] / "tests" / "golden"


def load_noise_field():
    spec = importlib.util.spec_from_file_location("noise_field", FOLDER / "noise_field.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


noise_field = load_noise_field()


def golden_normals():
    """Tuples (seed, stream, row_offset, row, col, draw, float32 value)."""
    table = (FOLDER / "noise_field.hpp").read_text()
    row = re.compile(r"\{(\d+)u, (\d+)u, (\d+)u, (\d+), (\d+), (\d+), (0x[0-9a-f]{8}), ")
    for match in row.finditer(table):
        *place, bits = match.groups()
        yield (*map(int, place), np.array(int(bits, 16), np.uint32).view(np.float32)[()])


def golden_places():
    """The tuples of draw 0, the one that a layer's additive noise takes."""
    return [(*place, value) for *place, draw, value in golden_normals() if draw == 0]
