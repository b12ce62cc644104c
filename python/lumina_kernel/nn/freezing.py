"""Weights that are encoded once, by the will of who owns the model."""

from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor, nn

from . import selection


class FrozenWeights:
    """A layer's weights in encoded form, for as long as nobody changes them.

    Error: RuntimeError, the weight is none that stays what it is.
    """

    def __init__(self, layer: nn.Module, bits: int) -> None:
        weight = layer._parameters.get("weight")
        if weight is None:
            raise RuntimeError(
                "OpticalLinear: only a weight that is a parameter can be frozen; this one is "
                "computed anew for each pass: remove its parametrization or pruning first"
            )
        self._weight = weight
        self._version = _version(weight)
        # What inference mode makes can't be kept for a later backward pass.
        with torch.inference_mode(False), torch.no_grad():
            computation = selection.computation(weight.device)
            self._encoded = computation.encode(weight.detach().float(), bits)

    def encoded(self, weight: Tensor) -> Any:
        """Error: RuntimeError, `weight` is seen to be another one, or changed."""
        if weight is not self._weight or _version(weight) != self._version:
            raise RuntimeError(
                "OpticalLinear: the weight of a frozen layer has been changed or replaced; call "
                "lumina_kernel.nn.freeze() again, or unfreeze() before"
            )
        return self._encoded


def _version(weight: Tensor) -> Optional[int]:
    return None if weight.is_inference() else weight._version


def freeze(module: nn.Module) -> nn.Module:
    """Encodes the weights of each OpticalLinear in `module` once, now, instead of in each pass, and
    returns `module`.

    For models that only answer: a call with a few rows takes the time of its own product. From
    now on the weights are the caller's responsibility. What is noticed is a RuntimeError: a pass in
    train() mode, a backward pass by a weight or bias, load_state_dict(), a weight that is replaced,
    one that an operation of autograd has changed, and another precision. What goes behind autograd
    (weight.data, NumPy, another process) is not: freeze() again then. After .to(), .half() and the
    like the weights are encoded anew. Copies, and what comes back from a file, are not frozen. A
    graph of torch.compile encodes in each call.

    Errors: RuntimeError, a weight is none that can be frozen; ValueError, it is not finite.
    """
    layers = [each for each in module.modules() if hasattr(each, "_frozen")]
    frozen = [FrozenWeights(layer, layer.precision) for layer in layers]
    for layer, weights in zip(layers, frozen):
        layer._frozen = weights
    return module


def unfreeze(module: nn.Module) -> nn.Module:
    """Undoes freeze(); returns `module`."""
    for each in module.modules():
        if hasattr(each, "_frozen"):
            each._frozen = None
    return module
