"""complex_matmul: X·Wᵀ of complex64, no conjugate."""
import numpy as np
import oracle
import pytest
from helpers import assert_same_bits

import lumina_kernel as lk


def data(batch, inputs, outputs):
    rng = np.random.default_rng(1)

    def matrix(rows):
        parts = rng.standard_normal((2, rows, inputs), np.float32)
        return (parts[0] + 1j * parts[1]).astype(np.complex64)

    return matrix(batch), matrix(outputs)


@pytest.mark.parametrize("batch, inputs, outputs", [
    (1, 1, 1), (3, 5, 7), (33, 100, 65), (1, 784, 30), (130, 17, 200)])
def test_parity_with_complex128(batch, inputs, outputs):
    x, w = data(batch, inputs, outputs)
    y = lk.complex_matmul(x, w)
    assert y.dtype == np.complex64
    exact = x.astype(np.complex128) @ w.T
    real, imaginary = abs(x.real) @ abs(w.real.T), abs(x.imag) @ abs(w.imag.T)
    oracle.assert_within_bound(y.real, exact.real, real + imaginary, 2 * inputs + 2)
    cross = abs(x.real) @ abs(w.imag.T) + abs(x.imag) @ abs(w.real.T)
    oracle.assert_within_bound(y.imag, exact.imag, cross, 2 * inputs + 2)


def test_integer_data_is_exact_and_not_conjugated():
    x, w = (np.rint(4 * matrix) for matrix in data(20, 30, 40))
    np.testing.assert_array_equal(lk.complex_matmul(x, w), x.astype(np.complex128) @ w.T)
    i = np.array([[1j]], np.complex64)
    assert lk.complex_matmul(i, i)[0, 0] == -1


def test_threads_do_not_matter():
    x, w = data(70, 60, 150)
    one = lk.complex_matmul(x, w, threads=1)
    for threads in (2, None):
        assert_same_bits(lk.complex_matmul(x, w, threads=threads).view(np.float32),
                         one.view(np.float32))


def test_keywords():
    x, w = data(3, 4, 5)
    y = lk.complex_matmul(input=x, weight=w, threads=1, out=None)
    np.testing.assert_array_equal(y, lk.complex_matmul(x, w))
    with pytest.raises(TypeError):
        lk.complex_matmul(x, w, 1)


def test_out():
    x, w = data(3, 4, 5)
    wide = np.full((3, 8), 7, np.complex64)
    out = wide[:, 2:7]
    assert lk.complex_matmul(x, w, out=out) is out
    np.testing.assert_array_equal(out, lk.complex_matmul(x, w))
    assert (wide[:, :2] == 7).all() and (wide[:, 7:] == 7).all()


@pytest.mark.parametrize("relayout", [
    np.asfortranarray, lambda a: np.ascontiguousarray(a[::-1])[::-1],
    lambda a: np.repeat(a, 2, axis=1)[:, ::2], lambda a: np.repeat(a, 2, axis=0)[::2]])
def test_layouts(relayout):
    x, w = data(6, 7, 8)
    np.testing.assert_array_equal(lk.complex_matmul(relayout(x), relayout(w)),
                                  lk.complex_matmul(x, w))


@pytest.mark.parametrize("batch, inputs, outputs", [(0, 4, 5), (3, 0, 5), (3, 4, 0)])
def test_empty(batch, inputs, outputs):
    x, w = np.ones((batch, inputs), np.complex64), np.ones((outputs, inputs), np.complex64)
    np.testing.assert_array_equal(lk.complex_matmul(x, w), np.zeros((batch, outputs)))
