"""What layers on arrays do to a model's numbers, and what that costs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Dict, Iterator, List, Optional, Tuple

import torch
from torch import Tensor, nn

from ..mixing import mixed
from .array_spec import ArrayKind
from .held_weights import HeldArray, arrays, decode
from .influence import influences, product, with_bias
from .patches import patches
from .programming import analog_layers

_NOISE = 0x7265706F7274  # of the keys of a report's noise
_ROWS = 1024  # that are looked at together


@dataclass
class LayerFigures:
    """Of one layer, sums over all rows (of a convolution: pixels of its result) it was called with.

    An error is Σ (y − y₀)², y₀ the exact product of inputs and parameters, and in parts: what
    differs when one thing after the other is real, weights, DAC, noise, ADC.
    """

    name: str
    kind: str
    tiles: int  #: along the inputs
    rows: int = 0
    signal: float = 0.0  #: Σ y₀², without bias
    error: float = 0.0
    weight_error: float = 0.0
    dac_error: float = 0.0
    noise_error: float = 0.0
    adc_error: float = 0.0
    dac_conversions: int = 0
    dac_clipped: int = 0
    adc_conversions: int = 0
    adc_clipped: int = 0
    device_squares: float = 0.0  #: Σ |ŵ|·x̂²
    energy_joules: float = 0.0
    latency_seconds: float = 0.0  #: of one row: tiles, one after the other
    #: How far the model's output moves by this layer alone, all others being digital, as a share of
    #: its squares; None: not asked for
    influence: Optional[float] = None

    @property
    def snr_db(self) -> float:
        return _decibels(self.signal, self.error)

    @property
    def effective_bits(self) -> float:
        """(SINAD − 1.76 dB) / 6.02 dB (IEEE Std 1241-2010)."""
        return (self.snr_db - 1.76) / 6.02

    def to_dict(self) -> Dict[str, Any]:
        return {**asdict(self), "snr_db": self.snr_db, "effective_bits": self.effective_bits}


@dataclass
class Report:
    layers: List[LayerFigures]

    @property
    def worst(self) -> List[LayerFigures]:
        """Those that lose most first: by influence where that is known, else by their own ratio of
        signal to noise. (Much noise where a model does not listen costs little.)"""
        if all(layer.influence is not None for layer in self.layers):
            return sorted(self.layers, key=lambda layer: -layer.influence)
        return sorted(self.layers, key=lambda layer: layer.snr_db)

    @property
    def energy_joules(self) -> float:
        return sum(layer.energy_joules for layer in self.layers)

    def to_json(self) -> str:
        """A list of the layers' figures; what is infinite or no number is null."""
        return json.dumps([_finite(layer.to_dict()) for layer in self.layers])

    def __str__(self) -> str:
        heads = ("layer", "kind", "tiles", "SNR dB", "bits", *_PARTS, "DAC clips", "ADC clips", "J")
        if all(layer.influence is not None for layer in self.layers):
            heads = (*heads, "influence")
        rows = [heads, *map(_row, self.layers)]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(_aligned(row, widths)) for row in rows]
        return "\n".join(line.rstrip() for line in lines)


_PARTS = ("weights", "DAC", "noise", "ADC")


def _row(layer: LayerFigures) -> Tuple[str, ...]:
    parts = (layer.weight_error, layer.dac_error, layer.noise_error, layer.adc_error)
    total = sum(parts) or 1.0
    return (
        layer.name or "(root)",
        layer.kind,
        str(layer.tiles),
        f"{layer.snr_db:.1f}",
        f"{layer.effective_bits:.1f}",
        *(f"{100 * part / total:.0f} %" for part in parts),
        _share(layer.dac_clipped, layer.dac_conversions),
        _share(layer.adc_clipped, layer.adc_conversions),
        f"{layer.energy_joules:.3g}",
        *(() if layer.influence is None else (f"{layer.influence:.2g}",)),
    )


def _aligned(row: Tuple[str, ...], widths: List[int]) -> Iterator[str]:
    for i, (cell, width) in enumerate(zip(row, widths)):
        yield cell.ljust(width) if i < 2 else cell.rjust(width)


def _share(part: int, whole: int) -> str:
    return "-" if whole == 0 else f"{100 * part / whole:.2g} %"


def _decibels(signal: float, error: float) -> float:
    if error == 0.0:
        return math.inf if signal else math.nan
    return 10 * math.log10(signal / error) if signal else -math.inf


def _finite(figures: Dict[str, Any]) -> Dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in figures.items()
    }


class _LayerObserver:
    """Adds up what a layer does while it answers."""

    def __init__(self, name: str, layer: Any) -> None:
        self.figures = LayerFigures(name, type(layer).__name__, 0)

    def run(self, layer: Any, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        spec, ranges = layer._spec, layer._ranges()
        x, weight = x.detach(), weight.detach()
        key = mixed(_NOISE, self.figures.rows)
        weights, kind, settings = layer._passes.weights_of_pass(spec, weight, ranges, False, key)
        bound = spec.bound(ranges.adc_bound)
        figures, computation = self.figures, kind.computation
        figures.tiles = computation.tiles(weights)
        held, per_row = list(arrays(kind, weights)), decode(kind, weights)
        without_adc = settings._replace(adc_bits=None, bound_iterations=0)

        def pass_with(some: Any, limit: Optional[Tensor]) -> Tensor:
            return computation.forward(x, weights, None, limit, some, False)[0]

        exact = product(x, weight, spec.kernel)
        steps = [
            exact,
            product(x, per_row, spec.kernel),
            pass_with(without_adc._replace(key=None), None),
            pass_with(without_adc, None),
            pass_with(settings, bound),
        ]
        y = steps[-1]
        figures.signal += _squares(exact)
        figures.error += _squares(y - exact)
        for part, before, after in zip(_ERRORS, steps, steps[1:]):
            setattr(figures, part, getattr(figures, part) + _squares(after - before))
        self._count(x, y, weights, kind, without_adc, bound, held)
        self._add_costs(layer.profile)
        return with_bias(y, bias)

    def _count(
        self,
        x: Tensor,
        y: Tensor,
        weights: Any,
        kind: ArrayKind,
        settings: Any,
        bound: Optional[Tensor],
        held: List[HeldArray],
    ) -> None:
        figures, profile_range = self.figures, settings.dac_range
        pixels = y[0, 0].numel() if y.dim() > 2 and y.numel() else 1
        figures.rows += y.shape[0] * pixels
        for part in x.split(max(1, _ROWS // pixels)):
            if bound is not None:
                seen = kind.computation.outputs(part, weights, None, settings)
                figures.adc_conversions += seen.numel()
                figures.adc_clipped += int((seen.abs() > bound).sum())
            for array in held:
                inputs = _inputs(part, array, kind)
                if settings.dac_bits is not None:
                    ranges = torch.full((inputs.shape[0], 1), profile_range)
                    if settings.row_ranges:
                        largest = inputs.abs().amax(1, keepdim=True)
                        ranges = torch.where(largest > 0, largest, ranges)
                    figures.dac_clipped += int((inputs.abs() > ranges).sum())
                    figures.dac_conversions += inputs.numel()
                    inputs = (inputs / ranges).clamp(-1.0, 1.0)
                squares = inputs.double().square().sum(0)
                figures.device_squares += float(squares @ array.devices.abs().sum(0).double())

    def _add_costs(self, profile: Any) -> None:
        figures, energy = self.figures, profile.energy
        devices = energy.read_volts**2 * profile.on_siemens * energy.read_seconds
        figures.energy_joules = (
            devices * figures.device_squares
            + energy.dac_joules * figures.dac_conversions
            + energy.adc_joules * figures.adc_conversions
        )
        figures.latency_seconds = figures.tiles * energy.read_seconds


_ERRORS = ("weight_error", "dac_error", "noise_error", "adc_error")


def _inputs(x: Tensor, array: HeldArray, kind: ArrayKind) -> Tensor:
    """Those of an array, [rows, inputs]."""
    own = slice(*array.inputs)
    if kind.kernel is None:
        return x[:, own]
    return patches(x, kind.kernel, array.product.first_channel, array.product.channels)[:, own]


def _squares(values: Tensor) -> float:
    return float(values.double().square().sum())


def report(
    model: nn.Module, *inputs: Any, influence: bool = False, **named: Any
) -> Report:
    """Calls the model once, in eval() mode, and says for each layer on arrays how far it is from the
    exact product, where that comes from, what converters clip and what it costs (Profile.energy).

    influence: calls it once more for each layer, and says what each of them does to its output.
    Noise is drawn also with noise_in_eval=False. Errors: RuntimeError, a layer is not calibrated.
    """
    layers = analog_layers(model)
    observers = {name: _LayerObserver(name, layer) for name, layer in layers.items()}
    modes = {each: each.training for each in model.modules()}
    try:
        model.eval()
        for name, layer in layers.items():
            layer._observer = observers[name]
        with torch.no_grad():
            model(*inputs, **named)
            if influence:
                shares = influences(layers, lambda: model(*inputs, **named))
                for name, share in shares.items():
                    observers[name].figures.influence = share
    finally:
        for layer in layers.values():
            layer._observer = None
        for each, training in modes.items():
            each.training = training
    return Report([each.figures for each in observers.values()])
