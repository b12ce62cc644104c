"""What the tests of lumina_kernel.nn share: both computations, and a model in float64."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lumina_kernel.nn import OpticalLinear, pure_torch, selection, torch_arrays

BACKENDS = ("native", "torch")


def computation(name):
    if name == "torch":
        return pure_torch
    try:
        from lumina_kernel.nn import native
    except ImportError as error:
        pytest.skip(f"lumina_kernel's native module can't be imported: {error}")
    return native


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch):
    """Each test runs with each of the two; its value is the name."""
    monkeypatch.setattr(selection, "active", computation(request.param))
    return request.param


@pytest.fixture(scope="module")
def one_thread():
    """For tests of many small calls, which teams of threads would only wait for each other in."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def copies_on(monkeypatch, layer, names=BACKENDS):
    """A copy of `layer` for each of the computations, which is the active one meanwhile."""
    for name in names:
        monkeypatch.setattr(selection, "active", computation(name))
        yield copy.deepcopy(layer)


def make_layer(in_features=70, out_features=37, profile="lumina_nano_v1", **options):
    """Weights from a fixed seed."""
    layer = OpticalLinear(in_features, out_features, profile, **options)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        layer.weight.normal_(0.0, in_features**-0.5, generator=generator)
        if layer.bias is not None:
            layer.bias.normal_(generator=generator)
    return layer


def near_floats(precision):
    """Options of a layer whose gradients are as near to float64's as floats are."""
    return {"gradient_products": "int24"} if precision <= 8 else {}


def inputs(*shape, seed=3, lo=-0.2, hi=1.2):
    """Some of them beyond the DAC's usual range."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * (hi - lo) + lo


class Float64Model:
    """The layer as the design's section 3.8 writes it, in NumPy and double precision."""

    def __init__(self, layer, adc_range, normals=0.0):
        profile = layer.hardware_profile
        self.max_code = 2**profile.bits - 1
        self.dac_range, self.adc_range = layer.input_range, adc_range
        self.gain = 1 - 0.8 * profile.temp_drift
        self.attenuation, self.noise_level = profile.attenuation, profile.noise_level
        self.normals = normals  # N2; N1 is 0
        weight = layer.weight.detach().numpy().astype(np.float64)
        top = 2 ** (profile.bits - 1) - 1
        scale = np.abs(weight).max(axis=1, keepdims=True) / top
        self.weight = np.rint(weight / np.where(scale > 0, scale, 1)) * scale
        self.bias = 0.0 if layer.bias is None else layer.bias.detach().numpy().astype(np.float64)

    def convert(self, values, bounds):
        lo, hi = bounds
        step = (hi - lo) / self.max_code
        return lo + np.clip(np.rint((values - lo) / step), 0, self.max_code) * step

    def forward(self, x):
        self.x = x.detach().numpy().astype(np.float64)
        self.x_values = self.convert(self.x, self.dac_range)
        s = self.x_values @ self.weight.T
        self.v = self.attenuation * (self.gain * s + 0.005 * self.normals)
        return self.convert(self.v, self.adc_range) + self.bias

    def gradients(self, grad_y):
        """By x, weight and bias, for x and grad_y of two dimensions."""
        grad_y = grad_y.numpy().astype(np.float64)
        grad_s = grad_y * inside(self.v, self.adc_range) * self.attenuation * self.gain
        return (
            grad_s @ self.weight * inside(self.x, self.dac_range),
            grad_s.T @ self.x_values,
            grad_y.sum(axis=0),
        )


def inside(values, bounds):
    return (bounds[0] <= values) & (values <= bounds[1])


def assert_same_outputs(y, expected, adc_range, bits, flips=1e-3):
    """Equal but for rounding; where a value lies between two codes, either may have been taken."""
    step = (adc_range[1] - adc_range[0]) / (2**bits - 1)
    rounding = 4e-7 * max(abs(bound) for bound in adc_range) + 1e-6
    differences = np.abs(np.asarray(y, np.float64) - np.asarray(expected, np.float64))
    assert differences.max() <= step + rounding
    assert np.mean(differences > rounding) <= flips


def assert_close(actual, expected, relative=1e-5):
    """In units of the largest expected magnitude."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= relative * max(np.abs(expected).max(), 1e-30)


def held_on_arrays(weights):
    """The weights that arrays of nn.torch_arrays stand for."""
    decoded = []
    for codes, code_value, scales, tiles, *_ in weights.matrices:
        sizes = torch.tensor([end - begin for begin, end in tiles])
        decoded.append(codes * code_value * scales.repeat_interleave(sizes, 0).t())
    return torch_arrays.in_shape(decoded, weights)
