"""What computes layers on arrays, and what it is told; native_arrays.py and torch_arrays.py are two
of it (PHYSICS of it: docs/physics.md).

With x̂ = DAC(x) / r, ŵ and s of the weights' encoding, and t the arrays along the inputs,

    ŷ_t = Σ over the inputs of t of ŵ·x̂,   y = Σ_t r·s_t·ADC(ŷ_t + noise) + bias
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Protocol, Sequence, Tuple

from torch import Tensor

from ..array_settings import ArraySettings, Encoding, Kernel


class KeptPass(NamedTuple):
    """What backward() needs of the forward pass."""

    tensors: Tuple[Optional[Tensor], ...]  #: autograd frees them with the graph
    rest: Any = None


class ArrayComputation(Protocol):
    """A module with these functions.

    x [rows, in] -> y [rows, out], or with a Kernel images [N, C, D, H, W]; weight [out, in], or
    filters [out, C / groups, d, h, w]; bias [out]: float32 on one device, detached from autograd. On
    the CPU what is not finite is refused (interface.py).
    `bound`: of the ADCs in units of ŷ, [1 or tiles, 1 or out] (a convolution's tiles: the most that
    one of its products has), above 0; None where nothing converts.
    """

    NAME: str

    def encode(self, weight: Tensor, encoding: Encoding, kernel: Optional[Kernel] = None) -> Any:
        """What is multiplied with: `weights`. Error: ValueError, NaN or Inf."""

    def tiles(self, weights: Any) -> int:
        """How many arrays lie along the inputs."""

    def devices(self, weights: Any) -> List[Tensor]:
        """ŵ that is held, [outputs, inputs] of each product (array_layout.py)."""

    def scales(self, weights: Any) -> Tensor:
        """s, [tiles, out]."""

    def forward(
        self,
        x: Tensor,
        weights: Any,
        bias: Optional[Tensor],
        bound: Optional[Tensor],
        settings: ArraySettings,
        keep: bool,
    ) -> Tuple[Tensor, Optional[KeptPass]]:
        """(y, what is kept). Error: ValueError, x has NaN or Inf."""

    def backward(
        self,
        kept: KeptPass,
        grad_y: Tensor,
        x: Tensor,
        bound: Optional[Tensor],
        settings: ArraySettings,
        needed: Sequence[bool],
    ) -> List[Optional[Tensor]]:
        """[grad_x, grad_weight, grad_bias]; None for those that are not `needed`."""

    def outputs(
        self, x: Tensor, weights: Any, bound: Optional[Tensor], settings: ArraySettings
    ) -> Tensor:
        """What leaves the arrays, [rows, tiles, out], rows being pixels of a convolution's result;
        of the first repetition with bound management. Of slices without an ADC: the largest current
        of an array's conversions, for their range."""

    def compensate(self, weights: Any, factors: Tensor) -> Any:
        """`weights` whose scales are multiplied with [tiles, 1 or out]."""

    # Where tensors alone pass from the one to the other, what forward() has found out is one.

    def record_like(self, y: Tensor, gates: int) -> Tensor:
        """Empty, of a record's shape and type. `gates`: as many as arrays, where they convert."""

    def record(self, kept: KeptPass, y: Tensor) -> Tensor: ...

    def kept_from(
        self, record: Tensor, x: Tensor, weights: Any, settings: ArraySettings
    ) -> KeptPass: ...
