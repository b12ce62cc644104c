"""Which layers of a model are meant, by patterns of their names."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Union

from torch import nn

from ..hardware.profile import Profile
from ..profiles import HardwareProfile
from .analog_module import AnyProfile, profile_of

Names = Dict[nn.Module, List[str]]


def names_of(model: nn.Module) -> Names:
    """All names of each module, in order."""
    names: Names = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    return names


class ProfileChoice:
    """The profile of each layer. A pattern (fnmatch) means a layer by one of its names or by that
    of a module that it is in.

    Errors: TypeError, ValueError; ValueError, a pattern matches no module.
    """

    def __init__(
        self,
        names: Names,
        profile: AnyProfile,
        overrides: Mapping[str, AnyProfile],
        exclude: Union[str, Sequence[str]],
    ) -> None:
        self._profile = profile_of(profile)
        self._overrides = {pattern: profile_of(each) for pattern, each in dict(overrides).items()}
        self._exclude = [exclude] if isinstance(exclude, str) else list(exclude)
        self._used: Set[str] = set()
        patterns = [*self._overrides, *self._exclude]
        for pattern in patterns:
            if not isinstance(pattern, str):
                raise TypeError(f"a pattern must be a str, not {type(pattern).__name__}")
        unknown = [
            each for each in patterns if not any(_matches(own, each) for own in names.values())
        ]
        if unknown:
            raise ValueError(f"{_listed(unknown)} match no module of the model")

    def excluded_by(self, names: Iterable[str]) -> Optional[str]:
        """The pattern."""
        return next((each for each in self._exclude if _matches(names, each)), None)

    def of(self, names: Iterable[str]) -> Union[Profile, HardwareProfile]:
        """Of several overrides that match the last one counts."""
        chosen = self._profile
        for pattern, profile in self._overrides.items():
            if _matches(names, pattern):
                chosen = profile
                self._used.add(pattern)
        return chosen

    def check_used(self) -> None:
        """Error: ValueError, an override was of() no layer."""
        unused = [each for each in self._overrides if each not in self._used]
        if unused:
            raise ValueError(f"overrides {_listed(unused)} match no layer that could be converted")


def _matches(names: Iterable[str], pattern: str) -> bool:
    for name in names:
        parts = name.split(".")
        if any(fnmatchcase(".".join(parts[:i]), pattern) for i in range(1, len(parts) + 1)):
            return True
    return False


def _listed(patterns: List[Any]) -> str:
    return ", ".join(map(repr, patterns))
