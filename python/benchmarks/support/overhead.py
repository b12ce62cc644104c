"""What a call costs that has next to nothing to compute, in time and in memory."""

from __future__ import annotations

import ctypes
from functools import partial
from typing import Callable, NamedTuple

import lumina_kernel as lk
import numpy as np
import torch

from .contest import Contestant, Effort, hold
from .torch_chain import Hardware, PreallocatedChain
from .products import ADC, BITS, DAC, NOISE_STD


def call_times(effort: Effort) -> dict[str, float]:
    """Seconds for a call with 1 × 1 × 1, one thread."""
    tiny = np.full((1, 1), 0.5, np.float32)
    array_out = np.empty((1, 1), np.float32)
    tensor, tensor_out = torch.from_numpy(tiny), torch.empty(1, 1)
    packed, coded = lk.PackedWeights(tiny), lk.CodedWeights(tiny, bits=BITS)
    chain = PreallocatedChain(Hardware(ADC, None, NOISE_STD), tensor, tensor_out)

    def ours(x: object, weights: object, **options: object) -> Callable:
        return partial(lk.optical_linear_fused, x, weights, None, NOISE_STD, BITS, 1, threads=1,
                       **options)

    calls = {
        "NumPy, PackedWeights, out=": ours(tiny, packed, out=array_out),
        "NumPy, PackedWeights": ours(tiny, packed),
        "NumPy, CodedWeights, out=": ours(tiny, coded, out=array_out, dac_bits=BITS),
        "NumPy, raw weights, out=": ours(tiny, tiny, out=array_out),
        "NumPy, raw weights": ours(tiny, tiny),
        "torch, PackedWeights, out=": ours(tensor, packed, out=tensor_out),
        "torch, PackedWeights": ours(tensor, packed),
        "torch, raw weights, out=": ours(tensor, tensor, out=tensor_out),
        "torch's chain, all in place": partial(chain, tensor),
        "torch.mm(x, w, out=)": partial(torch.mm, tensor, tensor, out=tensor_out),
        "np.matmul(x, w, out=)": partial(np.matmul, tiny, tiny, out=array_out),
    }
    contestants = [Contestant(name, [call]) for name, call in calls.items()]
    times = hold(lambda heat: contestants, effort, threads=1)
    return {name: times.median(name) for name in calls}


class Memory(NamedTuple):
    """Bytes."""

    output: int  # what a call returns or writes
    weights: int  # as the caller holds them
    peak: int  # how far above what lay there before the process got during the call


def peak_memory(quick: bool) -> dict[str, Memory]:
    """Empty where the system does not say (only Linux does).

    The output is larger than what malloc keeps for later, so that memory which is taken and given
    back shows.
    """
    batch, inputs, outputs = 4096, 64 if quick else 1024, 4096
    x, w = torch.rand(batch, inputs), torch.randn(outputs, inputs) / inputs**0.5
    out = torch.empty(batch, outputs).fill_(0.0)
    packed, coded = lk.PackedWeights(w), lk.CodedWeights(w, bits=BITS)
    hardware = Hardware(ADC, None, NOISE_STD)
    fused = partial(lk.optical_linear_fused, x, bias=None, noise_std=NOISE_STD, bits=BITS, seed=1,
                    lo=ADC.lo, hi=ADC.hi)
    codes = {"dac_bits": BITS, "dac_lo": DAC.lo, "dac_hi": DAC.hi}
    calls = {
        "PackedWeights, out=": partial(fused, weight=packed, out=out),
        "CodedWeights, out=": partial(fused, weight=coded, out=out, **codes),
        "raw weights, out=": partial(fused, weight=w, out=out),
        "PackedWeights": partial(fused, weight=packed),
        "CodedWeights": partial(fused, weight=coded, **codes),
        "torch's chain": partial(hardware.run, x, w),
    }
    output, weights = 4 * out.nelement(), 4 * w.nelement()
    result = {}
    for name, call in calls.items():
        call()  # what is set up once
        peak = _peak_of(call)
        if peak is not None:
            result[name] = Memory(output, weights, peak)
    return result


def _peak_of(call: Callable) -> int | None:
    """How much the resident memory grows while `call` runs, bytes."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
        trim(0)
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # the peak is forgotten
        before = _status("VmRSS")
        call()
        return max(_status("VmHWM") - before, 0)
    except (OSError, AttributeError):
        return None


def _status(key: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")
