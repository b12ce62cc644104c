"""In place of lumina_kernel_cuda._cuda: its functions on the CPU's memory, computed by
lumina_kernel._core. What surrounds them, nn.cuda, is tested with it where the kernels themselves are not
compiled for an emulated GPU."""

import ctypes
import itertools
import sys
import types

import numpy as np

from lumina_kernel import CodedWeights, PackedWeights, _core
from lumina_kernel.nn.converters import Converter
from lumina_kernel.nn.interface import LayerSettings
from lumina_kernel.profiles import Readout

device_type = "cpu"
version = _core.version

_held = {}
_numbers = itertools.count(1)
_workspace = _core.Workspace()


def _array(address, shape, kind=np.float32):
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    if size == 0:
        return np.empty(shape, kind)
    memory = (ctypes.c_uint8 * size).from_address(address)
    return np.frombuffer(memory, kind).reshape(shape)


def _matrix(matrix):
    address, rows, cols, stride = matrix
    assert stride >= cols
    if rows == 0 or cols == 0:
        return np.empty((rows, cols), np.float32)
    flat = _array(address, ((rows - 1) * stride + cols,))
    return np.lib.stride_tricks.as_strided(flat, (rows, cols), (4 * stride, 4))


def _vector(address, count):
    return None if address == 0 else _array(address, (count,))


def _weights(weights):
    return _held[int(_array(weights[0], (1,), np.int64)[0])]


def weights_bytes(outputs, inputs, coded):
    return 8 + outputs * inputs * (1 if coded else 4)


def encode_weights(w, weights, place):
    address, rows, cols, bits, coded = weights
    number = next(_numbers)
    kind = CodedWeights if coded else PackedWeights
    _held[number] = kind(_matrix(w).copy(), *([bits] if coded else []))
    _array(address, (1,), np.int64)[:] = number


def decode_weights(weights, to, place):
    held = _weights(weights)
    assert weights[4]
    _matrix(to)[:] = held.codes() * held.scales()[:, None]


def workspace_bytes(rows, inputs, coded, has_dac):
    return rows * inputs if has_dac else 0


def _settings(dac, readout, adc, key, **more):
    return LayerSettings(Converter(*dac), Readout(*readout), Converter(*adc), key, **more)


def forward(x, weights, y, dac, readout, adc, key, bias, output_bias, adc_limit, record, largest,
            workspace, place):
    rows, outputs = y[1:3]
    assert workspace[1] >= workspace_bytes(x[1], x[2], weights[4], dac is not None)
    if adc_limit:
        limit = float(_array(adc_limit, (1,))[0])
        adc = (adc[0], -limit, limit, adc[3])
    seed, stream, row_offset = key
    if bias or dac is None or stream or row_offset:
        assert not (record or largest or output_bias) and readout[0] == readout[3] == 1.0
        bits, lo, hi, symmetric = adc
        numbers = dict(lo=lo, hi=hi, symmetric=symmetric, stream=stream, row_offset=row_offset)
        if dac is not None:
            numbers.update(zip(("dac_bits", "dac_lo", "dac_hi", "dac_symmetric"), dac))
        _matrix(y)[:] = _core.optical_linear_fused(
            _matrix(x), _weights(weights), _vector(bias, outputs), readout[2], bits, seed, **numbers)
        return
    settings = _settings(dac, readout, adc, seed, keep=bool(record), track=bool(largest))
    kept = _core.ForwardRecord() if record else None
    seen = _core.forward(_matrix(x), _weights(weights), _matrix(y), _vector(output_bias, outputs),
                         settings, kept, 1)
    if largest:
        _array(largest, (1,))[:] = seen
    if record and rows * outputs:
        bits = np.empty((rows, -(-outputs // 8)), np.uint8)
        kept.save(bits)
        _record(record, rows, outputs)[:] = bits


def _record(address, rows, outputs):
    return _array(address, (rows, 16 * -(-outputs // 128)), np.uint8)[:, :-(-outputs // 8)]


def backward_workspace_bytes(rows, weights, products):
    return rows * weights[1]


def backward(grad_y, x, weights, dac, readout, record, products, seed, grad_x, grad_w, grad_bias,
             workspace, place):
    rows, outputs = grad_y[1:3]
    assert workspace[1] >= backward_workspace_bytes(rows, weights, products)
    held, kept = _weights(weights), _core.ForwardRecord()
    kept.restore(held, _record(record, rows, outputs).copy())
    settings = _settings(dac, readout, (8, -1.0, 1.0, False), seed, gradient_products=products)
    _core.backward(kept, _matrix(grad_y), _matrix(x), held, settings,
                   None if grad_x is None else _matrix(grad_x),
                   None if grad_w is None else _matrix(grad_w),
                   _vector(grad_bias, outputs), _workspace, 1)


def install():
    """As the package that lumina_kernel looks for, unless that is there with emulated kernels. The
    result is nn.cuda, which uses it."""
    try:
        from lumina_kernel_cuda import _cuda

        emulated = _cuda.device_type == "cpu"
    except ImportError:
        emulated = False
    if not emulated:
        package = types.ModuleType("lumina_kernel_cuda")
        package._cuda = sys.modules[__name__]
        sys.modules["lumina_kernel_cuda"] = package
    from lumina_kernel.nn import cuda

    return cuda
