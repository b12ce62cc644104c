#!/usr/bin/env python3
"""An ordinary torch MLP on Fashion-MNIST, on simulated analog hardware.

Trains 784-512-10 in float32. Two networks go on from there with as many epochs again: one in
float32, as if there were no hardware; one noise-aware, its layers being OpticalLinear, so that
training sees the converters and the noise of the hardware profile. Then both are written to the
hardware and classify the test images there.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from lumina_kernel.nn import HardwareProfile, OpticalLinear, backend, hardware_profile
from lumina_kernel.profiles import PRESETS
from network_support import fashion_mnist, progress
from network_support.classification import batches
from torch import Tensor, nn
from torch.nn import functional

CALIBRATION = 5000  # so many training images choose the ranges of converters
NOISE_FACTORS = (0.0, 1.0, 3.0, 6.0)  # times the profile's own noise level


class Images(NamedTuple):
    pixels: Tensor  # float32 [images, 784] in [0, 1]
    labels: Tensor  # int64 [images] in 0 … 9


class Ranges(NamedTuple):
    """What a profile leaves open. The first DAC reads the pixels' 0 … 1."""

    hidden_adc: float  # the hidden layer's ADC reads ± this
    hidden_dac: float  # the DACs of the output layer read 0 … this
    output_adc: float  # the output layer's ADC reads ± this


class Mlp(nn.Module):
    def __init__(self, hidden: nn.Module, output: nn.Module) -> None:
        super().__init__()
        self.hidden = hidden
        self.output = output

    def forward(self, pixels: Tensor) -> Tensor:
        return self.output(functional.relu(self.hidden(pixels)))


def in_float32() -> Mlp:
    return Mlp(nn.Linear(784, 512), nn.Linear(512, 10))


def on_hardware(weights: Mlp, profile: HardwareProfile, ranges: Ranges,
                noise_factor: float = 1.0) -> Mlp:
    """A network of OpticalLinear layers with these weights, noisy in training and evaluation."""
    def layer(source: nn.Module, dac: float, adc: float) -> OpticalLinear:
        outputs, inputs = source.weight.shape
        optical = OpticalLinear(
            inputs, outputs, profile.name, noise_level=noise_factor * profile.noise_level,
            bias=True, input_range=(0.0, dac), output_range=(-adc, adc), noise_in_eval=True)
        with torch.no_grad():
            optical.weight.copy_(source.weight)
            optical.bias.copy_(source.bias)
        return optical
    return Mlp(layer(weights.hidden, 1.0, ranges.hidden_adc),
               layer(weights.output, ranges.hidden_dac, ranges.output_adc))


def compensated(network: Mlp, profile: HardwareProfile) -> Mlp:
    """Weights that make up for what the hardware takes from every signal."""
    result = copy.deepcopy(network)
    readout = profile.readout
    with torch.no_grad():
        for layer in (result.hidden, result.output):
            layer.weight /= readout.gain * readout.attenuation
    return result


def load(directory: Path, part: str, limit: int | None = None) -> Images:
    pixels, labels = fashion_mnist.load(directory, part, limit)
    return Images(pixels.flatten(1), labels)


def train(network: Mlp, data: Images, epochs: int, batch: int, seed: int, title: str) -> float:
    """With Adam, its rate falling linearly to 0; returns the seconds that it took."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    steps = epochs * (len(data.labels) // batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 - step / steps)
    network.train()
    begin = time.perf_counter()
    with progress.bar(steps, title) as bar:
        for epoch in range(epochs):
            for chosen in batches(len(data.labels), batch, seed + epoch):
                # The few levels of a coarse ADC lie far apart; the temperature softens them.
                scores = network(data.pixels[chosen]) / 1.5
                loss = functional.cross_entropy(scores, data.labels[chosen])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update()
            bar.set_postfix(loss=f"{loss.item():.3f}")
    return time.perf_counter() - begin


@torch.no_grad()
def accuracy(network: Mlp, data: Images) -> float:
    """Percent. Where n classes share the highest score, which happens behind an ADC of few bits,
    an image counts as 1/n, as if one of them were drawn by lot."""
    network.eval()
    scores = network(data.pixels)
    best = (scores == scores.amax(dim=1, keepdim=True)).double()
    return 100.0 * (best.gather(1, data.labels[:, None])[:, 0] / best.sum(dim=1)).mean().item()


@torch.no_grad()
def candidate_ranges(network: Mlp, data: Images) -> list[Ranges]:
    """Ranges that hold ever larger shares of the signals of a float32 network; the last one all."""
    sums = data.pixels @ network.hidden.weight.t()
    hidden = functional.relu(sums + network.hidden.bias)
    scores = hidden @ network.output.weight.t()
    shares = [0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0]
    quantiles = [np.quantile(signal.abs().numpy(), shares) for signal in (sums, hidden, scores)]
    return [Ranges(*map(float, ranges)) for ranges in zip(*quantiles)]


def best_ranges(network: Mlp, profile: HardwareProfile, candidates: list[Ranges],
                data: Images) -> Ranges:
    """Too large a range has coarse steps, too small a one clips: those are best with which the
    hardware classifies most images right. All three from one candidate, then each in turn."""
    def right(ranges: Ranges) -> float:
        return accuracy(on_hardware(network, profile, ranges), data)
    best = max(candidates, key=right)
    for name in ("output_adc", "hidden_adc", "hidden_dac"):
        varied = [best._replace(**{name: getattr(c, name)}) for c in candidates]
        best = max(varied, key=right)
    return best


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    fashion_mnist.add_option(parser)
    parser.add_argument("--epochs", type=int, help="of each training; default: 8")
    parser.add_argument("--batch", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--profile", choices=[preset.name for preset in PRESETS],
                        default="lumina_nano_v1", help="hardware; default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of weights, order and noise")
    parser.add_argument("--threads", type=int, help="default: torch's choice")
    parser.add_argument("--quick", action="store_true", help="few training images, one epoch")
    options = parser.parse_args()
    options.epochs = options.epochs or (1 if options.quick else 8)
    return options


def main() -> int:
    options = parse()
    profile = hardware_profile(options.profile)
    limit = 6000 if options.quick else None
    training, test = load(options.data, "train", limit), load(options.data, "t10k")
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    some = Images(training.pixels[:CALIBRATION], training.labels[:CALIBRATION])
    print(f"{len(training.labels)} training and {len(test.labels)} test images; {profile}; "
          f"layers by: {backend()}, {torch.get_num_threads()} thread(s)")

    def trained(network: Mlp, seed: int, title: str) -> float:
        return train(network, training, options.epochs, options.batch, seed, title)

    start = in_float32()
    trained(start, options.seed, "both, float32")
    plain = copy.deepcopy(start)
    plain_seconds = trained(plain, options.seed + 1000, "plain, float32")

    def written(network: Mlp) -> tuple[Mlp, Ranges, Ranges]:
        """What is put onto the hardware, with the best ranges and those that hold everything."""
        candidates = candidate_ranges(network, some)
        weights = compensated(network, profile)
        return weights, best_ranges(weights, profile, candidates, some), candidates[-1]

    weights, best, wide = written(start)
    noise_aware = on_hardware(weights, profile, best)
    noise_aware_seconds = trained(noise_aware, options.seed + 1000, "noise-aware")
    noise_aware_ranges = best
    weights, best, wide = written(plain)

    print(f"\nThe second training took {plain_seconds:.1f} s in float32, "
          f"{noise_aware_seconds:.1f} s noise-aware.\nTest accuracy in %; plain in float32: "
          f"{accuracy(plain, test):.2f}\n")
    print(f"{'noise of the hardware':<32}" + "".join(f"{f:>7g} ×" for f in NOISE_FACTORS))
    for name, network, ranges in (("plain, ranges hold every signal", weights, wide),
                                  ("plain, best ranges", weights, best),
                                  ("noise-aware", noise_aware, noise_aware_ranges)):
        row = [accuracy(on_hardware(network, profile, ranges, f), test) for f in NOISE_FACTORS]
        print(f"{name:<32}" + "".join(f"{a:9.2f}" for a in row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
