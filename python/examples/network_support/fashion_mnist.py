"""Fashion-MNIST, from files (Debian's package dataset-fashion-mnist)."""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

INSTALLED = Path("/usr/share/datasets/fashion-mnist")  # of Debian's dataset-fashion-mnist
MISSING = ("Fashion-MNIST is Debian's package dataset-fashion-mnist;\n"
           "or name a folder that has it with --data.")


class Images(NamedTuple):
    pixels: Tensor  # float32 [images, 1, 28, 28] in [0, 1]
    labels: Tensor  # int64 [images] in 0 … 9

    def first(self, images: int | None) -> Images:
        return Images(self.pixels[:images], self.labels[:images])


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=INSTALLED,
                        help="folder with the four *-ubyte.gz files; default: %(default)s")


def load(directory: Path, part: str, limit: int | None = None) -> Images:
    """`part`: "train" (60000 images) or "t10k" (10000). Error: SystemExit, there are no files."""
    def read(kind: str, header: int) -> np.ndarray:
        try:
            with gzip.open(directory / f"{part}-{kind}-ubyte.gz") as file:
                return np.frombuffer(file.read(), np.uint8, offset=header)
        except FileNotFoundError as error:
            raise SystemExit(f"There is no {error.filename}. {MISSING}") from None
    pixels = read("images-idx3", 16).reshape(-1, 1, 28, 28)[:limit].astype(np.float32) / 255.0
    labels = read("labels-idx1", 8)[:limit].astype(np.int64)
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))
