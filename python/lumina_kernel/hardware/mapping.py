"""How weights lie on arrays, and what arrays have that is neither weight nor converter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Optional, Tuple

from .description import Description, Limits, NotNegative

Side = Annotated[int, Limits(least=1, most=2**31 - 1)]


@dataclass(frozen=True)
class Slices(Description):
    """Weights and inputs cut into digits of few bits, each product of two with a conversion of its
    own; what these yield is shifted and added."""

    cell_bits: Annotated[int, Limits(least=1, most=7)] = 2  #: of a weight's magnitude in a cell
    #: Of an input in each plane, 0 … 8; 0: all of them at once
    input_bits: Annotated[int, Limits(least=0, most=8)] = 1
    #: How inputs get their signs: pulses of both polarities, or positive ones first, then negative
    #: ones, whose outputs are subtracted
    signs: Literal["pulses", "two_passes"] = "pulses"


@dataclass(frozen=True)
class Mapping(Description):
    tile: Tuple[Side, Side] = (512, 512)  #: inputs and outputs that an array has at most
    #: Whose largest |w| a fully-on device stands for: each output's of each array, or the array's
    scale: Literal["column", "tile"] = "column"
    #: Larger matrices are cut into whole arrays and one with what is left, or into equal ones
    split: Literal["maximal", "equal"] = "maximal"
    #: Weights have 2^bits − 1 levels in [−1, 1]; None: any, which behind a DAC are held in 8 bits
    weight_bits: Optional[Annotated[int, Limits(least=2, most=8)]] = 8
    #: Devices of a weight (include/lumina/cells/pairs.hpp): two, one of them off; two around the
    #: middle; one around the middle
    cells: Literal["differential", "two_sided", "offset"] = "differential"
    g_min: NotNegative = 0.0  #: µS of a device that is off
    slices: Optional[Slices] = None

    def _check(self) -> None:
        if self.slices and self.weight_bits is None:
            raise ValueError("slices need weight_bits")


@dataclass(frozen=True)
class Wires(Description):
    """The resistance of a segment of wire, from one device to the next one, in ohm."""

    row_ohm: NotNegative = 0.0  #: of the inputs' wires
    column_ohm: NotNegative = 0.0  #: of the outputs' wires

    @property
    def ideal(self) -> bool:
        return self.row_ohm == 0 and self.column_ohm == 0


@dataclass(frozen=True)
class ReadNoise(Description):
    """Noise of ŷ that depends on what is multiplied, with a standard normal N of each output:

    pcm            strength·√(Σ|ŵ|x̂²)·N      (Rasch et al. 2021)
    proportional   strength·√(Σŵ²x̂²)·N
    constant       strength·√(Σx̂²)·N
    shot           strength·√(Σ|ŵ||x̂|)·N     of a balanced detector
    """

    strength: NotNegative  #: σ, in currents of one fully-on device
    kind: Literal["pcm", "proportional", "constant", "shot"] = "pcm"
