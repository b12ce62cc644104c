"""Code of the caller's that runs while arguments are read: it may free what has been read already, and
it may raise anything."""
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import assert_names, assert_same_bits, layer_data, run_python

import lumina_kernel as lk
from lumina_kernel import _core

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")

LARGE = 4 << 20  # floats that are given back to the system when they are freed


class Number:
    """A number that does something when it is asked for its value."""

    def __init__(self, value, action):
        self.value, self.action = value, action

    def __index__(self):
        self.action()
        return self.value

    def __float__(self):
        self.action()
        return float(self.value)


class Lends:
    """An array that does something when it lends its memory."""

    def __init__(self, array, action):
        self.array, self.action = array, action

    def __dlpack__(self, **_):
        self.action()
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def memory(rows, freeing):
    """A large float32 array [rows, ...] of NumPy or PyTorch, and what frees its memory."""
    if freeing == "numpy":
        array = np.ones((rows, LARGE // rows), np.float32)
        return array, lambda: array.resize((1, 1), refcheck=False)
    tensor = torch.ones(rows, LARGE // rows)
    return tensor, lambda: tensor.set_()


libraries = pytest.mark.parametrize(
    "library", ["numpy", pytest.param("torch", marks=needs_torch)])

NUMBERS = [("bits", 8), ("lo", -1), ("hi", 1), ("threads", 1), ("dac_bits", 8), ("dac_lo", 0),
           ("dac_hi", 1), ("weight_bits", 8), ("noise_std", 0), ("seed", 1), ("stream", 0),
           ("row_offset", 0)]


@libraries
@pytest.mark.parametrize("argument, value", NUMBERS)
@pytest.mark.parametrize("freed", ["input", "weight", "out"])
def test_a_number_frees_an_array(library, argument, value, freed):
    array, free = memory(2, library)
    columns = array.shape[1]
    small = np.ones((2, columns if freed == "weight" else 3), np.float32)
    arrays = {"input": dict(input=array, weight=np.ones((3, columns), np.float32)),
              "weight": dict(input=small, weight=array),
              "out": dict(input=small, weight=np.ones((columns, 3), np.float32), out=array)}[freed]
    arguments = dict(dict(bits=8, noise_std=0.0, seed=1, bias=None), **arrays)
    arguments[argument] = Number(value, free)
    if argument in ("dac_lo", "dac_hi"):
        arguments["dac_bits"] = 8
    with pytest.raises(ValueError):  # the shape is another one
        lk.optical_linear_fused(**arguments)


@libraries
@pytest.mark.parametrize("call", [
    lambda a, n: lk.PackedWeights(a, n), lambda a, n: lk.CodedWeights(a, n),
    lambda a, n: lk.mix_neighbours(a, Number(0, n.action)),
    lambda a, n: lk.optical_linear_backward_kernel(np.ones((2, 2), "f4"), a, a, threads=n)])
def test_a_number_frees_weights(library, call):
    array, free = memory(2, library)
    try:
        call(array, Number(4, free))
    except ValueError as error:
        assert_names(str(error), tuple(array.shape))


@libraries
@pytest.mark.parametrize("order", [("mean", "stddev"), ("stddev", "mean")])
def test_a_number_frees_what_is_to_be_filled(library, order):
    array, free = memory(2, library)
    lk.FastRng(1).fill_normal(array, **{order[0]: Number(0, free), order[1]: 1.0})


@libraries
@pytest.mark.parametrize("lender", ["weight", "bias", "out"])
def test_an_array_that_lends_its_memory_frees_another(library, lender):
    array, free = memory(2, library)
    columns = array.shape[1]
    arguments = dict(input=array, weight=np.ones((3, columns), np.float32),
                     bias=np.ones(3, np.float32), out=np.ones((2, 3), np.float32))
    arguments[lender] = Lends(arguments[lender], free)
    with pytest.raises(ValueError) as error:
        lk.optical_linear_infer(**arguments, bits=8)
    assert_names(str(error.value), "input", "memory")


@needs_torch
def test_a_tensor_of_a_subclass_frees_another():
    array, free = memory(2, "torch")

    class Subclass(torch.Tensor):
        @property
        def is_nested(self):
            free()
            return False

    weight = torch.ones(3, array.shape[1]).as_subclass(Subclass)
    with pytest.raises(ValueError) as error:
        lk.optical_linear_infer(array, weight, None, 8)
    assert_names(str(error.value), "input", "memory")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes have __buffer__ since Python 3.12")
def test_a_buffer_of_a_class_frees_another():
    array, free = memory(2, "numpy")

    class Buffer:
        weight = np.ones((3, array.shape[1]), np.float32)

        def __buffer__(self, flags):
            free()
            return memoryview(self.weight)

    with pytest.raises(ValueError) as error:
        lk.optical_linear_infer(array, Buffer(), None, 8)
    assert_names(str(error.value), "input", "memory")


def test_arrays_of_foreign_classes_still_work():
    x, w, bias = layer_data(3, 4, 5)
    y = lk.optical_linear_infer(Lends(x, int), Lends(w, int), Lends(bias, int), 8)
    assert_same_bits(y, lk.optical_linear_infer(x, w, bias, 8))


class Loud(Exception):
    pass


def loud(*_):
    raise Loud("loud")


def stops(*_):
    raise KeyboardInterrupt


class Raises:
    """Whatever is asked of it raises."""

    def __init__(self, exception):
        object.__setattr__(self, "exception", exception)

    def __getattribute__(self, name):
        if name.startswith("__") and name not in ("__class__", "__dlpack__"):
            return object.__getattribute__(self, name)
        raise object.__getattribute__(self, "exception")

    def __index__(self):
        raise object.__getattribute__(self, "exception")

    __float__ = __bool__ = __repr__ = __str__ = __index__


FUNCTIONS = {
    "infer": lambda v: lk.optical_linear_infer(v, np.ones((5, 4), "f4"), None, 8),
    "bits": lambda v: lk.optical_linear_infer(np.ones((3, 4), "f4"), np.ones((5, 4), "f4"), None, v),
    "lo": lambda v: lk.Quantizer(8, v, 1.0),
    "symmetric": lambda v: lk.optical_linear_infer(
        np.ones((3, 4), "f4"), np.ones((5, 4), "f4"), None, 8, symmetric=v),
    "quantizer": lambda v: lk.Quantizer(8, -1.0, 1.0)(v),
    "encode": lambda v: lk.Quantizer(8, -1.0, 1.0).encode(v),
    "decode": lambda v: lk.Quantizer(8, -1.0, 1.0).decode(v),
    "apply": lambda v: lk.Quantizer(8, -1.0, 1.0).apply(v),
    "fill_normal": lambda v: lk.FastRng(1).fill_normal(v),
    "normals": lambda v: lk.FastRng(1).normals(v),
    "seed": lambda v: lk.FastRng(v),
    "pack": lambda v: lk.PackedWeights(v),
    "complex": lambda v: lk.complex_matmul(v, v),
    "backward": lambda v: lk.optical_linear_backward_kernel(v, v, v),
    "all_finite": lambda v: _core.all_finite(v),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("exception", [Loud("loud"), ValueError("own"), AttributeError("own")])
def test_exceptions_of_arguments_come_out_or_are_replaced(name, exception):
    with pytest.raises((TypeError, ValueError, Loud, AttributeError)) as error:
        FUNCTIONS[name](Raises(exception))
    assert type(error.value) is not SystemError
    assert lk.Quantizer(8, -1.0, 1.0).max_code == 255  # nothing is left over for the next call


@pytest.mark.parametrize("name", ["bits", "lo", "seed", "symmetric", "quantizer"])
def test_what_ends_programs_is_not_swallowed(name):
    with pytest.raises(KeyboardInterrupt):
        FUNCTIONS[name](Raises(KeyboardInterrupt()))


def test_the_cause_of_a_wrong_number_is_kept():
    with pytest.raises(TypeError) as error:
        lk.FastRng(Number(1, loud))
    assert_names(str(error.value), "seed", "integer")
    assert isinstance(error.value.__cause__, Loud)


@pytest.mark.parametrize("shape, dtype", [
    ((1, 2), "\ud800"), ("\ud800", "x"), (5, "float32"), ((1, 2), Raises), (None, None)],
    ids=["dtype", "shape", "number", "raises", "None"])
def test_attributes_that_only_look_like_an_arrays(shape, dtype):
    fake = SimpleNamespace(shape=shape, dtype=Raises(Loud()) if dtype is Raises else dtype)
    with pytest.raises((TypeError, ValueError, Loud)):
        lk.optical_linear_infer(fake, np.ones((5, 6), np.float32), None, 8)


class WithSurrogate:
    def __repr__(self):
        return "\ud800"


def test_texts_that_have_no_utf8():
    with pytest.raises(TypeError) as error:
        lk.FastRng(WithSurrogate())
    assert_names(str(error.value), "seed", r"\ud800")


@pytest.mark.parametrize("torch_module", [
    "MagicMock()", "SimpleNamespace()", "SimpleNamespace(Tensor=5)", "SimpleNamespace(Tensor=None)"])
def test_a_module_that_only_pretends_to_be_pytorch(torch_module):
    result = run_python(f"""
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock
sys.modules["torch"] = {torch_module}
import numpy as np
import lumina_kernel as lk
x, w = np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)
print(lk.optical_linear_infer(x, w, None, 8).shape, lk.Quantizer(8, -1.0, 1.0)(x).shape)
lk.FastRng(1).fill_normal(x)
""")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "(2, 4) (2, 3)"


@pytest.mark.filterwarnings("ignore:nanobind")
def test_objects_that_were_never_made():
    for kind in (lk.PackedWeights, lk.CodedWeights):
        with pytest.raises((TypeError, ValueError)):
            lk.optical_linear_infer(np.ones((2, 3), "f4"), kind.__new__(kind), None, 8, dac_bits=8)
    with pytest.raises(TypeError):
        lk.FastRng.__new__(lk.FastRng).next()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("made, again", [
    (lambda: lk.PackedWeights(np.ones((2, 3), "f4")), (np.ones((200, 300), "f4"),)),
    (lambda: lk.FastRng(1), (2,)), (lambda: lk.Quantizer(8, 0.0, 1.0), (4, 0.0, 1.0))])
def test_objects_are_not_made_twice(made, again):
    """Another thread may be reading what would be thrown away."""
    with pytest.raises((TypeError, RuntimeError, ValueError)):
        made().__init__(*again)
    with pytest.raises((TypeError, RuntimeError, ValueError)):
        made().__setstate__(made().__getstate__())


def test_empty_matrices_of_any_number_of_rows():
    """Each of these has nothing to compute."""
    result = run_python("""
import numpy as np
import lumina_kernel as lk
from lumina_kernel import _core

def empty(rows, cols, dtype="f4"):
    return np.broadcast_to(np.zeros((1 if rows else 0, 1 if cols else 0), dtype), (rows, cols))

many = 2**40
q = lk.Quantizer(8, -1.0, 1.0)
for call in [
    lambda: lk.PackedWeights(empty(many, 0)),
    lambda: lk.PackedWeights(empty(many, 0), 12),
    lambda: lk.PackedWeights(empty(0, many)),
    lambda: lk.CodedWeights(empty(0, many)),
    lambda: lk.mix_neighbours(empty(many, 0), 0.1),
    lambda: lk.optical_linear_infer(empty(many, 0), empty(0, 0), None, 8),
    lambda: lk.optical_linear_infer(empty(0, 0), empty(many, 0), None, 8),
    lambda: lk.optical_linear_infer(empty(0, 0), empty(many, 0), None, 8, weight_bits=12),
    lambda: lk.optical_linear_physics(empty(0, 0), empty(many, 0), None, 8, 1, weight_bits=12),
    lambda: lk.optical_linear_infer(empty(0, many), empty(0, many), None, 8),
    lambda: lk.optical_linear_infer(empty(0, many).T, empty(0, 0), None, 8),
    lambda: lk.optical_linear_infer(empty(many, 0), empty(0, 0), None, 8, dac_bits=8, weight_bits=8),
    lambda: lk.optical_linear_backward_kernel(empty(many, 0), empty(many, 0), empty(0, 0)),
    lambda: lk.optical_linear_backward_kernel(empty(0, many), empty(0, 0), empty(many, 0)),
    lambda: lk.complex_matmul(empty(0, 0, "c8"), empty(many, 0, "c8")),
    lambda: _core.all_finite(empty(many, 0)),
    lambda: q(empty(many, 0)),
    lambda: q.encode(empty(many, 0)),
    lambda: lk.FastRng(1).normals((many, 0)),
]:
    call()
for call in [
    lambda: lk.optical_linear_infer(empty(many, 0), empty(5, 0), None, 8),
    lambda: lk.CodedWeights(np.broadcast_to(np.float32(1), (many, many))),
    lambda: lk.FastRng(1).normals((many, many)),
]:
    try:
        call()
    except (MemoryError, ValueError):
        pass
print("done")
""")
    assert result.stdout.strip() == "done", result.stderr
