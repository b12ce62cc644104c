"""What a classifier loses on analog hardware: over noise, bits and a year of drift; converted as it
is, and trained for it."""

from __future__ import annotations

import argparse
import copy
import json
from typing import Callable

import lumina_kernel as lk
import torch
from lumina_kernel import nn as analog
from torch import nn

from . import fashion_mnist, hardware, progress, studies
from .classification import accuracy, train, train_step
from .speed import Ratio, compare
from .studies import Study
from .times import YEAR

NOISES = (0.0, 0.02, 0.04, 0.08, 0.16)  # σ of an array's output, in fully-on devices
BITS = (8, 6, 5, 4, 3)
TILE = (256, 256)

#: What hardware-aware training sees: converters, the noise of reading, and in each step weights
#: that are off as PCM is when it has been programmed (which is the preset's training)
TRAINED_FOR = hardware.pcm(TILE).with_(
    training=lk.presets.pcm_hwa.training.with_(clip=2.5, clip_kind="gaussian"))

DIGITAL, CONVERTED, AWARE = "digital, float32", "converted", "hardware-aware"


class ClassifierStudy:
    def __init__(self, make_network: Callable[[], nn.Module], options: argparse.Namespace) -> None:
        self.make_network, self.options = make_network, options
        self.training = fashion_mnist.load(options.data, "train", options.train_images)
        self.test = fashion_mnist.load(options.data, "t10k", options.test_images)
        self.noise = Study("Output noise", "accuracy in %")
        self.bits = Study("Bits of converters and weights", "accuracy in %")
        self.drift = Study("PCM over time", "accuracy in %")

    @property
    def all(self) -> list[Study]:
        return [self.noise, self.bits, self.drift]

    def measure(self) -> nn.Module:
        """Everything; a network that is trained for hardware, in float32."""
        for number in range(self.options.networks):
            networks = self.trained(number)
            self.without_devices(networks)
            self.a_year_of_drift(networks, number)
        return networks[AWARE]

    def trained(self, number: int) -> dict[str, nn.Module]:
        """One training for all; a second one in float32, and one with the hardware in the loop."""
        options = self.options
        seed = 1000 * (options.seed + number)
        title = f"network {number + 1} of {options.networks}, "
        torch.manual_seed(seed)

        def go_on(network: nn.Module, seed: int, name: str) -> nn.Module:
            train(network, self.training, options.epochs, options.batch, seed, title + name)
            return network

        start = go_on(self.make_network(), seed, "first training")
        digital = go_on(copy.deepcopy(start), seed + 500, DIGITAL)
        aware = go_on(self.on(TRAINED_FOR, start), seed + 500, AWARE)
        return {DIGITAL: digital, CONVERTED: digital, AWARE: analog.convert_to_digital(aware)}

    def on(self, profile: lk.Profile, network: nn.Module) -> nn.Module:
        images = self.training.first(self.options.calibration_images)
        return hardware.put_on(network, profile, images.pixels.split(100))

    def without_devices(self, networks: dict[str, nn.Module]) -> None:
        settings = [(self.noise, f"{noise:g}", hardware.converters(TILE, noise=noise))
                    for noise in NOISES]
        settings += [(self.bits, f"{bits}", hardware.converters(TILE, bits, bits))
                     for bits in BITS]
        for study, setting, profile in progress.each(settings, "noise and bits", "setting"):
            study.add(DIGITAL, setting, accuracy(networks[DIGITAL], self.test))
            for name in (CONVERTED, AWARE):
                study.add(name, setting, accuracy(self.on(profile, networks[name]), self.test))

    def a_year_of_drift(self, networks: dict[str, nn.Module], number: int) -> None:
        chips = range(self.options.chips)
        variants = [(name, compensation) for name in (CONVERTED, AWARE)
                    for compensation in (None, "tile")]
        for name, compensation in progress.each(variants, "drift", "variant"):
            network = self.on(hardware.pcm(TILE, compensation), networks[name])
            series = f"{name}, {'compensated' if compensation else 'not compensated'}"
            for chip in chips:
                analog.program(network, 1000 * (self.options.seed + number) + chip)
                for setting, seconds in YEAR.items():
                    if seconds is not None:
                        analog.drift(network, seconds)
                    self.drift.add(series, setting, accuracy(network, self.test))

    def forward_ratio(self, network: nn.Module) -> Ratio:
        """Of 8 bits with noise, over float32, without gradients."""
        pixels = self.test.first(self.options.batch).pixels
        converted = self.on(hardware.converters(TILE, noise=0.04), network)
        analog.program(converted, self.options.seed)  # encodes once
        with torch.no_grad():
            return compare(lambda: converted(pixels), lambda: network(pixels),
                           self.options.speed_rounds)

    def step_ratio(self, network: nn.Module) -> Ratio:
        """Of hardware-aware training, over float32."""
        pixels, labels = self.training.first(self.options.batch)

        def step_of(network: nn.Module) -> Callable[[], None]:
            optimizer = analog.AnalogAdam(network.train(), lr=1e-4)
            return lambda: train_step(network, optimizer, pixels, labels)

        return compare(step_of(self.on(TRAINED_FOR, network)), step_of(copy.deepcopy(network)),
                       self.options.speed_rounds)


def run(networks: dict[str, Callable[[], nn.Module]], options: argparse.Namespace) -> int:
    """What the examples do: measure, print, write."""
    progress.say_what_is_missing()
    torch.set_num_threads(options.threads)
    study = ClassifierStudy(networks[options.network], options)
    print(f"{options.network}: {options.networks} network(s) × {options.chips} chip(s), "
          f"{len(study.training.labels)} training and {len(study.test.labels)} test images; "
          f"layers by: {analog.backend()}, torch {torch.__version__}, "
          f"{options.threads} thread(s)", flush=True)
    network = study.measure()
    on_arrays = study.on(hardware.pcm(TILE), network)
    print(f"{analog.conversion_report(on_arrays)}\n")
    analog.program(on_arrays, options.seed)
    report = analog.report(on_arrays, study.test.first(options.batch).pixels)
    print(f"{studies.tables(study.all)}\n\nA chip of PCM, just programmed:\n{report}\n")
    speed = {"forward": study.forward_ratio(network), "training step": study.step_ratio(network)}
    for name, ratio in speed.items():
        print(f"{name}, hardware / float32, {options.batch} images: {ratio}")
    more = {"network": options.network, "backend": analog.backend(), "torch": torch.__version__,
            "report": json.loads(report.to_json()),
            "speed": {name: ratio._asdict() for name, ratio in speed.items()}}
    studies.write(study.all, more, options.json, options.picture)
    return 0
