"""DLPack capsules made by hand: a tensor on a GPU that this machine need not have."""
import ctypes

import numpy as np
import pytest
from helpers import assert_names

import lumina_kernel as lk

CPU, CUDA, ROCM = 1, 2, 10
INACCESSIBLE = 64  # an address that nobody may read


class Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class DataType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device", Device), ("ndim", ctypes.c_int32),
                ("dtype", DataType), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64)]


class ManagedTensor(ctypes.Structure):
    pass


Deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(ManagedTensor))
ManagedTensor._fields_ = [
    ("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", Deleter)]

new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class Exporter:
    """A float32 matrix on `device`, at `data`."""

    def __init__(self, shape, device, data=INACCESSIBLE, dtype=(2, 32, 1), strides=None,
                 byte_offset=0):
        self.deleted = 0
        self.shape = (ctypes.c_int64 * len(shape))(*shape)
        self.strides = strides and (ctypes.c_int64 * len(shape))(*strides)
        tensor = Tensor(data, Device(device, 0), len(shape), DataType(*dtype), self.shape,
                        self.strides, byte_offset)
        self.managed = ManagedTensor(tensor, None, Deleter(self.delete))

    def delete(self, _):
        self.deleted += 1

    def __dlpack__(self, stream=None, **_):
        return new_capsule(ctypes.addressof(self.managed), b"dltensor", None)

    def __dlpack_device__(self):
        return self.managed.tensor.device.type, 0


def ones(*shape):
    return np.ones(shape, np.float32)


@pytest.mark.parametrize("device", [CUDA, ROCM])
@pytest.mark.parametrize("name, shape", [
    ("input", (3, 4)), ("weight", (5, 4)), ("bias", (5,)), ("out", (3, 5))])
def test_tensors_on_other_devices_are_value_errors(name, shape, device):
    arrays = dict(input=ones(3, 4), weight=ones(5, 4), bias=ones(5),
                  out=np.full((3, 5), 7, np.float32))
    arrays[name] = exporter = Exporter(shape, device)
    with pytest.raises(ValueError) as error:
        lk.optical_linear_infer(**arrays, bits=8)
    assert_names(str(error.value), name, "CPU")
    assert exporter.deleted <= 1
    if name != "out":
        assert (arrays["out"] == 7).all()


def test_cpu_tensors_are_read_and_released_once():
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    exporter = Exporter((3, 4), CPU, x.ctypes.data)  # without strides: row-major
    y = lk.optical_linear_infer(exporter, ones(5, 4), None, 16)
    assert exporter.deleted == 1
    np.testing.assert_array_equal(y, lk.optical_linear_infer(x, ones(5, 4), None, 16))


def test_strides_and_byte_offset():
    memory = np.arange(60, dtype=np.float32)
    x = memory[5:].reshape(5, 11)[:3, :8:2]
    exporter = Exporter((3, 4), CPU, memory.ctypes.data, strides=(11, 2), byte_offset=20)
    y = lk.optical_linear_infer(exporter, ones(5, 4), None, 16, lo=0.0, hi=100.0)
    np.testing.assert_array_equal(
        y, lk.optical_linear_infer(x.copy(), ones(5, 4), None, 16, lo=0.0, hi=100.0))
    assert exporter.deleted == 1


def test_more_elements_than_can_be_counted():
    memory = np.zeros(1, np.float32)
    exporter = Exporter((2**32, 2**32), CPU, memory.ctypes.data, strides=(0, 0))
    with pytest.raises(MemoryError):
        lk.optical_linear_infer(exporter, ones(5, 4), None, 8)
    assert exporter.deleted == 1


@pytest.mark.parametrize("name, shape", [("input", (3, 4)), ("weight", (5, 4)), ("bias", (5,))])
def test_tensors_without_memory(name, shape):
    arrays = dict(input=ones(3, 4), weight=ones(5, 4), bias=ones(5))
    arrays[name] = Exporter(shape, CPU, None)
    with pytest.raises(ValueError, match=name):
        lk.optical_linear_infer(**arrays, bits=8)


@pytest.mark.parametrize("dtype", [(2, 64, 1), (0, 32, 1), (2, 32, 4), (4, 16, 1)])
def test_other_dtypes_are_type_errors_and_released(dtype):
    x = np.zeros((3, 16), np.float32)
    exporter = Exporter((3, 4), CPU, x.ctypes.data, dtype)
    with pytest.raises(TypeError) as error:
        lk.optical_linear_infer(exporter, ones(5, 4), None, 8)
    assert_names(str(error.value), "input", "float32")
    assert exporter.deleted <= 1


def test_an_exporter_that_fails():
    class Failing:
        def __dlpack__(self, **_):
            raise RuntimeError("no")

        def __dlpack_device__(self):
            return CPU, 0

    with pytest.raises((TypeError, ValueError, RuntimeError)):
        lk.optical_linear_infer(Failing(), ones(5, 4), None, 8)
