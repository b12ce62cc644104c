"""What else computes y = ADC(DAC(x)·Wᵀ + noise) on a GPU: PyTorch's chains, eager and compiled, in
floats and in int8, and the vendor's bare products; each in a graph, as replay.hpp measures ours."""

from __future__ import annotations

import statistics
from typing import Callable, Iterator, Tuple

import torch
from torch.nn import functional

Shape = Tuple[int, int, int]
SHAPES: Tuple[Shape, ...] = (
    (32, 784, 512),
    (256, 784, 512),
    (1024, 1024, 1024),
    (256, 4096, 4096),
    (8192, 1024, 1024),
    (4096, 4096, 4096),
)
#: Batches of those whose training steps are measured.
TRAINED: Tuple[Shape, ...] = ((256, 784, 512), (8192, 1024, 1024))
X_RANGE, Y_RANGE, SIGMA, TOP = (0.0, 1.0), (-8.0, 8.0), 0.1, 255
CALLS, REPLAYS, WARM = 10, 9, 2


def quantized(values: torch.Tensor, limits: Tuple[float, float]) -> torch.Tensor:
    low, high = limits
    step = (high - low) / TOP
    return torch.round((values.clamp(low, high) - low) / step) * step + low


def chain(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    y = functional.linear(quantized(x, X_RANGE), w)
    return quantized(y + torch.randn_like(y) * SIGMA, Y_RANGE)


def coded_chain(
    x: torch.Tensor, codes: torch.Tensor, scale: torch.Tensor, code_sums: torch.Tensor
) -> torch.Tensor:
    """The same on int8: codes of x less 128."""
    low, high = X_RANGE
    step = (high - low) / TOP
    x_codes = (torch.round((x.clamp(low, high) - low) / step) - 128).to(torch.int8)
    sums = torch._int_mm(x_codes, codes.t())
    y = (sums + 128 * code_sums).float() * (scale * step) + low * scale * code_sums.float()
    return quantized(y + torch.randn_like(y) * SIGMA, Y_RANGE)


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: torch.Tensor, low: float, high: float) -> torch.Tensor:
        ctx.save_for_backward((values >= low) & (values <= high))
        return quantized(values, (low, high))

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        return gradient * ctx.saved_tensors[0], None, None


def training_step(x: torch.Tensor, w: torch.Tensor, gradient: torch.Tensor):
    y = functional.linear(StraightThrough.apply(x, *X_RANGE), StraightThrough.apply(w, -0.3, 0.3))
    y = StraightThrough.apply(y + torch.randn_like(y) * SIGMA, *Y_RANGE)
    return torch.autograd.grad(y, (x, w), gradient)


def events_us(call: Callable[[], object], calls: int = 1) -> float:
    """The median of repetitions."""
    times = []
    for repetition in range(REPLAYS):
        begin, end = torch.cuda.Event(True), torch.cuda.Event(True)
        begin.record()
        for _ in range(calls):
            call()
        end.record()
        torch.cuda.synchronize()
        if repetition >= WARM:
            times.append(begin.elapsed_time(end) * 1e3 / calls)
    return statistics.median(times)


def replayed_us(call: Callable[[], object]) -> float:
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(aside)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(CALLS):
            call()
    return events_us(graph.replay) / CALLS


def compiled(function: Callable) -> Callable:
    """Compiled anew for each shape."""
    torch._dynamo.reset()
    return torch.compile(function, dynamic=False)


def measured() -> Iterator[Tuple[str, Shape, float]]:
    """Which peer, at which shape, in µs."""
    torch.manual_seed(1)
    precisions = (("f32", False), ("TF32", True))
    for shape in SHAPES:
        batch, inputs, outputs = shape
        x = torch.rand(batch, inputs, device="cuda")
        w = torch.randn(outputs, inputs, device="cuda") * 0.05
        scale = w.abs().amax(1) / 127
        codes = torch.round(w / scale[:, None]).clamp(-127, 127).to(torch.int8)
        weights = codes.float() * scale[:, None]
        code_sums = codes.sum(1, dtype=torch.int32)
        x_codes = torch.randint(-128, 127, (batch, inputs), device="cuda", dtype=torch.int8)
        with torch.no_grad():
            for name, tf32 in precisions:
                torch.backends.cuda.matmul.allow_tf32 = tf32
                yield f"bare {name}", shape, replayed_us(lambda: functional.linear(x, weights))
                yield f"eager {name}", shape, replayed_us(lambda: chain(x, weights))
                call = compiled(chain)
                yield f"compiled {name}", shape, replayed_us(lambda: call(x, weights))
            yield "bare int8", shape, replayed_us(lambda: torch._int_mm(x_codes, codes.t()))
            coded = compiled(coded_chain)
            yield "compiled int8", shape, replayed_us(lambda: coded(x, codes, scale, code_sums))
    for shape in TRAINED:
        batch, inputs, outputs = shape
        x = torch.rand(batch, inputs, device="cuda", requires_grad=True)
        w = (torch.randn(outputs, inputs, device="cuda") * 0.05).requires_grad_()
        gradient = torch.randn(batch, outputs, device="cuda")
        for name, tf32 in precisions:
            torch.backends.cuda.matmul.allow_tf32 = tf32
            step = compiled(training_step)
            for _ in range(3):
                step(x, w, gradient)
            yield f"compiled step {name}", shape, events_us(lambda: step(x, w, gradient), CALLS)
