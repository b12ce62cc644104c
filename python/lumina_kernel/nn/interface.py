"""What computes layers, and what it is told; native.py, cuda.py and pure_torch.py are three of
it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, NamedTuple, Optional, Protocol, Sequence, Tuple, Union

from torch import Tensor

from ..profiles import Readout
from .converters import AnyConverter, Converter


#: In floats, or in integers of so many bits for a gradient.
GRADIENT_PRODUCTS = ("float32", "int8", "int16", "int24")


@dataclass(frozen=True)
class LayerSettings:
    """What a pass computes of its tensors, as numbers that have been checked:

        v = readout(DAC(x)·Wᵀ),   y = ADC(v) + bias
    """

    dac: Converter  #: of 2 … 16 bits; lo and hi in the unit of x
    readout: Readout  #: gain and attenuation are factors above 0; noise 0 or more, in that of v
    adc: AnyConverter  #: of 2 … 16 bits; lo and hi in the unit of v
    key: Optional[int] = None  #: 0 … 2^63 − 1, from which all noise follows; None: there is none
    keep: bool = False  #: forward() keeps what backward() needs
    track: bool = False  #: forward() looks for the largest |v|
    #: How backward() multiplies codes with gradients: one of GRADIENT_PRODUCTS; None: as the machine
    #: does it best
    gradient_products: Optional[str] = None


class Kept(NamedTuple):
    """What backward() needs of the forward pass."""

    tensors: Tuple[Optional[Tensor], ...]  #: autograd frees them with the graph
    rest: Any = None


class Computation(Protocol):
    """A module with these functions.

    x, grad_x [..., in], y, grad_y [..., out], weight, grad_weight [out, in], bias, grad_bias [out]:
    float32 on one device, detached from autograd.

    On the CPU what is not finite is refused. Elsewhere that would wait for the device, as reading
    any of its values would: NaN and Inf go through, and numbers that a pass finds out stay there.
    """

    NAME: str

    def gradient_products(self, bits: int, wish: Optional[str]) -> str:
        """What backward() uses for weights of so many bits, where the settings have `wish`."""

    def encode(self, weight: Tensor, bits: int) -> Any:
        """What is multiplied with: `weights`. Error: ValueError, on the CPU, NaN or Inf."""

    def forward(
        self, x: Tensor, weights: Any, bias: Optional[Tensor], settings: LayerSettings
    ) -> Tuple[Tensor, Union[float, Tensor], Optional[Kept]]:
        """(y, the largest |v|, what is kept); 0 and None where the settings do not ask for them.
        Outside the CPU the largest |v| is a scalar tensor. Error: ValueError, on the CPU, x has NaN
        or Inf."""

    def backward(
        self,
        kept: Kept,
        grad_y: Tensor,
        x: Tensor,
        settings: LayerSettings,
        needed: Sequence[bool],
    ) -> List[Optional[Tensor]]:
        """[grad_x, grad_weight, grad_bias]; None for those that are not `needed`."""

    # Where tensors alone pass from the one to the other, what forward() has found out is one.

    def record_like(self, y: Tensor) -> Tensor:
        """Empty, of a record's shape [..., n] and type."""

    def record(self, kept: Kept, y: Tensor) -> Tensor: ...

    def kept_from(
        self, record: Tensor, x: Tensor, weights: Any, settings: LayerSettings
    ) -> Kept: ...


def not_finite(name: str, tensor: Tensor) -> ValueError:
    return ValueError(f"{name} {list(tensor.shape)} must be finite, but has NaN or Inf")
