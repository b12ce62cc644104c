"""Peak memory of a call: its result and packed weights, nothing of the size of an input."""
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers import run_python

MIB = 2**20
MARGIN = 6 * MIB  # stacks of threads, code that is loaded at its first use

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="there is no /proc to read the peak from")

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")

MEASURE = """
from importlib import import_module
import numpy as np
import lumina_kernel as lk

def ones(*shape):
    return np.ones(shape, np.float32)

def kib(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))

{prepare}

def call(x, w, out=None):
    return {call}

call(x[:2], w{warm_weights}, None if out is None else out[:2])
before = kib("VmRSS")
result = call(x, w, out)
print((kib("VmHWM") - before) * 1024)
"""


def peak(call, x, w, out="None", prepare="", warm_weights=""):
    """Bytes by which the process's peak lies above what it held before the call."""
    prepare = f"x = {x}\nw = {w}\nout = {out}\n{prepare}"
    result = run_python(MEASURE.format(call=call, prepare=prepare, warm_weights=warm_weights))
    assert result.returncode == 0, result.stderr
    return int(result.stdout)


INFER = "lk.optical_linear_infer(x, w, None, 8, out=out)"
CODED = "lk.optical_linear_infer(x, w, None, 8, out=out, dac_bits=8)"
FUSED = "lk.optical_linear_fused(x, w, None, 0.1, 8, 1, out=out, dac_bits=6)"


def test_the_measurement_sees_a_copy():
    assert peak("(x + 0)[:, :1]", "ones(4096, 4096)", "ones(1, 1)") >= 64 * MIB


@pytest.mark.parametrize("call, weights", [
    (INFER, "ones(16, 4096)"), (FUSED, "ones(16, 4096)"),
    (INFER, "lk.PackedWeights(ones(16, 4096))"),
    (CODED, "lk.CodedWeights(ones(16, 4096))"), (FUSED, "lk.CodedWeights(ones(16, 4096))")])
@pytest.mark.parametrize("x", [
    "ones(4096, 4096)", "ones(4096, 4224)[:, 64:-64]",
    pytest.param("import_module('torch').ones(4096, 4224)[:, 64:-64]", marks=needs_torch)],
    ids=["contiguous", "row-strided", "torch"])
def test_the_input_is_read_in_place(call, weights, x):
    assert peak(call, x, weights) < MARGIN


@pytest.mark.parametrize("x", ["ones(4096, 4096).T", "ones(4096, 4096)[:, ::-1]"])
def test_other_layouts_take_one_copy(x):
    assert peak(INFER, x, "ones(16, 4096)") < 64 * MIB + MARGIN


@pytest.mark.parametrize("call, weights", [
    (INFER, "ones(4096, 8)"), (INFER, "lk.PackedWeights(ones(4096, 8))"),
    (CODED, "lk.CodedWeights(ones(4096, 8))")])
def test_the_result_is_all_that_is_allocated(call, weights):
    assert 63 * MIB < peak(call, "ones(4096, 8)", weights) < 64 * MIB + MARGIN


@pytest.mark.parametrize("call, weights", [
    (INFER, "ones(4096, 8)"), (FUSED, "ones(4096, 8)"), (INFER, "lk.PackedWeights(ones(4096, 8))"),
    (CODED, "lk.CodedWeights(ones(4096, 8))")])
def test_with_out_nothing_is_allocated(call, weights):
    assert peak(call, "ones(4096, 8)", weights, out="ones(4096, 4096)") < MARGIN


@pytest.mark.parametrize("call, packed", [
    (INFER, 64 * MIB), ("lk.optical_linear_infer(x, w, None, 8, weight_bits=12)", 64 * MIB),
    ("lk.optical_linear_infer(x, w, None, 8, dac_bits=8, weight_bits=8)", 16 * MIB)])
def test_weights_are_packed_once(call, packed):
    used = peak(call, "ones(4, 4096)", "ones(4096, 4096)", warm_weights="[:16]")
    assert used < packed + MARGIN


def test_making_packed_weights_takes_their_own_memory():
    assert peak("lk.PackedWeights(w)", "ones(4, 4)", "ones(4096, 4096)",
                warm_weights="[:16]") < 64 * MIB + MARGIN
    assert peak("lk.CodedWeights(w)", "ones(4, 4)", "ones(4096, 4096)",
                warm_weights="[:16]") < 16 * MIB + MARGIN


def test_backward():
    """The two gradients, w and x as packed operands, and the outputs' gradient."""
    used = peak("lk.optical_linear_backward_kernel(ones(2048, 2048)[:len(x)], x, w)",
                "ones(2048, 2048)", "ones(2048, 2048)")
    assert used < 6 * 16 * MIB + MARGIN  # the sixth is the argument made in the call
