#!/usr/bin/env python3
"""Runs a program, usually in an emulator, and checks what it says.

    run.py --like HOST_PROGRAM -- COMMAND...     it must succeed and say what HOST_PROGRAM says
    run.py --fails-with REGEX -- COMMAND...      it must end with an error and say this

Lines that begin with # are measures; they may differ.
"""

import argparse
import re
import subprocess
import sys


def run(command):
    """The exit status and the output, both streams together."""
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", timeout=50)
    return result.returncode, result.stdout


def without_measures(output):
    return [line for line in output.splitlines() if not line.startswith("#")]


def difference(output, expected):
    """None, or what is different."""
    lines, expected_lines = without_measures(output), without_measures(expected)
    if not expected_lines:
        return "the host's program says nothing"
    for number, (line, expected_line) in enumerate(zip(lines, expected_lines), 1):
        if line != expected_line:
            return f"line {number} is\n  {line}\nthe host's is\n  {expected_line}"
    if len(lines) != len(expected_lines):
        return f"{len(lines)} lines, the host's program has {len(expected_lines)}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    expected = parser.add_mutually_exclusive_group(required=True)
    expected.add_argument("--like", metavar="HOST_PROGRAM")
    expected.add_argument("--fails-with", metavar="REGEX")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()

    status, output = run(arguments.command)
    print(output, end="")
    if arguments.fails_with is not None:
        if status == 0:
            return "it succeeded, and should have failed"
        if not re.search(arguments.fails_with, output):
            return f"it does not say {arguments.fails_with!r}"
        return 0
    host_status, host_output = run([arguments.like])
    if status != 0 or host_status != 0:
        return f"exit status {status}, on the host {host_status}"
    return difference(output, host_output) or 0


if __name__ == "__main__":
    sys.exit(main())
