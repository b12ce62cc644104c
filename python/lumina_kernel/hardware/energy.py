"""What operations cost, for reports (include/lumina/layer_report.hpp, ArrayCosts)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from .description import Description, NotNegative, Positive


@dataclass(frozen=True)
class Energy(Description):
    """In SI units; what is 0 costs nothing."""

    read_volts: NotNegative = 0.0  #: V at an input x̂ = 1
    read_seconds: NotNegative = 0.0  #: s that inputs are applied and outputs converted
    dac_joules: NotNegative = 0.0  #: J for each conversion
    adc_joules: NotNegative = 0.0  #: J for each conversion
    #: S of a fully-on device; None: the cell's g_max, 25e-6 without a cell
    on_siemens: Optional[Positive] = None
