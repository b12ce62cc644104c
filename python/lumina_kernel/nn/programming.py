"""Chips of whole models."""

from __future__ import annotations

from typing import Dict, Optional

from torch import nn

from ..checks import checked_float, checked_int
from .analog_module import AnalogModule

_LATEST = 1e20


def program(model: nn.Module, seed: int) -> nn.Module:
    """The weights of each layer on arrays, as they are now, onto the devices of a chip; layer i
    in the order of named_modules() is stream i. Returns `model`.

    seed: of the chip, 0 … 2^64 − 1. The same seed is the same chip, whose devices are a function of
    it, their place, their target and the time alone. Compensated profiles take their reference 0 s
    after programming.
    Errors: TypeError, ValueError; RuntimeError, a layer is not calibrated. Those before it are
    programmed then.
    """
    if not 0 <= checked_int("seed", seed) < 2**64:
        raise ValueError(f"seed must be in 0..2^64-1, not {seed}")
    with_names(model, lambda stream, layer: layer.program(seed, stream))
    return model


def drift(model: nn.Module, seconds: Optional[float]) -> nn.Module:
    """The chip so long after it was programmed, reading noise included; None: just programmed, not
    read. Whatever times it has been looked at before: any order gives the same bits. Returns `model`.

    seconds: 0 … 1e20. Errors: TypeError, ValueError; RuntimeError, a layer is not programmed.
    """
    if seconds is not None:
        seconds = checked_float("seconds", seconds)
        if not 0.0 <= seconds <= _LATEST:
            raise ValueError(f"seconds must be in 0..{_LATEST:g}, not {seconds}")
    with_names(model, lambda _, layer: layer.drift(seconds))
    return model


def unprogram(model: nn.Module) -> nn.Module:
    """Undoes program(): layers can be trained again. Returns `model`."""
    for layer in analog_layers(model).values():
        layer.unprogram()
    return model


def seed_step(model: nn.Module, epoch: int, step: int, seed: int = 0) -> nn.Module:
    """From now on the noise of passes is a function of `seed`, the layer's place in the model, epoch,
    step and how many passes it has had since; not of torch's generators. Returns `model`.

    For training that can be stopped and goes on with the same bits: call it before each step.
    """
    words = [checked_int(name, word) for name, word in (("seed", seed), ("epoch", epoch), ("step", step))]
    if min(words) < 0:
        raise ValueError(f"seed, epoch and step must not be negative, not {words}")
    for stream, layer in enumerate(noisy_layers(model)):
        layer._passes.keys.at_step(words[0], stream, *words[1:])
    return model


def analog_layers(model: nn.Module) -> Dict[str, AnalogModule]:
    """Those on arrays, by their names."""
    return {name: each for name, each in model.named_modules() if isinstance(each, AnalogModule)}


def noisy_layers(model: nn.Module) -> list:
    """Those that draw noise, OpticalLinear among them."""
    return [each for each in model.modules() if hasattr(each, "_passes")]


def with_names(model: nn.Module, act) -> None:
    """act(number, layer) for each layer on arrays; errors name it."""
    for number, (name, layer) in enumerate(analog_layers(model).items()):
        try:
            act(number, layer)
        except RuntimeError as error:
            raise RuntimeError(f"{name or 'the model'}: {error}") from error
