"""What a layer is asked to compute, and the attributes by which that is read and changed."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Optional, Tuple, Union

from ..profiles import HardwareProfile, hardware_profile as preset
from .converters import Converter, checked_range, is_symmetric
from .interface import GRADIENT_PRODUCTS, LayerSettings

#: Up to so many bits sums of codes are 32-bit integers, in which so many products fit.
_MOST_CODED_BITS = 8
_MOST_CODED_INPUTS = 66311


def profile_of(profile: Union[str, HardwareProfile]) -> HardwareProfile:
    """The profile itself, or the preset of that name."""
    if isinstance(profile, str):
        return preset(profile)
    if isinstance(profile, HardwareProfile):
        return profile
    raise TypeError(
        "hardware_profile must be a preset's name or a HardwareProfile, not "
        f"{type(profile).__name__}"
    )


class Options(NamedTuple):
    hardware_profile: Union[str, HardwareProfile]
    input_range: Tuple[float, float]
    output_range: Optional[Tuple[float, float]]  #: None: tracked
    zero_preserving: bool
    gradient_products: Optional[str] = None  #: None: as the machine does it best

    def checked(self, in_features: int) -> Options:
        """The profile itself, not its name, and ranges in float32. Errors: TypeError or ValueError,
        which name the option."""
        profile, input_range, output_range, zero_preserving, products = self
        profile = profile_of(profile)
        bits = profile.bits
        if bits <= _MOST_CODED_BITS and in_features > _MOST_CODED_INPUTS:
            raise ValueError(
                f"in_features must be at most {_MOST_CODED_INPUTS} with {bits} bits, as sums of up "
                f"to {_MOST_CODED_BITS} bits' codes are 32-bit integers, not {in_features}; with a "
                "higher precision there is no such limit"
            )
        input_range = checked_range("input_range", input_range, bits)
        if output_range is not None:
            output_range = checked_range("output_range", output_range, bits)
        if zero_preserving:
            if not is_symmetric(input_range) and input_range[0] != 0.0:
                raise ValueError(
                    "with zero_preserving input_range must be (-limit, limit) or (0, hi), not "
                    f"{input_range}"
                )
            if output_range is not None and not is_symmetric(output_range):
                raise ValueError(
                    f"with zero_preserving output_range must be (-limit, limit), not {output_range}"
                )
        if products is not None and products not in GRADIENT_PRODUCTS:
            raise ValueError(
                f"gradient_products must be one of {', '.join(GRADIENT_PRODUCTS)} or None, not "
                f"{products!r}"
            )
        if products not in (None, "float32") and bits > _MOST_CODED_BITS:
            raise ValueError(
                f"gradient_products must be float32 or None with {bits} bits, whose weights are "
                f"multiplied as floats, not {products!r}"
            )
        return Options(profile, input_range, output_range, bool(zero_preserving), products)

    def settings(self) -> LayerSettings:
        """Of checked options; the ends of a tracked range are none of any pass."""
        profile, input_range, output_range, zero_preserving, products = self
        bits = profile.bits
        dac = Converter(bits, *input_range, zero_preserving and is_symmetric(input_range))
        adc = Converter(bits, *(output_range or (-1.0, 1.0)), zero_preserving)
        return LayerSettings(dac, profile.readout, adc, gradient_products=products)


# Attributes of a layer that has its options in `_options` and takes others by _take().


def option(name: str) -> property:
    def change(layer: Any, value: Any) -> None:
        layer._take(layer._options._replace(**{name: value}))

    return property(lambda layer: getattr(layer._options, name), change)


def number_of_profile(name: str) -> property:
    def change(layer: Any, value: Any) -> None:
        layer.hardware_profile = dataclasses.replace(layer.hardware_profile, **{name: value})

    return property(lambda layer: getattr(layer.hardware_profile, name), change)


def fixed(path: str, advice: str) -> property:
    """An attribute of what lies under a dotted path, which only reads."""
    *owners, name = path.split(".")

    def read(layer: Any) -> Any:
        for each in (*owners, name):
            layer = getattr(layer, each)
        return layer

    def refuse(layer: Any, value: Any) -> None:
        raise AttributeError(f"{name.lstrip('_')} of a layer can't be changed: {advice}")

    return property(read, refuse)
