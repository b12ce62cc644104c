"""How OpticalLinear multiplies gradients: in floats, or in integers."""

import pytest
from nn_support import assert_close, backend, computation, inputs, make_layer, selection, torch
from test_nn_gradients import WIDE, gradients_of

#: Of the largest magnitude of a row, for each term.
ERRORS = {"int8": 2.0**-6, "int16": 2.0**-15, "int24": 2.0**-22}


@pytest.fixture
def native(monkeypatch):
    monkeypatch.setattr(selection, "active", computation("native"))


def all_gradients(products, precision=8, **options):
    layer = make_layer(
        precision=precision, bias=True, output_range=WIDE, gradient_products=products, **options
    )
    x, grad_y = inputs(60, 70), inputs(60, 37, seed=4, lo=-1)
    return gradients_of(layer.eval(), x, grad_y)


@pytest.mark.parametrize("precision", [2, 4, 8])
@pytest.mark.parametrize("products", ERRORS)
def test_are_near_those_in_floats(native, products, precision):
    floats = all_gradients("float32", precision)
    for own, exact in zip(all_gradients(products, precision), floats):
        # Terms are below 1 · 1, or as large as a weight; roundings go both ways.
        assert (own - exact).abs().max() <= ERRORS[products] * 8 * exact.abs().max()
    assert torch.equal(all_gradients(products, precision)[2], floats[2])  # of the bias: no product


def test_products_differ(native):
    first = [all_gradients(products)[1] for products in ("float32", *ERRORS)]
    assert not any(torch.equal(a, b) for i, a in enumerate(first) for b in first[:i])


def test_none_is_visible(native):
    layer = make_layer(precision=8)
    assert layer.gradient_products is None
    assert layer.used_gradient_products in ("float32", *ERRORS)
    assert f"gradient_products={layer.used_gradient_products}" in str(layer)
    chosen = all_gradients(layer.used_gradient_products)
    for own, same in zip(all_gradients(None), chosen):
        assert torch.equal(own, same)


def test_can_be_set(native):
    layer = make_layer(precision=8, output_range=WIDE)
    layer.gradient_products = "int24"
    assert layer.used_gradient_products == "int24"
    with pytest.raises(ValueError, match="gradient_products must be one of float32, int8"):
        layer.gradient_products = "int4"
    assert layer.gradient_products == "int24"


def test_floats_of_more_bits(backend):
    layer = make_layer(precision=12)
    assert layer.used_gradient_products == "float32"
    with pytest.raises(ValueError, match="float32 or None with 12 bits"):
        layer.gradient_products = "int16"


def test_the_fallback_computes_in_floats(monkeypatch):
    monkeypatch.setattr(selection, "active", computation("torch"))
    assert make_layer(precision=8, gradient_products="int16").used_gradient_products == "float32"


def test_one_byte_is_rounded_with_the_noise(native):
    def of_seed(seed):
        layer = make_layer(
            precision=8, output_range=WIDE, gradient_products="int8", seed=seed, stream=1
        )
        return gradients_of(layer.train(), inputs(9, 70), inputs(9, 37, seed=4, lo=-1))[0]

    assert torch.equal(of_seed(1), of_seed(1))
    assert not torch.equal(of_seed(1), of_seed(2))
