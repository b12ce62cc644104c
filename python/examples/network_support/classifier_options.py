"""The command line of examples that classify images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from . import fashion_mnist

QUICK = {"networks": 1, "chips": 1, "epochs": 1, "train_images": 1000, "test_images": 200,
         "calibration_images": 100, "speed_rounds": 1}


def parse(description: str, networks: Sequence[str], epochs: int) -> argparse.Namespace:
    """`networks`: those to choose from; the first one is the default."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def number(name: str, default: int, text: str) -> None:
        parser.add_argument(name, type=int, metavar="N", default=default,
                            help=f"{text}; default: %(default)s")

    fashion_mnist.add_option(parser)
    parser.add_argument("--network", choices=networks, default=networks[0],
                        help="default: %(default)s")
    number("--networks", 3, "networks, each of its own initial weights")
    number("--chips", 3, "chips that each network is programmed on")
    number("--epochs", epochs, "of each of the two trainings")
    number("--batch", 100, "images of a step")
    number("--train-images", 60000, "so many of them")
    number("--test-images", 10000, "so many of them")
    number("--calibration-images", 1000, "so many training images choose the converters' ranges")
    number("--speed-rounds", 15, "rounds of each comparison of times")
    number("--seed", 1, "of weights, order, noise and chips")
    number("--threads", 1, "of PyTorch")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--picture", type=Path, metavar="FILE",
                        help="draw them there; needs matplotlib")
    parser.add_argument("--quick", action="store_true",
                        help="one network and chip, few images, one epoch, whatever else is said")
    options = parser.parse_args()
    if options.quick:
        vars(options).update(QUICK)
    return options
