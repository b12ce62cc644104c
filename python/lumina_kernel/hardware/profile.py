"""All of a layer's hardware."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Optional, Union

from .cells import Cell
from .converters import Adc, Dac
from .description import Description, Limits, NotNegative
from .energy import Energy
from .mapping import Mapping, ReadNoise, Wires
from .training import HardwareAware


@dataclass(frozen=True)
class Profile(Description):
    """With t the arrays along the inputs, r and s what x̂ = 1 and ŵ = 1 stand for,

        y = Σ_t r·s_t·ADC(Σ ŵ·x̂ + noise) + bias
    """

    name: str = "custom"
    dac: Optional[Dac] = Dac()  #: None: inputs enter as they are, x̂ = x, r = 1
    adc: Optional[Adc] = Adc()  #: None: nothing converts
    mapping: Mapping = Mapping()
    cell: Optional[Cell] = None  #: None: devices have what they should have
    out_noise: NotNegative = 0.0  #: σ of ŷ
    #: A number becomes one of kind "pcm"
    read_noise: Union[NotNegative, ReadNoise, None] = None
    wires: Wires = Wires()
    #: "abs_max": r is the largest |x| of a row's inputs to the array, where that is not 0
    noise_management: Literal["none", "abs_max"] = "none"
    #: How often a row is repeated, with r doubled, that an ADC clipped
    bound_management: Annotated[int, Limits(least=0, most=1000)] = 0
    training: HardwareAware = HardwareAware()
    #: Of drift: a factor for each array, or each output of each array
    compensation: Optional[Literal["tile", "column"]] = None
    energy: Energy = Energy()

    @classmethod
    def ideal(cls) -> Profile:
        """Nothing but arrays that add up in float32."""
        return cls(name="ideal", dac=None, adc=None, mapping=Mapping(weight_bits=None))

    @property
    def on_siemens(self) -> float:
        """S of a fully-on device."""
        if self.energy.on_siemens is not None:
            return self.energy.on_siemens
        return self.cell.g_max * 1e-6 if self.cell else 25e-6

    def _check(self) -> None:
        noise = self.read_noise
        if isinstance(noise, float):
            noise = ReadNoise(noise)
            object.__setattr__(self, "read_noise", noise)
        reads = noise is not None and noise.strength > 0
        slices, training = self.mapping.slices, self.training
        refused = {
            "noise_management needs a dac": self.dac is None and self.noise_management != "none",
            "bound_management needs a dac": self.dac is None and self.bound_management > 0,
            "bound_management needs an adc": self.adc is None and self.bound_management > 0,
            "read_noise needs the codes of a dac": self.dac is None and reads,
            "mapping.slices need the codes of a dac": slices and self.dac is None,
            "mapping.slices go with no cell": slices and self.cell,
            "mapping.slices go with no dac.noise": slices and self.dac and self.dac.noise,
            "mapping.slices go with no noise of weights in training": slices
            and (training.weight_noise or training.drop_connect),
            "wires need a cell": self.cell is None and not self.wires.ideal,
        }
        for message, applies in refused.items():
            if applies:
                raise ValueError(message)
        if self.cell and not self.mapping.g_min < self.cell.g_max:
            raise ValueError(
                f"mapping.g_min must be below the cell's g_max, {self.cell.g_max}, "
                f"not {self.mapping.g_min}"
            )
