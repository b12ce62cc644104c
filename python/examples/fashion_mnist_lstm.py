#!/usr/bin/env python3
"""An LSTM that reads images of Fashion-MNIST row by row, on simulated analog hardware.

What its arrays are off by in one row goes back into them with the next one, 28 times. Trains in
float32, and then as much again twice: in float32, and with the hardware in the loop. What it tells
apart on arrays of 256 × 256: over output noise, over bits, and over a year of drift of phase-change
memory, with and without compensation.

Needs PyTorch and the images (Debian's package dataset-fashion-mnist); tqdm and matplotlib are for
progress bars and the picture.
"""

from __future__ import annotations

import sys

from network_support import classifier_options, classifier_study
from torch import Tensor, nn


class RowReader(nn.Module):
    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.rows = nn.LSTM(28, hidden, batch_first=True)
        self.output = nn.Linear(hidden, 10)

    def forward(self, pixels: Tensor) -> Tensor:
        states, _ = self.rows(pixels.squeeze(1))
        return self.output(states[:, -1])


NETWORKS = {"lstm": RowReader}

if __name__ == "__main__":
    options = classifier_options.parse(__doc__, list(NETWORKS), epochs=5)
    sys.exit(classifier_study.run(NETWORKS, options))
