"""Weights and inputs of nn.torch_arrays in digits, each pair with a conversion of its own."""

import math

import numpy as np
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st
from nn_support import torch

from lumina_kernel.hardware.cells import Pcm
from lumina_kernel.hardware.mapping import Mapping, Slices
from lumina_kernel.nn import torch_arrays
from lumina_kernel.array_settings import ArraySettings, Encoding, Kernel, WeightNoise

f = np.float32


def numbers(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def codes_of(values, limit, bits):
    highest = 2 ** (bits - 1) - 1
    return np.clip(np.rint(values / f(limit / f(highest))), -highest, highest).astype(np.int64)


def digit(code, bits, number):
    return (1 if code >= 0 else -1) * (abs(int(code)) >> (bits * number) & (2**bits - 1))


class Loops:
    """One array, as docs/numerics.md, 21, has it."""

    def __init__(self, slices, weight_bits, dac_bits):
        self.cell = slices.cell_bits
        magnitude = dac_bits - 1
        self.plane = min(slices.input_bits or magnitude, magnitude)
        self.slices = math.ceil((weight_bits - 1) / self.cell)
        self.planes = math.ceil(magnitude / self.plane)
        self.two_passes = slices.signs == "two_passes"
        self.steps = (2**self.cell - 1) * (2**self.plane - 1)

    def conversions(self, w_codes, x_codes):
        """(c, what it is worth)"""
        signs = (1, -1) if self.two_passes else (0,)
        for s in range(self.slices):
            for sign in signs:
                for p in range(self.planes):
                    own = [max(0, sign * code) if sign else code for code in x_codes]
                    pairs = zip(w_codes, own)
                    c = sum(digit(w, self.cell, s) * digit(x, self.plane, p) for w, x in pairs)
                    yield c, (sign or 1) * 2 ** (self.cell * s + self.plane * p)


all_slices = st.builds(
    Slices,
    cell_bits=st.integers(1, 7),
    input_bits=st.integers(0, 4),
    signs=st.sampled_from(["pulses", "two_passes"]),
)


@hypothesis_settings(max_examples=60)
@given(all_slices, st.integers(2, 8), st.integers(2, 8), st.sampled_from([3, 8]), st.booleans())
def test_is_what_loops_say(slices, weight_bits, dac_bits, adc_bits, by_output):
    x, w = numbers(2, 9), numbers(3, 9, seed=2)
    mapping = Mapping(tile=(5, 512), weight_bits=weight_bits, slices=slices)
    weights = torch_arrays.encode(w, Encoding(mapping))
    bound = torch.tensor([[0.9, 1.7, 2.3]] if by_output else [[1.3]])
    settings = ArraySettings(dac_bits, 1.5, adc_bits=adc_bits)
    seen = torch_arrays.outputs(x, weights, None, settings._replace(adc_bits=None))
    outputs = torch_arrays.outputs(x, weights, bound, settings)
    y, kept = torch_arrays.forward(x, weights, None, bound, settings, True)
    record = torch_arrays.record(kept, y).view(2, 2, 3)
    loops = Loops(slices, weight_bits, dac_bits)
    unit = 1 / ((2 ** (dac_bits - 1) - 1) * (2 ** (weight_bits - 1) - 1))
    highest = 2 ** (adc_bits - 1) - 1
    for row, tile, output in np.ndindex(2, 2, 3):
        inputs = slice(0, 5) if tile == 0 else slice(5, 9)
        own = w[output, inputs].numpy()
        w_codes = codes_of(own, np.abs(own).max(), weight_bits)
        x_codes = codes_of(x[row, inputs].numpy(), f(1.5), dac_bits)
        limit = f(bound[0, output if by_output else 0].item()) * f(loops.steps)
        total, clipped, worths, largest = 0.0, 0, 0, 0
        for c, worth in loops.conversions(w_codes, x_codes):
            position = f(c) / f(limit / highest)
            if by_output:
                position = f(c) * (f(1) / limit) / f(1 / highest)
            total += worth * np.clip(np.rint(position), -highest, highest) * limit / highest
            clipped += abs(worth) * (abs(c) > limit)
            worths += abs(worth)
            largest = max(largest, abs(c))
        assert outputs[row, tile, output].item() == pytest.approx(total * unit, rel=2e-5, abs=1e-6)
        assert abs(record[row, tile, output].item() - 255 * clipped / worths) < 0.501
        assert abs(seen[row, tile, output].item()) == pytest.approx(largest / loops.steps)
    scales = torch_arrays.scales(weights)
    torch.testing.assert_close(y, (outputs * scales * 1.5).sum(1), rtol=1e-5, atol=1e-5)


@given(all_slices, st.integers(2, 8), st.integers(2, 8))
def test_without_conversions_it_is_one_product(slices, weight_bits, dac_bits):
    x, w = numbers(4, 20), numbers(3, 20, seed=2)
    settings = ArraySettings(dac_bits, 1.0, row_ranges=True)
    sliced, whole = (
        torch_arrays.encode(w, Encoding(Mapping((8, 8), weight_bits=weight_bits, slices=some)))
        for some in (slices, None)
    )
    y, _ = torch_arrays.forward(x, sliced, None, None, settings, False)
    expected, _ = torch_arrays.forward(x, whole, None, None, settings, False)
    torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("signs", ["pulses", "two_passes"])
def test_an_adc_with_a_level_for_each_current_loses_nothing(signs):
    x, w = numbers(5, 30), numbers(4, 30, seed=2)
    slices = Slices(cell_bits=2, input_bits=1, signs=signs)
    weights = torch_arrays.encode(w, Encoding(Mapping(slices=slices)))
    settings = ArraySettings(8, 1.0, adc_bits=8)  # 127 levels on each side; 30·3 currents
    y, kept = torch_arrays.forward(x, weights, None, torch.tensor([[127 / 3]]), settings, True)
    whole = torch_arrays.encode(w, Encoding(Mapping()))
    expected, _ = torch_arrays.forward(x, whole, None, None, ArraySettings(8, 1.0), False)
    torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-6)
    assert not torch_arrays.record(kept, y).any()


@pytest.mark.parametrize("kind", ["none", "pcm", "proportional", "constant", "shot"])
def test_each_conversion_has_noise(kind):
    w, x = torch.tensor([[1.0, -0.5, 0.25]]), torch.tensor([[0.75, 1.0, -0.5]])
    slices = Slices(cell_bits=3, input_bits=4)
    weights = torch_arrays.encode(w, Encoding(Mapping(slices=slices)))
    settings = ArraySettings(8, 1.0, out_noise=0.05, key=1)
    if kind != "none":
        settings = settings._replace(read_noise=0.1, read_noise_kind=kind)
    y, _ = torch_arrays.forward(x.expand(50_000, -1), weights, None, None, settings, False)
    loops = Loops(slices, 8, 8)
    w_codes, x_codes = (codes_of(values[0].numpy(), f(1), 8) for values in (w, x))
    variance = 0.0
    for s in range(loops.slices):
        for p in range(loops.planes):
            own_w = np.array([digit(code, 3, s) for code in w_codes]) / 7
            own_x = np.array([digit(code, 4, p) for code in x_codes]) / 15
            shares = {
                "none": 0.0,
                "pcm": np.abs(own_w) @ own_x**2,
                "proportional": own_w**2 @ own_x**2,
                "constant": (own_x**2).sum(),
                "shot": np.abs(own_w) @ np.abs(own_x),
            }
            worth = loops.steps * 2 ** (3 * s + 4 * p) / 127**2
            variance += worth**2 * (0.05**2 + 0.1**2 * shares[kind])
    error = math.sqrt(2 / len(y))
    assert abs(y.double().var().item() / variance - 1) <= 4 * error
    mean = w_codes @ x_codes / 127**2
    assert abs(y.double().mean().item() - mean) <= 4 * math.sqrt(variance / len(y))


def test_gradients_are_of_what_was_not_clipped():
    x, w = numbers(6, 12), numbers(5, 12, seed=2)
    weights = torch_arrays.encode(w, Encoding(Mapping(tile=(7, 512), slices=Slices(2, 2))))
    settings = ArraySettings(8, 1.5, adc_bits=4)
    bound = torch.tensor([[0.8]])
    y, kept = torch_arrays.forward(x, weights, None, bound, settings, True)
    record = torch_arrays.record(kept, y)
    shares = 1 - record.view(6, 2, 5) / 255
    assert ((shares > 0) & (shares < 1)).double().mean() > 0.2
    grad_y = numbers(6, 5, seed=3)
    by_x, by_w, by_bias = torch_arrays.backward(kept, grad_y, x, bound, settings, [True] * 3)
    restored = torch_arrays.kept_from(record, x, weights, settings)
    again = torch_arrays.backward(restored, grad_y, x, bound, settings, [True] * 3)
    assert all(torch.equal(*pair) for pair in zip((by_x, by_w, by_bias), again))
    values = (x / (1.5 / 127)).round().clamp(-127, 127) * (1.5 / 127)
    first = (grad_y * shares[:, 0]).t() @ values[:, :7]
    torch.testing.assert_close(by_w[:, :7], first, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(by_bias, grad_y.sum(0))


def test_rows_that_clipped_are_repeated():
    x, w = torch.ones(3, 40), torch.ones(2, 40)
    x[1:] = 0.1
    weights = torch_arrays.encode(w, Encoding(Mapping(slices=Slices(7, 0))))
    settings = ArraySettings(8, 1.0, adc_bits=8, bound_iterations=3)
    y, kept = torch_arrays.forward(x, weights, None, torch.tensor([[12.0]]), settings, True)
    assert not torch_arrays.record(kept, y).any()
    torch.testing.assert_close(y, x @ w.t(), rtol=0.05, atol=0)


def test_convolutions_in_slices():
    kernel = Kernel(4, 6, (1, 2, 2), (1, 1, 1), (0, 1, 0), (1, 1, 1), 2)
    x, w = numbers(2, 4, 1, 5, 5), numbers(6, 2, 1, 2, 2, seed=2)
    settings = ArraySettings(8, 2.0, adc_bits=16)
    answers = []
    for slices in (None, Slices()):
        weights = torch_arrays.encode(w, Encoding(Mapping(slices=slices)), kernel)
        answers.append(
            torch_arrays.forward(x, weights, None, torch.tensor([[40.0]]), settings, False)[0]
        )
    torch.testing.assert_close(*answers, rtol=0, atol=0.01)


def test_refuses_what_has_no_digits():
    mapping = Mapping(slices=Slices())
    noise = WeightNoise("additive", 0.1, (), 25.0, 0.0, 1)
    for wrong in ({"cell": Pcm()}, {"noise": noise}):
        with pytest.raises(ValueError, match="mapping.slices"):
            torch_arrays.encode(numbers(2, 3), Encoding(mapping, **wrong))
    dropped = noise._replace(kind="none", drop_connect=0.5)
    weights = torch_arrays.encode(numbers(2, 3), Encoding(mapping, noise=dropped))
    settings = ArraySettings(8, 1.0, dac_noise=0.1, key=1)
    with pytest.raises(ValueError, match="dac.noise"):
        torch_arrays.forward(numbers(2, 3), weights, None, None, settings, False)
