"""A contest: everything that is compared runs in turns, in one process and on the same data.

A change of the clock or a neighbour on the machine so meets all contestants alike. Each round runs
every contestant once, in a new order; medians over the rounds are taken of the times and of the
ratios of two contestants within a round. A contest has several heats, each with memory of its own:
which physical pages a buffer gets decides how much of it the second-level cache can hold.

With one thread, times are the calling thread's processor time, from which the system takes out what
other programs get in between; with several threads they are wall time.
"""

from __future__ import annotations

import gc
import itertools
import random
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Callable, Iterator, Sequence

Call = Callable[[], object]


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    seconds_per_contest: float
    seconds_per_sample: float = 500e-6  # short calls are repeated until a sample lasts this long
    heats: int = 5

    @staticmethod
    def smoke_test() -> Effort:
        return Effort(0.0, 20e-6, heats=2)


@dataclass(frozen=True)
class Contestant:
    name: str
    calls: Sequence[Call]  # the same work on several sets of inputs, taken in turns


@dataclass
class Times:
    """Seconds for one call, [contestant][round]."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wall: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # of all samples
    processor: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def speed(self, name: str, peer: str) -> float:
        """How many times as fast as its peer a contestant is: the median over the rounds."""
        pairs = zip(self.seconds[peer], self.seconds[name])
        return statistics.median(theirs / ours for theirs, ours in pairs)

    def busy_processors(self, name: str) -> float:
        """The process's processor time in the wall time: shows who uses more threads than it
        should."""
        return self.processor[name] / self.wall[name]


class _Runner:
    def __init__(self, contestant: Contestant, clock: Callable[[], float], effort: Effort) -> None:
        self.name = contestant.name
        self._clock = clock
        self._turns: Iterator[Call] = itertools.cycle(contestant.calls)
        self._run(1)  # what is done at the first call only
        seconds = max(self._run(1), 1e-9)
        self._count = max(1, round(effort.seconds_per_sample / seconds))
        self._short = seconds < 0.01

    def _run(self, count: int) -> float:
        calls = itertools.islice(self._turns, count)
        begin = self._clock()
        for call in calls:
            call()
        return self._clock() - begin

    def sample(self, times: Times) -> None:
        if self._short:
            self._run(1)  # the caches are its own again, and its threads are awake
        wall, processor = time.perf_counter(), time.process_time()
        times.seconds[self.name].append(self._run(self._count) / self._count)
        times.wall[self.name] += time.perf_counter() - wall
        times.processor[self.name] += time.process_time() - processor


def hold(prepare: Callable[[int], Sequence[Contestant]], effort: Effort, threads: int) -> Times:
    """Measures. `prepare(heat)` makes the contestants, with memory of their own."""
    clock = time.thread_time if threads == 1 else time.perf_counter
    times = Times()
    order = random.Random(0)
    for heat in range(effort.heats):
        runners = [_Runner(contestant, clock, effort) for contestant in prepare(heat)]
        gc.collect()
        gc.disable()
        try:
            _run_heat(runners, effort, threads, order, times)
        finally:
            gc.enable()
    return times


def _run_heat(runners: list[_Runner], effort: Effort, threads: int, order: random.Random,
              times: Times) -> None:
    end = time.perf_counter() + effort.seconds_per_contest / effort.heats
    while True:
        order.shuffle(runners)
        for runner in runners:
            runner.sample(times)
            if threads > 1:
                # Workers without work spin before they sleep: OpenMP's some 10 ms, OpenBLAS's 30.
                time.sleep(0.05)
        if time.perf_counter() >= end:
            return
