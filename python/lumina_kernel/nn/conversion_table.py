"""What a conversion has done to a model."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from torch import nn

from ..array_layout import products, tile_count
from .analog_module import AnalogModule


class ConversionRow(NamedTuple):
    """Of a layer."""

    name: str  #: in the model; "" is the model itself
    before: str  #: its class's name
    after: Optional[str] = None  #: None: as it was
    profile: Optional[str] = None
    tiles: Optional[int] = None  #: arrays of Mapping.tile that its weights take
    why_not: Optional[str] = None


class Conversion:
    """What convert_to_analog() has made of which layers. str() is a table."""

    def __init__(self, rows: List[ConversionRow]) -> None:
        self.rows = rows

    @property
    def converted(self) -> List[ConversionRow]:
        return [row for row in self.rows if row.after is not None]

    @property
    def not_converted(self) -> List[ConversionRow]:
        """Layers with weights that are still digital, each with why_not."""
        return [row for row in self.rows if row.after is None]

    def to_dict(self) -> Dict[str, Any]:
        """{"layers": rows as dicts}, of what JSON has."""
        return {"layers": [row._asdict() for row in self.rows]}

    def __str__(self) -> str:
        table = [("layer", "was", "is", "profile", "tiles")]
        for row in self.rows:
            if row.after is None:
                cells = (f"not converted: {row.why_not}",)
            else:
                tiles = "" if row.tiles is None else str(row.tiles)
                cells = (row.after, row.profile or "", tiles)
            table.append((row.name or "(the model)", row.before, *cells))
        widths = [max(len(line[i]) for line in table if len(line) == 5) for i in range(5)]
        widths[:2] = [max(len(line[i]) for line in table) for i in range(2)]
        lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in table]
        converted, left = len(self.converted), len(self.not_converted)
        return "\n".join([*lines, f"{converted} converted, {left} not converted"])


def array_count(layer: nn.Module) -> Optional[int]:
    """How many arrays the weights of a layer on arrays take; None of an OpticalLinear."""
    counts = [_count(each) for each in layer.modules() if isinstance(each, AnalogModule)]
    return sum(counts) if counts else None


def _count(layer: AnalogModule) -> int:
    mapping, kernel = layer.profile.mapping, layer._spec.kernel
    if kernel is None:
        sizes = [(layer.in_features, layer.out_features)]
    else:
        taps = layer._spec.units // kernel.channels
        sizes = [(taps * each.channels, each.outputs) for each in products(kernel)]
    return sum(
        tile_count(inputs, mapping) * -(-outputs // mapping.tile[1]) for inputs, outputs in sizes
    )
