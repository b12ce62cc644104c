"""isa, available_isas, force_isa, LUMINA_FORCE_ISA."""
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

import numpy as np
import oracle
import pytest
from helpers import assert_same_bits, layer_data, run_python

import lumina_kernel as lk

TABLE = pathlib.Path(__file__).parents[2] / "cmake" / "isas.cmake"
WORST_FIRST = re.findall(r"^lumina_isa\((\w+)", TABLE.read_text(), re.MULTILINE)
FOREIGN = "neon" if platform.machine() in ("x86_64", "AMD64") else "avx2"
PRINT_ISA = "import lumina_kernel as lk; print(lk.isa())"

every_isa = pytest.mark.parametrize("isa", lk.available_isas())


def unit_of(isa):
    """AMX and AVX-512 VNNI are one unit, whose weights can move between the two."""
    return "avx512_vnni" if isa == "amx" else isa


def test_available_isas():
    isas = lk.available_isas()
    assert isas[-1] == "scalar" and len(set(isas)) == len(isas)
    assert sorted(isas, key=WORST_FIRST.index, reverse=True) == isas
    assert lk.isa() in isas


def test_the_best_is_the_default():
    code = f"import os; os.environ.pop('LUMINA_FORCE_ISA', None); {PRINT_ISA}"
    assert run_python(code).stdout.strip() == lk.available_isas()[0]


@every_isa
def test_forced(isa, force_isa):
    assert force_isa(isa) is None
    assert lk.isa() == isa


@every_isa
def test_forced_by_the_environment(isa):
    result = run_python(PRINT_ISA, LUMINA_FORCE_ISA=isa)
    assert result.stdout.strip() == isa, result.stderr


ON_OTHER_MACHINES = """
import numpy as np
import lumina_kernel as lk
x, w = np.linspace(0, 1, 120, dtype="f4").reshape(3, 40), np.linspace(-1, 1, 200, dtype="f4")
w = lk.CodedWeights(w.reshape(5, 40))
print(lk.isa(), lk.optical_linear_fused(x, w, None, 0.1, 8, 1, dac_bits=8).tobytes().hex())
"""


@pytest.mark.skipif(FOREIGN == "avx2" or shutil.which("qemu-x86_64") is None,
                    reason="needs qemu-x86_64 and x86")
@pytest.mark.parametrize("cpu, isa", [("Nehalem", "scalar"), ("Haswell", "avx2")])
def test_machines_with_less(cpu, isa):
    here = run_python(ON_OTHER_MACHINES).stdout.split()
    free = {name: value for name, value in os.environ.items() if name != "LUMINA_FORCE_ISA"}
    done = subprocess.run(["qemu-x86_64", "-cpu", cpu, sys.executable, "-c", ON_OTHER_MACHINES],
                          env=free, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [isa, here[1]]


@pytest.mark.parametrize("name", ["avx3", "", "AVX2", FOREIGN])
def test_unknown_and_missing_units_are_errors(name, force_isa):
    before = lk.isa()
    with pytest.raises(ValueError) as error:
        force_isa(name)
    assert name in str(error.value) and "scalar" in str(error.value)  # it says what there is
    assert lk.isa() == before


def test_name_that_is_no_string():
    with pytest.raises(TypeError):
        lk.force_isa(None)


@pytest.mark.parametrize("name", ["avx3", FOREIGN])
def test_wrong_environment_is_an_error(name):
    result = run_python(PRINT_ISA, LUMINA_FORCE_ISA=name)
    assert result.returncode == 1, "neither success nor a crash"
    assert name in result.stderr and "LUMINA_FORCE_ISA" in result.stderr


@every_isa
def test_floats_have_the_same_bits(isa, force_isa):
    x, w, bias = layer_data(19, 70, 133)
    force_isa(isa)
    y = lk.optical_linear_fused(x, w, bias, 0.25, 16, 4)
    fused = oracle.layer(x, w, bias, 16, 0.25, 4)
    if isa == "scalar" and FOREIGN == "neon":  # no FMA there
        assert_same_bits(y, oracle.layer(x, w, bias, 16, 0.25, 4, fused=False))
        assert np.abs(y - fused).max() < 2 * 20 / 65535
    else:
        assert_same_bits(y, fused)


@every_isa
def test_codes_have_the_same_bits(isa, force_isa):
    x, w, bias = layer_data(19, 70, 133)
    force_isa(isa)
    for bits in (8, 4):
        options = dict(dac_bits=bits, weight_bits=bits)
        y = lk.optical_linear_fused(x, w, bias, 0.25, 16, 4, **options)
        assert_same_bits(y, oracle.layer(x, w, bias, 16, 0.25, 4, **options))


@every_isa
def test_normals_have_the_same_bits(isa, force_isa):
    force_isa(isa)
    assert_same_bits(lk.FastRng(3).normals(77), oracle.FastRng(3).normals(77))
    for seed, stream, row_offset, row, col, value in oracle.golden_places():
        normal = lk.standard_normal_at(seed, row, col, stream=stream, row_offset=row_offset)
        assert normal == value


@every_isa
def test_other_kernels(isa, force_isa):
    x, w, _ = (np.rint(4 * array) for array in layer_data(9, 20, 30))
    force_isa(isa)
    g = np.rint(lk.optical_linear_infer(x, w, None, 4))
    grad_input, grad_weight = lk.optical_linear_backward_kernel(g, x, w)
    np.testing.assert_array_equal(grad_input, g @ w)
    np.testing.assert_array_equal(grad_weight, g.T @ x)
    z, v = (x + 1j * x[::-1]).astype(np.complex64), (w - 1j * w[::-1]).astype(np.complex64)
    np.testing.assert_array_equal(lk.complex_matmul(z, v), z @ v.T)
    values = np.linspace(-2, 2, 1001, dtype=np.float32)
    assert_same_bits(lk.Quantizer(6, -1.0, 1.5)(values), oracle.Quantizer(6, -1.0, 1.5)(values))


@pytest.mark.parametrize("packing", lk.available_isas())
def test_weights_outlive_a_change(packing, force_isa):
    x, w, bias = layer_data(5, 40, 50)
    force_isa(packing)
    weights = lk.PackedWeights(w), lk.CodedWeights(w)
    before = [lk.optical_linear_fused(x, weight, bias, 0.25, 8, 4, dac_bits=8)
              for weight in weights]
    for isa in lk.available_isas():
        force_isa(isa)
        for weight, expected in zip(weights, before):
            y = lk.optical_linear_fused(x, weight, bias, 0.25, 8, 4, dac_bits=8)
            assert_same_bits(y, expected)
            assert unit_of(weight.isa) == unit_of(packing)
