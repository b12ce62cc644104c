"""Copies and pickles of the compiled classes."""
import copy
import pickle

import numpy as np
import pytest
from helpers import assert_same_bits, layer_data, run_python

import lumina_kernel as lk

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {p}": lambda o, p=p: pickle.loads(pickle.dumps(o, p)) for p in (2, 3, 4, 5)},
}
copies = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES.keys())


@copies
@pytest.mark.parametrize("quantizer", [
    lk.Quantizer(5, -0.3, 1.7), lk.Quantizer(1, 0, 1), lk.SymmetricQuantizer(12, 0.1)], ids=repr)
def test_quantizers(quantizer, copied):
    other = copied(quantizer)
    assert type(other) is type(quantizer) and repr(other) == repr(quantizer)
    values = layer_data(20, 30, 1)[0]
    assert_same_bits(other(values), quantizer(values))


@copies
@pytest.mark.parametrize("drawn", [0, 1, 5, 32, 100])
def test_generators(drawn, copied):
    rng = lk.FastRng(7)
    rng.normals(drawn)
    rng.uniform()
    other = copied(rng)
    assert other is not rng
    assert_same_bits(other.normals(100), rng.normals(100))
    assert [other.next() for _ in range(5)] == [rng.next() for _ in range(5)]
    rng.next()
    assert other.next() != rng.next()  # they go on by themselves


def test_a_generator_goes_on_on_another_instruction_set(force_isa):
    rng = lk.FastRng(7)
    rng.normals(37)
    state, expected = pickle.dumps(rng), rng.normals(100)
    for isa in lk.available_isas():
        force_isa(isa)
        assert_same_bits(pickle.loads(state).normals(100), expected)


@pytest.mark.parametrize("state", [b"", b"12345", bytes(432), b"\xff" * 432])
def test_bytes_that_are_no_generator(state):
    with pytest.raises(ValueError, match="state"):
        lk.FastRng.__new__(lk.FastRng).__setstate__(state)


def special_weights():
    w = layer_data(1, 70, 37)[1]
    w[3], w[4, 5], w[5] = 0.0, -0.0, 1e-44
    w[6] *= np.float32(1e-30)
    return w


@copies
@pytest.mark.parametrize("bits", range(2, 9))
def test_coded_weights(bits, copied):
    for seed in range(3):
        w = special_weights() * np.float32(1 + seed / 7)
        weights = lk.CodedWeights(w, bits)
        other = copied(weights)
        assert repr(other) == repr(weights)
        np.testing.assert_array_equal(other.codes(), weights.codes())
        assert_same_bits(other.scales(), weights.scales())


@copies
@pytest.mark.parametrize("bits", [None, 2, 8, 12, 16])
def test_packed_weights(bits, copied):
    w = special_weights()
    if bits is None:
        w[7, 8], w[9, 10] = np.nan, np.inf
    weights = lk.PackedWeights(w, bits)
    other = copied(weights)
    assert repr(other) == repr(weights)
    x = layer_data(5, 70, 1)[0]
    options = dict(bits=16, lo=-30.0, hi=30.0)
    assert_same_bits(lk.optical_linear_infer(x, other, None, **options),
                     lk.optical_linear_infer(x, weights, None, **options))


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (1, 1)])
def test_small_weights(shape):
    for weights in (lk.PackedWeights(np.ones(shape, "f4")), lk.CodedWeights(np.ones(shape, "f4"))):
        assert pickle.loads(pickle.dumps(weights)).shape == shape


def test_another_process_reads_them(tmp_path):
    x, w, _ = layer_data(3, 20, 30)
    weights = lk.CodedWeights(w, 4)
    path = tmp_path / "weights.pickle"
    path.write_bytes(pickle.dumps((x, weights)))
    result = run_python(f"""
import pickle
import lumina_kernel as lk
x, weights = pickle.load(open({str(path)!r}, "rb"))
print(lk.optical_linear_infer(x, weights, None, 8, dac_bits=8).tobytes().hex())
""")
    expected = lk.optical_linear_infer(x, weights, None, 8, dac_bits=8).tobytes().hex()
    assert result.stdout.strip() == expected, result.stderr
