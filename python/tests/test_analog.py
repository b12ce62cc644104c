"""Products and convolutions on arrays with NumPy: loops in float64, parts of batches, errors."""

import inspect

import numpy as np
import pytest
from helpers import assert_names, assert_same_bits, run_python
from hypothesis import given, settings, strategies as st

import lumina_kernel as lk

NAN = float("nan")
PLAIN = lk.Profile("plain", dac=lk.Dac(8, 3.0), adc=lk.Adc(8, 10.0), mapping=lk.Mapping((20, 7)))
NOISY = PLAIN.with_(out_noise=0.1, read_noise=0.02)
CALIBRATED = lk.presets.converters_8bit.with_(mapping=lk.Mapping((20, 7)))


def normals(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def spans(length, tile):
    return [np.arange(at, min(at + tile, length)) for at in range(0, max(length, 1), tile)]


def codes(values, limit, bits):
    """Shares of the limit, on levels."""
    most = 2 ** (bits - 1) - 1
    return np.clip(np.rint(values / limit * most), -most, most) / most


def held(w, mapping):
    """(inputs, ŵ, s [out]) of each array along the inputs, in float64."""
    for inputs in spans(w.shape[1], mapping.tile[0]):
        s = np.abs(w[:, inputs]).max(1)
        if mapping.scale == "tile":
            for outputs in spans(len(w), mapping.tile[1]):
                s[outputs] = s[outputs].max()
        yield inputs, codes(w[:, inputs], s[:, None], mapping.weight_bits), s


def layer(x, w, profile, bound):
    """(y, what of it a code of an ADC is)"""
    y, steps = np.zeros((len(x), len(w))), np.zeros((len(x), len(w)))
    for tile, (inputs, weights, s) in enumerate(held(w.astype(float), profile.mapping)):
        own = x[:, inputs].astype(float)
        r = np.full((len(x), 1), float(profile.dac.range))
        if profile.noise_management == "abs_max":
            r = np.abs(own).max(1, keepdims=True)
        current = codes(own, r, profile.dac.bits) @ weights.T
        if profile.adc is not None:
            tiles = len(spans(x.shape[1], profile.mapping.tile[0]))
            limit = np.broadcast_to(bound, (tiles, len(w)))[tile]
            current = codes(current, limit, profile.adc.bits) * limit
            steps = np.maximum(steps, r * s * limit / (2 ** (profile.adc.bits - 1) - 1))
        y += r * s * current
    return y, steps


def assert_codes(y, expected, steps, flips=0.02):
    """Equal, but where a sum lies between two codes of an ADC."""
    differences, rounding = np.abs(y - expected), 1e-5 * np.abs(expected).max() + 1e-6
    assert (differences <= steps * 1.001 + rounding).all()
    assert np.mean(differences > rounding) <= flips


@settings(max_examples=60)
@given(
    st.integers(1, 60),
    st.integers(1, 20),
    st.integers(2, 8),
    st.sampled_from(["column", "tile"]),
    st.sampled_from(["none", "abs_max"]),
    st.sampled_from([None, 4, 8, 12]),
    st.integers(2, 8),
)
def test_is_what_the_formula_says(ins, outs, dac_bits, scale, management, adc_bits, weight_bits):
    profile = lk.Profile(
        dac=lk.Dac(dac_bits, 2.0),
        adc=None if adc_bits is None else lk.Adc(adc_bits, 4.13),
        mapping=lk.Mapping((20, 7), scale, weight_bits=weight_bits),
        noise_management=management,
    )
    x, w, bias = normals(9, ins), normals(outs, ins, seed=2), normals(outs, seed=3)
    weights = lk.AnalogWeights(w, profile)
    y = lk.linear(x, weights, bias)
    expected, steps = layer(x, w, profile, 4.13)
    assert_codes(y, expected + bias, steps)
    assert weights.tiles == len(spans(ins, 20)) and weights.shape == (outs, ins)
    scales = np.stack([s for _, _, s in held(w.astype(float), profile.mapping)])
    np.testing.assert_allclose(weights.scales, scales, rtol=1e-6)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("columns", [1, 11])
def test_bounds_of_arrays_and_columns(rows, columns):
    x, w = normals(40, 50), normals(11, 50, seed=2)
    bound = np.abs(normals(rows, columns, seed=4)) * 2 + 1
    y = lk.linear(x, lk.AnalogWeights(w, PLAIN), adc_bound=bound)
    full = np.broadcast_to(bound, (3, 11))
    expected, steps = layer(x, w, PLAIN, full)
    assert_codes(y, expected, steps)
    other = np.concatenate([full[1:], full[:1]]).astype(np.float32)
    assert rows == 1 or (lk.linear(x, lk.AnalogWeights(w, PLAIN), adc_bound=other) != y).any()


def test_ranges_as_arguments_go_before_the_profiles():
    x, w = normals(4, 50), normals(6, 50, seed=2)
    narrow = PLAIN.with_(dac=lk.Dac(8, 0.5), adc=lk.Adc(8, 1.5))
    y = lk.linear(x, lk.AnalogWeights(w, narrow))
    by_arguments = lk.linear(x, lk.AnalogWeights(w, PLAIN), input_range=0.5, adc_bound=1.5)
    assert_same_bits(by_arguments, y)
    assert (lk.linear(x, lk.AnalogWeights(w, PLAIN)) != y).all()


def test_bound_management_repeats_rows_that_clipped():
    profile = PLAIN.with_(adc=lk.Adc(8, 2.0), bound_management=6)
    x, w = normals(50, 40), normals(6, 40, seed=2)
    exact = x @ w.T
    once = lk.linear(x, lk.AnalogWeights(w, profile.with_(bound_management=0)))
    more = lk.linear(x, lk.AnalogWeights(w, profile))
    assert np.abs(once - exact).max() > 3 * np.abs(more - exact).max()


# --- Convolutions ---------------------------------------------------------------------------------


@st.composite
def convolutions(draw):
    """(x, filters, groups, {stride, padding, dilation})"""
    dimensions, groups = draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 2, 3]))
    sizes = lambda least, most: draw(  # noqa: E731
        st.one_of(st.integers(least, most), st.tuples(*[st.integers(least, most)] * dimensions))
    )
    kernel = draw(st.tuples(*[st.integers(1, 3)] * dimensions))
    image = draw(st.tuples(*[st.integers(5, 7)] * dimensions))
    channels = draw(st.integers(1, 3))
    x = normals(draw(st.integers(0, 3)), groups * channels, *image)
    filters = normals(groups * draw(st.integers(1, 3)), channels, *kernel, seed=2)
    window = dict(stride=sizes(1, 2), padding=sizes(0, 2), dilation=sizes(1, 2))
    return x, filters, groups, window


def rows_of(x, filters, groups, stride, padding, dilation):
    """Patches [rows, taps·channels] and such weights, with zeros at channels of other groups; the
    size of the result."""
    dimensions = filters.ndim - 2
    stride, padding, dilation = (
        np.broadcast_to(each, dimensions) for each in (stride, padding, dilation)
    )
    padded = np.pad(x, [(0, 0), (0, 0), *((each, each) for each in padding)])
    spread = [(k - 1) * d + 1 for k, d in zip(filters.shape[2:], dilation)]
    size = [(n - k) // s + 1 for n, k, s in zip(padded.shape[2:], spread, stride)]
    rows = []
    for n, *at in np.ndindex(len(x), *size):
        cut = (slice(a * s, a * s + k, d) for a, s, k, d in zip(at, stride, spread, dilation))
        rows.append(np.moveaxis(padded[(n, slice(None), *cut)], 0, -1).ravel())
    weights = np.zeros((len(filters), *filters.shape[2:], x.shape[1]), np.float32)
    for output, own in enumerate(filters):
        first = output // (len(filters) // groups) * filters.shape[1]
        weights[output, ..., first : first + filters.shape[1]] = np.moveaxis(own, 0, -1)
    return np.reshape(rows, (-1, weights[0].size)), weights.reshape(len(filters), -1), size


@settings(max_examples=60)
@given(convolutions(), st.sampled_from([PLAIN, NOISY]))
def test_convolution_is_linear_of_patches(convolution, profile):
    """The same codes and the same noise: row (n·OH + oh)·OW + ow, here of one product."""
    x, filters, groups, window = convolution
    bias = normals(len(filters), seed=3)
    weights = lk.AnalogWeights(filters, profile, groups=groups)
    noise = dict(noise_seed=7, stream=3)
    y = lk.convolution(x, weights, bias, **window, **noise)
    rows, matrix, size = rows_of(x, filters, groups, **window)
    expected = lk.linear(rows.astype(np.float32), lk.AnalogWeights(matrix, profile), bias, **noise)
    assert y.shape == (len(x), len(filters), *size)
    assert_same_bits(np.moveaxis(y, 1, -1).reshape(-1, len(filters)), expected)


# --- Noise ----------------------------------------------------------------------------------------


def test_noise_is_a_function_of_its_words():
    x, w = normals(6, 50), normals(9, 50, seed=2)
    weights = lk.AnalogWeights(w, NOISY)
    without = lk.linear(x, weights)
    one = lk.linear(x, weights, noise_seed=1)
    assert_same_bits(lk.linear(x, lk.AnalogWeights(w, PLAIN)), without)
    assert_same_bits(lk.linear(x, weights, noise_seed=1), one)
    for words in (dict(noise_seed=2), dict(stream=1), dict(row_offset=1)):
        assert np.mean(lk.linear(x, weights, **{"noise_seed": 1, **words}) != one) > 0.5
    assert np.mean(without != one) > 0.5
    largest = dict(noise_seed=2**64 - 1, stream=2**64 - 1)
    assert np.isfinite(lk.linear(x, weights, **largest)).all()


REPEATING = NOISY.with_(adc=lk.Adc(8, 2.0), bound_management=3, noise_management="abs_max")


@pytest.mark.parametrize("profile", [NOISY, REPEATING])
@pytest.mark.parametrize("cut", [0, 1, 17, 64])
def test_a_batch_in_parts_is_the_whole_one(cut, profile):
    x, weights = normals(64, 50), lk.AnalogWeights(normals(9, 50, seed=2), profile)
    whole = lk.linear(x, weights, noise_seed=1)
    parts = [
        lk.linear(x[:cut], weights, noise_seed=1),
        lk.linear(x[cut:], weights, noise_seed=1, row_offset=cut),
    ]
    assert_same_bits(np.concatenate(parts), whole)
    images = normals(5, 2, 9, 8)
    weights = lk.AnalogWeights(normals(4, 2, 3, 3, seed=2), profile)
    window = dict(stride=2, padding=1, noise_seed=1)
    cut %= 5
    parts = [
        lk.convolution(images[:cut], weights, **window),
        lk.convolution(images[cut:], weights, **window, image_offset=cut),
    ]
    assert_same_bits(np.concatenate(parts), lk.convolution(images, weights, **window))


@pytest.mark.parametrize("threads", [1, 2, 3, None])
def test_any_number_of_threads(threads):
    x, weights = normals(512, 300), lk.AnalogWeights(normals(200, 300, seed=2), NOISY)
    alone = lk.linear(x, weights, noise_seed=1, threads=1)
    assert_same_bits(lk.linear(x, weights, noise_seed=1, threads=threads), alone)
    images, weights = normals(8, 3, 20, 20), lk.AnalogWeights(normals(40, 3, 3, 3), NOISY)
    alone = lk.convolution(images, weights, noise_seed=1, threads=1)
    assert_same_bits(lk.convolution(images, weights, noise_seed=1, threads=threads), alone)


# --- Chips ----------------------------------------------------------------------------------------

PCM = PLAIN.with_(cell=lk.cells.Pcm(), mapping=lk.Mapping((20, 7), weight_bits=None))


def test_a_chip_is_a_function_of_its_words():
    x, w = normals(20, 50), normals(30, 50, seed=2)
    run = lambda **chip: lk.linear(x, lk.AnalogWeights(w, PCM, **chip))  # noqa: E731
    base = run(seed=1, seconds=3600.0)
    run(seed=1, seconds=1.0)
    assert_same_bits(run(seed=1, seconds=3600.0), base)  # whatever was looked at before
    for chip in (
        dict(seed=1),
        dict(seed=1, seconds=3601.0),
        dict(seed=2, seconds=3600.0),
        dict(seed=1, stream=1, seconds=3600.0),
    ):
        assert np.mean(run(**chip) != base) > 0.5
    np.testing.assert_allclose(run(seed=1), x @ w.T, atol=0.3 * np.abs(x @ w.T).max())


def test_devices_have_what_the_cell_gives():
    """Scales of weights at full conductance: g⁺ of Pcm at 25 µS, g⁻ at 0."""
    profile = lk.Profile(
        dac=lk.Dac(8, 1.0), adc=None, cell=lk.cells.Pcm(), mapping=lk.Mapping((1, 512))
    )
    w = np.ones((100_000, 1), np.float32)
    weights = lk.AnalogWeights(w, profile, seed=5)
    y = lk.linear(np.ones((1, 1), np.float32), weights)[0] * 25
    assert abs(y.mean() - (24.999 - 0.105)) < 4 * y.std() / len(y) ** 0.5 + 0.002
    spread = np.hypot(1.055, 0.154)
    assert abs(y.std() - spread) < 4 * spread / (2 * len(y)) ** 0.5 + 0.002


@pytest.mark.parametrize("compensation", ["tile", "column"])
@pytest.mark.parametrize("convolves", [False, True])
def test_drift_is_compensated(convolves, compensation):
    profile = lk.presets.pcm_joshi2020.with_(
        mapping=lk.Mapping((20, 7), weight_bits=None), compensation=compensation
    )
    w, groups = (normals(12, 3, 2, 3), 2) if convolves else (normals(12, 50), 1)
    x = normals(6, 6, 7, 8, seed=2) if convolves else normals(40, 50, seed=2)
    run = lk.convolution if convolves else lk.linear
    plain = profile.with_(compensation=None)
    ranges = lk.calibrated(lk.AnalogWeights(w, plain, groups=groups, seed=1), x)
    make = lambda own, seconds: lk.AnalogWeights(  # noqa: E731
        w, own, groups=groups, seed=1, stream=2, seconds=seconds, **ranges
    )
    exact = run(x, make(plain, None), **ranges)
    raw, compensated = (run(x, make(own, 86400.0), **ranges) for own in (plain, profile))
    assert_same_bits(run(x, make(profile, None), **ranges), exact)  # just programmed: as it is
    assert np.std(compensated - exact) < 0.6 * np.std(raw - exact)
    alpha = make(profile, 86400.0).scales / make(plain, 86400.0).scales
    assert 1.3 < alpha[0].mean() < 1.7
    assert (np.ptp(alpha[0]) < 1e-6) == (compensation == "tile")


@pytest.mark.parametrize("name", ["pcm_hwa", "pcm_joshi2020", "photonic_mzi_8bit"])
@pytest.mark.parametrize("seconds", [None, 3600.0])
def test_is_what_a_layer_of_torch_computes(name, seconds):
    """Devices, compensation and converters of a programmed one, bit for bit."""
    torch = pytest.importorskip("torch")
    from nn_support import computation, selection

    from lumina_kernel import nn as ln

    native, before = computation("native"), selection.active
    profile = lk.presets.named(name)
    profile = profile.with_(mapping=profile.mapping.with_(tile=(20, 7)))
    layers = [
        (ln.AnalogLinear(50, 12, profile=profile), lk.linear, normals(9, 50), {}),
        (
            ln.AnalogConv2d(4, 12, (2, 3), 2, 1, groups=2, profile=profile),
            lk.convolution,
            normals(3, 4, 9, 8),
            dict(stride=2, padding=1),
        ),
    ]
    selection.active = native
    try:
        for layer, run, x, window in layers:
            layer.eval().noise_in_eval = False
            ln.calibrate(layer, [torch.from_numpy(x)])
            layer.program(5, 3)
            layer.drift(seconds)
            ranges = dict(
                input_range=layer.input_range.item() or None, adc_bound=layer.adc_bound.numpy()
            )
            with torch.no_grad():
                expected = layer(torch.from_numpy(x)).numpy()
            w, bias = (each.detach().numpy() for each in (layer.weight, layer.bias))
            groups = getattr(layer, "groups", 1)
            weights = lk.AnalogWeights(
                w, profile, groups=groups, seed=5, stream=3, seconds=seconds, **ranges
            )
            assert_same_bits(run(x, weights, bias, **window, **ranges), expected)
    finally:
        selection.active = before


# --- Calibration ----------------------------------------------------------------------------------


def test_calibrates_columns_to_their_largest_currents():
    x, w = normals(40, 50), normals(11, 50, seed=2)
    weights = lk.AnalogWeights(w, CALIBRATED)
    ranges = lk.calibrated(weights, x)
    assert ranges["input_range"] == np.abs(x).max()
    bound = ranges["adc_bound"]
    assert bound.shape == (3, 11) and bound.dtype == np.float32
    for tile, (inputs, values, _) in enumerate(held(w.astype(float), CALIBRATED.mapping)):
        own = x[:, inputs].astype(float)
        r = np.abs(own).max(1, keepdims=True)
        seen = np.abs(codes(own, r, 8) @ values.T).max(0)
        np.testing.assert_allclose(bound[tile], seen, rtol=1e-5)
    exact = x @ w.T
    y = lk.linear(x, weights, **ranges)
    assert np.abs(y - exact).max() < 0.02 * np.abs(exact).max()


@pytest.mark.parametrize("per, shape", [("column", (3, 11)), ("tile", (3, 1)), ("layer", (1, 1))])
def test_calibrates_quantiles(per, shape):
    x, w = normals(400, 50), normals(11, 50, seed=2)
    bounds = {}
    for quantile in (0.5, 1.0):
        adc = lk.Adc(8, lk.Calibrated(quantile, per))
        profile = PLAIN.with_(dac=lk.Dac(8, lk.Calibrated(0.9)), adc=adc)
        ranges = lk.calibrated(lk.AnalogWeights(w, profile), x)
        bounds[quantile] = ranges["adc_bound"]
        assert ranges["adc_bound"].shape == shape
        assert abs(ranges["input_range"] / np.quantile(np.abs(x), 0.9) - 1) < 0.03
    r = np.float64(ranges["input_range"])
    currents = np.stack(
        [
            codes(x[:, own].astype(float), r, 8) @ values.T
            for own, values, _ in held(w, PLAIN.mapping)
        ]
    )  # [tiles, rows, out]
    axes = {"column": (1,), "tile": (1, 2), "layer": (0, 1, 2)}[per]
    expected = np.quantile(np.abs(currents), 0.5, axis=axes).reshape(shape)
    np.testing.assert_allclose(bounds[0.5], expected, rtol=0.05)
    assert (bounds[1.0] > bounds[0.5]).all()


def test_calibrates_convolutions():
    x, filters = normals(3, 4, 9, 8), normals(6, 2, 3, 3, seed=2)
    window = dict(stride=2, padding=(1, 0))
    weights = lk.AnalogWeights(filters, CALIBRATED, groups=2)
    ranges = lk.calibrated(weights, x, **window)
    rows, matrix, _ = rows_of(x, filters, 2, **window, dilation=1)
    of_rows = lk.calibrated(lk.AnalogWeights(matrix, CALIBRATED), rows.astype(np.float32))
    assert_same_bits(ranges["adc_bound"], of_rows["adc_bound"])
    assert ranges["input_range"] == np.abs(x).max()


def test_what_has_numbers_is_not_calibrated():
    x, w = normals(4, 50), normals(6, 50)
    assert lk.calibrated(lk.AnalogWeights(w, PLAIN), x) == {}
    fixed = CALIBRATED.with_(dac=lk.Dac(8, 2.0))
    assert list(lk.calibrated(lk.AnalogWeights(w, fixed), x)) == ["adc_bound"]
    no_adc = CALIBRATED.with_(adc=None)
    assert list(lk.calibrated(lk.AnalogWeights(w, no_adc), x)) == ["input_range"]


# --- Arguments ------------------------------------------------------------------------------------


def test_out_is_written_to():
    x, weights = normals(4, 50), lk.AnalogWeights(normals(6, 50), PLAIN)
    out = np.zeros((4, 6), np.float32)
    assert lk.linear(x, weights, out=out) is out
    assert_same_bits(out, lk.linear(x, weights))
    images, weights = normals(2, 2, 9), lk.AnalogWeights(normals(3, 2, 4), PLAIN)
    out = np.zeros((2, 3, 6), np.float32)
    assert lk.convolution(images, weights, out=out) is out
    assert_same_bits(out, lk.convolution(images, weights))


def test_out_is_no_input():
    memory = normals(12, 12)
    weights = lk.AnalogWeights(normals(12, 12), PLAIN)
    for arguments in (dict(x=memory), dict(x=memory.T[::-1]), dict(x=memory * 1, bias=memory[3])):
        with pytest.raises(ValueError, match="out shares memory with (x|bias)"):
            lk.linear(weights=weights, out=memory, **arguments)
    images = memory.reshape(1, 1, 12, 12)
    with pytest.raises(ValueError, match="out shares memory with x"):
        lk.convolution(images, lk.AnalogWeights(normals(1, 1, 1, 1), PLAIN), out=images)


def test_takes_arrays_where_they_lie():
    x, w = normals(4, 50), normals(6, 50)
    y = lk.linear(x, lk.AnalogWeights(w, PLAIN))
    spread = np.zeros((50, 8), np.float32).T
    spread[::2] = x
    assert_same_bits(lk.linear(spread[::2], lk.AnalogWeights(np.asfortranarray(w), PLAIN)), y)
    images, filters = normals(2, 3, 7, 9), normals(4, 3, 2, 2)
    y = lk.convolution(images, lk.AnalogWeights(filters, PLAIN))
    last = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert_same_bits(lk.convolution(last, lk.AnalogWeights(filters, PLAIN)), y)


def test_weights_are_a_copy():
    x, w = normals(4, 50), normals(6, 50)
    weights = lk.AnalogWeights(w, PLAIN)
    y = lk.linear(x, weights)
    w[:] = 0
    assert_same_bits(lk.linear(x, weights), y)


def test_of_nothing():
    weights = lk.AnalogWeights(normals(6, 50), NOISY)
    assert lk.linear(normals(0, 50), weights, noise_seed=1).shape == (0, 6)
    none = lk.AnalogWeights(np.zeros((3, 0), np.float32), PLAIN)
    assert_same_bits(lk.linear(normals(2, 0), none, normals(3)), np.tile(normals(3), (2, 1)))
    filters = lk.AnalogWeights(normals(4, 2, 3), NOISY)
    assert lk.convolution(normals(0, 2, 8), filters, noise_seed=1).shape == (0, 4, 6)


def test_zeros_give_the_bias():
    weights = lk.AnalogWeights(normals(6, 50), PLAIN.with_(noise_management="abs_max"))
    bias = normals(6, seed=3)
    assert_same_bits(lk.linear(np.zeros((2, 50), np.float32), weights, bias), np.stack([bias] * 2))


X, W, FILTERS = normals(4, 5), normals(3, 5), normals(4, 3, 2, 2)


def not_finite(array, value):
    array = array.copy()
    array[1, 2] = value
    return array


@pytest.mark.parametrize("arguments, error, words", [
    (dict(w=W.astype(float)), TypeError, ("w", "float32", "float64", (3, 5))),
    (dict(w=[1.0]), TypeError, ("w", "float32")),
    (dict(w=W[0]), ValueError, ("w", (5,))),
    (dict(w=not_finite(W, NAN)), ValueError, ("w", (3, 5), "finite", "nan", (1, 2))),
    (dict(w=W, groups=3), ValueError, ("groups", 3)),
    (dict(w=FILTERS, groups=3), ValueError, ("groups", 3, (4, 3, 2, 2))),
    (dict(w=FILTERS, groups=1.5), TypeError, ("groups", "float")),
    (dict(profile="none"), ValueError, ("none", "pcm_hwa")),
    (dict(profile=8), TypeError, ("profile", 8)),
    (dict(profile="lumina_nano_v1"), TypeError, ("profile", "lumina_nano_v1")),
    (dict(seed=-1), ValueError, ("seed", -1)),
    (dict(seed=1.0), TypeError, ("seed", "float")),
    (dict(stream=2**64), ValueError, ("stream", 2**64)),
    (dict(seconds=1.0), ValueError, ("seconds", "seed")),
    (dict(seed=1, seconds=-1.0), ValueError, ("seconds",)),
    (dict(seed=1, seconds=NAN), ValueError, ("seconds",)),
    (dict(profile=PLAIN.with_(dac=None)), NotImplementedError, ("profile.dac", "lumina_kernel.nn")),
    (dict(profile=PLAIN.with_(dac=lk.Dac(9))), NotImplementedError, ("profile.dac.bits", 9)),
    (dict(profile=PLAIN.with_(dac=lk.Dac(noise=0.5))), NotImplementedError, ("dac.noise", 0.5)),
    (dict(profile=PLAIN.with_(dac=lk.Dac(stochastic=True))), NotImplementedError,
     ("dac.stochastic",)),
    (dict(profile=PLAIN.with_(adc=lk.Adc(stochastic=True))), NotImplementedError,
     ("adc.stochastic",)),
    (dict(profile=PLAIN.with_(mapping=lk.Mapping(slices=lk.Slices()))), NotImplementedError,
     ("mapping.slices",)),
    (dict(profile=lk.presets.pcm_joshi2020, seed=1, seconds=9.0), ValueError,
     ("adc_bound", "profile.adc.bound")),
])
def test_wrong_weights(arguments, error, words):
    with pytest.raises(error) as raised:
        lk.AnalogWeights(**{"w": W, "profile": PLAIN, **arguments})
    assert type(raised.value) is error
    assert_names(str(raised.value), *words)


@pytest.mark.parametrize("arguments, error, words", [
    (dict(x=X.astype(float)), TypeError, ("x", "float32", "float64")),
    (dict(x=X[0]), ValueError, ("x", (5,), "batch", (3, 5))),
    (dict(x=X[:, 1:]), ValueError, ("x", (4, 4), "batch, 5", (3, 5))),
    (dict(x=not_finite(X, -np.inf)), ValueError, ("x", (4, 5), "finite", (1, 2))),
    (dict(weights=W), TypeError, ("weights", "AnalogWeights", "ndarray")),
    (dict(weights=lk.AnalogWeights(FILTERS, PLAIN)), ValueError, ("weights", (4, 3, 2, 2))),
    (dict(bias=normals(4)), ValueError, ("bias", (3,), (4,))),
    (dict(bias=[1.0, 2.0, 3.0]), TypeError, ("bias", "float32")),
    (dict(input_range=0.0), ValueError, ("input_range", 0.0)),
    (dict(input_range="1"), TypeError, ("input_range", "str")),
    (dict(adc_bound=-1.0), ValueError, ("adc_bound", -1.0)),
    (dict(adc_bound=NAN), ValueError, ("adc_bound", "nan")),
    (dict(adc_bound=np.ones((2, 3))), ValueError, ("adc_bound", (2, 3))),
    (dict(adc_bound=np.ones(3)), ValueError, ("adc_bound", (3,))),
    (dict(adc_bound="wide"), TypeError, ("adc_bound", "wide")),
    (dict(noise_seed=-1), ValueError, ("noise_seed", -1)),
    (dict(stream=-1), ValueError, ("stream", -1)),
    (dict(row_offset=-1), ValueError, ("row_offset", -1)),
    (dict(threads=0), ValueError, ("threads", 0)),
    (dict(threads="2"), TypeError, ("threads",)),
    (dict(out=np.zeros((4, 3))), TypeError, ("out", "float32", "float64")),
    (dict(out=np.zeros((3, 4), np.float32)), ValueError, ("out", (4, 3), (3, 4))),
    (dict(out=np.zeros((3, 4), np.float32).T), ValueError, ("out", "contiguous")),
])
def test_wrong_arguments_of_linear(arguments, error, words):
    with pytest.raises(error) as raised:
        lk.linear(**{"x": X, "weights": lk.AnalogWeights(W, PLAIN), **arguments})
    assert type(raised.value) is error
    assert_names(str(raised.value), *words)


@pytest.mark.parametrize("arguments, error, words", [
    (dict(x=normals(1, 2, 5, 5)), ValueError, ("x", (1, 2, 5, 5), (4, 3, 2, 2))),
    (dict(x=normals(3, 5, 5)), ValueError, ("x", (3, 5, 5))),
    (dict(x=normals(1, 3, 1, 5)), ValueError, ("x", (1, 3, 1, 5), "smaller")),
    (dict(stride=0), ValueError, ("stride", 0)),
    (dict(stride=(1, 1, 1)), ValueError, ("stride", (1, 1, 1))),
    (dict(padding=-1), ValueError, ("padding", -1)),
    (dict(padding="same"), TypeError, ("padding", "str")),
    (dict(dilation=0.5), TypeError, ("dilation", "float")),
    (dict(image_offset=-1), ValueError, ("image_offset", -1)),
    (dict(weights=lk.AnalogWeights(W, PLAIN)), ValueError, ("weights", (3, 5))),
])
def test_wrong_arguments_of_convolution(arguments, error, words):
    weights = lk.AnalogWeights(FILTERS, PLAIN)
    with pytest.raises(error) as raised:
        lk.convolution(**{"x": normals(1, 3, 5, 5), "weights": weights, **arguments})
    assert type(raised.value) is error
    assert_names(str(raised.value), *words)


@pytest.mark.parametrize("profile, words", [
    (CALIBRATED, ("adc_bound", "profile.adc.bound")),
    (PLAIN.with_(dac=lk.Dac(8, lk.Calibrated())), ("input_range", "profile.dac.range")),
])
def test_uncalibrated_ranges(profile, words):
    with pytest.raises(ValueError) as raised:
        lk.linear(X, lk.AnalogWeights(W, profile))
    assert_names(str(raised.value), "lumina_kernel.calibrated", *words)
    with pytest.raises(ValueError, match="x must be some inputs"):
        lk.calibrated(lk.AnalogWeights(W, CALIBRATED), X[:0])


def test_needs_no_torch():
    result = run_python("""
import sys
sys.modules["torch"] = None
import numpy as np, lumina_kernel as lk
ones = np.ones((2, 3), np.float32)
print(lk.linear(ones, lk.AnalogWeights(ones, lk.Profile(adc=None))).tolist())
""")
    assert result.stdout.strip() == "[[3.0, 3.0], [3.0, 3.0]]", result.stderr


def test_two_processes_give_the_same_bits():
    code = """
import numpy as np, lumina_kernel as lk
x, w = (np.random.default_rng(i).standard_normal((30, 50), np.float32) for i in range(2))
weights = lk.AnalogWeights(w, "pcm_hwa", seed=3, seconds=9.0)
y = lk.linear(x, weights, noise_seed=4)
print(y.tobytes().hex())
"""
    first, second = run_python(code), run_python(code, OMP_NUM_THREADS="1")
    assert len(first.stdout) == 30 * 30 * 8 + 1, first.stderr
    assert first.stdout == second.stdout


def test_without_the_compiled_part_the_cause_is_told():
    result = run_python("""
import sys
sys.modules["lumina_kernel._core"] = None
import lumina_kernel as lk
try:
    lk.linear
except ImportError as error:
    print(error)
""")
    assert "lumina_kernel.linear needs the compiled part" in result.stdout, result.stderr


def test_public_names_are_documented():
    for name in lk.analog.__all__:
        assert name in lk.__all__ and inspect.getdoc(getattr(lk, name)), name
