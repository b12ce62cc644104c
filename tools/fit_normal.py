#!/usr/bin/env python3
"""Prints the polynomials of include/lumina/detail/random/normal_constants.hpp.

Minimax fits by Remez exchange in 50 digits, then each coefficient rounded to float.
Needs mpmath (PyPI).
"""
import math
import struct

import mpmath as mp

mp.mp.dps = 50
GRID = 4001


def remez(function, weight, low, high, degree, rounds=30):
    """Coefficients (lowest power first) and the largest weighted error on [low, high]."""
    count = degree + 2
    nodes = [
        (low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (count - 1 - i) / (count - 1))
        for i in range(count)
    ]
    grid = [low + (high - low) * i / (GRID - 1) for i in range(GRID)]
    for _ in range(rounds):
        system, right = mp.matrix(count, count), mp.matrix(count, 1)
        for i, x in enumerate(nodes):
            for power in range(degree + 1):
                system[i, power] = x**power
            system[i, degree + 1] = (-1) ** i / weight(x)
            right[i] = function(x)
        solution = mp.lu_solve(system, right)
        coefficients = [solution[power] for power in range(degree + 1)]
        errors = [
            float(weight(x) * (mp.polyval(coefficients[::-1], x) - function(x))) for x in grid
        ]
        extrema = alternating_extrema(errors, count)
        if len(extrema) < count:
            break
        nodes = [grid[i] for i in extrema]
    return coefficients, max(abs(e) for e in errors)


def alternating_extrema(errors, count):
    """Indices of `count` local extrema whose signs alternate."""
    chosen = []
    for i, error in enumerate(errors):
        neighbours = errors[max(i - 1, 0) : i + 2]
        if abs(error) < max(abs(e) for e in neighbours if e * error > 0):
            continue
        if chosen and errors[chosen[-1]] * error > 0:
            if abs(error) > abs(errors[chosen[-1]]):
                chosen[-1] = i
        else:
            chosen.append(i)
    while len(chosen) > count:
        chosen.pop(0 if abs(errors[chosen[0]]) < abs(errors[chosen[-1]]) else -1)
    return chosen


def as_float(x):
    return struct.unpack("f", struct.pack("f", float(x)))[0]


def show(name, fit):
    coefficients, error = fit
    print(f"{name}: error {error:.1e}")
    print("   ", ", ".join(as_float(c).hex() for c in coefficients))


def log_ratio(f):
    return -2 * mp.log(1 + f) / f if abs(f) > mp.mpf(10) ** -20 else mp.mpf(-2)


def sine_ratio(x2):
    return mp.sin(mp.pi * mp.sqrt(x2)) / mp.sqrt(x2) if x2 > 0 else mp.pi


def cosine(x2):
    return mp.cos(mp.pi * mp.sqrt(x2))


if __name__ == "__main__":
    third, quarter = mp.mpf(1) / 3, mp.mpf(1) / 4
    show("-2 ln(1 + f) / f on [-1/3, 1/3], relative",
         remez(log_ratio, lambda f: 1 / abs(log_ratio(f)), -third, third, 6))
    show("sin(pi x) / x in x^2 on [0, 1/4], relative",
         remez(sine_ratio, lambda x2: 1 / sine_ratio(x2), mp.mpf(0), quarter, 3))
    show("cos(pi x) in x^2 on [0, 1/4], absolute",
         remez(cosine, lambda x2: mp.mpf(1), mp.mpf(0), quarter, 4))
    print("-2 ln 2 / 2^23:", as_float(-2 * math.log(2) / 2**23).hex())
