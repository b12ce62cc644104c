#!/usr/bin/env python3
"""The library in somebody's project: headers copied to an empty folder, one compiler line.

    vendored.py --headers copy|single --runner RUN_PY --like HOST_PROGRAM [--emulator COMMAND]
                -- COMPILER FLAG... SOURCE...

copy: include/lumina, as it is; single: what tools/amalgamate.py writes, under the name lumina/lumina.hpp.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def provide_headers(how, folder):
    if how == "copy":
        shutil.copytree(ROOT / "include/lumina", folder / "lumina")
        return
    (folder / "lumina").mkdir(parents=True)
    with open(folder / "lumina/lumina.hpp", "wb") as header:
        subprocess.run([sys.executable, ROOT / "tools/amalgamate.py"], stdout=header, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--headers", choices=["copy", "single"], required=True)
    parser.add_argument("--runner", required=True)
    parser.add_argument("--like", required=True)
    parser.add_argument("--emulator", default="")
    parser.add_argument("compile", nargs="+")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        project = Path(name)
        provide_headers(arguments.headers, project / "include")
        program = project / "program"
        line = arguments.compile + ["-I", "include", "-o", str(program)]
        print(shlex.join(line), flush=True)
        subprocess.run(line, cwd=project, check=True)
        return subprocess.run(
            [sys.executable, arguments.runner, "--like", arguments.like, "--"]
            + shlex.split(arguments.emulator) + [str(program)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
