"""Layers under any profile that there is: calibrated, trained, programmed, drifting, loaded."""

import copy

import pytest
from hypothesis import given, settings, strategies as st
from nn_support import BACKENDS, computation, selection, torch

import lumina_kernel as lk
from lumina_kernel import cells, nn as ln


def one_of(*values):
    return st.sampled_from(values)


def shares(most=0.1):
    return one_of(0.0, 0.0, most)


all_cells = one_of(
    None,
    cells.Pcm(),
    cells.PcmJoshi2020(10.0),
    cells.ReRamWan2022(),
    cells.ReRamMilo2021(),
    cells.PolynomialCell((0.1, 0.02)),
    cells.StuckAt(cells.Pcm(), 0.05, 0.05),
)
dacs = st.builds(
    lk.Dac,
    one_of(2, 4, 8, 12),
    one_of(1.0, 2.5, lk.Calibrated(), lk.Calibrated(0.99)),
    shares(),
    st.booleans(),
)
adcs = st.builds(
    lk.Adc,
    one_of(2, 6, 8, 14),
    one_of(3.0, lk.Calibrated(), lk.Calibrated(1.0, "tile"), lk.Calibrated(0.99, "layer")),
    st.booleans(),
)
read_noises = st.builds(lk.ReadNoise, shares(), one_of("pcm", "proportional", "constant", "shot"))


@st.composite
def trainings(draw):
    kind = draw(one_of("additive", "multiplicative", "programming", "polynomial"))
    coefficients = (0.1, 0.2) if kind == "polynomial" else None
    return lk.HardwareAware(draw(shares()), kind, coefficients, draw(shares()))


@st.composite
def profiles(draw):
    cell, dac, adc = draw(all_cells), draw(st.none() | dacs), draw(st.none() | adcs)
    training = draw(trainings())
    slices = None
    noisy = training.weight_noise or training.drop_connect
    if not (cell or noisy or dac is None or dac.noise):
        slices = draw(st.none() | st.builds(lk.Slices, st.integers(1, 7), st.integers(0, 8)))
    levels = one_of(2, 4, 8)
    mapping = lk.Mapping(
        (draw(one_of(4, 16, 512)), draw(one_of(3, 8, 512))),
        draw(one_of("column", "tile")),
        draw(one_of("maximal", "equal")),
        draw(levels if slices else st.none() | levels),
        draw(one_of("differential", "two_sided", "offset")),
        draw(one_of(0.0, 1.0)) if cell else 0.0,
        slices,
    )
    return lk.Profile(
        "any",
        dac,
        adc,
        mapping,
        cell,
        draw(shares()),
        draw(st.none() | read_noises) if dac else None,
        lk.Wires(1.0, draw(shares(0.5))) if cell and draw(st.booleans()) else lk.Wires(),
        draw(one_of("none", "abs_max")) if dac else "none",
        draw(one_of(0, 2)) if dac and adc else 0,
        training,
        draw(one_of(None, "tile", "column")),
    )


@st.composite
def layers(draw):
    """(profile -> a layer, the shape of an input)"""
    bias = draw(st.booleans())
    if draw(st.booleans()):
        ins, outs = draw(one_of(1, 5, 40)), draw(one_of(1, 7, 20))
        return lambda profile: ln.AnalogLinear(ins, outs, bias, profile), (ins,)
    dimensions, groups = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    kind = (ln.AnalogConv1d, ln.AnalogConv2d, ln.AnalogConv3d)[dimensions - 1]
    size, stride, padding, dilation = (draw(st.integers(1, 2)) for _ in range(4))

    def make(profile):
        channels, window = (2 * groups, 3 * groups), (size, stride, padding - 1, dilation)
        return kind(*channels, *window, groups, bias, profile=profile)

    return make, (2 * groups, *[6] * dimensions)


@pytest.mark.parametrize("name", BACKENDS)
@settings(max_examples=60)
@given(layers(), profiles(), one_of(0, 1, 5))
def test_a_life_under_any_profile(name, made, profile, batch):
    before, selection.active = selection.active, computation(name)
    try:
        live(*made, profile, batch)
    finally:
        selection.active = before


def live(make, shape, profile, batch):
    torch.manual_seed(1)
    layer, x = make(profile), torch.randn(batch, *shape, requires_grad=True)
    ln.calibrate(layer, [torch.randn(3, *shape)])
    y = layer(x)
    y.square().sum().backward()
    for values in (y, x.grad, *(parameter.grad for parameter in layer.parameters())):
        assert values.isfinite().all()
    ln.program(layer.eval(), 3)
    answers = {}
    for seconds in (None, 1e5, 0.0, 1e5, None):
        ln.drift(layer, seconds)
        ln.seed_step(layer, 0, 0)
        with torch.no_grad():
            answer = layer(x)
        assert answer.shape == y.shape and answer.isfinite().all()
        assert torch.equal(answers.setdefault(seconds, answer), answer)
    again = make(profile).eval()
    again.load_state_dict(layer.state_dict())
    for own in (again, copy.deepcopy(layer)):
        ln.seed_step(own, 0, 0)
        assert torch.equal(own(x), answers[None])
