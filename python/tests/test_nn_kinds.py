"""OpticalLinear among layers of other types: half, double, autocast, meta, states of nn.Linear."""

import pytest
from nn_support import assert_close, backend, inputs, make_layer, torch

from lumina_kernel.nn import OpticalLinear

RANGE = (-1.5, 2.0)
OTHERS = (torch.float64, torch.float16, torch.bfloat16)


@pytest.mark.parametrize("dtype", OTHERS, ids=str)
def test_other_floats_are_computed_in_float32(backend, dtype):
    layer = make_layer(precision=8, output_range=RANGE, bias=True).to(dtype)
    assert layer.weight.dtype == layer.bias.dtype == dtype
    plain = make_layer(precision=8, output_range=RANGE, bias=True)
    plain.load_state_dict({name: value.float() for name, value in layer.state_dict().items()})
    x = inputs(6, 70).to(dtype).requires_grad_()
    x32 = x.detach().float().requires_grad_()
    torch.manual_seed(1)
    y = layer(x)
    torch.manual_seed(1)
    expected = plain(x32)
    assert y.dtype == dtype and torch.equal(y, expected.to(dtype))
    y.sum().backward()
    expected.sum().backward()
    for tensor, other in ((x, x32), (layer.weight, plain.weight), (layer.bias, plain.bias)):
        assert tensor.grad.dtype == dtype and torch.equal(tensor.grad, other.grad.to(dtype))


@pytest.mark.parametrize("dtype", OTHERS, ids=str)
def test_y_has_the_type_of_x(backend, dtype):
    layer = make_layer(output_range=RANGE).eval()
    expected = layer(inputs(6, 70))
    assert torch.equal(layer.to(dtype).float()(inputs(6, 70)).float(), layer(inputs(6, 70)))
    assert layer.to(dtype)(inputs(6, 70)).dtype == torch.float32
    assert make_layer(output_range=RANGE).eval()(inputs(6, 70).to(dtype)).dtype == dtype
    assert expected.dtype == torch.float32


@pytest.mark.parametrize("dtype", OTHERS, ids=str)
def test_the_tracked_range_stays_in_float32(backend, dtype):
    layer = make_layer()
    layer(inputs(6, 70))
    limit = layer.adc_limit.item()
    layer.to(dtype)
    assert layer.adc_limit.dtype == torch.float32 and layer.adc_limit.item() == limit


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_in_a_chain_under_autocast(backend, dtype):
    if dtype == torch.float16 and not hasattr(torch, "compiler"):
        pytest.skip("this torch has no float16 autocast on the CPU")
    model = torch.nn.Sequential(
        torch.nn.Linear(20, 70), torch.nn.Sigmoid(), make_layer(), torch.nn.Linear(37, 3)
    )
    with torch.autocast("cpu", dtype=dtype):
        y = model(inputs(4, 20))
        loss = y.float().square().sum()
    loss.backward()
    assert y.dtype == dtype
    assert all(p.grad.dtype == torch.float32 and p.grad.any() for p in model.parameters())


def test_a_default_type_counts():
    torch.set_default_dtype(torch.float64)
    try:
        layer = OpticalLinear(3, 2)
    finally:
        torch.set_default_dtype(torch.float32)
    assert layer.weight.dtype == torch.float64 and layer.adc_limit.dtype == torch.float32
    assert OpticalLinear(3, 2, dtype=torch.bfloat16).weight.dtype == torch.bfloat16


def from_meta(**options):
    layer = OpticalLinear(70, 37, device="meta", **options)
    assert layer.weight.is_meta
    return layer.to_empty(device="cpu")


def skipped_init(**options):
    return torch.nn.utils.skip_init(OpticalLinear, 70, 37, **options)


def within_device(**options):
    try:
        with torch.device("meta"):
            layer = OpticalLinear(70, 37, **options)
    except (AttributeError, TypeError):
        pytest.skip("torch.device is no context in this torch")
    assert layer.weight.is_meta and (layer.adc_limit is None or layer.adc_limit.is_meta)
    return layer.to_empty(device="cpu")


@pytest.mark.parametrize("make", [from_meta, skipped_init, within_device])
@pytest.mark.parametrize("options", [{}, {"output_range": RANGE}, {"seed": 3}])
def test_made_without_memory(backend, make, options):
    torch.full((70 * 37 + 1,), 7.0)  # what to_empty() may find
    layer = make(**options)
    assert layer.adc_limit is None or layer.adc_limit.item() == 0
    expected = make_layer(**options)
    layer.load_state_dict(expected.state_dict())
    assert torch.equal(layer.eval()(inputs(6, 70)), expected.eval()(inputs(6, 70)))


@pytest.mark.parametrize("bias", [False, True])
def test_takes_the_state_of_a_linear_layer(backend, bias):
    linear = torch.nn.Linear(70, 37, bias=bias)
    layer = make_layer(bias=bias)
    layer(inputs(6, 70))
    limit = layer.adc_limit.item()
    layer.load_state_dict(linear.state_dict())
    assert torch.equal(layer.weight, linear.weight) and layer.adc_limit.item() == limit
    with pytest.raises(RuntimeError, match="Missing key.*weight"):
        layer.load_state_dict({"adc_limit": torch.ones(())})
    model = torch.nn.Sequential(OpticalLinear(70, 37, bias=bias), OpticalLinear(37, 70))
    with pytest.raises(RuntimeError, match=r'Missing key.*"1.weight", "1.adc_limit"'):
        model.load_state_dict({f"0.{name}": v for name, v in linear.state_dict().items()})


@pytest.mark.parametrize("precision", [2, 4, 8])
def test_refuses_more_inputs_than_sums_hold(precision):
    with pytest.raises(ValueError, match=rf"at most 66311 with {precision} bits.*not 66312"):
        OpticalLinear(66312, 1, precision=precision)
    layer = OpticalLinear(66312, 1, precision=9)
    with pytest.raises(ValueError, match="66311"):
        layer.precision = precision
    layer(torch.rand(1, 66312))


@pytest.mark.parametrize("precision", [4, 8])
def test_as_many_inputs_as_sums_hold(backend, precision):
    layer = OpticalLinear(66311, 2, "custom", precision=precision, output_range=(-1e5, 1e5)).eval()
    torch.nn.init.ones_(layer.weight)
    y = layer(torch.ones(1, 66311))
    assert_close(y.detach(), [[66311.0] * 2], 1e5 / (2**precision - 1) / 66311 * 1.01)
