"""How far a model's output moves where one of its layers alone is on arrays."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional

import torch.nn.functional as F
from torch import Tensor

from ..array_settings import Kernel
from .analog_module import AnalogModule


def product(x: Tensor, weight: Tensor, kernel: Optional[Kernel]) -> Tensor:
    """The digital one."""
    if kernel is None:
        return F.linear(x, weight)
    return F.conv3d(
        x, weight, None, kernel.stride, kernel.padding, kernel.dilation, kernel.groups
    )


def with_bias(y: Tensor, bias: Optional[Tensor]) -> Tensor:
    return y if bias is None else y + bias.detach().reshape(-1, *(1,) * (y.dim() - 2))


class _Digital:
    """A layer's observer: it answers as torch.nn's."""

    def run(self, layer: Any, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        return with_bias(product(x.detach(), weight.detach(), layer._spec.kernel), bias)


def influences(layers: Dict[str, AnalogModule], call: Callable[[], Any]) -> Dict[str, float]:
    """Of each layer: Σ (o − o₀)² / Σ o₀², o₀ the first tensor of what `call` gives, all layers being
    digital. The layers have no observers then."""
    try:
        for layer in layers.values():
            layer._observer = _Digital()
        exact = _first_tensor(call())
        squares = float(exact.square().sum())
        result = {}
        for name, layer in layers.items():
            digital, layer._observer = layer._observer, None
            moved = float((_first_tensor(call()) - exact).square().sum())
            result[name] = moved / squares if squares else float("nan")
            layer._observer = digital
    finally:
        for layer in layers.values():
            layer._observer = None
    return result


def _first_tensor(outputs: Any) -> Tensor:
    """Of a tensor, or of tuples and dicts of such, in float64. Error: TypeError, there is none."""
    if isinstance(outputs, Tensor):
        return outputs.detach().double()
    parts = tuple(outputs.values()) if isinstance(outputs, Mapping) else outputs
    for part in parts if isinstance(parts, (tuple, list)) else ():
        try:
            return _first_tensor(part)
        except TypeError:
            pass
    raise TypeError(f"the model must give a tensor, or some of them, not {type(outputs).__name__}")
