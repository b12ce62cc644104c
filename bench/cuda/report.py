#!/usr/bin/env python3
"""Runs the benchmark of a GPU and its peers in one visit, and prints the tables as Markdown.

    report.py build/…/bin/bench_cuda

Exit status: 1 where bits differ from the CPU's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from typing import Dict, List, NamedTuple, Tuple

Shape = Tuple[int, ...]
Times = Dict[str, Dict[Shape, float]]


class Goal(NamedTuple):
    """ours at most `ratio` times the peer's time, at these shapes (none: all that both have)."""

    ours: str
    peer: str
    ratio: float
    shapes: Tuple[Shape, ...] = ()


BIG, WIDE, SQUARE, TALL = (4096, 4096, 4096), (256, 4096, 4096), (1024,) * 3, (8192, 1024, 1024)
SMALL: Tuple[Shape, ...] = ((32, 784, 512), (256, 784, 512))
GOALS = (
    Goal("codes", "bare int8", 0.78, (BIG,)),
    Goal("codes", "bare int8", 0.85, (WIDE,)),
    Goal("codes", "bare int8", 1.06, (SQUARE, TALL)),
    Goal("codes", "bare int8", 0.95, SMALL),
    Goal("DAC and codes", "bare int8", 1.02, (BIG,)),
    Goal("DAC and codes", "compiled int8", 1 / 2.4),
    Goal("codes", "compiled int8", 1 / 2.4),
    Goal("codes", "compiled f32", 1 / 2.7),
    Goal("codes", "compiled TF32", 1 / 2.7),
    Goal("floats", "bare f32", 1.2),
    Goal("NAT step", "compiled step TF32", 1.0, (TALL,)),
)


def ours(program: str) -> Tuple[Times, bool]:
    """The benchmark's times, and whether all bits are equal."""
    run = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True)
    times: Times = defaultdict(dict)
    equal = True
    for line in run.stdout.splitlines():
        found = json.loads(line)
        if "device" in found:
            print(f"{found['device']}, {found['multiprocessors']} multiprocessors\n")
            continue
        times[found["case"]][tuple(found["shape"])] = found["us"]
        if found["bits"] not in ("", "equal"):
            print(f"bits differ: {line}", file=sys.stderr)
            equal = False
    return times, equal


def peers() -> Times:
    times: Times = defaultdict(dict)
    try:
        import torch

        if not torch.cuda.is_available():
            raise ImportError("PyTorch sees no GPU")
        from peers import measured
    except ImportError as error:
        print(f"no peers: {error}", file=sys.stderr)
        return times
    for name, shape, us in measured():
        times[name][shape] = us
    return times


def print_table(title: str, times: Times, shapes: List[Shape]) -> None:
    print(f"| {title}, µs | " + " | ".join("×".join(map(str, s)) for s in shapes) + " |")
    print("|---|" + "--:|" * len(shapes))
    for name, by_shape in times.items():
        cells = (f"{by_shape[s]:.2f}" if s in by_shape else "" for s in shapes)
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()


def print_goals(own: Times, others: Times) -> None:
    print("| ours | against | shape | ratio | goal | |")
    print("|---|---|---|--:|--:|---|")
    for goal in GOALS:
        mine, theirs = own.get(goal.ours, {}), others.get(goal.peer, {})
        for shape in goal.shapes or tuple(mine):
            if shape in mine and shape in theirs:
                ratio = mine[shape] / theirs[shape]
                verdict = "met" if ratio <= goal.ratio else "MISSED"
                print(
                    f"| {goal.ours} | {goal.peer} | {'×'.join(map(str, shape))} | {ratio:.2f} "
                    f"| {goal.ratio:.2f} | {verdict} |"
                )
    mma = own.get("codes on mma.sync", {}).get(BIG)
    if mma:
        rate = 2e-6 * BIG[0] * BIG[1] * BIG[2] / mma
        print(f"\nmma.sync at {'×'.join(map(str, BIG))}: {rate:.0f} TOP/s (goal 500)")
    normals = own.get("normals", {})
    for shape, us in normals.items():
        share = 100 * own["fill"][shape] / us
        print(f"normals: {share:.0f} % of the bandwidth of a fill (goal 90)")


def main() -> int:
    own, equal = ours(sys.argv[1])
    others = peers()
    shapes = sorted({s for times in (own, others) for by in times.values() for s in by if s[1] > 1})
    print_table("ours, in graphs", own, shapes)
    print_table("peers, in graphs; steps of training not", others, shapes)
    print_goals(own, others)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
