#!/usr/bin/env python3
"""What each part of an array's hardware costs a layer's forward pass, beside torch's float32 layer.

Prints a table: CPU time in ms, one thread, medians of rounds in turns; chips are programmed, so weights
are encoded once.
"""

import argparse
import copy
import statistics
import time

import lumina_kernel as lk
import torch
from lumina_kernel import nn

ROWS, IMAGES = 1472, 128
BARE = lk.Profile(dac=lk.Dac(8, 4.0), adc=None)
#: Each column has what those before it have, too.
PARTS = {
    "bare": {},
    "rows' ranges": {"noise_management": "abs_max"},
    "ADC": {"adc": lk.Adc(8, 10.0)},
    "columns' ranges": {"adc": lk.Adc(8, lk.Calibrated())},
    "output noise": {"out_noise": 0.04},
    "read noise": {"read_noise": 0.0175},
}


def layers():
    """(name, inputs, torch's layer)"""
    for ins, outs in ((384, 384), (384, 1536), (1536, 384)):
        yield f"linear {ROWS} × {ins} × {outs}", torch.rand(ROWS, ins), torch.nn.Linear(ins, outs)
    for channels, outs, size in ((1, 8, 28), (8, 16, 13), (16, 32, 28)):
        images = torch.rand(IMAGES, channels, size, size)
        yield (
            f"3 × 3, stride 2, {channels} → {outs}, {IMAGES} of {size} × {size}",
            images,
            torch.nn.Conv2d(channels, outs, 3, 2),
        )


def seconds(layer, x):
    begin = time.process_time()
    layer(x)
    return time.process_time() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="default: %(default)s")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {nn.backend()}, {lk.isa() if nn.backend() == 'native' else ''}\n")
    print(f"| layer | torch | {' | '.join(PARTS)} |\n|---|--:|{'--:|' * len(PARTS)}")
    for name, x, digital in layers():
        profile, contestants = BARE, [digital.eval()]
        for changes in PARTS.values():
            profile = profile.with_(**changes)
            layer = nn.convert_to_analog(copy.deepcopy(digital), profile)
            nn.program(nn.calibrate(layer, [x]).eval(), 1)
            contestants.append(layer)
        with torch.no_grad():
            times = [[seconds(each, x) for each in contestants] for _ in range(rounds + 1)][1:]
        medians = [1e3 * statistics.median(column) for column in zip(*times)]
        print(f"| {name} | {' | '.join(f'{median:.2f}' for median in medians)} |", flush=True)


if __name__ == "__main__":
    main()
