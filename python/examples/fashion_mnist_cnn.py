#!/usr/bin/env python3
"""Convolutional networks on Fashion-MNIST, on simulated analog hardware.

Trains each network in float32, and then as much again twice: in float32, and with the hardware in
the loop. What they tell apart on arrays of 256 × 256: over output noise, over bits, and over a year
of drift of phase-change memory, with and without compensation.

Needs PyTorch and the images (Debian's package dataset-fashion-mnist); tqdm and matplotlib are for
progress bars and the picture.
"""

from __future__ import annotations

import sys

from network_support import classifier_options, classifier_study
from torch import Tensor, nn
from torch.nn import functional


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(16 * 6 * 6, 10))


class Residual(nn.Module):
    """Two convolutions, and what goes around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.around = (nn.Identity() if stride == 1 and inputs == outputs else
                       nn.Conv2d(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(inner)) + self.around(x))


def resnet8() -> nn.Module:
    """The one of MLPerf Tiny's size, for images of 28 × 28 of one channel: 78 thousand weights."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


NETWORKS = {"cnn": cnn, "resnet8": resnet8}

if __name__ == "__main__":
    options = classifier_options.parse(__doc__, list(NETWORKS), epochs=5)
    sys.exit(classifier_study.run(NETWORKS, options))
