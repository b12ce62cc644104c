"""What was measured of something over something else: tables, JSON, pictures."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any, NamedTuple, Sequence


class Point(NamedTuple):
    mean: float
    spread: float  # standard deviation; 0 of one value


class Study:
    """Values of each series (a kind of network) at each setting, in the order that they came in."""

    def __init__(self, title: str, unit: str, decimals: int = 2) -> None:
        self.title, self.unit, self.decimals = title, unit, decimals
        self.values: dict[str, dict[str, list[float]]] = {}

    def add(self, series: str, setting: str, value: float) -> None:
        self.values.setdefault(series, {}).setdefault(setting, []).append(float(value))

    @property
    def settings(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.values.values() for name in row))

    def point(self, series: str, setting: str) -> Point:
        values = self.values[series][setting]
        return Point(statistics.fmean(values),
                     statistics.stdev(values) if len(values) > 1 else 0.0)

    def table(self) -> str:
        """In Markdown."""
        header = [f"{self.title}: {self.unit}", *self.settings]
        rows = [[series, *(self._cell(series, setting) for setting in self.settings)]
                for series in self.values]
        lines = ["| " + " | ".join(line) + " |" for line in (header, *rows)]
        return "\n".join([lines[0], "|---|" + "--:|" * len(self.settings), *lines[1:]])

    def _cell(self, series: str, setting: str) -> str:
        if setting not in self.values[series]:
            return ""
        mean, spread = self.point(series, setting)
        several = len(self.values[series][setting]) > 1
        return f"{mean:.{self.decimals}f}" + (f" ± {spread:.{self.decimals}f}" if several else "")

    def to_dict(self) -> dict[str, Any]:
        return {"title": self.title, "unit": self.unit, "values": self.values}


def tables(studies: Sequence[Study]) -> str:
    return "\n\n".join(study.table() for study in studies)


def write(studies: Sequence[Study], more: dict[str, Any], json_file: Path | None,
          picture: Path | None) -> None:
    """`more`: what the JSON file has beside the studies."""
    if json_file is not None:
        figures = {**more, "studies": [study.to_dict() for study in studies]}
        json_file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if picture is not None:
        _draw(studies, picture)


def _draw(studies: Sequence[Study], file: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("matplotlib is not installed (pip install matplotlib, or Debian's "
              f"python3-matplotlib): {file} is not drawn.", file=sys.stderr)
        return
    columns = min(len(studies), 3)
    rows = -(-len(studies) // columns)
    figure = Figure(figsize=(5.5 * columns, 4.5 * rows), layout="constrained")
    for study, axes in zip(studies, figure.subplots(rows, columns, squeeze=False).flat):
        places = {setting: place for place, setting in enumerate(study.settings)}
        for series, row in study.values.items():
            points = [study.point(series, setting) for setting in row]
            axes.errorbar([places[setting] for setting in row], [p.mean for p in points],
                          yerr=[p.spread for p in points], label=series, marker="o", capsize=3)
        axes.set_xticks(list(places.values()), list(places))
        axes.set(title=study.title, ylabel=study.unit)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(file, dpi=120)
