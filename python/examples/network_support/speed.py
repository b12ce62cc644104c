"""Which of two is faster: in alternation, so that whatever slows the machine slows both; in CPU
time of all threads together, to which other processes hardly add."""

from __future__ import annotations

import statistics
import time
from typing import Any, Callable, NamedTuple


class Ratio(NamedTuple):
    seconds: float
    peer_seconds: float
    ratio: float  # the median over rounds; below 1: faster than the peer

    def __str__(self) -> str:
        own, other = 1e3 * self.seconds, 1e3 * self.peer_seconds
        return f"{own:.1f} ms / {other:.1f} ms = {self.ratio:.2f} ×"


def compare(call: Callable[[], Any], peer: Callable[[], Any], rounds: int = 9) -> Ratio:
    """After a round that doesn't count."""
    pairs = [(_seconds(call), _seconds(peer)) for _ in range(rounds + 1)][1:]
    own, others = zip(*pairs)
    return Ratio(statistics.median(own), statistics.median(others),
                 statistics.median(a / b for a, b in pairs))


def _seconds(call: Callable[[], Any]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin
