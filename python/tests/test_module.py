"""What the module says about itself."""
import ast
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import run_python

import lumina_kernel as lk
from lumina_kernel import analog, hardware

PACKAGE = Path(lk.__file__).parent


def stub():
    return ast.parse((PACKAGE / "_core.pyi").read_text(encoding="utf-8"))


def functions(tree):
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


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
        "CodedWeights", "FastRng", "PackedWeights", "Quantizer", "SymmetricQuantizer",
        "available_isas", "complex_matmul", "force_isa", "hello_lumina", "isa", "mix_neighbours",
        "optical_linear_backward_kernel", "optical_linear_fused", "optical_linear_infer",
        "optical_linear_physics", "standard_normal_at", "version"]
    for name in names:
        assert getattr(lk, name).__doc__, name
    for name in ("input", "weight", "bias", "noise_std", "bits", "seed", "threads", "out"):
        assert name in lk.optical_linear_fused.__doc__


def test_stubs_have_what_the_module_has():
    assert (PACKAGE / "py.typed").exists()
    tree = stub()
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for name in set(lk.__all__) - {*hardware.__all__, *analog.__all__}:
        assert name in functions(tree) or name in classes, name
    for name, node in classes.items():
        methods = [n for n in node.body if not isinstance(n, ast.Expr)]  # nothing but methods
        assert all(isinstance(n, ast.FunctionDef) for n in methods), name
        assert all(hasattr(getattr(lk._core, name), method.name) for method in methods), name


def test_annotations_say_what_is_taken():
    from lumina_kernel.array_like import SupportsDLPack

    assert SupportsDLPack.__doc__
    imports = [node for node in stub().body if isinstance(node, ast.ImportFrom)]
    assert any(i.module == "array_like" and i.level == 1 for i in imports)


def test_metadata():
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        about = metadata("lumina-kernel")
    except PackageNotFoundError:
        pytest.skip("run from its sources")
    assert about["License-Expression"] == "Apache-2.0" and about["Requires-Python"] == ">=3.10"
    notices = [name for name in about.get_all("License-File") if "THIRD_PARTY" in name]
    assert notices and about["Author"]


def test_signatures():
    """Those that programs are written against; the stubs are what help() says too."""
    expected = dict(
        optical_linear_fused=(
            ["input", "weight", "bias", "noise_std", "bits", "seed"],
            ["lo", "hi", "threads", "out", "dac_bits", "weight_bits"]),
        optical_linear_infer=(
            ["input", "weight", "bias", "bits"],
            ["lo", "hi", "threads", "out", "dac_bits", "weight_bits"]),
        optical_linear_physics=(
            ["input", "weight", "bias", "bits", "seed"],
            ["shot_noise", "crosstalk", "attenuation", "noise_std"]),
        mix_neighbours=(["weight", "crosstalk"], ["weight_bits"]),
        optical_linear_backward_kernel=(["grad_output", "input", "weight"], ["threads"]),
        complex_matmul=(["input", "weight"], ["threads", "out"]),
        standard_normal_at=(["seed", "row", "col"], ["stream", "row_offset"]),
        version=([], []), hello_lumina=([], []), isa=([], []))
    x, w, bias = (np.ones(shape, np.float32) for shape in ((3, 4), (5, 4), (5,)))
    values = dict(input=x, weight=w, bias=bias, noise_std=0.1, bits=8, seed=1, lo=-1.0, hi=1.0,
                  threads=1, out=None, dac_bits=4, weight_bits=4, dac_lo=0.0, dac_hi=1.0, stream=2,
                  row_offset=3, symmetric=True, dac_symmetric=False, shot_noise=0.1, crosstalk=0.02,
                  attenuation=0.9, grad_output=np.ones((3, 5), np.float32), row=1, col=2)
    for name, (positional, keyword_only) in expected.items():
        arguments = functions(stub())[name].args
        assert [a.arg for a in arguments.args] == positional, name
        assert [a.arg for a in arguments.kwonlyargs][:len(keyword_only)] == keyword_only, name
        given = dict(values, input=x * 1j, weight=w * 1j) if name == "complex_matmul" else values
        options = {a.arg: given[a.arg] for a in arguments.kwonlyargs}
        function = getattr(lk, name)
        by_position = function(*[given[a] for a in positional], **options)
        by_keyword = function(**{a: given[a] for a in positional}, **options)
        np.testing.assert_equal(by_keyword, by_position)
