"""Products and convolutions on arrays for NumPy: what the layers of lumina_kernel.nn compute,
without PyTorch (formulas: nn/array_interface.py; effects: docs/physics.md)."""

from __future__ import annotations

import functools
import math
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from . import _core, read_out
from .array_settings import (
    ArraySettings,
    Encoding,
    Kernel,
    adc_stages,
    call_numbers,
    encoding_numbers,
    mapping_of,
    missing_in_compiled_part,
    noise_stages,
    settings_of,
)
from .checks import checked_float, checked_int
from .hardware import presets
from .hardware.column_magnitudes import ColumnMagnitudes
from .hardware.converters import Calibrated
from .hardware.magnitude_counts import MagnitudeCounts
from .hardware.profile import Profile

__all__ = ["AnalogWeights", "calibrated", "convolution", "linear"]

Sizes = Union[int, Sequence[int]]

_WORDS = 2**64
_LATEST = 1e20
_SMALLEST_RANGE, _LARGEST_RANGE = 2.0**-60, 2.0**100


class AnalogWeights:
    """Weights on arrays, as linear() and convolution() take them; a copy of `w`.

    w         float32 [out, in], or filters [out, channels / groups, size…] of 1 to 3 dimensions
    profile   a Profile, or a preset's name
    groups    of a convolution, as torch.nn's
    seed      0 … 2^64 − 1: of the chip whose devices hold the weights, a function of it, `stream`,
              their place, their target and the time alone; None: weights are what they should be
    stream    0 … 2^64 − 1: the layer's number on the chip
    seconds   since programming, 0 … 1e20, reading noise included; None: just programmed, not read
    input_range, adc_bound   as of linear(): of the read-outs by which drift is compensated, where
              the profile says so

    Errors: TypeError, ValueError, which name the argument; NotImplementedError, a field of the
    profile that only lumina_kernel.nn has.
    """

    def __init__(
        self,
        w: Any,
        profile: Union[str, Profile],
        *,
        groups: int = 1,
        seed: Optional[int] = None,
        stream: int = 0,
        seconds: Optional[float] = None,
        input_range: Optional[float] = None,
        adc_bound: Any = None,
    ) -> None:
        self.profile = _profile_of(profile)
        w = _floats("w", w)
        if not 2 <= w.ndim <= 5:
            raise ValueError(f"w must be [out, in], or [out, channels, size…], not {w.shape}")
        self.shape = w.shape  #: as they were given
        self.groups = checked_int("groups", groups)
        if self.groups < 1 or w.shape[0] % self.groups or (w.ndim == 2 and self.groups != 1):
            raise ValueError(f"groups must divide the filters {w.shape}, not {groups}")
        rows = _finite("w", w)
        encoding = self._encoding(seed, _word("stream", stream), seconds)
        missing = missing_in_compiled_part(encoding, settings_of(self.profile, 1.0))
        if missing is not None:
            raise _elsewhere(self.profile, *missing)
        kernel = None if w.ndim == 2 else self._kernel(1, 0, 1)
        self._held = _core.ArrayWeights(rows, encoding_numbers(encoding), kernel)
        if self.profile.compensation is not None and encoding.seconds is not None:
            first = encoding._replace(seconds=0.0)
            programmed = _core.ArrayWeights(rows, encoding_numbers(first), kernel)
            settings = _settings(self.profile, input_range)
            bounds = None if settings.adc_bits is None else _bounds(self, adc_bound)
            reference, now = (
                self._read_out(held, chip, kernel, settings, bounds)
                for held, chip in ((programmed, first), (self._held, encoding))
            )
            factors = np.broadcast_to(read_out.factors(reference, now), self.scales.shape)
            self._held.multiply_scales(factors.ravel())

    def _read_out(
        self,
        held: _core.ArrayWeights,
        chip: Encoding,
        kernel: Optional[Kernel],
        settings: ArraySettings,
        bounds: Optional[np.ndarray],
    ) -> np.ndarray:
        def outputs(units: np.ndarray, key: int) -> np.ndarray:
            run = _Pass.of_settings(self, settings._replace(key=key, bound_iterations=0), bounds)
            return _array_outputs(units * np.float32(settings.dac_range), held, kernel, run, None)

        units = math.prod(self.shape[1:]) * self.groups
        per_column = self.profile.compensation == "column"
        words = chip.chip, chip.stream, chip.seconds
        return read_out.read_out(
            outputs, self.profile.mapping, kernel, units, per_column, *words
        )

    @property
    def tiles(self) -> int:
        """How many arrays lie along the inputs; of a convolution's groups the most."""
        return self._held.tiles

    @property
    def scales(self) -> np.ndarray:
        """What a fully-on device stands for, float32 [tiles, out]."""
        return self._held.scales()

    def _encoding(
        self, seed: Optional[int], stream: int, seconds: Optional[float]
    ) -> Encoding:
        profile = self.profile
        if seconds is not None:
            seconds = checked_float("seconds", seconds)
            if not 0 <= seconds <= _LATEST:
                raise ValueError(f"seconds must be in 0..{_LATEST:g}, not {seconds}")
            if seed is None:
                raise ValueError("seconds are those of a chip: give its seed")
        if seed is None:
            return Encoding(mapping_of(profile))
        return Encoding.on_chip(profile, _word("seed", seed), stream, seconds)

    def _kernel(self, stride: Sizes, padding: Sizes, dilation: Sizes) -> Kernel:
        return Kernel(
            channels=self.shape[1] * self.groups,
            outputs=self.shape[0],
            size=self._three("kernel size", self.shape[2:], 1, 1),
            stride=self._three("stride", stride, 1, 1),
            padding=self._three("padding", padding, 0, 0),
            dilation=self._three("dilation", dilation, 1, 1),
            groups=self.groups,
        )

    def _three(self, name: str, given: Sizes, least: int, missing: int) -> Tuple[int, int, int]:
        """As of a convolution of three dimensions: `missing` in front."""
        count = len(self.shape) - 2
        sizes = given if isinstance(given, (tuple, list)) else (given,) * count
        sizes = tuple(checked_int(name, size) for size in sizes)
        if len(sizes) != count or min(sizes) < least:
            raise ValueError(f"{name} must be {count} numbers of at least {least}, not {given}")
        return (*(missing,) * (3 - count), *sizes)  # type: ignore[return-value]


def linear(
    x: Any,
    weights: AnalogWeights,
    bias: Any = None,
    *,
    input_range: Optional[float] = None,
    adc_bound: Any = None,
    noise_seed: Optional[int] = None,
    stream: int = 0,
    row_offset: int = 0,
    threads: Optional[int] = None,
    out: Optional[np.ndarray] = None,
) -> np.ndarray:
    """y [batch, out] of x [batch, in], all of them float32:

        y = Σ_t r·s_t·ADC(Σ ŵ·DAC(x / r) + noise) + bias,  t the arrays along the inputs

    bias          [out]
    input_range   r, above 0; None: the profile's
    adc_bound     of ADCs in units of ŷ, above 0: a number, or [1 or tiles, 1 or out]; None: the
                  profile's. Where that says Calibrated(), calibrated() finds both.
    noise_seed    0 … 2^64 − 1: all noise is a function of it, `stream`, the row and the output;
                  None: without noise, but for what a chip's devices have
    row_offset    which row of a batch x begins with: a batch in parts equals the whole one
    threads       at most so many; None: as many as OpenMP takes. Any number gives the same bits
    out           C-contiguous, to write to, and the result then

    Errors: TypeError, ValueError, which name the argument.
    """
    x = _rows(x, weights)
    run = _Pass.of(weights, input_range, adc_bound, noise_seed, stream, row_offset)
    bias = _bias(bias, weights)
    y = _output(out, (x.shape[0], weights.shape[0]), x=x, bias=bias)
    _core.forward_arrays(x, weights._held, y, bias, *run, None, None, threads)
    return y


def convolution(
    x: Any,
    weights: AnalogWeights,
    bias: Any = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    input_range: Optional[float] = None,
    adc_bound: Any = None,
    noise_seed: Optional[int] = None,
    stream: int = 0,
    image_offset: int = 0,
    threads: Optional[int] = None,
    out: Optional[np.ndarray] = None,
) -> np.ndarray:
    """y [batch, out, size…] of images x [batch, channels, size…] of 1 to 3 dimensions: patches are
    the rows of linear(), pixels of 0 are around the images.

    stride, padding, dilation   a number for all dimensions, or one for each
    image_offset                which image of a batch x begins with

    All else is as of linear().
    """
    images, kernel, size = _images(x, weights, stride, padding, dilation)
    image_offset = _word("image_offset", image_offset)
    rows = _word("image_offset's rows", image_offset * math.prod(size))
    run = _Pass.of(weights, input_range, adc_bound, noise_seed, stream, rows)
    shape = (images.shape[0], weights.shape[0], *size)
    bias = _bias(bias, weights)
    y = _output(out, (*shape[:2], *size[5 - len(weights.shape) :]), x=images, bias=bias)
    _core.forward_convolution(
        images,
        weights._held,
        y.reshape(shape),  # a view
        bias,
        kernel,
        False,
        *run,
        None,
        None,
        threads,
    )
    return y


def calibrated(
    weights: AnalogWeights,
    x: Any,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    input_range: Optional[float] = None,
    threads: Optional[int] = None,
) -> Dict[str, Any]:
    """The ranges that the profile calls Calibrated(), from some real inputs x, as arguments of
    linear() and convolution(), whose x, stride, padding and dilation it takes: "input_range", a
    float, and "adc_bound", float32 [1 or tiles, 1 or out], above 0. input_range: in place of the
    DAC's.

    Noise has no part in it. It takes rows·tiles·out floats of memory.
    Errors: those of linear(); ValueError, there is no x.
    """
    dac, adc = weights.profile.dac, weights.profile.adc
    ranges: Dict[str, Any] = {}
    if input_range is None and dac is not None and isinstance(dac.range, Calibrated):
        largest = _quantile(_floats("x", x), dac.range.quantile)
        input_range = ranges["input_range"] = min(max(largest, _SMALLEST_RANGE), _LARGEST_RANGE)
    if adc is not None and isinstance(adc.bound, Calibrated):
        seen = _currents(x, weights, stride, padding, dilation, input_range, threads)
        if seen.shape[0] == 0:
            raise ValueError(f"x must be some inputs, not {np.shape(x)}")
        apart = {"column": (1, 2), "tile": (1,), "layer": ()}[adc.bound.per or "column"]
        bounds = _quantiles(seen, adc.bound.quantile, apart)
        ranges["adc_bound"] = bounds.clip(_SMALLEST_RANGE, _LARGEST_RANGE)
    return ranges


def _currents(
    x: Any,
    weights: AnalogWeights,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    input_range: Optional[float],
    threads: Optional[int],
) -> np.ndarray:
    """ŷ, [rows, tiles, out], without noise."""
    settings = _settings(weights.profile, input_range)._replace(adc_bits=None, bound_iterations=0)
    run = _Pass.of_settings(weights, settings, None)
    if len(weights.shape) == 2:
        return _array_outputs(_rows(x, weights), weights._held, None, run, threads)
    images, kernel, _ = _images(x, weights, stride, padding, dilation)
    return _array_outputs(images, weights._held, kernel, run, threads)


def _array_outputs(
    x: np.ndarray,
    held: _core.ArrayWeights,
    kernel: Optional[Kernel],
    run: _Pass,
    threads: Optional[int],
) -> np.ndarray:
    """What leaves arrays, [rows, tiles, out]."""
    outs, size = held.shape[0], () if kernel is None else kernel.output_size(x.shape[2:])
    y = np.empty((x.shape[0], outs, *size), np.float32)
    # (Of several products some may have fewer arrays.)
    seen = np.zeros((x.shape[0] * math.prod(size), held.tiles, outs), np.float32)
    if kernel is None:
        _core.forward_arrays(x, held, y, None, *run, None, seen, threads)
    else:
        _core.forward_convolution(x, held, y, None, kernel, False, *run, None, seen, threads)
    return seen


class _Pass(NamedTuple):
    """What the compiled part is told of a call."""

    call: Tuple
    stages: list

    @staticmethod
    def of(
        weights: AnalogWeights,
        input_range: Optional[float],
        adc_bound: Any,
        noise_seed: Optional[int],
        stream: int,
        row_offset: int,
    ) -> _Pass:
        settings = _settings(weights.profile, input_range)
        if noise_seed is not None:
            settings = settings._replace(key=_word("noise_seed", noise_seed))
        bounds = None if settings.adc_bits is None else _bounds(weights, adc_bound)
        words = _word("row_offset", row_offset), _word("stream", stream)
        return _Pass.of_settings(weights, settings, bounds, *words)

    @staticmethod
    def of_settings(
        weights: AnalogWeights, settings: ArraySettings, bounds: Optional[np.ndarray], *words: int
    ) -> _Pass:
        stages = noise_stages(settings)
        if bounds is not None and settings.adc_bits is not None:
            stages += adc_stages(settings.adc_bits, bounds, weights.tiles, weights.shape[0])
        return _Pass(call_numbers(settings, *words), stages)


def _settings(profile: Profile, input_range: Optional[float]) -> ArraySettings:
    if input_range is not None:
        input_range = checked_float("input_range", input_range)
        if not input_range > 0:
            raise ValueError(f"input_range must be above 0, not {input_range}")
    elif not isinstance(profile.dac.range, Calibrated):
        input_range = profile.dac.range
    elif profile.noise_management == "none":
        raise _uncalibrated("input_range", "dac.range")
    return settings_of(profile, input_range or 1.0)


def _bounds(weights: AnalogWeights, given: Any) -> np.ndarray:
    if given is None:
        given = weights.profile.adc.bound
        if isinstance(given, Calibrated):
            raise _uncalibrated("adc_bound", "adc.bound")
    bounds = np.asarray(given)
    if bounds.dtype.kind not in "fiu":
        raise TypeError(f"adc_bound must be a number or an array of them, not {given!r}")
    tiles, outs = weights.tiles, weights.shape[0]
    if bounds.ndim not in (0, 2) or any(
        own not in (1, all_) for own, all_ in zip(bounds.shape, (tiles, outs))
    ):
        raise ValueError(
            f"adc_bound must be a number or [1 or {tiles}, 1 or {outs}], not {bounds.shape}"
        )
    with np.errstate(over="ignore"):
        bounds = bounds.astype(np.float32)
    if not ((bounds > 0) & np.isfinite(bounds)).all():
        raise ValueError(f"adc_bound must be above 0 and finite, not {given}")
    return bounds


def _rows(x: Any, weights: AnalogWeights) -> np.ndarray:
    x = _floats("x", x)
    _check_weights(weights, convolves=False)
    if x.ndim != 2 or x.shape[1] != weights.shape[1]:
        raise ValueError(
            f"x is {x.shape}, but must be [batch, {weights.shape[1]}] for weights {weights.shape}"
        )
    _finite("x", x)
    return x


def _images(
    x: Any, weights: AnalogWeights, stride: Sizes, padding: Sizes, dilation: Sizes
) -> Tuple[np.ndarray, Kernel, Tuple[int, ...]]:
    """(x as images of three dimensions, the kernel, the size of the result)"""
    x = _floats("x", x)
    _check_weights(weights, convolves=True)
    kernel = weights._kernel(stride, padding, dilation)
    dimensions = len(weights.shape) - 2
    if x.ndim != dimensions + 2 or x.shape[1] != kernel.channels:
        raise ValueError(
            f"x is {x.shape}, but must be [batch, {kernel.channels}{', size' * dimensions}] for "
            f"filters {weights.shape} in {weights.groups} groups"
        )
    _finite("x", x)
    images = np.ascontiguousarray(x).reshape(*x.shape[:2], *(1,) * (3 - dimensions), *x.shape[2:])
    size = kernel.output_size(images.shape[2:])
    if 0 in size:
        raise ValueError(f"x is {x.shape}: padded, it is smaller than the filters {weights.shape}")
    return images, kernel, size


def _profile_of(profile: Union[str, Profile]) -> Profile:
    if isinstance(profile, str):
        profile = presets.named(profile)  # type: ignore[assignment]
    if not isinstance(profile, Profile):
        raise TypeError(f"profile must be a Profile or the name of one, not {profile!r}")
    return profile


def _elsewhere(profile: Profile, field: str, takes: str) -> NotImplementedError:
    value = functools.reduce(getattr, field.split("."), profile)
    return NotImplementedError(
        f"profile.{field} must be {takes}, not {value!r}, here; lumina_kernel.nn has it"
    )


def _uncalibrated(argument: str, field: str) -> ValueError:
    return ValueError(
        f"{argument} is missing: profile.{field} is Calibrated; lumina_kernel.calibrated() finds it"
    )


def _check_weights(weights: Any, convolves: bool) -> None:
    if not isinstance(weights, AnalogWeights):
        raise TypeError(f"weights must be AnalogWeights, not {type(weights).__name__}")
    if (len(weights.shape) > 2) != convolves:
        raise ValueError(
            f"weights must be {'filters' if convolves else '[out, in]'}, not {weights.shape}"
        )


def _bias(bias: Any, weights: AnalogWeights) -> Optional[np.ndarray]:
    if bias is None:
        return None
    bias = _floats("bias", bias)
    if bias.shape != weights.shape[:1]:
        raise ValueError(f"bias must be {weights.shape[:1]}, not {bias.shape}")
    return bias


def _output(
    out: Optional[np.ndarray], shape: Tuple[int, ...], **inputs: Optional[np.ndarray]
) -> np.ndarray:
    if out is None:
        return np.empty(shape, np.float32)
    if not isinstance(out, np.ndarray) or out.dtype != np.float32:
        raise TypeError(f"out must be a float32 array, not {getattr(out, 'dtype', type(out))}")
    if out.shape != shape or not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError(
            f"out must be {shape}, C-contiguous and writable, not {out.shape} with strides "
            f"{out.strides}"
        )
    for name, own in inputs.items():
        if own is not None and np.shares_memory(out, own):
            raise ValueError(f"out shares memory with {name}; it must have its own")
    return out


def _floats(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype != np.float32:
        raise TypeError(f"{name} must be a float32 array, not {array.dtype} {array.shape}")
    return array


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    """`values` as a matrix. Error: ValueError, NaN or Inf."""
    rows = values.reshape(values.shape[0], math.prod(values.shape[1:]))
    if not _core.all_finite(rows):
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(f"{name} {values.shape} must be finite, but is {values[at]} at {at}")
    return rows


def _word(name: str, value: Any) -> int:
    if not 0 <= checked_int(name, value) < _WORDS:
        raise ValueError(f"{name} must be in 0..2**64 - 1, not {value}")
    return int(value)


def _quantile(values: np.ndarray, share: float) -> float:
    counts = MagnitudeCounts()
    counts.add(values)
    return counts.quantile(share)


def _quantiles(values: np.ndarray, share: float, apart: Tuple[int, ...]) -> np.ndarray:
    """Of magnitudes [rows, tiles, out], along axes other than `apart`: [1 or tiles, 1 or out]."""
    along = tuple(axis for axis in range(3) if axis not in apart)
    if share == 1.0:
        return np.abs(values).max(along, keepdims=True)[0]
    shape = [values.shape[axis] if axis in apart else 1 for axis in (1, 2)]
    groups = np.moveaxis(values, along, range(len(along))).reshape(-1, math.prod(shape))
    counts = ColumnMagnitudes(groups.shape[1])
    counts.add(groups)
    return counts.quantile(share).reshape(shape)
