"""Frozen dataclasses whose fields are checked by what they are annotated with, and that come from
and go to dicts and JSON."""

from __future__ import annotations

import dataclasses
import functools
import json
from dataclasses import dataclass
from typing import Annotated, Any, Dict, Literal, Optional, Type, TypeVar, Union
from typing import get_args, get_origin, get_type_hints

import numpy as np

from ..checks import checked_float, checked_int

Self = TypeVar("Self", bound="Description")


@dataclass(frozen=True)
class Limits:
    """Of a number, also as a float32, which is what the engine computes with."""

    least: Optional[float] = None
    above: Optional[float] = None
    most: Optional[float] = None
    below: Optional[float] = None

    def check(self, name: str, number: Union[int, float]) -> None:
        """Error: ValueError, outside."""
        numbers = (number, float(np.float32(number))) if isinstance(number, float) else (number,)
        if not all(map(self._holds, numbers)):
            raise ValueError(f"{name} must be {self}, not {number}")

    def _holds(self, number: float) -> bool:
        return (
            (self.least is None or number >= self.least)
            and (self.above is None or number > self.above)
            and (self.most is None or number <= self.most)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        if self.least is not None and self.most is not None:
            return f"in {self.least}..{self.most}"
        words = {"least": "at least", "above": "above", "most": "at most", "below": "below"}
        given = {words[side]: limit for side, limit in vars(self).items() if limit is not None}
        return " and ".join(f"{word} {limit}" for word, limit in given.items())


Positive = Annotated[float, Limits(above=0)]
NotNegative = Annotated[float, Limits(least=0)]
Probability = Annotated[float, Limits(least=0, most=1)]


class Description:
    """Takes of its fields what they are annotated with: numbers, with or without Limits, bools,
    strings, one of some strings (Literal), tuples, descriptions, one of several (Union).

    Errors of making one: TypeError, a field of another kind; ValueError, outside of its limits, or
    what `_check` says.
    """

    def __post_init__(self) -> None:
        for name, hint in _hints(type(self)).items():
            object.__setattr__(self, name, _checked(name, hint, getattr(self, name)))  # frozen
        self._check()

    def _check(self) -> None:
        """Error: ValueError, fields that don't go together; it begins with the name of one."""

    def with_(self: Self, **changes: Any) -> Self:
        """This one with other values of some fields."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def to_dict(self) -> Dict[str, Any]:
        """Of what JSON has: from_dict() makes the same of it."""
        return {name: _plain(getattr(self, name)) for name in _hints(type(self))}

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls: Type[Self], values: Any) -> Self:
        """Of fields that `values` lacks it takes the defaults. Error: ValueError, which names the
        field by its path, adc.bits say."""
        return cls._from_dict(values, "")

    @classmethod
    def from_json(cls: Type[Self], text: Union[str, bytes]) -> Self:
        """Error: ValueError, as of from_dict, or for what is no JSON."""
        return cls.from_dict(json.loads(text))

    @classmethod
    def _from_dict(cls: Type[Self], values: Any, path: str) -> Self:
        """`path` is empty or ends with a dot."""
        if not isinstance(values, dict):
            what = path.rstrip(".") or cls.__name__
            raise ValueError(f"{what} must be a dict, not {type(values).__name__}")
        hints = _hints(cls)
        for name in values:
            if name not in hints:
                raise ValueError(f"{path}{name}: {cls.__name__} has {', '.join(hints)}, not that")
        fields = {}
        for name, value in values.items():
            parts = [part for part in _alternatives(hints[name]) if _is_description(part)]
            if parts and isinstance(value, dict):
                value = parts[0]._from_dict(value, f"{path}{name}.")
            fields[name] = value
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            if field.name not in fields and field.default is dataclasses.MISSING:
                raise ValueError(f"{path}{field.name} is missing")
        try:
            return cls(**fields)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}{error}") from error


@functools.lru_cache(maxsize=None)
def _hints(cls: type) -> Dict[str, Any]:
    """Field -> what it is annotated with."""
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _is_description(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Description)


def _alternatives(hint: Any) -> tuple:
    return get_args(hint) if get_origin(hint) is Union else (hint,)


def _plain(value: Any) -> Any:
    if isinstance(value, Description):
        return value.to_dict()
    return list(value) if isinstance(value, tuple) else value


def _checked(name: str, hint: Any, value: Any) -> Any:
    """`value` as one of `hint`. Errors: TypeError, ValueError."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        number = _checked(name, args[0], value)
        args[1].check(name, number)
        return number
    if origin is Union:
        for alternative in args:
            try:
                return _checked(name, alternative, value)
            except TypeError as error:
                if not str(error).startswith(f"{name} must"):  # of one that is inside
                    raise
    elif origin is Literal:
        if isinstance(value, str):
            if value in args:
                return str(value)
            raise ValueError(f"{name} must be {_spelled(hint)}, not {value!r}")
    elif origin is tuple:
        if isinstance(value, (tuple, list)):
            hints = args[:1] * len(value) if args[1:] == (...,) else args
            if len(value) != len(hints):
                raise ValueError(f"{name} must have {len(hints)} numbers, not {len(value)}")
            names = (f"{name}[{i}]" for i in range(len(value)))
            return tuple(map(_checked, names, hints, value))
    elif hint is int:
        return checked_int(name, value)
    elif hint is float:
        if not isinstance(value, (bool, np.bool_)):
            return checked_float(name, value)
    elif hint is bool:
        if isinstance(value, (bool, np.bool_)):
            return bool(value)
    elif isinstance(value, hint):
        return value
    raise TypeError(f"{name} must be {_spelled(hint)}, not {type(value).__name__}")


_SPELLED = {int: "an int", float: "a number", bool: "a bool", str: "a str", type(None): "None"}


def _spelled(hint: Any) -> str:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _spelled(args[0])
    if origin is tuple:
        return "a tuple"
    if origin in (Union, Literal):
        words = [_spelled(arg) if origin is Union else repr(arg) for arg in args]
        return ", ".join(words[:-1]) + " or " + words[-1]
    article = "an" if hint.__name__[0] in "AE" else "a"
    return _SPELLED.get(hint) or f"{article} {hint.__name__}"
