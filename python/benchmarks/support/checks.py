"""Before anything is timed: do both sides compute the same? Raises Mismatch where they do not."""

from __future__ import annotations

import math

import lumina_kernel as lk
import numpy as np
import torch
from torch import Tensor

from .products import ADC, BITS, CODED, DAC, NOISE_STD, PEERS, Contest, Problem, Shape

_TIE = 2e-3  # so many steps from a tie, sums in float32 may fall to either side of it


class Mismatch(Exception):
    pass


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Mismatch(what)


def product(shape: Shape, threads: int) -> str:
    """Checks all contestants of a shape; returns what was found, for people."""
    differing, outputs = _check_without_noise(shape, threads)
    _check_noise(shape, threads)
    return f"{shape}: {differing} of {outputs} codes differ by 1, all at a tie"


def _results(contest: Contest, seed: int) -> dict[str, np.ndarray]:
    """Each contestant's output for the first set of inputs."""
    return {c.name: np.array(c.calls[0]()) for c in contest.contestants(seed)}


def _exact(problem: Problem, dac: bool) -> np.ndarray:
    """x·Wᵀ in float64 behind DAC and weight coding, or of the floats as they are."""
    x, w = problem.x[0], problem.w
    if dac:
        x = DAC(x)
        w = torch.from_numpy(np.array(lk.CodedWeights(w, bits=BITS).decode()))
    return (x.double() @ w.double().t()).numpy()


def _codes(y: np.ndarray) -> np.ndarray:
    return np.rint((y.astype(np.float64) - ADC.lo) / ADC.step)


def _check_without_noise(shape: Shape, threads: int) -> tuple[int, int]:
    seed = 1
    problem = Problem(shape, seed)
    results = _results(Contest(shape, threads, noise_std=0.0, fresh=True), seed)
    differing = 0
    for name, peer in PEERS.items():
        position = (_exact(problem, dac=name == CODED) - ADC.lo) / ADC.step
        position = np.clip(position, 0, ADC.max_code)
        for who in (name, peer):
            off = np.abs(_codes(results[who]) - position).max()
            require(off <= 0.5 + _TIE, f"{shape}, {who}: a code is {off:.4f} steps off")
        differing += np.count_nonzero(_codes(results[name]) != _codes(results[peer]))
    return differing, len(PEERS) * shape.batch * shape.outputs


def _check_noise(shape: Shape, threads: int) -> None:
    """Mean and deviation of the error against the exact product, where nothing clips."""
    seed = 2
    problem = Problem(shape, seed)
    results = _results(Contest(shape, threads, NOISE_STD, fresh=True), seed)
    deviation = math.sqrt(NOISE_STD**2 + ADC.step**2 / 12.0)  # of noise and rounding
    for name, peer in PEERS.items():
        exact = _exact(problem, dac=name == CODED)
        inside = np.abs(exact) < ADC.hi - 6.0 * deviation
        for who in (name, peer):
            error = (results[who] - exact)[inside]
            mean, spread = error.mean(), error.std()
            count = error.size
            require(abs(mean) < 5.0 * deviation / math.sqrt(count),
                    f"{shape}, {who}: the noise has the mean {mean:g}")
            require(abs(spread / deviation - 1.0) < 5.0 / math.sqrt(2.0 * count),
                    f"{shape}, {who}: the noise's deviation is {spread:g}, not {deviation:g}")


def gradients(ours: dict[str, Tensor], theirs: dict[str, Tensor], what: str) -> None:
    """Gradients of two layers with different noise: equal but for outputs that clip."""
    for name, gradient in ours.items():
        peer = theirs[name]
        error = (gradient - peer).norm() / peer.norm()
        require(bool(error < 1e-2), f"{what}: {name} differs from its peer's by {error:g}")
