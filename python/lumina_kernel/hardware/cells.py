"""Devices that hold weights: conductances in µS, as programmed and as time passes.

Formulas and their sources: include/lumina/cells/*.hpp. A chip is a key: its devices are the same
in every call and process, and may be looked at at any times in any order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Dict, Optional, Sequence, Tuple, Type, TypeVar

import numpy as np

from ..checks import checked_float, checked_int
from .description import Description, NotNegative, Positive, Probability

AnyCell = TypeVar("AnyCell", bound="Cell")


class Cell(Description, ABC):
    """What a cell is. As a dict it has its class's name as its "kind"."""

    @property
    @abstractmethod
    def g_max(self) -> float:
        """µS of a device that is fully on."""

    def conductances(
        self, targets_uS: Any, seconds: Optional[float] = None, seed: int = 0, stream: int = 0
    ) -> np.ndarray:
        """What devices have that were programmed to targets_uS, float32 of their shape, in µS.

        targets_uS: numbers in 0 … g_max. seconds: since programming, 0 … 1e20, reading noise
        included; None: just programmed, not read. seed, stream: 0 … 2^64 − 1, the chip and a part
        of it: device i is a function of them, i, its target and the time alone.
        Errors: TypeError, ValueError; ImportError without the compiled part.
        """
        targets = np.asarray(targets_uS)
        if targets.dtype.kind not in "fiu":
            raise TypeError(f"targets_uS must be numbers, not {targets.dtype}")
        with np.errstate(over="ignore"):  # refused below
            targets = targets.astype(np.float32, order="C")
        wrong = targets[~((targets >= 0) & (targets <= np.float32(self.g_max)))]
        if wrong.size:
            raise ValueError(f"targets_uS must be in 0..{self.g_max}, not {wrong[0]}")
        if seconds is not None:
            seconds = checked_float("seconds", seconds)
            if not 0 <= seconds <= 1e20:
                raise ValueError(f"seconds must be in 0..1e20, not {seconds}")
        for name, word in {"seed": seed, "stream": stream}.items():
            if not 0 <= checked_int(name, word) < 2**64:
                raise ValueError(f"{name} must be in 0..2**64 - 1, not {word}")
        try:
            from .. import _core
        except ImportError as error:
            raise ImportError(f"conductances() needs the compiled part: {error}") from error
        held = _core.conductances(self.numbers(), targets.ravel(), seconds, int(seed), int(stream))
        return held.reshape(targets.shape)

    def numbers(self) -> Tuple:
        """As the compiled part takes it (python/src/array_layer.cpp)."""
        return (self._kind, self.g_max, five(self._polynomial), 0.0, 0.0, 0.0, 0.0)

    _kind = 2  # 0: Pcm, 1: PcmJoshi2020, 2: σ_p / µS = Σ _polynomial[i]·(g / µS)^i and nothing else
    _polynomial: ClassVar[Tuple[float, ...]] = ()

    def to_dict(self) -> Dict[str, Any]:
        return {"kind": type(self).__name__, **super().to_dict()}

    @classmethod
    def _from_dict(cls: Type[AnyCell], values: Any, path: str) -> AnyCell:
        kinds = {kind.__name__: kind for kind in Cell.__subclasses__() if issubclass(kind, cls)}
        if not isinstance(values, dict):
            return super()._from_dict(values, path)  # which says so
        kind = values.get("kind", cls.__name__)
        if not isinstance(kind, str) or kind not in kinds:
            raise ValueError(f"{path}kind must be one of {', '.join(kinds)}, not {kind!r}")
        fields = {name: value for name, value in values.items() if name != "kind"}
        return super(Cell, kinds[kind])._from_dict(fields, path)


@dataclass(frozen=True)
class Pcm(Cell):
    """Phase-change memory (Nandakumar et al. 2020): programming noise, drift, 1/f read noise."""

    g_max: Positive = 25.0  #: µS

    _kind = 0


@dataclass(frozen=True)
class PcmJoshi2020(Cell):
    """Phase-change memory with the programming noise of Joshi et al. 2020, figure 3b."""

    g_max: Positive = 25.0  #: µS

    _kind = 1


@dataclass(frozen=True)
class ReRamMilo2021(Cell):
    """Resistive memory of Milo et al. 2021, for 50 … 225 µS: take Mapping(g_min=50)."""

    g_max: Positive = 225.0  #: µS

    _polynomial = (4.782321, -0.009107)  # source: include/lumina/cells/reram.hpp


@dataclass(frozen=True)
class ReRamWan2022(Cell):
    """Resistive memory of Wan et al. 2022, for 1 … 40 µS: take Mapping(g_min=1)."""

    g_max: Positive = 40.0  #: µS

    _polynomial = (1.053, 0.2374, -1.167e-2, 1.536e-4)  # as above


@dataclass(frozen=True)
class PolynomialCell(Cell):
    """Programming noise alone, with a σ that is a polynomial of the target."""

    coefficients: Tuple[float, ...]  #: σ / µS = Σ coefficients[i]·(g / µS)^i, 1 … 5 of them
    g_max: Positive = 25.0  #: µS

    def _check(self) -> None:
        check_coefficients(self.coefficients)

    @property
    def _polynomial(self) -> Tuple[float, ...]:  # type: ignore[override]
        return self.coefficients


def five(coefficients: Sequence[float]) -> Tuple[float, ...]:
    """Of a polynomial, the highest ones 0."""
    return (*coefficients, *(0.0,) * (5 - len(coefficients)))


def check_coefficients(coefficients: Tuple[float, ...]) -> None:
    """Error: ValueError, too many for the engine, or none."""
    if not 1 <= len(coefficients) <= 5:
        raise ValueError(f"coefficients must be 1 to 5 numbers, not {len(coefficients)}")


@dataclass(frozen=True)
class StuckAt(Cell):
    """`cell`, of which some devices hold what they hold, once and for all."""

    cell: Cell
    p_off: Probability = 0.0  #: of a device that is stuck at g_min
    p_on: Probability = 0.0  #: of one that is stuck at g_max
    g_min: NotNegative = 0.0  #: µS
    #: µS, at most that of `cell`; None: that
    g_max: Optional[Positive] = None  # type: ignore[assignment]

    def _check(self) -> None:
        if isinstance(self.cell, StuckAt):
            raise ValueError("cell must not be a StuckAt itself")
        if self.g_max is None:
            object.__setattr__(self, "g_max", self.cell.g_max)
        together = self.p_off + self.p_on
        if together > 1:
            raise ValueError(f"p_off and p_on must be 1 at most together, not {together}")
        if not (self.g_min < self.g_max <= self.cell.g_max):  # type: ignore[operator]
            raise ValueError(
                f"g_min and g_max must be g_min < g_max <= the cell's {self.cell.g_max}, "
                f"not {self.g_min} and {self.g_max}"
            )

    def numbers(self) -> Tuple:
        return (*self.cell.numbers()[:3], self.p_off, self.p_on, self.g_min, self.g_max)
