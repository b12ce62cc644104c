"""torch's optimizers for hardware-aware training: after each step weights are clipped as their
profile says."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..hardware.training import HardwareAware
from .analog_module import AnalogModule


def clip_weight(weight: Tensor, training: HardwareAware) -> None:
    """In place, [out, …]. Of kind "gaussian" the bound is `clip` times the standard deviation of all
    weights, of "average_channel_max" times the mean of the outputs' largest magnitudes."""
    if training.clip is None or weight.numel() == 0:
        return
    if training.clip_kind == "fixed":
        bound = training.clip
    elif training.clip_kind == "gaussian":
        bound = weight.float().std(unbiased=False).double() * training.clip
    else:
        largest = weight.float().flatten(1).abs().amax(1)
        bound = largest.mean().double() * training.clip
    weight.clamp_(-bound, bound)


class _ClipsAfterStep:
    """Of an optimizer: the weights of layers on arrays that are among its parameters are clipped.
    Scales follow the weights by themselves, as these are encoded in each pass."""

    def __init__(self, params: Any, *options: Any, **named: Any) -> None:
        own = params.parameters() if isinstance(params, nn.Module) else params
        super().__init__(own, *options, **named)

    @torch.no_grad()
    def _clip(self) -> None:
        groups = self.param_groups  # type: ignore[attr-defined]
        own = {id(parameter) for group in groups for parameter in group["params"]}
        for layer in AnalogModule.all_alive():
            if id(layer._source()) in own:
                clip_weight(layer.weight, layer.profile.training)

    def step(self, *given: Any, **named: Any) -> Any:
        loss = super().step(*given, **named)  # type: ignore[misc]
        self._clip()
        return loss


class AnalogSGD(_ClipsAfterStep, torch.optim.SGD):
    """torch.optim.SGD, of parameters or of a model; after each step weights on arrays are clipped as
    their profile.training says."""


class AnalogAdam(_ClipsAfterStep, torch.optim.Adam):
    """torch.optim.Adam, in the same way."""
