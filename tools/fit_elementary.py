#!/usr/bin/env python3
"""Prints the polynomials of include/lumina/detail/base/elementary.hpp.

Minimax fits by Remez exchange (fit_normal.py), weighted so that the error is relative to the function's value.
Needs mpmath (PyPI).
"""
import mpmath as mp

from fit_normal import as_float, remez, show

ROUNDS = 12
NEAR_ZERO = mp.mpf(10) ** -8  # below it the quotients are their series


def exp_rest(r):
    """(exp(r) - 1 - r) / r^2"""
    return (mp.expm1(r) - r) / r**2 if abs(r) > NEAR_ZERO else mp.mpf(1) / 2 + r / 6


def log_rest(f):
    """(log(1 + f) - f + f^2/2) / f^3"""
    return (mp.log1p(f) - f + f * f / 2) / f**3 if abs(f) > NEAR_ZERO else mp.mpf(1) / 3 - f / 4


def tanh_rest(x2):
    """(tanh(x) - x) / x^3 in x^2"""
    x = mp.sqrt(x2)
    return (mp.tanh(x) - x) / x**3 if x > NEAR_ZERO else -mp.mpf(1) / 3 + 2 * x2 / 15


def no_less(weight, least):
    """A weight that is 0 nowhere, which the exchange divides by."""
    return lambda x: max(weight(x), mp.mpf(least))


def tanh_weight(x2):
    x = mp.sqrt(x2)
    return x**3 / mp.tanh(x) if x > 0 else mp.mpf(0)


if __name__ == "__main__":
    half, third, switch = mp.log(2) / 2 * mp.mpf("1.0001"), mp.mpf(1) / 3, mp.mpf("0.625")
    show("(exp(r) - 1 - r) / r^2 on [-ln 2 / 2, ln 2 / 2]",
         remez(exp_rest, no_less(lambda r: r * r * mp.exp(-r), 1e-6), -half, half, 4, ROUNDS))
    show("(log(1 + f) - f + f^2/2) / f^3 on [-1/3, 1/3]",
         remez(log_rest, no_less(lambda f: abs(f**3 / mp.log1p(f)) if f else mp.mpf(0), 1e-6),
               -third, third, 7, ROUNDS))
    show("(tanh(x) - x) / x^3 in x^2 for x up to 0.625",
         remez(tanh_rest, no_less(tanh_weight, 1e-4), mp.mpf(0), switch**2, 4, ROUNDS))
    print("log2 e:", as_float(1 / mp.log(2)).hex())
    high = mp.mpf(float.fromhex("0x1.62e3p-1"))  # so few digits that its products with exponents are exact
    print("ln 2:", float(high).hex(), "+", as_float(mp.log(2) - high).hex())
