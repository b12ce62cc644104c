"""What the module says about itself."""
import re

from helpers import run_python

import lumina_kernel as lk


def test_version():
    assert lk.version() == lk.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", lk.version())


def test_greeting():
    assert lk.version() in lk.hello_lumina() and lk.isa() in lk.hello_lumina()


def test_torch_is_imported_by_nn_only():
    result = run_python("""
import sys
import numpy as np
import lumina_kernel as lk
lk.optical_linear_infer(np.ones((2, 3), "f4"), np.ones((4, 3), "f4"), None, 8)
assert "torch" not in sys.modules
""")
    assert result.returncode == 0, result.stderr


def test_every_public_name_is_documented():
    names = [
        "CodedWeights", "FastRng", "PackedWeights", "Quantizer", "available_isas", "complex_matmul",
        "force_isa", "hello_lumina", "isa", "optical_linear_backward_kernel",
        "optical_linear_fused", "optical_linear_infer", "standard_normal_at", "version"]
    for name in names:
        assert getattr(lk, name).__doc__, name
    for name in ("input", "weight", "bias", "noise_std", "bits", "seed", "threads", "out"):
        assert name in lk.optical_linear_fused.__doc__
