"""The ADC's range, given or tracked."""

import pytest
from nn_support import Float64Model, assert_same_outputs, backend, inputs, make_layer, torch


def levels_of(y):
    return y.detach().unique()


def test_first_batch_sets_its_own_range(backend):
    layer = make_layer(precision=4)
    assert layer.adc_limit.item() == 0
    torch.manual_seed(1)
    y = layer(inputs(30, 70))
    limit = layer.adc_limit.item()
    assert y.abs().max().item() == pytest.approx(limit, rel=1e-6)
    assert len(levels_of(y)) <= 16
    # As if that range had been given.
    given = make_layer(precision=4, output_range=(-limit, limit))
    torch.manual_seed(1)
    assert torch.equal(given(inputs(30, 70)), y)


def test_later_batches_widen_it_for_the_next_ones(backend):
    layer = make_layer(precision=4)
    small, large = inputs(30, 70) * 0.1, inputs(30, 70)
    layer(small)
    before = layer.adc_limit.item()
    y = layer(large)
    after = layer.adc_limit.item()
    assert y.abs().max().item() == pytest.approx(before, rel=1e-6)  # clipped to what was known
    assert after > 1.5 * before
    layer(small)
    assert layer.adc_limit.item() == after
    assert layer(large).abs().max().item() > 1.5 * before


def test_is_the_largest_v(backend):
    layer = make_layer(precision=8, noise_level=0.0)
    x = inputs(30, 70)
    layer(x)
    model = Float64Model(layer, (-1, 1))
    model.forward(x)
    assert layer.adc_limit.item() == pytest.approx(abs(model.v).max(), abs=0.03)


def test_frozen_in_eval(backend):
    layer = make_layer(precision=8, bias=True, noise_in_eval=True)
    layer(inputs(30, 70) * 0.2)
    limit = layer.adc_limit.item()
    layer.eval()
    layer(inputs(30, 70))
    assert layer.adc_limit.item() == limit
    layer.noise_in_eval = False
    expected = Float64Model(layer, (-limit, limit)).forward(inputs(30, 70))
    assert_same_outputs(layer(inputs(30, 70)).detach(), expected, (-limit, limit), 8)


def test_tracks_without_gradients_too(backend):
    layer = make_layer()
    with torch.no_grad():
        layer(inputs(30, 70))
    assert layer.adc_limit.item() > 0


def test_eval_before_any_training(backend):
    make_layer(output_range=(-1, 1)).eval()(inputs(3, 70))
    layer = make_layer(precision=8).eval()
    y = layer(inputs(30, 70))
    limit = layer.adc_limit.item()
    assert y.abs().max().item() == pytest.approx(limit, rel=1e-6)
    assert layer(inputs(30, 70) * 4).abs().max().item() == pytest.approx(limit, rel=1e-6)
    assert layer.adc_limit.item() == limit  # from the first batch on it stays
    layer.train()(inputs(30, 70) * 4)
    assert layer.adc_limit.item() > limit


@pytest.mark.parametrize("rows, training", [(0, True), (0, False), (5, False)])
def test_a_batch_that_is_empty_or_zero_says_nothing(backend, rows, training):
    layer = make_layer().train(training)
    y = layer(torch.zeros(rows, 70))
    assert y.shape == (rows, 37) and y.abs().sum() < 1e-12
    assert layer.adc_limit.item() == 0


def test_stays_within_what_an_adc_can_have(backend):
    layer = make_layer(2, 3, "custom", noise_level=0.0)
    with torch.no_grad():
        layer.weight.fill_(3e38)
    layer(torch.ones(2, 2))
    assert layer.adc_limit.item() == torch.finfo(torch.float32).max / 4


def test_gradient_gate_is_the_range_of_the_forward_pass(backend):
    layer = make_layer(precision=8, noise_level=0.0)
    layer(inputs(30, 70) * 0.1)
    limit = layer.adc_limit.item()
    given = make_layer(precision=8, noise_level=0.0, output_range=(-limit, limit))
    for each in (layer, given):
        torch.manual_seed(1)
        each(inputs(30, 70)).sum().backward()
    assert layer.adc_limit.item() > limit  # widened, but not for this batch
    assert torch.equal(layer.weight.grad, given.weight.grad)
