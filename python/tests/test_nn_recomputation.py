"""A pass that torch.utils.checkpoint runs again has the noise and the range of the first run."""

import copy

import pytest
from nn_support import backend, inputs, make_layer, torch
from torch.utils.checkpoint import checkpoint

from lumina_kernel.nn import recomputation

MODES = pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", "not reentrant"])
SOURCES = pytest.mark.parametrize(
    "options",
    [
        lambda: {},
        lambda: dict(output_range=(-0.5, 0.5)),
        lambda: dict(seed=3),
        lambda: dict(seed=3, output_range=(-0.5, 0.5)),
        lambda: dict(generator=torch.Generator().manual_seed(3)),
        lambda: dict(seed=3, precision=12),
    ],
    ids=["tracked", "given", "seed tracked", "seed given", "generator", "12 bits"],
)


def model_of(options):
    torch.manual_seed(0)
    given = {"profile": "lumina_micro_v1", "in_features": 40, **options()}
    return torch.nn.Sequential(
        make_layer(out_features=40, **given),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.2),
        make_layer(out_features=40, **given),
        torch.nn.ReLU(),
        make_layer(out_features=5, **given),
    )


def results_of(model, run, reseed=False):
    """Of three batches, each larger than the one before, so that a tracked range moves."""
    torch.manual_seed(9)
    results = []
    for i in range(1, 4):
        if reseed:
            torch.manual_seed(2)
        x = (inputs(16, 40, seed=i, lo=0.0) * i / 3).requires_grad_()
        model.zero_grad()
        y = run(model, x)
        y.square().sum().backward()
        results += [y.detach(), x.grad, *(buffer.clone() for buffer in model.buffers())]
        results += [p.grad.clone() for p in model.parameters() if p.grad is not None]
    return results


def whole(reentrant):
    return lambda model, x: checkpoint(model, x, use_reentrant=reentrant)


def nested(reentrant):
    def run(model, x):
        inner = lambda x: model[3:](checkpoint(model[:3], x, use_reentrant=reentrant))
        return checkpoint(inner, x, use_reentrant=reentrant)

    return run


@MODES
@SOURCES
@pytest.mark.parametrize("run", [whole, nested])
@pytest.mark.parametrize("reseed", [False, True])
def test_gradients_are_those_without(backend, run, options, reentrant, reseed):
    expected = results_of(model_of(options), lambda model, x: model(x), reseed)
    results = results_of(model_of(options), run(reentrant), reseed)
    for result, value in zip(results, expected):
        assert torch.equal(result, value)


@MODES
@SOURCES
def test_a_layer_that_is_called_twice(backend, options, reentrant):
    twice = lambda model, x: model[5](model[3](model[3](x)))
    expected = results_of(model_of(options), twice)
    run = lambda model, x: checkpoint(lambda x: twice(model, x), x, use_reentrant=reentrant)
    for result, value in zip(results_of(model_of(options), run), expected):
        assert torch.equal(result, value)


@MODES
@SOURCES
def test_several_passes_before_their_gradients(backend, options, reentrant):
    results = []
    for run in (lambda model, x: model(x), whole(reentrant)):
        model = model_of(options)
        xs = [inputs(8, 40, seed=seed).requires_grad_() for seed in range(3)]
        torch.manual_seed(1)
        sum(run(model, x * (i + 1)).square().sum() for i, x in enumerate(xs)).backward()
        results.append([x.grad for x in xs])
    for expected, gradient in zip(*results):
        assert torch.equal(expected, gradient)


@MODES
@pytest.mark.parametrize("options", [{}, dict(seed=3), dict(seed=3, output_range=(-1, 1))])
def test_refuses_to_guess_between_passes(backend, options, reentrant):
    model = model_of(lambda: options)
    outputs = []
    for i in range(3):
        torch.manual_seed(1)
        x = (inputs(8, 40) * (i + 1)).requires_grad_()
        outputs.append(checkpoint(model, x, use_reentrant=reentrant))
    with pytest.raises(RuntimeError, match=r"same number.*torch.manual_seed\(\) once"):
        outputs[0].sum().backward()


@MODES
def test_refuses_what_it_cannot_find(backend, reentrant, monkeypatch):
    x = inputs(8, 40).requires_grad_()
    model = model_of(lambda: {})
    y = checkpoint(model, x, use_reentrant=reentrant, preserve_rng_state=False)
    with pytest.raises(RuntimeError, match="preserve_rng_state=True"):
        y.sum().backward()
    # Another mode than in the first run.
    model = model_of(lambda: dict(output_range=(-1, 1))).eval()
    y = checkpoint(model, x, use_reentrant=reentrant)
    model.train()
    with pytest.raises(RuntimeError, match=r"in another mode, train\(\) or eval\(\)"):
        y.sum().backward()
    # Longer ago than the layer knows.
    monkeypatch.setattr(recomputation.History, "LENGTH", 2)
    model = model_of(lambda: {})
    outputs = [checkpoint(model, x, use_reentrant=reentrant) for _ in range(3)]
    outputs[2].sum().backward()
    with pytest.raises(RuntimeError, match="knows its last 2 passes"):
        outputs[0].sum().backward()


def test_a_recomputation_changes_nothing(backend):
    layer = make_layer(seed=3)
    twin = copy.deepcopy(layer)
    x = inputs(8, 70).requires_grad_()
    checkpoint(layer, x, use_reentrant=False).sum().backward()
    twin(x).sum().backward()
    assert layer.adc_limit == twin.adc_limit
    assert torch.equal(layer(x), twin(x))  # no key has been used up


def test_eval_draws_no_numbers_without_noise(backend):
    layer = make_layer(seed=3)
    layer(inputs(3, 70))
    layer.eval()
    state = torch.get_rng_state()
    layer(inputs(3, 70))
    assert torch.equal(torch.get_rng_state(), state)


def test_ordinary_passes_are_not_remembered():
    if not recomputation.KNOWS_HOOKS:
        pytest.skip("this torch does not say whether hooks are active")
    layer = make_layer()
    layer(inputs(3, 70)).sum().backward()
    assert len(layer._passes.history) == 0
    with torch.no_grad():
        layer(inputs(3, 70))
    assert len(layer._passes.history) == 1
