"""What is computed on arrays, as plain settings: of weights, of convolutions, of passes."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from .hardware import numbers
from .hardware.cells import Cell, five
from .hardware.mapping import Mapping, Wires
from .hardware.profile import Profile


class WeightNoise(NamedTuple):
    """Of hardware-aware training, relative to what a fully-on device stands for."""

    kind: str  #: "none", "additive", "multiplicative", "programming" or "polynomial"
    strength: float  #: σ, or what σ's polynomial is multiplied with
    coefficients: Tuple[float, ...]  #: of the polynomial, lowest power first, 5 at most
    g_max: float  #: of "programming", whose polynomial is in µS
    drop_connect: float  #: the probability that a weight is 0
    key: int  #: 0 … 2^63 − 1


class Encoding(NamedTuple):
    """How weights get onto arrays."""

    mapping: Mapping
    #: Devices that hold them, of the chip `chip`, and wires; None: what they are to hold
    cell: Optional[Cell] = None
    wires: Wires = Wires()
    chip: int = 0  #: 0 … 2^64 − 1
    stream: int = 0  #: the layer's number on the chip
    seconds: Optional[float] = None  #: since programming; None: just programmed
    noise: Optional[WeightNoise] = None  #: in the place of a cell

    @staticmethod
    def on_chip(profile: Profile, chip: int, stream: int, seconds: Optional[float]) -> Encoding:
        """Without a cell devices have what they should have."""
        if profile.cell is None:
            return Encoding(mapping_of(profile))
        return Encoding(profile.mapping, profile.cell, profile.wires, chip, stream, seconds)


class Kernel(NamedTuple):
    """The shape of a convolution, as torch.nn.Conv3d has it; what has fewer dimensions has 1s (0s of
    the padding) in front."""

    channels: int
    outputs: int
    size: Tuple[int, int, int]
    stride: Tuple[int, int, int]
    padding: Tuple[int, int, int]
    dilation: Tuple[int, int, int]
    groups: int

    def output_size(self, image: Sequence[int]) -> Tuple[int, ...]:
        """Of an image of these sizes; 0 where the kernel is larger than the padded image."""
        sizes = zip(image, self.size, self.stride, self.padding, self.dilation)
        return tuple(
            max(0, (length + 2 * pad - dilation * (size - 1) - 1) // stride + 1)
            for length, size, stride, pad, dilation in sizes
        )


class ArraySettings(NamedTuple):
    """What a pass computes; the ranges of ADCs come beside it, as a tensor."""

    dac_bits: Optional[int]  #: 2 … 16, symmetric; None: x̂ = x
    dac_range: float  #: r, above 0
    row_ranges: bool = False  #: r is max |x| of a row's inputs to an array, where that is not 0
    bound_iterations: int = 0  #: how often a row is repeated, with r doubled, that an ADC clipped
    dac_noise: float = 0.0  #: σ of x̂
    dac_stochastic: bool = False
    out_noise: float = 0.0  #: σ of ŷ
    read_noise: float = 0.0  #: σ of the kind of hardware.ReadNoise
    read_noise_kind: str = "pcm"
    adc_bits: Optional[int] = None  #: 2 … 16, symmetric; None: ŷ as it is
    adc_stochastic: bool = False
    key: Optional[int] = None  #: 0 … 2^63 − 1, from which all noise follows; None: there is none
    gradient_products: Optional[str] = None  #: "float32" or "int16"; None: as the machine does it best


def settings_of(profile: Profile, dac_range: float, converts: bool = True) -> ArraySettings:
    """Those of a profile, without noise until they get a key. `converts`: with its ADCs."""
    dac, adc, read = profile.dac, profile.adc, profile.read_noise
    return ArraySettings(
        dac_bits=dac and dac.bits,
        dac_range=dac_range,
        row_ranges=profile.noise_management == "abs_max",
        bound_iterations=profile.bound_management if converts else 0,
        dac_noise=dac.noise if dac else 0.0,
        dac_stochastic=dac.stochastic if dac else False,
        out_noise=profile.out_noise,
        read_noise=read.strength if read else 0.0,
        read_noise_kind=read.kind if read else "pcm",
        adc_bits=adc.bits if adc and converts else None,
        adc_stochastic=adc.stochastic if adc else False,
    )


def mapping_of(profile: Profile) -> Mapping:
    """The profile's. What is multiplied with a DAC's codes is held in 8 bits at most."""
    if profile.dac is not None and profile.mapping.weight_bits is None:
        return profile.mapping.with_(weight_bits=8)
    return profile.mapping


# As the compiled part takes them (python/src/array_layer.cpp).

_NOISE_KINDS = ("none", "additive", "multiplicative", "polynomial", "programming")
_GAUSSIAN, _QUANTIZER, _COLUMN_GAIN = 3, 6, 12
_READ_NOISE = {"pcm": 7, "proportional": 8, "constant": 9, "shot": 10}

_Stage = Tuple[int, float, float, Optional[object], int, float]


def encoding_numbers(encoding: Encoding) -> Tuple:
    mapping, noise = encoding.mapping, encoding.noise
    return (
        numbers.of_mapping(mapping),
        mapping.weight_bits or 0,
        *numbers.of_devices(mapping, encoding.cell),
        encoding.wires.row_ohm,
        encoding.wires.column_ohm,
        encoding.chip,
        encoding.stream,
        encoding.seconds,
        noise
        and (
            _NOISE_KINDS.index(noise.kind),
            noise.strength,
            five(noise.coefficients),
            noise.g_max,
            noise.drop_connect,
            noise.key,
        ),
    )


def call_numbers(settings: ArraySettings, row_offset: int = 0, stream: int = 0) -> Tuple:
    return (
        settings.dac_bits,
        settings.dac_range,
        settings.row_ranges,
        settings.bound_iterations,
        settings.key or 0,
        stream,
        row_offset,
    )


def noise_stages(settings: ArraySettings) -> List[_Stage]:
    """Read and output noise act at one point: one normal of both."""
    if settings.key is None:
        return []
    if settings.read_noise:
        kind = _READ_NOISE[settings.read_noise_kind]
        return [(kind, settings.read_noise, settings.out_noise, None, 0, 0.0)]
    if settings.out_noise:
        return [(_GAUSSIAN, settings.out_noise, 0.0, None, 0, 0.0)]
    return []


def adc_stages(bits: int, bounds: np.ndarray, tiles: int, outputs: int) -> List[_Stage]:
    """`bounds`: of one element, or [1 or tiles, 1 or outputs], where there is a gain in front of
    each column's converter, and back."""
    if bounds.size == 1:
        return [(_QUANTIZER, 0.0, 0.0, None, bits, bounds.item())]
    columns = np.broadcast_to(bounds, (tiles, outputs)).reshape(-1)
    gain = (_COLUMN_GAIN, 0.0, 0.0)
    return [
        (*gain, np.float32(1.0) / columns, 0, 0.0),
        (_QUANTIZER, 0.0, 0.0, None, bits, 1.0),
        (*gain, columns, 0, 0.0),
    ]


def missing_in_compiled_part(
    encoding: Encoding, settings: ArraySettings
) -> Optional[Tuple[str, str]]:
    """(a profile's field that it has not, what it takes there): it has codes of at most 8 bits, and
    converters that round to nearest. None: it has everything."""
    mapping, bits = encoding.mapping, settings.dac_bits
    off_levels = mapping.weight_bits is None and encoding.cell is None
    fields = (
        ("dac", bits is None, "a Dac of at most 8 bits"),
        ("dac.bits", bits is not None and bits > 8, "at most 8"),
        ("dac.noise", settings.dac_noise > 0, "0"),
        ("dac.stochastic", settings.dac_stochastic, "False"),
        ("adc.stochastic", settings.adc_stochastic, "False"),
        ("mapping.slices", mapping.slices is not None, "None"),
        ("mapping.weight_bits", off_levels, "at most 8 where there is no chip of cells"),
    )
    return next(((field, takes) for field, lacks, takes in fields if lacks), None)
