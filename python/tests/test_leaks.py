"""10^5 calls leave no reference, no Python object and no memory behind."""
import gc
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import lumina_kernel as lk

try:
    import torch
except ImportError:
    torch = None

STATM = Path("/proc/self/statm")
CALLS = 100_000
WARM_UP = 5_000


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


def read_only(array):
    array.flags.writeable = False
    return array


def arrays():
    return SimpleNamespace(
        x=ones(2, 3), w=ones(4, 3), bias=ones(4), g=ones(2, 4), out=ones(2, 4),
        z=ones(2, 3, dtype=np.complex64), double=np.ones((2, 3)), strided=ones(3, 2).T,
        constant=read_only(ones(2, 4)), packed=lk.PackedWeights(ones(4, 3)),
        coded=lk.CodedWeights(ones(4, 3)), rng=lk.FastRng(1), quantizer=lk.Quantizer(8, 0.0, 1.0),
        profile=lk.Profile(out_noise=0.1))


SUCCESSES = dict(
    fused=lambda a: lk.optical_linear_fused(a.x, a.w, a.bias, 0.1, 8, 1, threads=1),
    strided=lambda a: lk.optical_linear_fused(a.strided, a.w, None, 0.1, 8, 1, threads=1),
    packed=lambda a: lk.optical_linear_infer(a.x, a.packed, a.bias, 8, out=a.out, threads=1),
    coded=lambda a: lk.optical_linear_infer(a.x, a.coded, None, 8, dac_bits=8, threads=1),
    backward=lambda a: lk.optical_linear_backward_kernel(a.g, a.x, a.w, threads=1),
    complex=lambda a: lk.complex_matmul(a.z, a.z, threads=1),
    pack=lambda a: lk.PackedWeights(a.w, 8),
    encode=lambda a: (lambda c: (c.codes(), c.scales(), c.decode()))(lk.CodedWeights(a.w)),
    rng=lambda a: (a.rng.normals(3), a.rng.fill_normal(a.out), a.rng.next(), lk.FastRng(1)),
    quantizer=lambda a: (a.quantizer(a.x), a.quantizer.encode(a.x), a.quantizer.apply(a.out)),
    analog=lambda a: lk.linear(a.x, lk.AnalogWeights(a.w, a.profile), a.bias, threads=1),
    names=lambda a: (lk.isa(), lk.available_isas(), lk.force_isa(lk.isa()), lk.hello_lumina()),
)

ERRORS = dict(
    dtype=lambda a: lk.optical_linear_fused(a.double, a.w, a.bias, 0.1, 8, 1),
    shape=lambda a: lk.optical_linear_fused(a.x, a.g, a.bias, 0.1, 8, 1, out=a.out),
    bits=lambda a: lk.optical_linear_fused(a.x, a.w, a.bias, 0.1, 17, 1, out=a.out),
    out=lambda a: lk.optical_linear_infer(a.x, a.packed, a.bias, 8, out=a.x),
    read_only=lambda a: lk.optical_linear_infer(a.x, a.w, a.bias, 8, out=a.constant),
    object=lambda a: lk.optical_linear_infer(a.rng, a.coded, a.bias, 8, dac_bits=8),
    missing=lambda a: lk.optical_linear_infer(a.x, a.w),
    backward=lambda a: lk.optical_linear_backward_kernel(a.x, a.x, a.w),
    complex=lambda a: lk.complex_matmul(a.x, a.z),
    pack=lambda a: lk.PackedWeights(a.double),
    encode=lambda a: lk.CodedWeights(a.w, 9),
    rng=lambda a: a.rng.fill_normal(a.double),
    quantizer=lambda a: lk.Quantizer(8, 1.0, 0.0),
    apply=lambda a: a.quantizer.apply(a.double),
)

TENSORS = dict(
    fused=lambda a: lk.optical_linear_fused(a.x, a.w, a.bias, 0.1, 8, 1, threads=1),
    strided=lambda a: lk.optical_linear_fused(a.w.T, a.square, None, 0.1, 8, 1, threads=1),
    out=lambda a: lk.optical_linear_infer(a.x, a.w, None, 8, out=a.out, threads=1),
    backward=lambda a: lk.optical_linear_backward_kernel(a.out, a.x, a.w, threads=1),
)

TENSOR_ERRORS = dict(
    dtype=lambda a: lk.optical_linear_infer(a.x.double(), a.w, a.bias, 8),
    shape=lambda a: lk.optical_linear_infer(a.x, a.square, a.bias, 8, out=a.out),
    requires_grad=lambda a: lk.optical_linear_infer(a.parameter, a.w, a.bias, 8),
    device=lambda a: lk.optical_linear_infer(a.meta, a.w, a.bias, 8),
)


def tensors():
    parameter = torch.ones(2, 3, requires_grad=True)
    return SimpleNamespace(
        x=torch.ones(2, 3), w=torch.ones(4, 3), bias=torch.ones(4), out=torch.ones(2, 4),
        square=torch.ones(4, 4), parameter=parameter, meta=torch.ones(2, 3, device="meta"))


def resident_bytes():
    return int(STATM.read_text().split()[1]) * 4096


def reference_counts(arguments):
    return {name: sys.getrefcount(value) for name, value in vars(arguments).items()}


def repeat(calls, arguments, count):
    for _ in range(count // len(calls)):
        for call in calls:
            call(arguments)


def swallowing(call):
    def swallowed(arguments):
        try:
            call(arguments)
        except (TypeError, ValueError):
            return
        raise AssertionError("no exception")

    return swallowed


def assert_nothing_is_left_behind(calls, arguments, count=CALLS):
    calls = list(calls)
    repeat(calls, arguments, WARM_UP)
    gc.collect()
    references = reference_counts(arguments)
    blocks, resident = sys.getallocatedblocks(), resident_bytes()

    repeat(calls, arguments, count)

    gc.collect()
    more_blocks, more_resident = sys.getallocatedblocks() - blocks, resident_bytes() - resident
    assert reference_counts(arguments) == references
    # Each of the calls is made thousands of times, so a leak in one shows.
    assert more_blocks < 500
    assert more_resident < 256 * 1024


needs_proc = pytest.mark.skipif(
    not STATM.exists(), reason="there is no /proc to read the memory from")


@needs_proc
def test_successes():
    assert_nothing_is_left_behind(SUCCESSES.values(), arrays())


@needs_proc
def test_errors():
    assert_nothing_is_left_behind(map(swallowing, ERRORS.values()), arrays())


@needs_proc
@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
def test_tensors():
    assert_nothing_is_left_behind(TENSORS.values(), tensors(), CALLS // 4)
    assert_nothing_is_left_behind(map(swallowing, TENSOR_ERRORS.values()), tensors(), CALLS // 4)


def test_arrays_live_as_long_as_needed():
    """A result does not hold its arguments, and out is not held by the call."""
    x, w, out = ones(2, 3), ones(4, 3), ones(2, 4)
    counts = sys.getrefcount(x), sys.getrefcount(w), sys.getrefcount(out)
    y = lk.optical_linear_infer(x, w, None, 8)
    same = lk.optical_linear_infer(x, w, None, 8, out=out)
    assert same is out
    del same
    assert (sys.getrefcount(x), sys.getrefcount(w), sys.getrefcount(out)) == counts
    assert sys.getrefcount(y) == 2
