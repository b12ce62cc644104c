"""Layers on arrays: the kernels and the fallback give the same without noise, and the same in law
with it."""

import copy

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st
from nn_support import computation, selection, torch

from lumina_kernel import Adc, Dac, Mapping, Profile, Wires, cells, nn as ln
from lumina_kernel.array_settings import ArraySettings, Encoding, Kernel, WeightNoise
from lumina_kernel.nn import torch_arrays
from lumina_kernel.array_layout import products
from lumina_kernel.nn.filters import filters_of

try:
    from lumina_kernel.nn import native_arrays
except ImportError as error:
    pytest.skip(f"lumina_kernel's native module: {error}", allow_module_level=True)

BOTH = (native_arrays, torch_arrays)
both = pytest.mark.parametrize("arrays", BOTH, ids=lambda module: module.NAME)


def numbers(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def devices(arrays, weights, kernel=None):
    """ŵ, of the shape of what was encoded."""
    matrices = arrays.devices(weights)
    if kernel is None:
        return matrices[0]
    pairs = zip(matrices, products(kernel))
    return torch.cat([filters_of(matrix, kernel, product) for matrix, product in pairs])


def highest(bits):
    return 2 ** (bits - 1) - 1


# --- Without noise --------------------------------------------------------------------------------

sizes = st.integers(1, 40)
mappings = st.builds(
    Mapping,
    tile=st.tuples(sizes, st.integers(1, 20)),
    scale=st.sampled_from(["column", "tile"]),
    split=st.sampled_from(["maximal", "equal"]),
    weight_bits=st.integers(2, 8),
)
converters = st.builds(
    lambda *numbers, adc_bits: ArraySettings(
        *numbers, adc_bits=adc_bits, gradient_products="float32"
    ),
    st.integers(2, 8),
    st.sampled_from([0.7, 1.1, 2.9]),
    st.booleans(),
    st.sampled_from([0, 0, 1, 3]),
    adc_bits=st.sampled_from([None, 2, 5, 8, 12, 16]),
)


def bounds(tiles, outs, by_tile, by_output):
    """(Of an irrational unit: sums don't lie between two codes.)"""
    rows, columns = tiles if by_tile else 1, outs if by_output else 1
    return (numbers(rows, columns, seed=9).abs() + 0.5) * 1.2345


def assert_codes(own, other, step, share=0.01):
    """Equal but for rounding, and a few that lie between two codes of an ADC."""
    differences = (own - other).abs()
    rounding = 1e-5 * max(other.abs().max().item(), 1e-3) if other.numel() else 0.0
    assert own.shape == other.shape and (differences <= step * 1.001 + rounding).all()
    assert (differences > rounding).sum().item() <= share * own.numel() + 1


def compare(x, w, bias, encoding, kernel, settings, by_tile, by_output):
    weights = [arrays.encode(w, encoding, kernel) for arrays in BOTH]
    assert native_arrays.tiles(weights[0]) == torch_arrays.tiles(weights[1])
    scales = torch_arrays.scales(weights[1])
    torch.testing.assert_close(native_arrays.scales(weights[0]), scales, rtol=1e-6, atol=0)
    held = [devices(arrays, own, kernel) for arrays, own in zip(BOTH, weights)]
    torch.testing.assert_close(*held, rtol=1e-6, atol=1e-7)
    bound = bounds(*scales.shape, by_tile, by_output)

    seen = [arrays.outputs(x, own, bound, settings) for arrays, own in zip(BOTH, weights)]
    step = bound / highest(settings.adc_bits) if settings.adc_bits else 0.0
    assert_codes(*seen, step)

    results = [
        arrays.forward(x, own, bias, bound, settings, True) for arrays, own in zip(BOTH, weights)
    ]
    (y, kept), (expected, kept_by_torch) = results
    largest = max(x.abs().max().item(), settings.dac_range) if x.numel() else 1.0
    if settings.adc_bits:
        repeated = 2.0**settings.bound_iterations
        step = largest * repeated * (scales * bound / highest(settings.adc_bits)).max()
    assert_codes(y, expected, step)

    grad_y = numbers(*y.shape, seed=5)
    pairs = [
        arrays.backward(own, grad_y, x, bound, settings, [True] * 3)
        for arrays, own in zip(BOTH, (kept, kept_by_torch))
    ]
    for own, other, like in zip(*pairs, (x, w, bias)):
        assert own.shape == other.shape == like.shape
        limit = 1e-5 * (other.abs().max().item() if other.numel() else 0.0) + 1e-6
        assert (own - other).abs().max().item() <= limit if other.numel() else True
    # Through a tensor, as a graph of operators has it.
    passes = zip(BOTH, weights, (kept, kept_by_torch), pairs)
    for arrays, own, kept_here, expected_gradients in passes:
        record = arrays.record(kept_here, y)
        like = arrays.record_like(y, arrays.tiles(own) if settings.adc_bits else 0)
        if settings.adc_bits and len(record) != 0:
            assert record.shape == like.shape and record.dtype == like.dtype
        restored = arrays.kept_from(record, x, own, settings)
        again = arrays.backward(restored, grad_y, x, bound, settings, [True] * 3)
        assert all(torch.equal(*pair) for pair in zip(again, expected_gradients))


@hypothesis_settings(max_examples=150)
@given(mappings, converters, sizes, sizes, st.integers(0, 9), st.booleans(), st.booleans())
def test_linear(mapping, settings, ins, outs, rows, by_tile, by_output):
    x, w = numbers(rows, ins), numbers(outs, ins, seed=2)
    x[1:2] = 0.0
    w[1:2] = 0.0
    compare(x, w, numbers(outs), Encoding(mapping), None, settings, by_tile, by_output)


@pytest.mark.parametrize("by_output", [False, True])
@pytest.mark.parametrize("row_ranges", [False, True])
def test_a_large_linear(row_ranges, by_output):
    settings = ArraySettings(8, 2.5, row_ranges, adc_bits=8, gradient_products="float32")
    x, w = numbers(70, 700), numbers(300, 700, seed=2)
    compare(x, w, numbers(300), Encoding(Mapping((256, 128))), None, settings, True, by_output)


@st.composite
def convolutions(draw):
    """(a kernel, the size of images)"""
    dimensions, groups = draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 2, 3, 8]))

    def three(least, most, missing):
        own = (draw(st.integers(least, most)) for _ in range(dimensions))
        return (*(missing,) * (3 - dimensions), *own)

    kernel = Kernel(
        channels=groups * draw(st.integers(1, 3)),
        outputs=groups * draw(st.integers(1, 3)),
        size=three(1, 3, 1),
        stride=three(1, 3, 1),
        padding=three(0, 2, 0),
        dilation=three(1, 2, 1),
        groups=groups,
    )
    return kernel, three(5, 8, 1)


def channels_last(images):
    return images.contiguous(memory_format=torch.channels_last_3d)


@hypothesis_settings(max_examples=120)
@given(convolutions(), mappings, converters, st.integers(0, 3), *[st.booleans()] * 3)
def test_convolutions(convolution, mapping, settings, batch, last, by_tile, by_output):
    kernel, image = convolution
    x = numbers(batch, kernel.channels, *image)
    x = channels_last(x) if last else x
    w = numbers(kernel.outputs, kernel.channels // kernel.groups, *kernel.size, seed=2)
    encoding = Encoding(mapping)
    compare(x, w, numbers(kernel.outputs), encoding, kernel, settings, by_tile, by_output)


@pytest.mark.parametrize("groups", [1, 3, 192])
def test_convolutions_of_many_outputs(groups):
    """Of one product, or several of 128 outputs."""
    kernel = Kernel(192, 384, (1, 3, 1), (1, 2, 1), (0, 1, 0), (1, 1, 1), groups)
    settings = ArraySettings(8, 2.5, adc_bits=8, gradient_products="float32")
    x, w = numbers(2, 192, 1, 5, 4), numbers(384, 192 // groups, 1, 3, 1, seed=2)
    compare(x, w, numbers(384), Encoding(Mapping((100, 64))), kernel, settings, True, True)


@both
@pytest.mark.parametrize("dimensions", [2, 3])
def test_channels_last_gives_the_same_bits_and_keeps_the_order(arrays, dimensions):
    kernel = Kernel(6, 5, (1, 3, 3), (1, 1, 2), (0, 1, 1), (1, 1, 1), 1)
    x = numbers(2, 6, 1 if dimensions == 2 else 4, 7, 8)
    weights = arrays.encode(numbers(5, 6, 1, 3, 3, seed=2), Encoding(Mapping((16, 16))), kernel)
    settings = ArraySettings(8, 2.0, adc_bits=8)
    bound = torch.tensor([[9.0]])
    plain, last = (
        arrays.forward(images, weights, None, bound, settings, True)
        for images in (x, channels_last(x))
    )
    assert torch.equal(plain[0], last[0])
    grad_y = numbers(*plain[0].shape, seed=3)
    gradients = [
        arrays.backward(kept, gradient, images, bound, settings, [True] * 3)
        for kept, gradient, images in (
            (plain[1], grad_y, x),
            (last[1], channels_last(grad_y), channels_last(x)),
        )
    ]
    for own, other in zip(*gradients):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-5)


def test_gradients_in_integers_are_near_those_in_floats():
    bound = torch.tensor([[3.0]])
    settings = ArraySettings(8, 2.0, adc_bits=8, gradient_products="float32")
    x, w, grad_y = numbers(40, 90), numbers(30, 90, seed=2), numbers(40, 30, seed=3)
    weights = native_arrays.encode(w, Encoding(Mapping((40, 16))))
    _, kept = native_arrays.forward(x, weights, None, bound, settings, True)
    floats, integers = (
        native_arrays.backward(
            kept, grad_y, x, bound, settings._replace(gradient_products=name), [True, True, False]
        )
        for name in ("float32", "int16")
    )
    for own, exact in zip(integers[:2], floats[:2]):
        assert 0 < (own - exact).abs().max() <= 2.0**-12 * exact.abs().max()


@both
@pytest.mark.parametrize(
    "kernel", [None, Kernel(6, 4, (1, 3, 2), (1, 1, 1), (0, 1, 0), (1, 1, 1), 2)]
)
def test_compensation_multiplies_scales(arrays, kernel):
    shape = (4, 30) if kernel is None else (4, 3, 1, 3, 2)
    w = numbers(*shape)
    weights = arrays.encode(w, Encoding(Mapping((8, 16))), kernel)
    before = arrays.scales(weights).clone()
    factors = numbers(*before.shape, seed=2).abs() + 0.5
    own = arrays.scales(arrays.compensate(weights, factors))
    torch.testing.assert_close(own, before * factors)
    tiles = factors[:, :1]
    again = arrays.encode(w, Encoding(Mapping((8, 16))), kernel)
    torch.testing.assert_close(arrays.scales(arrays.compensate(again, tiles)), before * tiles)


# --- Layers ---------------------------------------------------------------------------------------

EXACT = Profile(
    "exact", dac=Dac(8, 2.5), adc=Adc(8, 9.8765), mapping=Mapping((40, 16)), bound_management=1
)
LAYERS = {
    "linear": (lambda **o: ln.AnalogLinear(70, 37, **o), (2, 5, 70)),
    "conv1d": (lambda **o: ln.AnalogConv1d(6, 9, 3, 2, "valid", 2, 3, **o), (3, 6, 20)),
    "conv2d": (lambda **o: ln.AnalogConv2d(6, 9, (3, 2), padding="same", **o), (2, 6, 9, 8)),
    "conv3d": (lambda **o: ln.AnalogConv3d(4, 6, 2, groups=2, padding=1, **o), (2, 4, 4, 5, 3)),
    "mode": (
        lambda **o: ln.AnalogConv2d(6, 9, 3, padding=1, padding_mode="reflect", **o),
        (2, 6, 9, 8),
    ),
}


@pytest.mark.parametrize("management", ["none", "abs_max"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers(monkeypatch, name, management):
    make, shape = LAYERS[name]
    torch.manual_seed(1)
    layer = make(profile=EXACT.with_(noise_management=management))
    found = []
    for backend in ("native", "torch"):
        monkeypatch.setattr(selection, "active", computation(backend))
        own = copy.deepcopy(layer)
        x = numbers(*shape).requires_grad_()
        y = own(x)
        y.backward(numbers(*y.shape, seed=2))
        found.append([y.detach(), x.grad, own.weight.grad, own.bias.grad])
    (y, *gradients), (expected, *others) = found
    step = 2 * 4 * 9.8765 / 127 * layer.weight.abs().max()
    assert_codes(y, expected, step)
    for own, other in zip(gradients, others):  # the machine's own kind of products
        assert (own - other).abs().max() <= 0.03 * other.abs().max()


# --- Equal in law ---------------------------------------------------------------------------------


def assert_moments(values, mean, deviation, errors=5.0):
    """Of [draws, …] within so many standard errors."""
    n = len(values)
    values, deviation = values.double(), torch.as_tensor(deviation).double()
    assert ((values.mean(0) - mean).abs() <= errors * deviation / n**0.5).all()
    variances = values.var(0) / deviation.square()
    assert ((variances - 1).abs() <= errors * (2 / n) ** 0.5).all(), variances


def deviations(kind, strength, x, held, tiles, squares_in_bytes):
    """σ of ŷ of read noise, [tiles, out], by the double sums."""

    def square(values, step):
        return (values**2 / step).round() * step if squares_in_bytes else values**2

    found = []
    for begin, end in tiles:
        own, w = x[begin:end].double(), held[:, begin:end].double()
        variance = {
            "pcm": w.abs() @ square(own, 1 / 255),
            "proportional": square(w, 128 / 127**2) @ square(own, 1 / 255),
            "constant": (own**2).sum().expand(len(w)),
            "shot": w.abs() @ own.abs(),
        }[kind]
        found.append(strength * variance.sqrt())
    return torch.stack(found)


@both
@pytest.mark.parametrize("out_noise", [0.0, 0.05])
@pytest.mark.parametrize("kind", ["none", "pcm", "proportional", "constant", "shot"])
def test_noise_of_outputs(arrays, kind, out_noise):
    """Rows that are alike are draws. Output 0 has weights of 0, output 1 inputs where x is 0."""
    if kind == "none" and out_noise == 0.0:
        return
    draws, strength = 20_000, 0.0 if kind == "none" else 0.04
    w, x = numbers(6, 30), numbers(30, seed=2).clamp(-2, 2)
    w[0] = 0.0
    x[:10] = 0.0
    w[1, 10:] = 0.0
    weights = arrays.encode(w, Encoding(Mapping((20, 16))))
    plain = ArraySettings(8, 2.0, out_noise=out_noise, read_noise=strength, key=11)
    settings = plain if kind == "none" else plain._replace(read_noise_kind=kind)
    seen = arrays.outputs(x.expand(draws, -1).contiguous(), weights, None, settings)
    without = arrays.outputs(x[None], weights, None, settings._replace(key=None))[0]
    held, codes = devices(arrays, weights), (x / 2 * 127).round() / 127
    sigma = torch.zeros(2, 6, dtype=torch.float64)
    if strength:
        native = arrays is native_arrays  # docs/numerics.md, 14
        sigma = deviations(kind, strength, codes, held, [(0, 20), (20, 30)], native)
    sigma = (sigma**2 + out_noise**2).sqrt()
    silent = sigma == 0
    assert torch.equal(seen[:, silent], without[silent].expand(draws, -1))
    assert_moments(seen[:, ~silent], without[~silent], sigma[~silent])
    # Outputs are independent of each other, and rows.
    apart = ((seen - without) / sigma).flatten(1)[:, ~silent.flatten()].double()
    correlations = (apart.t() @ apart / draws).fill_diagonal_(0.0)
    assert correlations.abs().max() <= 5 / draws**0.5
    assert (apart[1:] * apart[:-1]).mean(0).abs().max() <= 5 / draws**0.5
    # y = Σ r·s_t·ŷ_t
    y, _ = arrays.forward(x.expand(draws, -1).contiguous(), weights, None, None, settings, False)
    of_y = (4 * (arrays.scales(weights).double() * sigma) ** 2).sum(0).sqrt()
    exact = (2 * arrays.scales(weights).double() * without.double()).sum(0)
    noisy = of_y > 0
    assert_moments(y[:, noisy], exact[noisy], of_y[noisy])


@both
def test_repetitions_draw_anew(arrays):
    """Of bound management: the second run's noise is not the first one's."""
    w, draws = torch.ones(1, 4), 20_000
    weights = arrays.encode(w, Encoding(Mapping((4, 4))))
    settings = ArraySettings(8, 1.0, bound_iterations=1, out_noise=0.1, adc_bits=16, key=3)
    bound = torch.tensor([[4.0]])  # at half the range again ŷ = 2 is far within
    x = torch.ones(draws, 4)
    y, _ = arrays.forward(x, weights, None, bound, settings, False)
    repeated = (arrays.outputs(x, weights, bound, settings) >= 4.0).flatten()
    assert 0.4 < repeated.double().mean() < 0.6
    # With draws of their own the repeated ones are 4 ± 0.2, whatever the first draw was.
    values = y.flatten()[repeated]
    assert_moments(values, torch.tensor(2 * 64 / 127 * 4.0), 0.2)


WEIGHT_NOISE = {
    "additive": WeightNoise("additive", 0.1, (), 25.0, 0.0, 5),
    "multiplicative": WeightNoise("multiplicative", 0.2, (), 25.0, 0.0, 5),
    "polynomial": WeightNoise("polynomial", 1.0, (0.02, 0.1, -0.05), 25.0, 0.0, 5),
    "programming": WeightNoise("programming", 1.0, (0.26348, 1.9650, -1.1731), 25.0, 0.0, 5),
    "dropped": WeightNoise("none", 0.0, (), 25.0, 0.3, 5),
    "additive, dropped": WeightNoise("additive", 0.1, (), 25.0, 0.3, 5),
}


def sigma_of(noise, level):
    """σ of a weight of that level."""
    if noise.kind == "multiplicative":
        return noise.strength * abs(level)
    if noise.kind == "additive":
        return noise.strength
    share = sum(c * abs(level) ** i for i, c in enumerate(noise.coefficients))
    return noise.strength * share / (noise.g_max if noise.kind == "programming" else 1)


@both
@pytest.mark.parametrize("convolves", [False, True])
@pytest.mark.parametrize("name", WEIGHT_NOISE)
def test_noise_of_weights_in_training(arrays, name, convolves):
    """Weights of 5 levels, many of each."""
    noise, shape, kernel = WEIGHT_NOISE[name], (300, 270), None
    if convolves:
        shape = (300, 30, 1, 3, 3)
        kernel = Kernel(30, 300, (1, 3, 3), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1)
    levels = torch.randint(-2, 3, shape, generator=torch.Generator().manual_seed(1)) / 2.0
    levels[:, 0] = 1.0
    encoding = Encoding(Mapping((64, 64), weight_bits=3), noise=noise)
    m = 3.0  # 3 bits: levels are thirds
    w = (levels * m).round() / m  # on 0, ±2/3, ±1 but for halves, which rint() makes 2/3
    held, plain = (
        devices(arrays, arrays.encode(w, own, kernel), kernel)
        for own in (encoding, encoding._replace(noise=None))
    )
    assert held.shape == plain.shape == w.shape
    for level in plain.unique():
        own = held[plain == level].double()
        if noise.drop_connect:
            share = (own == 0).double().mean()
            error = (noise.drop_connect * (1 - noise.drop_connect) / len(own)) ** 0.5
            if name == "dropped" and level != 0:
                assert abs(share - noise.drop_connect) <= 5 * error
                assert own[own != 0].unique().numel() == 1
            elif name != "dropped":  # some are rounded to 0 beside those that are dropped
                assert noise.drop_connect - 5 * error <= share
            continue
        sigma = sigma_of(noise, level.item())
        if noise.kind == "programming" and level.abs() < 4 * sigma:
            continue  # it keeps its sign: no normal
        grid = (1 + 4 * max(sigma_of(noise, l) for l in (0, 0.25, 0.5, 0.75, 1))) / 127
        error = sigma / len(own) ** 0.5 + 1e-7
        assert abs(own.mean() - level) <= 5 * error + grid * 0.02
        expected = (sigma**2 + grid**2 / 12 * (sigma > 0)) ** 0.5
        assert abs(own.std() - expected) <= 5 * expected / (2 * len(own)) ** 0.5 + 0.02 * grid
    if noise.kind == "programming":
        small = held[plain == 0]
        assert (small >= 0).all()
        assert (held[plain < 0] <= 0).all() and (held[plain > 0] >= 0).all()


@both
@pytest.mark.parametrize(
    "kernel", [None, Kernel(12, 6, (1, 3, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), 2)]
)
@pytest.mark.parametrize("name", ["multiplicative", "dropped", "additive, dropped", "additive"])
def test_gradients_go_through_noise_of_weights(arrays, name, kernel):
    noise = WEIGHT_NOISE[name]
    w = numbers(*((9, 50) if kernel is None else (6, 6, 1, 3, 1)), seed=2)
    x = numbers(8, 50) if kernel is None else numbers(4, 12, 1, 5, 3)
    encoding = Encoding(Mapping((20, 8)), noise=noise)
    settings = ArraySettings(8, 3.0, gradient_products="float32")
    weights = arrays.encode(w, encoding, kernel)
    plain = arrays.encode(w, encoding._replace(noise=None), kernel)
    y, kept = arrays.forward(x, weights, None, None, settings, True)
    _, kept_plain = arrays.forward(x, plain, None, None, settings, True)
    grad_y = numbers(*y.shape, seed=3)
    needed = [False, True, False]
    own = arrays.backward(kept, grad_y, x, None, settings, needed)[1]
    base = arrays.backward(kept_plain, grad_y, x, None, settings, needed)[1]
    factors = own / base
    held, levels = devices(arrays, weights, kernel), devices(arrays, plain, kernel)
    if noise.kind == "multiplicative":  # what was multiplied with, up to the grid of noisy weights
        large = levels.abs() > 0.3
        difference = factors[large] - (held / levels)[large]
        assert difference.abs().max() < 0.6 * (1 + 4 * 0.2) / 127 / 0.3
    elif noise.drop_connect:
        assert 0.1 < (factors == 0).double().mean() < 0.5
        kept_ones = factors[factors != 0]
        torch.testing.assert_close(kept_ones, torch.ones_like(kept_ones), rtol=1e-4, atol=0)
        assert (held[factors == 0] == 0).all()
    else:
        torch.testing.assert_close(own, base, rtol=1e-5, atol=1e-5)


CHIPS = {
    "pcm": (cells.Pcm(), Mapping((64, 64), weight_bits=None)),
    "pcm, pairs around the middle": (
        cells.Pcm(),
        Mapping((64, 64), weight_bits=5, cells="two_sided"),
    ),
    "reram": (cells.ReRamWan2022(), Mapping((64, 64), weight_bits=None, g_min=1.0)),
    "one device": (cells.PolynomialCell((1.0, 0.02)), Mapping((64, 64), cells="offset")),
    "stuck": (cells.StuckAt(cells.Pcm(), 0.05, 0.03), Mapping((64, 64), weight_bits=None)),
}


@pytest.mark.parametrize("seconds", [None, 3600.0])
@pytest.mark.parametrize("name", CHIPS)
def test_devices_of_chips(name, seconds):
    """Of 20000 weights at each of 5 levels: means and deviations of the two computations."""
    cell, mapping = CHIPS[name]
    levels = torch.tensor([-1.0, -0.4, 0.0, 0.2, 1.0])  # which 5 bits have
    w = levels.repeat_interleave(200)[:, None].repeat(1, 100)
    w[:, 0] = 1.0  # each column's largest
    w[:, 64] = 1.0
    held = []
    for arrays in BOTH:
        encoding = Encoding(mapping, cell, chip=3, stream=1, seconds=seconds)
        held.append(devices(arrays, arrays.encode(w, encoding)).double())
    for level in levels:
        own, other = (each[w == level] for each in held)
        n = len(own)
        error = (own.var() + other.var()).item() ** 0.5 / n**0.5 + 1e-9
        assert abs(own.mean() - other.mean()) <= 5 * error
        # (Of no normal: their fourth moment says how well a variance is known.)
        fourths = [((each - each.mean()) ** 4).mean() - each.var() ** 2 for each in (own, other)]
        error = (sum(fourths).item() / n) ** 0.5
        assert abs(own.var() - other.var()) <= 5 * error + 1e-9


@pytest.mark.parametrize("pairs", ["differential", "two_sided", "offset"])
@pytest.mark.parametrize("g_min", [0.0, 5.0])
@pytest.mark.parametrize("wires", [Wires(), Wires(2.0, 0.0), Wires(1.0, 3.0)])
def test_devices_that_do_not_deviate(pairs, g_min, wires):
    """Weights to conductances and back; with wires what a network of resistors makes of them."""
    mapping = Mapping((20, 16), "tile", weight_bits=None, cells=pairs, g_min=g_min)
    encoding = Encoding(mapping, cells.PolynomialCell((0.0,)), wires, chip=3)
    w = numbers(30, 50)
    held = [devices(arrays, arrays.encode(w, encoding)) for arrays in BOTH]
    codes = torch_arrays.encode(w, Encoding(mapping.with_(weight_bits=8)))
    torch.testing.assert_close(*held, rtol=0, atol=1.001 / 127 if not wires.ideal else 1e-6)
    assert (held[0] != held[1]).double().mean() < 0.01 or wires.ideal
    differs = (held[0] - devices(torch_arrays, codes)).abs().max()
    assert differs < 1e-6 if wires.ideal else 0.001 < differs < 0.3


@pytest.mark.parametrize("per_column", [False, True])
@pytest.mark.parametrize(
    "kernel", [None, Kernel(6, 40, (1, 3, 3), (1, 2, 1), (0, 1, 1), (1, 1, 2), 2)]
)
def test_read_outs(kernel, per_column):
    """Of what devices should have both are the same."""
    from lumina_kernel.nn.array_spec import ArrayKind
    from lumina_kernel.nn.chips import Chip
    from lumina_kernel.nn.compensation import read_out

    w = numbers(*((40, 54) if kernel is None else (40, 3, 1, 3, 3)))
    encoding, settings = Encoding(Mapping((20, 16))), ArraySettings(8, 1.0, adc_bits=8)
    found = []
    for arrays in BOTH:
        kind = ArrayKind(encoding, kernel, settings)
        weights = arrays.encode(w, encoding, kernel)

        class Kind:  # of this computation
            (encoding, kernel, _, device), at, computation = kind, kind.at, arrays

        found.append(
            read_out(Kind, weights, 54, torch.tensor([[1.2345]]), per_column, Chip(1, 0, 9.0))
        )
    assert found[0].shape == (3, 40 if per_column else 1)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1.2345 / 127 / 20)
    if kernel is None and not per_column:
        tiles = [w[:, begin:end].abs() for begin, end in ((0, 20), (20, 40), (40, 54))]
        exact = torch.stack([(t / t.amax(1, keepdim=True)).mean() for t in tiles])
        torch.testing.assert_close(found[0].flatten(), exact, rtol=0, atol=2e-3)
