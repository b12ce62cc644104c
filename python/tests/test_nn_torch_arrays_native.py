"""nn.torch_arrays and nn.native_arrays: the same without noise, and the same in law with it."""

import math

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st
from nn_support import torch

from lumina_kernel.hardware.cells import Pcm, PolynomialCell, StuckAt
from lumina_kernel.hardware.mapping import Mapping, Wires
from lumina_kernel.nn import torch_arrays
from lumina_kernel.array_settings import ArraySettings, Encoding, Kernel, WeightNoise

try:
    from lumina_kernel.nn import native_arrays
except ImportError as error:
    reason = f"lumina_kernel's native module can't be imported: {error}"
    pytest.skip(reason, allow_module_level=True)

BOTH = (native_arrays, torch_arrays)

sizes = st.integers(1, 40)
mappings = st.builds(
    Mapping,
    tile=st.tuples(st.integers(3, 40), st.integers(3, 40)),
    scale=st.sampled_from(["column", "tile"]),
    split=st.sampled_from(["maximal", "equal"]),
    weight_bits=st.integers(2, 8),
)
passes = st.builds(
    lambda dac_bits, dac_range, row_ranges, adc_bits, repeated: ArraySettings(
        dac_bits,
        dac_range,
        row_ranges,
        bound_iterations=repeated if adc_bits else 0,
        adc_bits=adc_bits,
        gradient_products="float32",
    ),
    st.integers(2, 8),
    st.sampled_from([0.7, 2.0]),
    st.booleans(),
    st.sampled_from([None, 3, 8]),
    st.sampled_from([0, 0, 2]),
)


def numbers(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def assert_same(native, torchs, tolerance):
    assert native.shape == torchs.shape
    torch.testing.assert_close(torchs, native, rtol=tolerance, atol=tolerance)


def check(x, w, bias, encoding, kernel, settings, by_tile, by_output):
    answers = []
    for arrays in BOTH:
        weights = arrays.encode(w, encoding, kernel)
        shape = arrays.tiles(weights) if by_tile else 1, len(w) if by_output else 1
        bound = numbers(*shape, seed=4).abs() + 0.5 if settings.adc_bits else None
        y, kept = arrays.forward(x, weights, bias, bound, settings, True)
        seen = arrays.outputs(x, weights, bound, settings)
        grad_y = numbers(*y.shape, seed=5)
        gradients = arrays.backward(kept, grad_y, x, bound, settings, [True] * 3)
        restored = arrays.kept_from(arrays.record(kept, y), x, weights, settings)
        again = arrays.backward(restored, grad_y, x, bound, settings, [True] * 3)
        assert all(torch.equal(*pair) for pair in zip(gradients, again))
        devices = arrays.devices(weights)
        answers.append((*devices, arrays.scales(weights), seen, y, *gradients))
    # As values between two codes may be rounded to either one, sums must be exact for this.
    for native, torchs in zip(*answers):
        assert_same(native, torchs, 2e-5)


@given(mappings, passes, sizes, sizes, st.integers(1, 5), st.booleans(), st.booleans())
def test_layers_are_the_same(mapping, settings, n_in, n_out, rows, by_tile, by_output):
    x, w, bias = numbers(rows, n_in), numbers(n_out, n_in, seed=2), numbers(n_out, seed=3)
    check(x, w, bias, Encoding(mapping), None, settings, by_tile, by_output)


@hypothesis_settings(max_examples=40)
@given(mappings, passes, st.sampled_from([1, 1, 2, 70]), st.data(), st.booleans())
def test_convolutions_are_the_same(mapping, settings, groups, data, by_tile):
    three = lambda of: tuple(data.draw(of) for _ in range(3))  # noqa: E731
    kernel = Kernel(
        channels=groups * data.draw(st.integers(1, 3)),
        outputs=groups * data.draw(st.integers(1, 2)),
        size=three(st.integers(1, 2)),
        stride=three(st.integers(1, 2)),
        padding=three(st.integers(0, 1)),
        dilation=three(st.integers(1, 2)),
        groups=groups,
    )
    x = numbers(2, kernel.channels, 3, 4, 4)
    w = numbers(kernel.outputs, kernel.channels // groups, *kernel.size, seed=2)
    bias = numbers(kernel.outputs, seed=3)
    check(x, w, bias, Encoding(mapping), kernel, settings, by_tile, True)


@pytest.mark.parametrize("cells", ["differential", "two_sided", "offset"])
@pytest.mark.parametrize("wires", [Wires(), Wires(2.0, 3.0), Wires(0.0, 3.0)])
@pytest.mark.parametrize("bits", [None, 5])
def test_quiet_devices_are_the_same(cells, wires, bits):
    mapping = Mapping(tile=(20, 13), weight_bits=bits, cells=cells, g_min=1.0)
    encoding = Encoding(mapping, PolynomialCell((0.0,)), wires)
    native, torchs = (arrays.encode(numbers(30, 50), encoding) for arrays in BOTH)
    grid = torchs.matrices[0].code_value
    (own,), (other,) = native_arrays.devices(native), torch_arrays.devices(torchs)
    differences = (own - other).abs() / grid
    assert differences.max() < 1.01 and (differences > 0.01).double().mean() < 2e-3
    assert_same(native_arrays.scales(native), torch_arrays.scales(torchs), 0.0)


def assert_same_law(native, torchs):
    """Means and standard deviations within 4 standard errors of each other."""
    native, torchs = native.double().flatten(), torchs.double().flatten()
    count = native.numel()
    deviation = native.std().item()
    fourth = (native - native.mean()).pow(4).mean().item()
    assert abs(native.mean() - torchs.mean()) <= 4 * deviation * math.sqrt(2 / count)
    error = deviation * math.sqrt((fourth / deviation**4 - 1) / (4 * count)) * math.sqrt(2)
    assert abs(deviation - torchs.std().item()) <= 4 * error


@pytest.mark.parametrize("cells", ["differential", "two_sided", "offset"])
@pytest.mark.parametrize("seconds", [None, 3600.0, 3e7])
@pytest.mark.parametrize("cell", [Pcm(), StuckAt(Pcm(), 0.1, 0.1, 2.0, 22.0)])
def test_devices_are_the_same_in_law(cells, seconds, cell):
    for weight in (0.0, 0.4, 1.0):
        w = torch.full((200, 500), weight)
        w[:, 0] = 1.0
        encoding = Encoding(Mapping(cells=cells), cell, chip=7, seconds=seconds)
        assert_same_law(*(a.devices(a.encode(w, encoding))[0][:, 1:] for a in BOTH))


@pytest.mark.parametrize(
    "noise",
    [
        ("additive", 0.1, (), 25.0, 0.0),
        ("multiplicative", 0.1, (), 25.0, 0.2),
        ("programming", 1.0, (0.26348, 1.9650, -1.1731), 25.0, 0.0),
        ("polynomial", 0.1, (0.5, 0.0, 1.0), 25.0, 0.3),
        ("none", 0.0, (), 25.0, 0.4),
    ],
)
def test_noise_of_training_is_the_same_in_law(noise):
    w = torch.full((200, 500), 0.4)
    w[:, 0] = 1.0
    encoding = Encoding(Mapping(weight_bits=6), noise=WeightNoise(*noise, key=3))
    settings = ArraySettings(8, 1.0)
    x, grad_y = torch.full((1, 500), 1.0), torch.ones(1, 200)
    held, by_weight = [], []
    for arrays in BOTH:
        weights = arrays.encode(w, encoding)
        _, kept = arrays.forward(x, weights, None, None, settings, True)
        held.append(arrays.devices(weights)[0][:, 1:])
        needed = [False, True, False]
        by_weight.append(arrays.backward(kept, grad_y, x, None, settings, needed)[1])
    assert_same_law(*held)
    if noise[0] == "multiplicative" or noise[4]:
        assert_same_law(*by_weight)
    else:
        assert_same(*by_weight, 1e-6)


@pytest.mark.parametrize("kind", ["pcm", "proportional", "constant", "shot"])
@pytest.mark.parametrize("repeated", [0, 3])
def test_noise_of_reading_is_the_same_in_law(kind, repeated):
    x, w = numbers(1, 60).expand(50_000, -1).contiguous(), numbers(3, 60, seed=2)
    settings = ArraySettings(
        8, 1.5, True, repeated, out_noise=0.1, read_noise=0.2, read_noise_kind=kind, adc_bits=8,
        key=5,
    )
    bound = torch.tensor([[3.0]])
    answers = []
    for arrays in BOTH:
        weights = arrays.encode(w, Encoding(Mapping(tile=(32, 512))))
        answers.append(arrays.forward(x, weights, None, bound, settings, False)[0])
    for output in range(3):
        assert_same_law(*(y[:, output] for y in answers))
