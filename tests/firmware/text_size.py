#!/usr/bin/env python3
"""Prints how much code a program is, and fails where that is more than its limit, in bytes.

    text_size.py arm-none-eabi-size PROGRAM LIMIT
"""
import subprocess
import sys


def main():
    size, program, limit = sys.argv[1:]
    sections = subprocess.run([size, "-A", program], capture_output=True, text=True, check=True).stdout
    text = next(int(line.split()[1]) for line in sections.splitlines() if line.startswith(".text"))
    print(f"{text} bytes of code, {limit} at most")
    sys.exit(0 if text <= int(limit) else 1)


if __name__ == "__main__":
    main()
