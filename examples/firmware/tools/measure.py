#!/usr/bin/env python3
"""Prints what a program for a microcontroller takes, and fails where that is more than its budget.

    measure.py --size arm-none-eabi-size --budget budget.json --cpu NAME PROGRAM -- EMULATOR...

Bytes by the linker's sections: text is code, rodata constants (weights and samples among them), ram
variables without the stack. The rest are the program's own measures, its lines that begin with #.
"""

import argparse
import json
import subprocess
import sys


def output_of(command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=True, capture_output=True,
                          text=True, timeout=50).stdout


def section_sizes(size_tool, program):
    sizes = {}
    for line in output_of([size_tool, "-A", program]).splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[0].startswith("."):
            sizes[fields[0]] = int(fields[1])
    return sizes


def measures_of(program, size_tool, emulator):
    sizes = section_sizes(size_tool, program)
    result = {
        "text": sizes[".vectors"] + sizes[".text"],
        "rodata": sizes[".rodata"],
        "ram": sizes[".data"] + sizes[".bss"],
    }
    for line in output_of(emulator + [program]).splitlines():
        if line.startswith("# "):
            name, value = line[2:].split()
            result[name] = int(value)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", required=True)
    parser.add_argument("--budget", required=True)
    parser.add_argument("--cpu", required=True)
    parser.add_argument("program")
    parser.add_argument("emulator", nargs="+")
    arguments = parser.parse_args()

    with open(arguments.budget, encoding="utf-8") as file:
        budget = json.load(file)[arguments.cpu]
    measures = measures_of(arguments.program, arguments.size, arguments.emulator)
    print("| " + " | ".join(["CPU"] + list(measures)) + " |")
    print("|---" + "|--:" * len(measures) + "|")
    print("| " + " | ".join([arguments.cpu] + [str(value) for value in measures.values()]) + " |")

    if set(measures) != set(budget):
        return f"the budget has {sorted(budget)}, measured were {sorted(measures)}"
    excesses = [f"{name} is {measures[name]}, the budget {limit}"
                for name, limit in budget.items() if measures[name] > limit]
    return "\n".join(excesses) or 0


if __name__ == "__main__":
    sys.exit(main())
