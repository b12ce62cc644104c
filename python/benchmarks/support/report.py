"""Markdown tables and a picture of ratios."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import NamedTuple, Sequence


class Row(NamedTuple):
    """One contestant against its peer; also what --json writes."""

    table: str
    shape: str  # batch × in × out
    threads: int
    contestant: str
    seconds: float
    peer: str
    peer_seconds: float
    speed: float  # peer's time / ours: the median over rounds

    @property
    def pair(self) -> str:
        return f"{self.contestant} / {self.peer}"


def microseconds(seconds: float) -> str:
    value = 1e6 * seconds
    return f"{value:.3g}" if value < 100.0 else f"{value:.0f}"


def ratio(speed: float) -> str:
    return f"{speed:.3g} ×" if speed < 100.0 else f"{speed:.0f} ×"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column is text, all others are numbers."""
    alignment = "|---|" + "--:|" * (len(header) - 1)
    lines = ["| " + " | ".join(line) + " |" for line in (header, *rows)]
    return "\n".join([lines[0], alignment, *lines[1:]])


def comparison(rows: Sequence[Row]) -> str:
    """A table of all rows: times of peers and contestants, then, bold, the ratios."""
    names = dict.fromkeys([row.peer for row in rows] + [row.contestant for row in rows])
    header = ["batch × in × out", "threads"]
    header += [f"{name} µs" for name in names]
    header += [f"**{pair}**" for pair in _pairs(rows)]
    lines = []
    for shape, threads in dict.fromkeys((row.shape, row.threads) for row in rows):
        of_line = [row for row in rows if (row.shape, row.threads) == (shape, threads)]
        seconds = {row.peer: row.peer_seconds for row in of_line}
        seconds.update({row.contestant: row.seconds for row in of_line})
        speeds = {row.pair: row.speed for row in of_line}
        lines.append([shape, str(threads), *(microseconds(seconds[name]) for name in names),
                      *(f"**{ratio(speeds[pair])}**" for pair in _pairs(rows))])
    return table(header, lines)


def _pairs(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.pair for row in rows))


def plot(rows: Sequence[Row], title: str, path: Path) -> None:
    """Grouped bars: for each table a row of panels, for each number of threads one panel."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    tables = list(dict.fromkeys(row.table for row in rows))
    thread_counts = sorted({row.threads for row in rows})
    widest = max(len({r.shape for r in rows if r.table == name}) for name in tables)
    width = len(thread_counts) * max(4.5, 1.5 + 0.75 * widest)
    figure, axes = plt.subplots(len(tables), len(thread_counts), squeeze=False, sharey="row",
                                constrained_layout=True, figsize=(width, 1.0 + 3.2 * len(tables)))
    for line, name in zip(axes, tables):
        for axis, threads in zip(line, thread_counts):
            _draw_bars(axis, [r for r in rows if r.table == name and r.threads == threads])
            axis.set_title(f"{name}, {threads} thread{'s' if threads > 1 else ''}", fontsize=9)
        line[0].set_ylabel("times as fast as torch", fontsize=8)
    figure.suptitle(textwrap.fill(title, int(13 * width)), fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_bars(axis, rows: Sequence[Row]) -> None:
    shapes = list(dict.fromkeys(row.shape for row in rows))
    pairs = _pairs(rows)
    width = 0.8 / max(len(pairs), 1)
    for i, pair in enumerate(pairs):
        speeds = {row.shape: row.speed for row in rows if row.pair == pair}
        places = [shapes.index(s) + (i - 0.5 * (len(pairs) - 1)) * width for s in speeds]
        bars = axis.bar(places, [v - 1.0 for v in speeds.values()], width, bottom=1.0, label=pair,
                        zorder=2)
        axis.bar_label(bars, [f"{v:.2g}" for v in speeds.values()], fontsize=6, padding=1)
    axis.set_yscale("log", base=2)  # half as fast is as far from 1 as twice as fast
    axis.yaxis.set_major_formatter("{x:g}")
    axis.axhline(1.0, color="black", linewidth=0.8, zorder=3)
    axis.grid(axis="y", linewidth=0.4, zorder=0)
    axis.set_xticks(range(len(shapes)), [s.replace(" × ", "×") for s in shapes],
                    rotation=35, ha="right", fontsize=7)
    axis.tick_params(axis="y", labelsize=7)
    axis.margins(y=0.5)  # room for the legend
    axis.legend(fontsize=7, loc="upper left").set_in_layout(False)
