"""optical_linear_fused and optical_linear_infer against torch's chain."""

from __future__ import annotations

from functools import partial
from typing import Callable, NamedTuple, Sequence

import lumina_kernel as lk
import numpy as np
import torch
from torch import Tensor

from .contest import Contestant
from .torch_chain import Converter, Hardware, PreallocatedChain

BITS = 8  # of every converter
DAC = Converter(BITS, 0.0, 1.0)
ADC = Converter(BITS, -4.0, 4.0)
NOISE_STD = 0.1
SETS = 4  # of inputs

TORCH = "torch"
TORCH_WITH_DAC = "torch with DAC"
RAW = "raw weights"
PACKED = "PackedWeights"
CODED = "CodedWeights"

# Our contestants and the chain that computes the same.
PEERS = {RAW: TORCH, PACKED: TORCH, CODED: TORCH_WITH_DAC}


class Shape(NamedTuple):
    batch: int
    inputs: int
    outputs: int

    def __str__(self) -> str:
        return f"{self.batch} × {self.inputs} × {self.outputs}"


class Problem:
    """Random operands: x [batch, in] in [0, 1), w [out, in] such that outputs have about the
    deviation 1."""

    def __init__(self, shape: Shape, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.shape = shape
        self.x = [torch.rand(shape.batch, shape.inputs, generator=generator) for _ in range(SETS)]
        self.w = torch.randn(shape.outputs, shape.inputs, generator=generator)
        self.w *= (3.0 / shape.inputs) ** 0.5
        self.out = [torch.empty(shape.batch, shape.outputs) for _ in range(SETS)]

    def torch_calls(self, hardware: Hardware, weight: Tensor, fresh: bool) -> list[Callable]:
        if fresh:
            return [partial(hardware.run, x, weight) for x in self.x]
        chain = PreallocatedChain(hardware, weight, self.out[0])
        return [partial(chain, x) for x in self.x]

    def our_calls(self, weights: object, noise_std: float, threads: int, fresh: bool,
                  dac_bits: int | None = None) -> list[Callable]:
        options = {"lo": ADC.lo, "hi": ADC.hi, "threads": threads}
        if dac_bits is not None:
            options.update(dac_bits=dac_bits, dac_lo=DAC.lo, dac_hi=DAC.hi)
        if noise_std > 0.0:
            call, fixed = lk.optical_linear_fused, (None, noise_std, ADC.bits, 1)
        else:
            call, fixed = lk.optical_linear_infer, (None, ADC.bits)
        if fresh:
            return [partial(call, x, weights, *fixed, **options) for x in self.x]
        return [partial(call, x, weights, *fixed, out=out, **options)
                for x, out in zip(self.x, self.out)]


class Contest(NamedTuple):
    """One row of a table."""

    shape: Shape
    threads: int
    noise_std: float
    fresh: bool = False  # every call returns a new tensor; else it writes into a given one

    def contestants(self, seed: int) -> Sequence[Contestant]:
        problem = Problem(self.shape, seed)
        coded = lk.CodedWeights(problem.w, bits=BITS)
        decoded = torch.from_numpy(np.array(coded.decode()))
        ours = partial(problem.our_calls, noise_std=self.noise_std, threads=self.threads,
                       fresh=self.fresh)
        theirs = partial(problem.torch_calls, fresh=self.fresh)
        return [
            Contestant(TORCH, theirs(Hardware(ADC, None, self.noise_std), problem.w)),
            Contestant(TORCH_WITH_DAC, theirs(Hardware(ADC, DAC, self.noise_std), decoded)),
            Contestant(RAW, ours(problem.w)),
            Contestant(PACKED, ours(lk.PackedWeights(problem.w))),
            Contestant(CODED, ours(coded, dac_bits=BITS)),
        ]
