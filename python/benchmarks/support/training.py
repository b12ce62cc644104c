"""A step of noise-aware training, forward and backward: OpticalLinear with the native kernels,
the same in pure PyTorch, and a layer written by hand."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import NamedTuple, Sequence

import torch
from lumina_kernel.nn import OpticalLinear, hardware_profile, native, pure_torch, selection
from torch import Tensor, nn

from . import checks
from .contest import Call, Contestant
from .products import SETS, Shape
from .torch_chain import StraightThroughLayer

NATIVE = "OpticalLinear"
FALLBACK = "pure-torch fallback"
BY_HAND = "layer by hand"

# What LUMINA_USE_KERNEL chooses for a whole process is chosen for each step here.
BACKENDS = {NATIVE: native, FALLBACK: pure_torch, BY_HAND: None}

# By what the weights are multiplied as: up to 8 bits as codes, more as floats.
PROFILES = {"codes": "lumina_micro_v1", "floats": "datacenter_high_precision"}
OUTPUT_LIMIT = 8.0  # the ADC's range is ± this; nothing clips


class Contest(NamedTuple):
    shape: Shape
    profile: str

    def contestants(self, seed: int) -> Sequence[Contestant]:
        inputs = self._inputs(seed)
        return [Contestant(name, [self._step(name, layer, *of_set) for of_set in inputs])
                for name, layer in self._layers(seed).items()]

    def check(self) -> str:
        """Gradients of one step, which noise and rounding hardly touch where nothing clips."""
        x, grad_y = self._inputs(1)[0]
        found = {}
        for name, layer in self._layers(1).items():
            self._step(name, layer, x, grad_y)()
            found[name] = {"grad_x": x.grad, "grad_weight": layer.weight.grad,
                           "grad_bias": layer.bias.grad}
        for name in (FALLBACK, BY_HAND):
            checks.gradients(found[NATIVE], found[name], f"{self.shape}, {self.profile}, {name}")
        return f"{self.shape}, {self.profile}: gradients agree"

    @staticmethod
    def _step(name: str, layer: nn.Module, x: Tensor, grad_y: Tensor) -> Call:
        corner = layer.weight.detach()[0, 0]  # shares the weight's memory and version counter
        return partial(_step, layer, corner, BACKENDS[name], x, grad_y)

    def _layers(self, seed: int) -> dict[str, nn.Module]:
        torch.manual_seed(seed)
        weight = torch.randn(self.shape.outputs, self.shape.inputs)
        weight *= (3.0 / self.shape.inputs) ** 0.5
        bias = torch.randn(self.shape.outputs)
        return {NATIVE: self._optical(weight, bias), FALLBACK: self._optical(weight, bias),
                BY_HAND: StraightThroughLayer(weight, bias, hardware_profile(self.profile),
                                              OUTPUT_LIMIT)}

    def _optical(self, weight: Tensor, bias: Tensor) -> OpticalLinear:
        layer = OpticalLinear(self.shape.inputs, self.shape.outputs, self.profile, bias=True,
                              output_range=(-OUTPUT_LIMIT, OUTPUT_LIMIT))
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        return layer

    def _inputs(self, seed: int) -> list[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        batch, inputs, outputs = self.shape
        return [(torch.rand(batch, inputs, generator=generator).requires_grad_(),
                 torch.randn(batch, outputs, generator=generator)) for _ in range(SETS)]


def _step(layer: nn.Module, corner: Tensor, backend: ModuleType | None, x: Tensor,
          grad_y: Tensor) -> None:
    if backend is not None:
        selection.active = backend
    corner.add_(0.0)  # the weights count as changed, as an optimizer would have it
    layer.weight.grad = layer.bias.grad = x.grad = None
    layer(x).backward(grad_y)
