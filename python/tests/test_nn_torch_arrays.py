"""nn.torch_arrays without noise: loops in NumPy, torch's own layers, gradients by autograd."""

import numpy as np
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st
from nn_support import assert_close, held_on_arrays as held, torch

import torch.nn.functional as F

from lumina_kernel.hardware.cells import Pcm, StuckAt
from lumina_kernel.hardware.mapping import Mapping, Wires
from lumina_kernel.nn import torch_arrays
from lumina_kernel.array_settings import ArraySettings, Encoding, Kernel, WeightNoise

f = np.float32
IDEAL = ArraySettings(dac_bits=None, dac_range=1.0)
WITHOUT_LEVELS = Mapping(weight_bits=None)


def numbers(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def cuts(length, tile, split):
    count = max(1, -(-length // tile))
    if split == "equal":
        return [piece for piece in np.array_split(np.arange(length), count)]
    return [np.arange(first, min(first + tile, length)) for first in range(0, count * tile, tile)]


def convert(value, limit, bits):
    highest = 2 ** (bits - 1) - 1
    step = f(limit / f(highest))
    return np.clip(np.rint(value / step), -highest, highest), step


class Loops:
    """Layers on arrays, product by product, as array_interface.py has them."""

    def __init__(self, w, mapping, settings, bound):
        self.settings, self.bound, self.tiles = settings, bound, []
        most = 2 ** (mapping.weight_bits - 1) - 1
        self.code_value = f(1 / most)
        for inputs in cuts(w.shape[1], mapping.tile[0], mapping.split):
            codes, scales = np.zeros((len(w), len(inputs)), f), np.zeros(len(w), f)
            for outputs in cuts(len(w), mapping.tile[1], mapping.split):
                for o in outputs:
                    own = outputs if mapping.scale == "tile" else [o]
                    scales[o] = np.abs(w[np.ix_(own, inputs)]).max()
                    if scales[o] > 0:
                        codes[o] = convert(w[o, inputs], scales[o], mapping.weight_bits)[0]
            self.tiles.append((inputs, codes, scales))

    def bound_of(self, tile, output):
        tiles, outputs = self.bound.shape
        return self.bound[min(tile, tiles - 1), min(output, outputs - 1)]

    def array(self, x, tile, output, doublings):
        """(r·s, what leaves the array, whether it was clipped)"""
        settings = self.settings
        inputs, codes, scales = self.tiles[tile]
        r = f(settings.dac_range)
        if settings.row_ranges and np.abs(x[inputs]).max() > 0:
            r = np.abs(x[inputs]).max()
        r = f(r * 2**doublings)
        x_codes, _ = convert(x[inputs], r, settings.dac_bits)
        unit = f(1 / (2 ** (settings.dac_bits - 1) - 1)) * self.code_value
        value = f(x_codes @ codes[output]) * unit
        clipped = False
        if settings.adc_bits is not None:
            bound = self.bound_of(tile, output)
            limit = bound
            if self.bound.size > 1:
                value, limit = value * (f(1) / bound), f(1)
            clipped = abs(value) > limit
            code, step = convert(value, limit, settings.adc_bits)
            value = code * step if self.bound.size == 1 else code * step * bound
        return r * scales[output], value, clipped

    def row(self, x, outputs):
        for doublings in range(self.settings.bound_iterations + 1):
            y, any_clipped = np.zeros(outputs, f), False
            for output in range(outputs):
                for tile in range(len(self.tiles)):
                    factor, value, clipped = self.array(x, tile, output, doublings)
                    y[output] += factor * value
                    any_clipped = any_clipped or clipped
            if not any_clipped:
                break
        return y


SPLITS = ("maximal", "equal")
sizes = st.integers(1, 8)
mappings = st.builds(
    Mapping,
    tile=st.tuples(sizes, sizes),
    scale=st.sampled_from(["column", "tile"]),
    split=st.sampled_from(SPLITS),
    weight_bits=st.integers(2, 8),
)
converters = st.builds(
    lambda *numbers, adc_bits: ArraySettings(*numbers, adc_bits=adc_bits),
    st.integers(2, 8),
    st.sampled_from([0.5, 1.0, 3.0]),
    st.booleans(),
    st.sampled_from([0, 0, 1, 3]),
    adc_bits=st.sampled_from([None, 2, 5, 8, 12]),
)


@given(mappings, converters, sizes, sizes, st.integers(0, 3), st.booleans(), st.booleans())
def test_is_what_loops_say(mapping, settings, n_in, n_out, rows, by_tile, by_output):
    x, w, bias = numbers(rows, n_in), numbers(n_out, n_in, seed=2), numbers(n_out, seed=3)
    x[1:2] = 0.0
    w[1:2] = 0.0
    weights = torch_arrays.encode(w, Encoding(mapping))
    tiles = torch_arrays.tiles(weights)
    bound = numbers(tiles if by_tile else 1, n_out if by_output else 1, seed=4).abs() + 0.2
    loops = Loops(w.numpy(), mapping, settings, bound.numpy())
    assert tiles == len(loops.tiles)

    y, kept = torch_arrays.forward(x, weights, bias, bound, settings, False)
    assert kept is None
    expected = [loops.row(row, n_out) for row in x.numpy()]
    expected = np.reshape(np.array(expected, f), (rows, n_out)) + bias.numpy()
    torch.testing.assert_close(y, torch.from_numpy(expected), rtol=1e-6, atol=3e-6)

    outputs = torch_arrays.outputs(x, weights, bound, settings)
    assert outputs.shape == (rows, tiles, n_out)
    for row, tile, output in np.ndindex(*outputs.shape):
        value = loops.array(x[row].numpy(), tile, output, 0)[1]
        assert abs(outputs[row, tile, output].item() - value) <= 1e-6 * abs(value)


@given(mappings, sizes, sizes)
def test_decodes_what_loops_hold(mapping, n_in, n_out):
    w = numbers(n_out, n_in)
    decoded = held(torch_arrays.encode(w, Encoding(mapping)))
    for inputs, codes, scales in Loops(w.numpy(), mapping, None, None).tiles:
        own = codes * f(1 / (2 ** (mapping.weight_bits - 1) - 1)) * scales[:, None]
        assert_close(decoded[:, inputs[0] : inputs[-1] + 1], own, 1e-6)
    for row in decoded if mapping.scale == "column" and mapping.tile[0] >= n_in else ():
        assert len(row.unique()) <= 2**mapping.weight_bits - 1


@given(mappings, sizes, sizes, st.integers(0, 3))
def test_ideal_linear_is_torchs(mapping, n_in, n_out, rows):
    x, w, bias = numbers(rows, n_in), numbers(n_out, n_in, seed=2), numbers(n_out, seed=3)
    weights = torch_arrays.encode(w, Encoding(mapping.with_(weight_bits=None)))
    y, kept = torch_arrays.forward(x, weights, bias, None, IDEAL, True)
    torch.testing.assert_close(y, F.linear(x, w, bias), rtol=1e-5, atol=1e-5)
    grad_y = numbers(rows, n_out, seed=4)
    gradients = torch_arrays.backward(kept, grad_y, x, None, IDEAL, [True] * 3)
    for own, expected in zip(gradients, (grad_y @ w, grad_y.t() @ x, grad_y.sum(0))):
        torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-5)


@st.composite
def convolutions(draw):
    """(a kernel, the size of images)"""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    three = lambda of: tuple(draw(of) for _ in range(3))  # noqa: E731
    kernel = Kernel(
        channels=groups * draw(st.integers(1, 3)),
        outputs=groups * draw(st.integers(1, 3)),
        size=three(st.integers(1, 3)),
        stride=three(st.integers(1, 3)),
        padding=three(st.integers(0, 2)),
        dilation=three(st.integers(1, 2)),
        groups=groups,
    )
    return kernel, three(st.integers(5, 8))


def torchs(x, w, bias, kernel):
    return F.conv3d(x, w, bias, kernel.stride, kernel.padding, kernel.dilation, kernel.groups)


def convolution_data(kernel, image, batch):
    in_group = kernel.channels // kernel.groups
    x = numbers(batch, kernel.channels, *image)
    return x, numbers(kernel.outputs, in_group, *kernel.size, seed=2), numbers(kernel.outputs)


def check_ideal_convolution(kernel, image, batch, mapping):
    x, w, bias = convolution_data(kernel, image, batch)
    weights = torch_arrays.encode(w, Encoding(mapping), kernel)
    torch.testing.assert_close(held(weights), w)
    y, kept = torch_arrays.forward(x, weights, bias, None, IDEAL, True)
    tensors = [tensor.clone().requires_grad_() for tensor in (x, w, bias)]
    expected = torchs(*tensors, kernel)
    assert y.is_contiguous()
    torch.testing.assert_close(y, expected.detach(), rtol=1e-5, atol=1e-4)
    grad_y = numbers(*y.shape, seed=4)
    expected.backward(grad_y)
    gradients = torch_arrays.backward(kept, grad_y, x, None, IDEAL, [True] * 3)
    for own, tensor in zip(gradients, tensors):
        assert own.shape == tensor.shape
        torch.testing.assert_close(own, tensor.grad, rtol=1e-4, atol=1e-3)


@hypothesis_settings(max_examples=50)
@given(convolutions(), st.integers(1, 3), st.integers(1, 40), st.sampled_from(SPLITS))
def test_ideal_convolution_is_torchs(convolution, batch, inputs, split):
    mapping = Mapping(tile=(inputs, 512), split=split, weight_bits=None)
    check_ideal_convolution(*convolution, batch, mapping)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 4, 140])
def test_ideal_convolution_of_many_outputs(monkeypatch, dimensions, groups):
    """Of one, two, three dimensions; of several products, and images in pieces."""
    monkeypatch.setattr(torch_arrays, "_PIECE", 100_000)
    size = (1,) * (3 - dimensions) + (3,) * dimensions
    kernel = Kernel(2 * groups, 280, size, (1, 2, 1), (0, 0, 1), (1, 1, 1), groups)
    image = (1,) * (3 - dimensions) + (5,) * dimensions
    check_ideal_convolution(kernel, image, 2, Mapping(tile=(64, 64), weight_bits=None))


@hypothesis_settings(max_examples=30)
@given(convolutions(), mappings, converters)
def test_convolution_is_a_layer_of_patches(convolution, mapping, settings):
    """Codes, ranges and ADCs are those of rows, input = tap·channels + channel."""
    kernel, image = convolution
    kernel = kernel._replace(groups=1)
    x, w, bias = convolution_data(kernel, image, 2)
    weights = torch_arrays.encode(w, Encoding(mapping), kernel)
    bound = numbers(torch_arrays.tiles(weights), kernel.outputs, seed=5).abs() + 0.5
    y, _ = torch_arrays.forward(x, weights, bias, bound, settings, False)

    d, h, width = kernel.padding
    padded = F.pad(x, (width, width, h, h, d, d))
    rows = []
    for n, *at in np.ndindex(2, *y.shape[2:]):
        patch = padded[n]
        for axis in range(3):
            start = at[axis] * kernel.stride[axis]
            end = start + (kernel.size[axis] - 1) * kernel.dilation[axis] + 1
            patch = patch.narrow(axis + 1, start, end - start)
            patch = patch.index_select(
                axis + 1, torch.arange(0, end - start, kernel.dilation[axis])
            )
        rows.append(patch.movedim(0, -1).flatten())
    matrix = w.movedim(1, -1).flatten(1)
    layer = torch_arrays.encode(matrix, Encoding(mapping))
    x_rows = torch.stack(rows)
    expected, _ = torch_arrays.forward(x_rows, layer, bias, bound, settings, False)
    assert torch.equal(y.movedim(1, -1).reshape(-1, kernel.outputs), expected)
    outputs = torch_arrays.outputs(x, weights, bound, settings)
    assert torch.equal(outputs, torch_arrays.outputs(x_rows, layer, bound, settings))


def test_zeros_of_other_groups_are_part_of_arrays():
    """A product of 128 outputs has the channels of all of their groups (docs/numerics.md, 15)."""
    kernel = Kernel(6, 6, (1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), 3)
    x, w, _ = convolution_data(kernel, (1, 1, 4), 2)
    weights = torch_arrays.encode(w, Encoding(Mapping(tile=(3, 512))), kernel)
    assert torch_arrays.tiles(weights) == 2  # of 6 channels
    settings = ArraySettings(8, 1.0, row_ranges=True)
    outputs = torch_arrays.outputs(x, weights, None, settings)
    assert outputs.shape == (8, 2, 6)
    # Group 0 has channels 0 and 1 of array 0; group 1 has 2 of array 0 and 3 of array 1.
    none_there = [[output >= 4 for output in range(6)], [output < 2 for output in range(6)]]
    assert torch.equal((outputs == 0.0).all(0), torch.tensor(none_there))


class Rounding:
    """A forward that rounds, of gradients that do not know."""

    @staticmethod
    def to(value, result):
        return value + (result - value).detach()

    @staticmethod
    def convert(value, limit, bits):
        highest = 2 ** (bits - 1) - 1
        # (clamp() has other gradients at its ends from version to version.)
        within = torch.where(value.abs() <= limit, value, value.detach().clamp(-limit, limit))
        return Rounding.to(within, (within / (limit / highest)).round() * (limit / highest))


@pytest.mark.parametrize("noise", [None, ("multiplicative", 0.2, 0.0), ("additive", 0.1, 0.3)])
@pytest.mark.parametrize("scale", ["column", "tile"])
@pytest.mark.parametrize("row_ranges", [False, True])
@pytest.mark.parametrize("adc_bits", [None, 6])
@pytest.mark.parametrize("dac_bits", [None, 5, 12])
def test_gradients_are_straight_through(dac_bits, adc_bits, row_ranges, scale, noise):
    settings = ArraySettings(dac_bits, 1.5, row_ranges, adc_bits=adc_bits)
    mapping = Mapping(tile=(7, 3), scale=scale, weight_bits=4)
    noise = noise and WeightNoise(noise[0], noise[1], (), 25.0, noise[2], 7)
    tensors = [numbers(9, 17), numbers(6, 17, seed=2), numbers(6, seed=3)]
    x, w, bias = (tensor.clone().requires_grad_() for tensor in tensors)
    weights = torch_arrays.encode(tensors[1], Encoding(mapping, noise=noise))
    bound = numbers(3, 6, seed=4).abs() + 0.3
    y, kept = torch_arrays.forward(tensors[0], weights, tensors[2], bound, settings, True)

    matrix = weights.matrices[0]
    factors = matrix.gradient_factors if noise else 1.0
    if noise and noise.kind == "multiplicative":
        assert (factors - 1).abs().max() > 0.1
    on_arrays = Rounding.to(w * factors, held(weights))
    expected = bias
    for tile, inputs in enumerate(cuts(17, 7, "maximal")):
        own, r = x[:, inputs], torch.tensor(1.0 if dac_bits is None else 1.5)
        if row_ranges and dac_bits:
            r = own.detach().abs().amax(1, keepdim=True)
        values = own if dac_bits is None else Rounding.convert(own, r, dac_bits)
        current = values @ on_arrays[:, inputs].t() / (r * matrix.scales[tile])
        if adc_bits:
            current = Rounding.convert(current, bound[tile], adc_bits)
        expected = expected + current * r * matrix.scales[tile]
    torch.testing.assert_close(y, expected.detach(), rtol=1e-4, atol=1e-4)

    grad_y = numbers(9, 6, seed=5)
    expected.backward(grad_y)
    record = torch_arrays.record(kept, y)
    like = torch_arrays.record_like(y, 3 if adc_bits else 0)
    assert record.shape == like.shape and record.dtype == like.dtype
    restored = torch_arrays.kept_from(record, tensors[0], weights, settings)
    for found in (kept, restored):
        gradients = torch_arrays.backward(found, grad_y, tensors[0], bound, settings, [True] * 3)
        for own, tensor in zip(gradients, (x, w, bias)):
            torch.testing.assert_close(own, tensor.grad, rtol=1e-4, atol=1e-4)
    needed = [False, True, False]
    by_weight = torch_arrays.backward(kept, grad_y, tensors[0], bound, settings, needed)
    assert by_weight[0] is by_weight[2] is None and torch.equal(by_weight[1], gradients[1])


@hypothesis_settings(max_examples=30)
@given(convolutions(), st.booleans(), st.sampled_from([None, 8]))
def test_gradients_of_convolutions_are_straight_through(convolution, row_ranges, dac_bits):
    kernel, image = convolution
    # Rows have a range of their own in each array, of which there is one: gradients do not know.
    settings = ArraySettings(dac_bits, 1.0, row_ranges and dac_bits is not None)
    x, w, bias = convolution_data(kernel, image, 2)
    weights = torch_arrays.encode(w, Encoding(Mapping(weight_bits=5)), kernel)
    y, kept = torch_arrays.forward(x, weights, bias, None, settings, True)
    grad_y = numbers(*y.shape, seed=4)
    own = torch_arrays.backward(kept, grad_y, x, None, settings, [True] * 3)

    ways = [x.clone().requires_grad_(), w.clone().requires_grad_(), bias.clone().requires_grad_()]
    fixed = dac_bits is not None and not row_ranges
    values = Rounding.convert(ways[0], torch.tensor(1.0), dac_bits) if fixed else ways[0]
    expected = torchs(values, Rounding.to(ways[1], held(weights)), ways[2], kernel)
    expected.backward(grad_y)
    tolerance = 1e-4 if dac_bits is None or fixed else 2e-2
    for gradient, tensor in zip(own, ways):
        largest = tensor.grad.abs().max().item()
        assert (gradient - tensor.grad).abs().max() <= tolerance * largest + 1e-4


def test_a_row_that_clipped_is_repeated_alone():
    w = torch.ones(2, 4)
    weights = torch_arrays.encode(w, Encoding(Mapping()))
    x = torch.tensor([[1.0] * 4, [0.25] * 4, [0.5] * 4])
    bound = torch.tensor([[1.5]])
    settings = ArraySettings(8, 1.0, bound_iterations=2, adc_bits=8)
    y, kept = torch_arrays.forward(x, weights, None, bound, settings, True)
    torch.testing.assert_close(y[1:], x[1:] @ w.t(), rtol=0.02, atol=0)
    torch.testing.assert_close(y[0], torch.full((2,), 4.0), rtol=0.05, atol=0)
    assert not torch_arrays.record(kept, y).any()
    once = settings._replace(bound_iterations=0)
    y, kept = torch_arrays.forward(x, weights, None, bound, once, True)
    assert torch_arrays.record(kept, y).tolist() == [[255, 255], [0, 0], [255, 255]]
    torch.testing.assert_close(y[0], torch.full((2,), 1.5))


@pytest.mark.parametrize("bits", [9, 12, 16])
def test_converters_of_many_bits(bits):
    x, w = numbers(5, 30), numbers(4, 30, seed=2)
    weights = torch_arrays.encode(w, Encoding(Mapping(tile=(16, 512), weight_bits=None)))
    settings = ArraySettings(bits, 4.0, adc_bits=bits)
    bound = torch.tensor([[16.0]])
    y, _ = torch_arrays.forward(x, weights, None, bound, settings, False)
    assert 0 < (y - x @ w.t()).abs().max() < 250 * 2.0**-bits


def test_compensates():
    w = numbers(5, 20)
    weights = torch_arrays.encode(w, Encoding(Mapping(tile=(8, 512), weight_bits=None)))
    tiles = [w[:, inputs] for inputs in cuts(20, 8, "maximal")]
    factors = torch.tensor([2.0, 1.0, 0.5])
    expected = torch.cat([tile * factor for tile, factor in zip(tiles, factors)], 1)
    torch.testing.assert_close(held(torch_arrays.compensate(weights, factors[:, None])), expected)
    by_output = torch.arange(1.0, 16.0).view(3, 5)
    of_last_tile = held(torch_arrays.compensate(weights, by_output))[:, 16:]
    torch.testing.assert_close(of_last_tile, w[:, 16:] * by_output[2][:, None])
    torch.testing.assert_close(held(weights), w)


def test_products_of_convolutions_may_have_fewer_arrays():
    kernel = Kernel(140, 140, (1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), 140)
    mapping = Mapping(tile=(64, 64), weight_bits=None)
    filters = torch.ones(140, 1, 1, 1, 1)
    weights = torch_arrays.encode(filters, Encoding(mapping), kernel)
    assert [len(matrix.tiles) for matrix in weights.matrices] == [2, 1]
    assert [list(each.shape) for each in torch_arrays.devices(weights)] == [[128, 128], [12, 12]]
    scales = torch_arrays.scales(weights)
    assert scales.shape == (2, 140)
    assert torch.equal(scales[:, [0, 127, 128]], torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]))
    halved = torch_arrays.compensate(weights, torch.tensor([[0.5], [2.0]]))
    assert held(halved)[[0, 127, 139]].flatten().tolist() == [0.5, 2.0, 0.5]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_refuses_what_is_not_finite(wrong):
    x, w = numbers(2, 3), numbers(4, 3)
    weights = torch_arrays.encode(w, Encoding(Mapping()))
    settings = ArraySettings(8, 1.0)
    x[1, 2] = w[3, 0] = wrong
    with pytest.raises(ValueError, match=r"weight \[4, 3\] must be finite"):
        torch_arrays.encode(w, Encoding(Mapping()))
    with pytest.raises(ValueError, match=r"input \[2, 3\] must be finite"):
        torch_arrays.forward(x, weights, None, None, settings, False)
    with pytest.raises(ValueError, match=r"input \[2, 3\] must be finite"):
        torch_arrays.outputs(x, weights, None, settings)


def test_of_nothing():
    kernel = Kernel(2, 3, (1, 1, 3), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1)
    settings = ArraySettings(8, 1.0, row_ranges=True, adc_bits=8)
    bound = torch.ones(1, 1)
    weights = torch_arrays.encode(numbers(3, 2, 1, 1, 3), Encoding(Mapping()), kernel)
    x = torch.zeros(0, 2, 1, 1, 8)
    y, kept = torch_arrays.forward(x, weights, None, bound, settings, True)
    assert y.shape == (0, 3, 1, 1, 6)
    by_x, by_w, by_bias = torch_arrays.backward(kept, y, x, bound, settings, [True] * 3)
    assert by_x.shape == x.shape and by_w.shape == (3, 2, 1, 1, 3)
    assert not by_w.any() and by_bias.tolist() == [0.0] * 3
    no_inputs = torch_arrays.encode(torch.zeros(3, 0), Encoding(Mapping()))
    y, kept = torch_arrays.forward(
        torch.zeros(2, 0), no_inputs, torch.ones(3), bound, settings, True
    )
    assert torch.equal(y, torch.ones(2, 3))
    gradients = torch_arrays.backward(kept, y, torch.zeros(2, 0), bound, settings, [True] * 3)
    assert [list(gradient.shape) for gradient in gradients] == [[2, 0], [3, 0], [3]]


def test_leaves_its_arguments_alone():
    x, w, bound = numbers(4, 6), numbers(3, 6, seed=2), torch.full((1, 3), 2.0)
    before = [tensor.clone() for tensor in (x, w, bound)]
    weights = torch_arrays.encode(w, Encoding(Mapping(weight_bits=None)))
    settings = ArraySettings(None, 1.0, adc_bits=8, dac_noise=0.1, out_noise=0.1, key=1)
    y, kept = torch_arrays.forward(x, weights, None, bound, settings, True)
    torch_arrays.outputs(x, weights, bound, settings)
    torch_arrays.backward(kept, y, x, bound, settings, [True] * 3)
    assert all(torch.equal(*pair) for pair in zip(before, (x, w, bound)))
    torch.testing.assert_close(held(weights), w)


def test_computes_in_float32_whatever_the_default():
    x, w = numbers(4, 30), numbers(3, 30, seed=2)
    noise = WeightNoise("programming", 1.0, (0.5, 1.0), 25.0, 0.2, 1)
    settings = ArraySettings(8, 1.0, True, 2, 0.1, adc_bits=4, read_noise=0.1, key=1)
    answers = []
    for kind in (torch.float32, torch.float64):
        torch.set_default_dtype(kind)
        try:
            for encoding in (
                Encoding(Mapping(), StuckAt(Pcm(), 0.1), Wires(1.0, 1.0), seconds=9.0),
                Encoding(Mapping(tile=(9, 2), scale="tile"), noise=noise),
            ):
                weights = torch_arrays.encode(w, encoding)
                bound = x.new_full((1, 3), 0.5)
                y, kept = torch_arrays.forward(x, weights, None, bound, settings, True)
                gradients = torch_arrays.backward(kept, y, x, bound, settings, [True] * 3)
                seen = torch_arrays.outputs(x, weights, bound, settings)
                answers.append((y, *gradients, seen, torch_arrays.scales(weights)))
        finally:
            torch.set_default_dtype(torch.float32)
    for one, other in ((0, 2), (1, 3)):
        for expected, tensor in zip(answers[one], answers[other]):
            assert tensor.dtype == torch.float32 and torch.equal(tensor, expected)


def test_computes_in_float32_under_autocast():
    x, w = numbers(4, 300), numbers(3, 300, seed=2)
    weights = torch_arrays.encode(w, Encoding(Mapping()))
    settings = ArraySettings(8, 4.0)
    y, _ = torch_arrays.forward(x, weights, None, None, settings, False)
    with torch.autocast("cpu", torch.bfloat16):
        under, _ = torch_arrays.forward(x, weights, None, None, settings, False)
    assert under.dtype == torch.float32 and torch.equal(under, y)
