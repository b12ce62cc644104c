#!/usr/bin/env python3
"""Checks how include/lumina is laid out (docs/design.md): folders of detail/ are floors, and none looks up;
what is a GPU's, cuda.hpp and cuda/, stands above all of them.

    floors.py [include/lumina]

Prints what breaks a rule as file:line: rule, and then ends with 1.
"""

import re
import sys
from functools import cache
from pathlib import Path
from typing import Iterator, NamedTuple

# Lowest first: a header includes its own floor and those before it.
FLOORS = ("base", "layout", "simd", "isa", "random", "kernels", "rows", "packing", "epilogue",
          "engine", "training")
MAX_LINES = 400

# Where macros of instruction sets may stand outside isa/, and why.
ISA_MACRO_EXCEPTIONS = {
    "config.hpp": "chooses the instruction set",
    "detail/base/isa_namespace.hpp": "makes a name of it",
    "detail/base/float_modes.hpp": "compilers' modes of floats differ by machine",
}
XSIMD_EXCEPTIONS = {"config.hpp": "looks whether there is xsimd"}

ISA_MACRO = re.compile(
    r"\bLUMINA_ISA_(?!NAMESPACE\b)\w+"
    r"|\b__(?:AVX|SSE|SSSE|AMX|ARM_|NEON|riscv|BMI|GFNI|VAES)\w*"
    r"|\b__(?:FMA|FMA4|F16C|XOP|POPCNT|LZCNT)__"
    r"|\b__(?:aarch64|arm|x86_64|i386|amd64)__|\b_M_(?:X64|IX86|ARM64|AMD64)\b")
INTRINSIC = re.compile(
    r"\b_mm\d*_\w+|\b__m(?:64|128|256|512)[a-z]*\b|\b__mmask\d+\b|\b_tile_\w+|\b__tile_\w+"
    r"|\b__builtin_(?:ia32|aarch64|arm|neon|sve|riscv|rvv)_\w+|\b__cpuid\w*|\b__get_cpuid\w*"
    r"|\b(?:u?int|float|bfloat|poly)\d+x\d+(?:x\d)?_t\b"              # NEON: types, functions
    r"|\bv[a-z]\w*_(?:[sufp]|bf)(?:8|16|32|64)\("
    r"|\bsv(?:u?int|float|bfloat|bool|count)(?:\d+(?:x\d)?)?_t\b"    # SVE
    r"|\bsv[a-z]\w*_(?:[sufbc]|bf)(?:8|16|32|64)(?:_[xmz])?\(|\bsvcnt[bhwd]\("
    r"|\b__(?:smla|smua|sxtb|uxtb|sxtab|uxtab|qadd|sel|pkh)\w*\d*\b"   # Cortex-M's DSP extension
    r"|\b__riscv_v\w+|\bv(?:u?int|float|bool)\d+(?:m[f\d]+)?_t\b"
    r"|<(?:[a-z]*intrin|cpuid|arm_\w+|riscv_vector)\.h>")
XSIMD = re.compile(r"\bxsimd\s*::|\bXSIMD_\w+|<xsimd/")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<lumina/([^>]+)>)')
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)


class Violation(NamedTuple):
    file: str  # from include/lumina on
    line: int
    rule: str


def without_comments(text: str) -> str:
    """With as many lines as before."""

    def replaced(match: re.Match[str]) -> str:
        return match[0] if match[0].startswith('"') else " " + "\n" * match[0].count("\n")

    return COMMENT_OR_STRING.sub(replaced, text)


class House:
    def __init__(self, root: Path):
        self.root = root.resolve()
        self.headers = {path.relative_to(self.root).as_posix(): path.read_text(encoding="utf-8")
                        for path in sorted(self.root.rglob("*.hpp"))}
        self.code = {name: without_comments(text).splitlines()
                     for name, text in self.headers.items()}

    @cache
    def includes(self, name: str) -> tuple[tuple[int, str], ...]:
        """Line and name of each of lumina's headers that the header includes."""
        found = []
        for number, line in enumerate(self.code.get(name, ()), 1):
            if match := INCLUDE.match(line):
                path = (self.root / name).parent / match[1] if match[1] else self.root / match[2]
                target = path.resolve()
                if target.is_relative_to(self.root):
                    found.append((number, target.relative_to(self.root).as_posix()))
        return tuple(found)

    def folder(self, name: str) -> str | None:
        """The folder of detail/ that the header lies in; None for a public one."""
        parts = name.split("/")
        return (parts[1] if len(parts) == 3 else "") if parts[0] == "detail" else None

    @staticmethod
    def is_of_gpu(name: str) -> bool:
        return name == "cuda.hpp" or name.startswith("cuda/")

    @cache
    def floor(self, name: str) -> int:
        """A public header is on the highest floor that it needs: its own includes' or, through them,
        other public headers'."""
        highest, seen, waiting = -1, set(), [name]
        while waiting:
            header = waiting.pop()
            if header in seen:
                continue
            seen.add(header)
            folder = self.folder(header)
            if folder is None:
                waiting += [target for _, target in self.includes(header)]
            elif folder in FLOORS:
                highest = max(highest, FLOORS.index(folder))
        return highest

    def violations(self) -> Iterator[Violation]:
        for name, text in self.headers.items():
            folder = self.folder(name)
            if folder is not None and folder not in FLOORS:
                yield Violation(name, 1, "lies on no floor: the folders of detail/ are "
                                + " ".join(FLOORS))
            if (lines := len(text.splitlines())) > MAX_LINES:
                yield Violation(name, MAX_LINES + 1, f"{lines} lines, more than {MAX_LINES}")
            yield from self.looks_up(name, folder)
            yield from self.names_machines(name, folder)

    def looks_up(self, name: str, folder: str | None) -> Iterator[Violation]:
        for number, target in self.includes(name):
            if target not in self.headers:
                yield Violation(name, number, f"includes {target}, which is not there")
            elif self.is_of_gpu(target) and not self.is_of_gpu(name):
                yield Violation(name, number, f"includes {target}: cuda/ is above all that is the CPU's")
            elif folder in FLOORS and self.floor(target) > FLOORS.index(folder):
                above = FLOORS[self.floor(target)]
                what = "a public header that needs " if self.folder(target) is None else ""
                yield Violation(name, number,
                                f"{folder}/ includes {target}: {what}{above}/ is above {folder}/")

    def names_machines(self, name: str, folder: str | None) -> Iterator[Violation]:
        for number, line in enumerate(self.code[name], 1):
            if folder != "isa":
                macro = ISA_MACRO.search(line)
                if macro and name not in ISA_MACRO_EXCEPTIONS:
                    yield Violation(name, number, f"{macro[0]}: macros of instruction sets only in isa/")
                elif intrinsic := INTRINSIC.search(line):
                    yield Violation(name, number, f"{intrinsic[0]}: intrinsics only in isa/")
            xsimd = XSIMD.search(line)
            if xsimd and folder not in ("simd", "isa") and name not in XSIMD_EXCEPTIONS:
                yield Violation(name, number, f"{xsimd[0]}: xsimd only in simd/ and isa/")


def main() -> int:
    default = Path(__file__).resolve().parents[2] / "include" / "lumina"
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    house = House(root)
    if not house.headers:
        print(f"{root}: no headers", file=sys.stderr)
        return 1
    violations = list(house.violations())
    for file, line, rule in violations:
        print(f"{root / file}:{line}: {rule}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
