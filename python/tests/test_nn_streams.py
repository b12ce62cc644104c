"""Layers with one seed have noise of their own, which repeats with the whole model."""

import copy
import subprocess
import sys

import numpy as np
import pytest
from nn_support import backend, inputs, make_layer, torch

from lumina_kernel.nn import OpticalLinear
from lumina_kernel.nn.noise_keys import mixed

RANGE = (-8.0, 8.0)


def noise_of(layer, rows=200):
    x = inputs(rows, 64)
    return (layer.train()(x) - layer.eval()(x)).detach().flatten().numpy()


def layers_of(count, **options):
    options = {"precision": 12, "noise_level": 0.0, "output_range": RANGE, **options}
    return [OpticalLinear(64, 64, "custom", **options) for _ in range(count)]


@pytest.mark.parametrize("made", ["unseeded", "seeded", "on meta"])
def test_noise_of_two_layers_is_independent(backend, made):
    if made == "seeded":
        torch.manual_seed(0)
    device = "meta" if made == "on meta" else None
    noises = []
    for layer in layers_of(3, seed=42, device=device):
        if device is not None:
            layer.to_empty(device="cpu").reset_parameters()
        noises.append(noise_of(layer))
    correlations = np.corrcoef(noises) - np.eye(3)
    assert np.abs(correlations).max() < 4.5 / np.sqrt(noises[0].size)


def test_a_model_that_is_built_again_repeats(backend):
    def outputs():
        torch.manual_seed(5)
        layers = layers_of(2, seed=42)
        return [layer(inputs(9, 64)) for layer in layers for _ in range(2)]

    first = outputs()
    layers_of(3, seed=42)  # others in between
    for y, again in zip(first, outputs()):
        assert torch.equal(y, again)


PROGRAM = """
import torch
from lumina_kernel.nn import OpticalLinear
torch.set_num_threads(1)
layers = [OpticalLinear(8, 4, "lumina_micro_v1", seed=7, output_range=(-4, 4)) for _ in range(2)]
for layer in layers:
    torch.nn.init.constant_(layer.weight, 0.3)
    print([layer(torch.ones(2, 8)).tolist() for _ in range(2)], layer.stream)
"""


def test_another_process_repeats():
    runs = [
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    first, second = runs[0].stdout.splitlines()
    assert runs[0].stdout == runs[1].stdout and first[:-1] != second[:-1]
    assert first.endswith("0") and second.endswith("1")


def test_streams_can_be_given(backend):
    first, second = layers_of(2, seed=42, stream=3)
    second.load_state_dict(first.state_dict())
    assert first.stream == second.stream == 3
    x = inputs(9, 64)
    assert torch.equal(first(x), second(x))
    second.stream = 4
    assert not torch.equal(first(x), second(x))
    with pytest.raises(ValueError, match="stream.*no seed"):
        layers_of(1)[0].stream = 4
    with pytest.raises(ValueError, match="stream"):
        first.stream = -1


def test_a_copy_keeps_its_stream(backend):
    layer = layers_of(1, seed=42)[0]
    layer(inputs(9, 64))
    other = copy.deepcopy(layer)
    assert torch.equal(layer(inputs(9, 64)), other(inputs(9, 64)))


def test_weights_are_those_of_linear_with_a_seed_too():
    torch.manual_seed(5)
    linear = torch.nn.Linear(20, 30)
    torch.manual_seed(5)
    layer = OpticalLinear(20, 30, bias=True, seed=3)
    assert torch.equal(layer.weight, linear.weight) and torch.equal(layer.bias, linear.bias)


def test_the_hash_is_splitmix64():
    assert mixed(0) == 0xE220A8397B1DCDAF >> 1  # the first number from state 0, as published
    assert [mixed(1, 2), mixed(2, 1), mixed(2**64 - 1, 0, 7)] == [
        6804074658870690613,
        8085905411993364802,
        6784330957257658702,
    ]
