"""Short texts in categories: Debian's package fortunes."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

INSTALLED = Path("/usr/share/games/fortunes")  # of Debian's packages fortunes and fortunes-min
SHORTEST, LONGEST = 40, 400  # characters


def read(directory: Path, category: str) -> list[str]:
    """Its texts of a moderate length, each once. Error: SystemExit, there is no such file."""
    try:
        content = (directory / category).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise SystemExit(f"There is no {error.filename}. It is in Debian's packages fortunes and "
                         "fortunes-min;\nor name a folder that has it with --fortunes.") from None
    texts = (" ".join(text.split()) for text in content.split("\n%\n"))
    return [text for text in dict.fromkeys(texts) if SHORTEST <= len(text) <= LONGEST]


def some(directory: Path, categories: Sequence[str], texts: int) -> list[str]:
    """So many of each category, from all over it."""
    chosen = []
    for category in categories:
        there = read(directory, category)
        chosen += [there[number * len(there) // texts] for number in range(texts)]
    return chosen
