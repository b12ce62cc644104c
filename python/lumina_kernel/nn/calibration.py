"""Ranges of converters from data."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional

import torch
from torch import Tensor, nn

from ..hardware.column_magnitudes import ColumnMagnitudes
from ..hardware.converters import Calibrated
from ..hardware.magnitude_counts import MagnitudeCounts
from .analog_module import AnalogModule

#: Rows whose currents are looked at together.
_ROWS = 1024
_SMALLEST, _LARGEST = 2.0**-60, 2.0**100


class _Bounds:
    """The largest magnitude, or a quantile of them, of each column of each array, of arrays, or of
    all: [1 or tiles, 1 or out]."""

    def __init__(
        self, calibrated: Calibrated, shape: torch.Size, device: torch.device
    ) -> None:
        self._quantile = calibrated.quantile
        self._shape = shape
        self._largest = torch.zeros(shape.numel(), device=device)
        self._counts = ColumnMagnitudes(shape.numel()) if self._quantile < 1.0 else None

    def add(self, currents: Tensor) -> None:
        """[rows, tiles, out]."""
        if currents.numel() == 0:
            return
        if self._shape[1] == 1:
            currents = currents.transpose(1, 2)
        apart = currents.reshape(-1, self._shape.numel())
        if self._counts is not None:
            self._counts.add(apart.cpu().numpy())
        else:
            torch.maximum(self._largest, apart.abs().amax(0), out=self._largest)

    def bound(self) -> Tensor:
        """A column that has seen nothing has the smallest there is."""
        bounds = self._largest
        if self._counts is not None:
            bounds = torch.from_numpy(self._counts.quantile(self._quantile))
        return bounds.reshape(self._shape).clamp(_SMALLEST, _LARGEST)


class LayerCalibration:
    """What a layer sees, while it answers as if its converters reached as far as they must."""

    def __init__(self, layer: Any) -> None:
        dac, adc = layer.profile.dac, layer.profile.adc
        self._rows = 0
        self._input: Optional[MagnitudeCounts] = None
        self._input_quantile = 1.0
        if dac is not None and isinstance(dac.range, Calibrated):
            self._input, self._input_quantile = MagnitudeCounts(), dac.range.quantile
        self._currents: Optional[_Bounds] = None
        if adc is not None and isinstance(adc.bound, Calibrated):
            bounds = layer.adc_bound
            self._currents = _Bounds(adc.bound, bounds.shape, bounds.device)
        self._inputs_are_known = self._input is None
        #: Currents are shares of the inputs' range, which must be known, but where rows choose it.
        self.needs_inputs_first = (
            self._input is not None and layer.profile.noise_management == "none"
        )

    @property
    def is_done(self) -> bool:
        return self._inputs_are_known and self._currents is None

    @property
    def has_seen_nothing(self) -> bool:
        return not (self._input is None and self._currents is None) and self._rows == 0

    def run(self, layer: Any, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        x, weight = x.detach(), weight.detach()
        bias = None if bias is None else bias.detach()
        self._rows += x.shape[0]
        if not self._inputs_are_known:
            self._input.add(x.contiguous().cpu().numpy())
            layer.input_range.fill_(self._range())
        spec = layer._spec
        settings = spec.settings(layer.input_range, converts=False)
        kind = spec.kind(spec.encoding(False), settings, x.device)
        computation = kind.computation
        weights = computation.encode(weight, kind.encoding, spec.kernel)
        y, _ = computation.forward(x, weights, bias, None, settings, False)
        if self._currents is not None and (self._inputs_are_known or not self.needs_inputs_first):
            for part in x.split(_rows_of(x, y)):
                self._currents.add(computation.outputs(part, weights, None, settings))
        return y

    def _range(self) -> float:
        return min(max(self._input.quantile(self._input_quantile), _SMALLEST), _LARGEST)

    def end_inputs(self, layer: Any) -> None:
        if not self._inputs_are_known:
            layer.input_range.fill_(self._range())
            self._inputs_are_known = True

    def end(self, layer: Any) -> None:
        self.end_inputs(layer)
        if self._currents is not None:
            layer.adc_bound.copy_(self._currents.bound())


def _rows_of(x: Tensor, y: Tensor) -> int:
    """Rows, or images, of a piece."""
    pixels = y[0, 0].numel() if y.dim() > 2 and y.numel() else 1
    return max(1, _ROWS // pixels)


def calibrate(model: nn.Module, batches: Iterable[Any]) -> nn.Module:
    """Finds the ranges of all layers on arrays whose profile says Calibrated(…): those of DACs,
    then those of ADCs. Returns `model`.

    batches: what the model is called with, some batches of real inputs: a tensor; a tuple of
    arguments; a dict of named ones. They are gone through once, or, where a DAC's range is not its
    rows' (noise_management "none"), twice. Weights are those of their levels, without noise; the
    model runs in eval() mode.

    Errors: ValueError, there are no batches, or a layer gets nothing of them. Ranges are as before
    then.
    """
    layers = {name: each for name, each in model.named_modules() if isinstance(each, AnalogModule)}
    batches = list(batches)
    if not batches:
        raise ValueError("batches must be some batches of inputs; there are none")
    before = {name: _ranges(layer) for name, layer in layers.items()}
    modes = {each: each.training for each in model.modules()}
    calibrations = {name: LayerCalibration(layer) for name, layer in layers.items()}
    try:
        model.eval()
        for name, layer in layers.items():
            layer._observer = calibrations[name]
        if any(each.needs_inputs_first for each in calibrations.values()):
            _call_with_each(model, batches)
            for name, layer in layers.items():
                calibrations[name].end_inputs(layer)
        if not all(each.is_done for each in calibrations.values()):
            _call_with_each(model, batches)
        for name, layer in layers.items():
            if calibrations[name].has_seen_nothing:
                raise ValueError(
                    f"{name or type(layer).__name__} got no inputs from the batches: exclude it, "
                    "or give its profile numbers for Calibrated()"
                )
            calibrations[name].end(layer)
            layer._passes.held = None  # compensated with what its ADCs say
    except BaseException:
        for name, layer in layers.items():
            _restore(layer, before[name])
        raise
    finally:
        for layer in layers.values():
            layer._observer = None
        for each, training in modes.items():
            each.training = training
    return model


def _ranges(layer: Any) -> Dict[str, Tensor]:
    both = {"input_range": layer.input_range, "adc_bound": layer.adc_bound}
    return {name: values.clone() for name, values in both.items() if values is not None}


def _restore(layer: Any, ranges: Dict[str, Tensor]) -> None:
    for name, values in ranges.items():
        getattr(layer, name).copy_(values)


def _call_with_each(model: nn.Module, batches: List[Any]) -> None:
    with torch.no_grad():
        for batch in batches:
            if isinstance(batch, dict):
                model(**batch)
            elif isinstance(batch, (tuple, list)):
                model(*batch)
            else:
                model(batch)
