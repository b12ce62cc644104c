"""Data and comparisons that several tests share."""
import os
import platform
import re
import subprocess
import sys

import numpy as np

import lumina_kernel as lk


def layer_data(batch, inputs, outputs, seed=1):
    """x in [0, 1], weights and biases that spread x·Wᵀ + bias over some units around 0."""
    rng = np.random.default_rng(seed)
    x = rng.random((batch, inputs), np.float32)
    w = rng.standard_normal((outputs, inputs), np.float32) * np.float32(4 / max(inputs, 1) ** 0.5)
    return x, w, rng.standard_normal(outputs, np.float32)


def integer_data(batch, inputs, outputs, seed=1):
    """The same with small integers, whose float32 sums are exact in any order."""
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 8, (batch, inputs)).astype(np.float32),
            rng.integers(-3, 4, (outputs, inputs)).astype(np.float32),
            rng.integers(-9, 10, outputs).astype(np.float32))


def has_fma():
    """Whether float32 products are fused: not in a scalar unit for x86 (numerics.md, section 4)."""
    return lk.isa() != "scalar" or platform.machine() in ("aarch64", "arm64")


def assert_same_bits(actual, expected):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype and actual.shape == expected.shape
    same = np.ascontiguousarray(actual).view(np.uint32)
    same = same == np.ascontiguousarray(expected).view(np.uint32)
    different = ~(same | (np.isnan(actual) & np.isnan(expected)))
    assert not different.any(), (
        f"{different.sum()} of {different.size} differ, the first at "
        f"{np.argwhere(different)[0]}: {actual[different][0]} instead of {expected[different][0]}")


def assert_names(message, *words):
    """The message contains the words, and shapes (tuples) in whatever brackets."""
    for word in words:
        if isinstance(word, tuple):
            pattern = r"(?<!\d)" + r"\D{1,4}".join(map(str, word)) + r"(?!\d)"
        else:
            pattern = r"(?<!\w)" + re.escape(str(word)) + r"(?!\w)"
        assert re.search(pattern, message), f"{word!r} is not in the message: {message}"


def run_python(code, **environment):
    """Runs `code` in a fresh interpreter that finds the same packages."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment})
