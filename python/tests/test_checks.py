"""Numbers of the Python part: refused with their names, and without warnings."""
import warnings

import numpy as np
import pytest
from helpers import assert_names

from lumina_kernel.checks import checked_float
from lumina_kernel.profiles import HardwareProfile

BEYOND = [1e39, -1e300, float("inf"), float("nan"), 10**400, np.float64(1e39), np.float32("inf")]


@pytest.mark.parametrize("value", BEYOND, ids=lambda v: repr(v)[:20])
def test_numbers_that_float32_cannot_hold(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError) as error:
            checked_float("gain", value)
        assert_names(str(error.value), "gain", "float32")
        with pytest.raises(ValueError, match="noise_level"):
            HardwareProfile("mine", 8, value, 1.0, 0.0)


@pytest.mark.parametrize("value", [0, -1.5, 3.4e38, 1e-300, np.float32(2), np.int64(3), True])
def test_numbers_that_it_holds(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checked_float("gain", value) == float(value)
