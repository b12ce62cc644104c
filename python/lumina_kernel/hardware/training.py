"""Hardware-aware training: what happens to weights in each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Optional, Tuple

from .cells import check_coefficients
from .description import Description, Limits, NotNegative, Positive


@dataclass(frozen=True)
class HardwareAware(Description):
    """Weights are clipped after a step (nn.AnalogSGD), scales follow them, and in training there is
    noise on their levels. With m the largest |w| of what has a scale (Mapping.scale) and a standard
    normal N of each weight,

    additive         w + weight_noise·m·N
    multiplicative   w·(1 + weight_noise·N)
    programming      w + weight_noise·m·σ(|w| / m) / g_max·N, keeping its sign; σ in µS
    polynomial       w + weight_noise·m·σ(|w| / m)·N

    with σ(r) = Σ coefficients[i]·r^i.
    """

    weight_noise: NotNegative = 0.0
    weight_noise_kind: Literal["additive", "multiplicative", "programming", "polynomial"] = (
        "additive"
    )
    #: Of "polynomial", and of "programming", where None is Nandakumar's for PCM; 1 … 5 numbers
    coefficients: Optional[Tuple[float, ...]] = None
    #: The probability that a weight is 0 for a step
    drop_connect: Annotated[float, Limits(least=0, below=1)] = 0.0
    #: A bound of |w|; of "gaussian" in standard deviations of the layer's weights, 2.5 say; of
    #: "average_channel_max" in means of the outputs' largest magnitudes, 1 say; None: no clip
    clip: Optional[Positive] = None
    clip_kind: Literal["fixed", "gaussian", "average_channel_max"] = "fixed"

    def _check(self) -> None:
        if self.coefficients is not None:
            check_coefficients(self.coefficients)
            if self.weight_noise_kind not in ("programming", "polynomial"):
                raise ValueError(f"coefficients are none of {self.weight_noise_kind!r} noise")
        elif self.weight_noise_kind == "polynomial":
            raise ValueError("coefficients are missing, of 'polynomial' noise")
