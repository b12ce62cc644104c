#!/usr/bin/env python3
"""Writes the library as one header.

    tools/amalgamate.py > lumina_single.hpp
    tools/amalgamate.py lumina/fused_gemm.hpp lumina/reference.hpp > smaller.hpp

Without arguments: lumina/lumina.hpp and all that it includes. #include "..." is replaced by the file,
once. What is included between #if and #endif may be needed again elsewhere, where that condition does
not hold: it is written again there, and a macro for each such file sees that it counts once. #include
<...> stays as it is.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include"

QUOTED = re.compile(r'\s*#\s*include\s+"([^"]+)"')
ONCE = re.compile(r"\s*#\s*pragma\s+once\b")
OPENS = re.compile(r"\s*#\s*if(def|ndef)?\b")
CLOSES = re.compile(r"\s*#\s*endif\b")
VERSION = re.compile(r"#define LUMINA_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)")


class Amalgam:
    def __init__(self):
        self.lines = []
        self.always_there = set()  # files that stand outside of all conditions
        self.open_files = []  # those that are being written

    def add(self, path, conditional):
        """Writes a file; `conditional`: between an #if and its #endif."""
        if path in self.always_there:
            return
        if path in self.open_files:
            raise SystemExit(f"amalgamate.py: {path} includes itself")
        if not path.is_file():
            raise SystemExit(f"amalgamate.py: there is no {path}")
        name = path.relative_to(INCLUDE).as_posix()
        guard = "LUMINA_SINGLE_" + re.sub(r"\W", "_", name).upper()
        self.open_files.append(path)
        # Even outside of conditions, for an earlier copy may stand inside of some.
        self.lines += [f"#ifndef {guard}", f"#define {guard}", f"// --- {name}"]
        self.add_lines(path, conditional)
        self.lines.append(f"#endif  // {guard}")
        self.open_files.pop()
        if not conditional:
            self.always_there.add(path)

    def add_lines(self, path, conditional):
        text = path.read_text(encoding="utf-8")
        if not any(ONCE.match(line) for line in text.splitlines()):
            raise SystemExit(f"amalgamate.py: {path} has no #pragma once")
        depth = 0
        for line in text.splitlines():
            if OPENS.match(line):
                depth += 1
            elif CLOSES.match(line):
                depth -= 1
            if include := QUOTED.match(line):
                self.add((path.parent / include.group(1)).resolve(), conditional or depth > 0)
            elif not ONCE.match(line):
                self.lines.append(line)
        if depth != 0:
            raise SystemExit(f"amalgamate.py: #if without #endif in {path}")


def version():
    return ".".join(VERSION.findall((INCLUDE / "lumina/config.hpp").read_text(encoding="utf-8")))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("headers", nargs="*", default=["lumina/lumina.hpp"],
                        help="as a program would include them")
    arguments = parser.parse_args()

    amalgam = Amalgam()
    for header in arguments.headers:
        amalgam.add((INCLUDE / header).resolve(), conditional=False)
    sys.stdout.reconfigure(encoding="utf-8")
    print(f"// LuminaKernel {version()}, all in one header; made by tools/amalgamate.py from:")
    print("//   " + " ".join(arguments.headers))
    print("// Apache License 2.0, see https://www.apache.org/licenses/LICENSE-2.0.")
    print("#ifndef LUMINA_SINGLE_HPP\n#define LUMINA_SINGLE_HPP\n")
    print("\n".join(amalgam.lines))
    print("\n#endif  // LUMINA_SINGLE_HPP")


if __name__ == "__main__":
    main()
