"""optical_linear_backward_kernel: grad_input = g·W, grad_weight = gᵀ·x."""
import numpy as np
import oracle
import pytest
from helpers import assert_same_bits, integer_data, layer_data

import lumina_kernel as lk


def roundings(terms):
    """Of a chain of floats or, on AMX, of three bf16 (numerics.md, section 7)."""
    return max(terms, 16 + 3.1 * -(-terms // 32))


@pytest.mark.parametrize("batch, inputs, outputs", [
    (1, 1, 1), (3, 5, 7), (33, 100, 65), (256, 70, 30), (2, 300, 200)])
def test_parity_with_float64(batch, inputs, outputs):
    x, w, _ = layer_data(batch, inputs, outputs)
    x = x - np.float32(0.5)
    g = np.random.default_rng(2).standard_normal((batch, outputs), np.float32)
    grad_input, grad_weight = lk.optical_linear_backward_kernel(g, x, w)
    assert grad_input.dtype == grad_weight.dtype == np.float32
    x, w, g = (array.astype(np.float64) for array in (x, w, g))
    oracle.assert_within_bound(grad_input, g @ w, abs(g) @ abs(w), roundings(outputs))
    oracle.assert_within_bound(grad_weight, g.T @ x, abs(g.T) @ abs(x), roundings(batch))


def test_integer_data_is_exact():
    x, w, _ = integer_data(40, 50, 60)
    g = np.random.default_rng(2).integers(-9, 10, (40, 60)).astype(np.float32)
    grad_input, grad_weight = lk.optical_linear_backward_kernel(g, x, w)
    np.testing.assert_array_equal(grad_input, g.astype(np.float64) @ w)
    np.testing.assert_array_equal(grad_weight, g.T.astype(np.float64) @ x)


def test_no_gate_closes():
    """x outside [0, 1] and large outputs get their gradient all the same."""
    x = np.array([[-3.0, 50.0]], np.float32)
    w = np.array([[100.0, 7.0]], np.float32)
    g = np.array([[2.0]], np.float32)
    grad_input, grad_weight = lk.optical_linear_backward_kernel(g, x, w)
    np.testing.assert_array_equal(grad_input, [[200.0, 14.0]])
    np.testing.assert_array_equal(grad_weight, [[-6.0, 100.0]])


def test_threads_do_not_matter():
    x, w, _ = layer_data(130, 90, 70)
    g = lk.optical_linear_infer(x, w, None, 16)
    one = lk.optical_linear_backward_kernel(g, x, w, threads=1)
    for threads in (2, None):
        for gradient, same in zip(
                lk.optical_linear_backward_kernel(g, x, w, threads=threads), one):
            assert_same_bits(gradient, same)


def test_keywords():
    x, w, _ = layer_data(3, 4, 5)
    g = np.ones((3, 5), np.float32)
    result = lk.optical_linear_backward_kernel(grad_output=g, input=x, weight=w, threads=1)
    assert isinstance(result, tuple) and [r.shape for r in result] == [(3, 4), (5, 4)]
    with pytest.raises(TypeError):
        lk.optical_linear_backward_kernel(g, x, w, 1)


@pytest.mark.parametrize("batch, inputs, outputs", [(0, 4, 5), (3, 0, 5), (3, 4, 0), (0, 0, 0)])
def test_empty(batch, inputs, outputs):
    x, w, _ = layer_data(batch, inputs, outputs)
    grad_input, grad_weight = lk.optical_linear_backward_kernel(
        np.ones((batch, outputs), np.float32), x, w)
    np.testing.assert_array_equal(grad_input, np.zeros((batch, inputs)))
    np.testing.assert_array_equal(grad_weight, np.zeros((outputs, inputs)))
