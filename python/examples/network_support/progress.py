"""Progress bars, where tqdm is installed and the output is a terminal."""

from __future__ import annotations

import sys
from typing import Any, Iterator, Sequence, TypeVar

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

Item = TypeVar("Item")


class _NoBar:
    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def update(self, steps: int = 1) -> None: ...

    def set_postfix(self, **values: Any) -> None: ...


def bar(steps: int, title: str, unit: str = "step") -> Any:
    """With update() and set_postfix(), for `with`."""
    if tqdm is None:
        return _NoBar()
    return tqdm(total=steps, desc=title, unit=unit, disable=None)


def each(items: Sequence[Item], title: str, unit: str) -> Iterator[Item]:
    with bar(len(items), title, unit) as shown:
        for item in items:
            yield item
            shown.update()


def say_what_is_missing() -> None:
    if tqdm is None:
        print("tqdm is not installed (pip install tqdm, or Debian's python3-tqdm): "
              "going on without progress bars.", file=sys.stderr)
