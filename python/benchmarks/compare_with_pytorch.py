#!/usr/bin/env python3
"""lumina_kernel against the same computation as a chain of torch operations.

Prints Markdown tables; a ratio says how many times as fast as torch we are (torch's time / ours).
`--quick` is a smoke test of seconds. Measure on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Sequence

from support import checks, machine, overhead, products, report, threads, training
from support.contest import Effort, Times, hold
from support.products import NOISE_STD, Shape
from support.report import Row


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def layers(text: str) -> list[tuple[int, int]]:
    """784x512,1024x1024 -> [(784, 512), (1024, 1024)]: inputs and outputs."""
    pairs = [tuple(int(side) for side in word.split("x")) for word in text.split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(text)
    return pairs


def thread_counts(text: str) -> list[int]:
    counts = [threads.all_threads() if word == "all" else int(word) for word in text.split(",")]
    return list(dict.fromkeys(counts))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: small, short")
    parser.add_argument("--layers", type=layers, metavar="INxOUT,...",
                        help="default: 784x512,1024x1024,4096x4096")
    parser.add_argument("--batches", type=numbers, metavar="N,...", help="default: 1,8,32,256")
    parser.add_argument("--threads", type=thread_counts, default="1,all", metavar="N,...",
                        help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=4.0,
                        help="for each row of a table; default: %(default)s")
    parser.add_argument("--plot", type=Path, default=Path("build/compare_with_pytorch.png"),
                        help="picture of the ratios; default: %(default)s")
    parser.add_argument("--json", type=Path, help="all figures, for programs")
    options = parser.parse_args(arguments)
    if options.layers is None:
        options.layers = [(784, 512)]
        if not options.quick:
            options.layers += [(1024, 1024), (4096, 4096)]
    options.batches = options.batches or ([1, 8] if options.quick else [1, 8, 32, 256])
    options.effort = Effort.smoke_test() if options.quick else Effort(options.seconds)
    return options


class Comparison:
    """Runs the contests, prints their tables, keeps all rows."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.rows: list[Row] = []

    def shapes(self) -> list[Shape]:
        return [Shape(batch, *layer) for layer in self.options.layers
                for batch in self.options.batches]

    def products(self, title: str, shapes: Sequence[Shape], noise_std: float,
                 fresh: bool = False) -> None:
        contests = [products.Contest(shape, count, noise_std, fresh)
                    for count in self.options.threads for shape in shapes]
        self._print(title, [self._hold(title, contest, contest.threads, products.PEERS.items())
                            for contest in contests])

    def training(self, title: str, profile: str, shapes: Sequence[Shape]) -> None:
        pairs = [(training.NATIVE, training.FALLBACK), (training.NATIVE, training.BY_HAND)]
        self._print(title, [self._hold(title, training.Contest(shape, profile), count, pairs)
                            for count in self.options.threads for shape in shapes])

    def _hold(self, title: str, contest, count: int, pairs) -> list[Row]:
        print(f"{title}: {contest.shape}, threads: {count}", file=sys.stderr)
        threads.use(count)
        times = hold(contest.contestants, self.options.effort, count)
        if count == 1 and not self.options.quick:
            self._warn_of_extra_threads(times)
        return [Row(title, str(contest.shape), count, name, times.median(name), peer,
                    times.median(peer), times.speed(name, peer)) for name, peer in pairs]

    @staticmethod
    def _warn_of_extra_threads(times: Times) -> None:
        for name in times.seconds:
            if times.busy_processors(name) > 1.1:
                print(f"NOTE: {name} keeps {times.busy_processors(name):.2f} cores busy, not 1",
                      file=sys.stderr)

    def _print(self, title: str, lines: Sequence[Sequence[Row]]) -> None:
        rows = [row for line in lines for row in line]
        self.rows += rows
        print(f"\n## {title}\n\n{report.comparison(rows)}", flush=True)


def print_checks(comparison: Comparison, steps: Sequence[Shape]) -> None:
    """Ends the program where two contestants do not compute the same."""
    print("\n## The same values\n\nChecked before measuring: without noise every code is the "
          "float64 product's, up to ties; with noise, mean\nand deviation of the error; gradients "
          "of a training step.\n")
    count = threads.all_threads()
    for shape in comparison.shapes():
        print(f"- {checks.product(shape, count)}; noise agrees", flush=True)
    for shape in steps:
        for profile in training.PROFILES.values():
            print(f"- {training.Contest(shape, profile).check()}", flush=True)


def print_call_times(effort: Effort) -> dict[str, float]:
    threads.use(1)
    seconds = overhead.call_times(effort)
    lines = [[name, f"{value * 1e9:.0f}"] for name, value in seconds.items()]
    print(f"\n## A call with 1 × 1 × 1\n\n{report.table(['call', 'ns'], lines)}", flush=True)
    return seconds


def print_memory(quick: bool) -> dict[str, overhead.Memory]:
    memory = overhead.peak_memory(quick)
    mib = [[name, *(f"{size / 2**20:.1f}" for size in (m.output, m.weights, m.peak))]
           for name, m in memory.items()]
    header = ["call", "output MiB", "float32 weights MiB", "growth of the process, at most, MiB"]
    print(f"\n## Memory that a call takes\n\n{report.table(header, mib)}" if memory else
          "\nThis system does not say how much memory a call takes.", flush=True)
    return memory


def run(options: argparse.Namespace) -> None:
    comparison = Comparison(options)
    # A training step has a batch; of one row it would be no training.
    steps = [shape for shape in comparison.shapes() if shape.batch >= 32 or options.quick]
    title = machine.describe(options.threads)
    print(f"# lumina_kernel against torch\n\n{title}")
    print_checks(comparison, steps)

    first = [shape for shape in comparison.shapes()
             if (shape.inputs, shape.outputs) == options.layers[0]]
    edge = [Shape(1, *layer) for layer in options.layers]
    comparison.products("Fused layer", comparison.shapes(), NOISE_STD)
    comparison.products("Fused layer, fresh outputs", first, NOISE_STD, fresh=True)
    comparison.products("Edge inference", edge, noise_std=0.0)
    for kind, profile in training.PROFILES.items():
        comparison.training(f"NAT step, {kind} ({profile})", profile, steps)
    calls = print_call_times(options.effort)
    memory = print_memory(options.quick)

    report.plot(comparison.rows, title, options.plot)
    print(f"\nThe picture is {options.plot}.", file=sys.stderr)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({
            "machine": title, "rows": [row._asdict() for row in comparison.rows],
            "call_seconds": calls,
            "memory_bytes": {name: m._asdict() for name, m in memory.items()}}, indent=1))


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        run(options)
    except checks.Mismatch as mismatch:
        print(f"compare_with_pytorch.py: not the same values: {mismatch}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
