"""Layers on arrays give the same bits again."""

import copy
import io
import pickle

import pytest
from arrays_support import IMAGES, NOISY, answer, calibrated_profile, model, numbers, train
from helpers import run_python
from nn_support import backend, computation, torch

from torch import nn

from lumina_kernel import nn as ln


@pytest.mark.parametrize(
    "profile", [calibrated_profile(), calibrated_profile(compensation="column"), NOISY]
)
def test_a_life_of_a_model_repeats_and_is_loaded(backend, profile):
    """Calibrated, trained, programmed, drifting, saved, loaded."""
    network = model(profile)
    ln.calibrate(network, [IMAGES, 2 * IMAGES])
    network.train()
    before = network[3].weight.detach().clone()
    train(network)
    assert not torch.equal(network[3].weight, before)
    ln.program(network.eval(), 5)
    programmed = answer(network)
    ln.drift(network, 86400.0)
    after_a_day = answer(network)
    assert after_a_day != programmed
    file = io.BytesIO()
    torch.save(network.state_dict(), file)

    file.seek(0)
    loaded = model(profile, seed=2).eval()
    loaded.load_state_dict(torch.load(file))
    assert answer(loaded) == after_a_day
    ln.drift(loaded, None)
    assert answer(loaded) == programmed
    ln.drift(loaded, 86400.0)
    assert answer(loaded) == after_a_day

    for again in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert answer(again) == after_a_day
        ln.drift(again, None)
        assert answer(again) == programmed
    assert answer(network) == after_a_day  # whatever the copies did


def test_any_order_of_times_gives_the_same_bits(backend):
    times = [None, 1.0, 0.0, 3600.0, 3.15e7]

    def looked_at(order):
        network = ln.program(model().eval(), 3)
        answers = {time: answer(ln.drift(network, time)) for time in order}
        return [answers[time] for time in times]

    forward = looked_at(times)
    assert len(set(forward)) == len(times)
    assert looked_at(times[::-1]) == forward
    assert looked_at([3.15e7, None, *times]) == forward


def test_chips_differ_and_repeat(backend):
    network = model().eval()
    first = answer(ln.program(network, 3))
    second = answer(ln.program(network, 4))
    assert first != second and answer(ln.program(network, 3)) == first
    assert answer(ln.program(network, 2**64 - 1)) not in (first, second)
    assert answer(ln.unprogram(network)) not in (first, second)
    # Layers alike are not on the same devices.
    twins = nn.ModuleList(ln.AnalogLinear(20, 6, False, NOISY) for _ in range(2)).eval()
    twins[1].load_state_dict(twins[0].state_dict())
    ln.program(twins, 1)
    ln.seed_step(twins[0], 0, 0), ln.seed_step(twins[1], 0, 0)
    x = numbers(3, 20)
    assert not torch.equal(twins[0](x), twins[1](x))


LIFE = """
import torch
from lumina_kernel import nn as ln, presets
torch.manual_seed(3)
network = torch.nn.Sequential(
    ln.AnalogConv2d(2, 6, 3, profile="pcm_joshi2020"), torch.nn.Flatten(),
    ln.AnalogLinear(6 * 16, 5, profile=presets.pcm_hwa))
images = torch.randn(3, 2, 6, 6)
ln.calibrate(network, [images])
optimizer = torch.optim.SGD(network.parameters(), 0.1)
for step in range(2):
    ln.seed_step(network, 0, step)
    network(images).square().mean().backward()
    optimizer.step()
ln.drift(ln.program(network.eval(), 4), 3600.0)
ln.seed_step(network, 1, 0)
print(network(images).detach().numpy().tobytes().hex())
"""


@pytest.mark.parametrize("native", ["0", "1"])
def test_two_processes_give_the_same_bits(native):
    if native == "1":
        computation("native")  # or skips
    first, second = (run_python(LIFE, LUMINA_USE_KERNEL=native) for _ in range(2))
    assert len(first.stdout) == 3 * 5 * 8 + 1, first.stderr
    assert first.stdout == second.stdout


def test_any_number_of_threads_gives_the_same_bits(backend):
    """Where sums are exact. (The fallback's are floats, whose order a library may choose.)"""
    before, found = torch.get_num_threads(), []
    big = ln.AnalogLinear(300, 200, profile=NOISY)
    conv = ln.AnalogConv2d(3, 40, 3, profile=NOISY)
    x, images = numbers(300, 300), numbers(6, 3, 20, 20)
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            ln.seed_step(nn.ModuleList([big, conv]), 0, 0)
            found.append((big(x), conv(images)))
    finally:
        torch.set_num_threads(before)
    for own in found[1:]:
        for y, first in zip(own, found[0]):
            torch.testing.assert_close(y, first, rtol=0, atol=0 if backend == "native" else 1e-3)
