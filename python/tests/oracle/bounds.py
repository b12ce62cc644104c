"""How far float32 results may be from float64's."""
import numpy as np

UNIT = 2.0**-24  # the relative error of one rounding to float32


def assert_within_bound(actual, exact, magnitude, roundings):
    """|actual − exact| ≤ roundings·2^-24·magnitude, the magnitude a sum of absolute values."""
    actual = np.asarray(actual)
    bound = roundings * UNIT / (1 - roundings * UNIT) * magnitude
    excess = np.abs(actual - exact) - bound
    worst = np.unravel_index(np.argmax(excess), excess.shape) if excess.size else None
    assert worst is None or excess[worst] <= 0, (
        f"{actual[worst]} instead of {exact[worst]} at {worst}, bound {bound[worst]}")
