"""Converters in front of arrays and behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Optional, Union

from .description import Description, Limits, NotNegative, Positive

ConverterBits = Annotated[int, Limits(least=2, most=16)]


@dataclass(frozen=True)
class Calibrated(Description):
    """A range that nn.calibrate finds in data, instead of a number."""

    #: The share of all magnitudes that is within the range, above 0, 1 at most
    quantile: Annotated[float, Limits(above=0, most=1)] = 1.0
    #: What has a range of its own: each output of each array, an array, or the layer. None: what
    #: is usual, which is the column of an ADC and the layer of a DAC
    per: Optional[Literal["column", "tile", "layer"]] = None

    def usually(self, per: str) -> Calibrated:
        return self if self.per else self.with_(per=per)


@dataclass(frozen=True)
class Dac(Description):
    """x̂ = x / r on levels, symmetric with an exact 0:
    clip(rint(x̂·m), ±m) / m with m = 2^(bits−1) − 1."""

    bits: ConverterBits = 8  #: 2 … 16
    range: Union[Positive, Calibrated] = 1.0  #: r, what x̂ = 1 stands for, in units of x
    noise: NotNegative = 0.0  #: σ of x̂ behind the levels
    stochastic: bool = False  #: rounds up with the probability that makes it right on average

    def _check(self) -> None:
        if isinstance(self.range, Calibrated):
            object.__setattr__(self, "range", self.range.usually("layer"))
            if self.range.per != "layer":
                raise ValueError(f"range.per must be 'layer' of a DAC, not {self.range.per!r}")


@dataclass(frozen=True)
class Adc(Description):
    """ŷ on levels, symmetric with an exact 0, of ± bound."""

    bits: ConverterBits = 8  #: 2 … 16
    #: In currents of one fully-on device at full input (10: of aihwkit's inference presets)
    bound: Union[Positive, Calibrated] = 10.0
    stochastic: bool = False  #: as of a DAC

    def _check(self) -> None:
        if isinstance(self.bound, Calibrated):
            object.__setattr__(self, "bound", self.bound.usually("column"))
