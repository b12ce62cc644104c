"""Reports of layers on arrays: against sums that are worked out here."""

import json
import math

import pytest

torch = pytest.importorskip("torch")

import lumina_kernel as lk
from lumina_kernel import nn
from nn_support import backend  # noqa: F401 (a fixture)

PROFILE = lk.Profile(
    dac=lk.Dac(6, 1.5),
    adc=lk.Adc(7, 1.25),
    mapping=lk.Mapping(tile=(16, 512), weight_bits=5),
    energy=lk.Energy(read_volts=0.2, read_seconds=1e-7, dac_joules=2e-12, adc_joules=3e-12),
)
IN, OUT, ROWS = 40, 12, 300


def layer_and_inputs(profile=PROFILE):
    torch.manual_seed(2)
    return nn.AnalogLinear(IN, OUT, profile=profile), torch.randn(ROWS, IN)


def on_levels(values, bits):
    """Values of −1 … 1."""
    most = 2 ** (bits - 1) - 1
    return (values * most).round().clamp(-most, most) / most


def test_sums_of_squares_and_what_is_clipped(backend):
    layer, x = layer_and_inputs()
    w = layer.weight.detach().double()
    inputs = on_levels((x / 1.5).double(), 6)
    y = torch.zeros(ROWS, OUT, dtype=torch.float64)
    held, without_adc = torch.zeros_like(w), torch.zeros_like(y)
    clipped, squares = 0, 0.0
    for begin in range(0, IN, 16):
        own = slice(begin, begin + 16)
        scales = w[:, own].abs().amax(1, keepdim=True)
        devices = on_levels(w[:, own] / scales, 5)
        currents = inputs[:, own] @ devices.t()
        held[:, own] = devices * scales
        without_adc += 1.5 * scales.t() * currents
        y += 1.5 * scales.t() * 1.25 * on_levels(currents / 1.25, 7)
        clipped += int((currents.abs() > 1.25).sum())
        squares += float((inputs[:, own].square() @ devices.abs().t()).sum())
    exact = x.double() @ w.t()
    by_weights = x.double() @ held.t()

    figures = nn.report(layer, x).layers[0]
    assert (figures.name, figures.kind, figures.tiles, figures.rows) == ("", "AnalogLinear", 3, ROWS)
    expected = {
        "signal": exact.square().sum(),
        "error": (y - exact).square().sum(),
        "weight_error": (by_weights - exact).square().sum(),
        "dac_error": (without_adc - by_weights).square().sum(),
        "adc_error": (y - without_adc).square().sum(),
        "device_squares": squares,
    }
    for name, value in expected.items():
        assert math.isclose(getattr(figures, name), float(value), rel_tol=2e-3), name
    assert figures.noise_error == 0.0
    assert figures.dac_clipped == int((x.abs() > 1.5).sum()) > 0
    assert figures.dac_conversions == ROWS * IN and figures.adc_conversions == 3 * ROWS * OUT
    assert abs(figures.adc_clipped - clipped) <= 3 and clipped > 100
    ratio = 10 * math.log10(expected["signal"] / expected["error"])
    assert math.isclose(figures.snr_db, ratio, rel_tol=1e-3)
    assert math.isclose(figures.effective_bits, (ratio - 1.76) / 6.02, rel_tol=1e-3)
    joules = 0.2**2 * 25e-6 * 1e-7 * squares + 2e-12 * ROWS * IN + 3e-12 * 3 * ROWS * OUT
    assert math.isclose(figures.energy_joules, joules, rel_tol=1e-3)
    assert figures.latency_seconds == 3 * 1e-7


def test_noise_is_a_part_of_its_own(backend):
    layer, x = layer_and_inputs(PROFILE.with_(adc=None, out_noise=0.1))
    figures = nn.report(layer, x).layers[0]
    scales = torch.stack([part.abs().amax(1) for part in layer.weight.detach().split(16, 1)])
    expected = ROWS * float((1.5 * 0.1 * scales.double()).square().sum())
    # A χ² of so many normals, of unequal weights.
    assert math.isclose(figures.noise_error, expected, rel_tol=6 * math.sqrt(2 / (ROWS * OUT)))
    assert figures.adc_error == 0.0 and figures.adc_conversions == 0


def test_a_model_answers_as_it_would_and_keeps_its_mode(backend):
    torch.manual_seed(1)
    model = torch.nn.Sequential(
        nn.AnalogConv2d(2, 6, 3, padding=1, groups=2, profile=PROFILE),
        torch.nn.Flatten(),
        nn.AnalogLinear(6 * 16, 5, profile=PROFILE.with_(noise_management="abs_max")),
    ).train()
    x = torch.randn(7, 2, 4, 4)
    report = nn.report(model, x)
    assert model.training and all(layer.training for layer in model)
    assert [layer.name for layer in report.layers] == ["0", "2"]
    assert report.layers[0].rows == 7 * 16 and report.layers[1].rows == 7
    assert report.layers[1].dac_clipped == 0  # each row has its own range
    assert report.energy_joules == sum(layer.energy_joules for layer in report.layers) > 0

    lines = str(report).splitlines()
    assert len(lines) == 3 and lines[0].split()[:3] == ["layer", "kind", "tiles"]
    rows = json.loads(report.to_json())
    assert rows[1]["snr_db"] == report.layers[1].snr_db
    worst = min(report.layers, key=lambda layer: layer.snr_db)
    assert report.worst[0] is worst


def test_what_is_ideal_has_no_number(backend):
    layer = nn.AnalogLinear(IN, OUT, profile=lk.Profile.ideal())
    report = nn.report(layer, torch.zeros(3, IN))
    assert math.isnan(report.layers[0].snr_db)
    assert json.loads(report.to_json())[0]["snr_db"] is None and "nan" in str(report)


def test_programmed_layers_are_looked_at_on_their_chip(backend):
    layer, x = layer_and_inputs(PROFILE.with_(cell=lk.cells.Pcm()))
    before = nn.report(layer, x).layers[0].weight_error
    nn.program(layer.eval(), 3)
    nn.drift(layer, 3e7)
    assert nn.report(layer, x).layers[0].weight_error > 10 * before


def test_influence_is_what_a_layer_alone_does_to_the_output(backend):
    torch.manual_seed(1)
    fine, coarse = PROFILE.with_(dac=lk.Dac(8, 4.0), adc=None), PROFILE.with_(dac=lk.Dac(3, 4.0))
    first, second = nn.AnalogLinear(20, 30, profile=fine), nn.AnalogLinear(30, 5, profile=coarse)
    model = torch.nn.Sequential(first, torch.nn.Tanh(), second).eval()
    x = torch.randn(50, 20)
    digital = [torch.nn.Linear(20, 30), torch.nn.Linear(30, 5)]
    for layer, own in zip((first, second), digital):
        layer_state = {name: getattr(layer, name).detach() for name in ("weight", "bias")}
        own.load_state_dict(layer_state)
    with torch.no_grad():
        exact = digital[1](torch.tanh(digital[0](x)))
        moved = digital[1](torch.tanh(first(x))), second(torch.tanh(digital[0](x)))
    report = nn.report(model, x, influence=True)
    for figures, y in zip(report.layers, moved):
        expected = (y - exact).square().sum() / exact.square().sum()
        assert math.isclose(figures.influence, float(expected), rel_tol=1e-4)
    assert report.worst[0].name == "2" and "influence" in str(report).splitlines()[0]
    assert nn.report(model, x).layers[0].influence is None
    assert json.loads(report.to_json())[0]["influence"] == report.layers[0].influence


def test_influence_of_models_that_give_more_than_a_tensor(backend):
    class Several(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.AnalogLinear(IN, OUT, profile=PROFILE)

        def forward(self, x):
            return {"nothing": None, "several": (self.layer(x), 3)}

    assert nn.report(Several(), torch.randn(3, IN), influence=True).layers[0].influence > 0
    with pytest.raises(TypeError, match="must give a tensor"):
        nn.report(torch.nn.Sequential(nn.AnalogLinear(IN, OUT, profile=PROFILE), _Nothing()),
                  torch.randn(3, IN), influence=True)


class _Nothing(torch.nn.Module):
    def forward(self, x):
        return None
