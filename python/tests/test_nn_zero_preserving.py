"""zero_preserving: 0 is a level of the converters."""

import numpy as np
import pytest
from nn_support import (
    Float64Model,
    assert_close,
    assert_same_outputs,
    backend,
    copies_on,
    inputs,
    make_layer,
    near_floats,
    torch,
)

from lumina_kernel.nn import OpticalLinear

PROFILES = ("edge_ultra_low_power", "lumina_nano_v1", "lumina_micro_v1", "custom")
RANGES = pytest.mark.parametrize("input_range", [(0.0, 1.0), (-0.75, 0.75)])


class SymmetricModel(Float64Model):
    """2^bits − 1 levels over (−limit, limit), the middle one at 0."""

    def convert(self, values, bounds):
        lo, hi = bounds
        if lo != -hi:
            return super().convert(values, bounds)
        step = hi / ((self.max_code - 1) / 2)
        return np.clip(np.rint(values / step), -(self.max_code // 2), self.max_code // 2) * step


@RANGES
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("tracked", [False, True])
def test_zeros_give_zero(backend, profile, input_range, tracked):
    options = dict(zero_preserving=True, input_range=input_range)
    layer = make_layer(profile=profile, output_range=None if tracked else (-1.3, 1.3), **options)
    layer(inputs(20, 70))
    layer.eval()
    x = inputs(20, 70)
    x[::2] = 0
    y = layer(x)
    assert not y[::2].any() and y[1::2].any()
    assert "zero_preserving=True" in str(layer)


def test_is_not_the_default(backend):
    layer = make_layer(output_range=(-1.3, 1.3)).eval()
    assert layer(torch.zeros(1, 70)).abs().min().item() == pytest.approx(1.3 / 15)
    assert "zero_preserving" not in str(layer)


@RANGES
@pytest.mark.parametrize("precision", [2, 3, 4, 8, 9, 12, 16])
def test_is_the_float64_model(backend, precision, input_range):
    limits = (-0.9, 0.9)
    layer = make_layer(
        precision=precision,
        bias=True,
        input_range=input_range,
        output_range=limits,
        zero_preserving=True,
        **near_floats(precision),
    ).eval()
    x = inputs(60, 70, lo=-1.0).requires_grad_()
    grad_y = inputs(60, 37, seed=4, lo=-1)
    model = SymmetricModel(layer, limits)
    y = layer(x)
    flips = 1e-3 if precision <= 9 else 2e-2
    assert_same_outputs(y.detach(), model.forward(x), limits, precision - 0.5, flips)
    levels = (y - layer.bias).detach().unique()
    assert len(levels) <= 37 * 2**precision
    y.backward(grad_y)
    for gradient, expected in zip(
        (x.grad, layer.weight.grad, layer.bias.grad), model.gradients(grad_y)
    ):
        assert_close(gradient, expected, 1e-5 if precision <= 8 else 1e-4)


@RANGES
@pytest.mark.parametrize("precision", [2, 4, 8])
def test_backends_agree_bit_for_bit_in_codes(monkeypatch, precision, input_range):
    layer = make_layer(
        200,
        130,
        precision=precision,
        input_range=input_range,
        output_range=(-1.3, 1.3),
        zero_preserving=True,
    ).eval()
    x = inputs(40, 200)
    with torch.no_grad():
        y, other = (copy(x) for copy in copies_on(monkeypatch, layer))
    assert_close(y, other, 1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(input_range=(-1.0, 2.0)), r"input_range must be \(-limit, limit\) or \(0, hi\), not"),
        (dict(output_range=(0.0, 1.0)), r"output_range must be \(-limit, limit\), not"),
    ],
)
def test_refuses_other_ranges(options, message):
    with pytest.raises(ValueError, match=message):
        OpticalLinear(3, 2, zero_preserving=True, **options)
