"""Which computation a process takes: the environment, and what can be imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nn_support import computation

import lumina_kernel.nn
from lumina_kernel.nn import selection

BLOCKED = "import sys; sys.modules['lumina_kernel._core'] = None\n"
REPORT = """
import torch
from lumina_kernel import nn
layer = nn.OpticalLinear(5, 3)
layer(torch.rand(4, 5)).sum().backward()
print(nn.backend(), "backend=" + nn.backend() in str(layer))
"""


def run(program, **environment):
    package = Path(lumina_kernel.nn.__file__).parents[2]
    base = {k: v for k, v in os.environ.items() if not k.startswith("LUMINA_USE_")}
    paths = [str(package), base.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**base, **environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "kernel, rust, expected",
    [
        (None, None, "native"),
        ("0", None, "torch"),
        (None, "0", "torch"),
        ("1", "0", "native"),
        ("0", "1", "torch"),
        ("", "0", "torch"),
    ],
)
def test_environment_chooses(monkeypatch, kernel, rust, expected):
    computation(expected)
    for name, value in (("LUMINA_USE_KERNEL", kernel), ("LUMINA_USE_RUST", rust)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert selection.select().NAME == expected


@pytest.mark.parametrize("name", ["LUMINA_USE_KERNEL", "LUMINA_USE_RUST"])
def test_other_values_are_refused(monkeypatch, name):
    monkeypatch.delenv("LUMINA_USE_KERNEL", raising=False)
    monkeypatch.setenv(name, "yes")
    with pytest.raises(ValueError, match=f"{name} must be 0 or 1, not 'yes'"):
        selection.select()


def test_a_process_takes_what_it_chose():
    done = run(REPORT, LUMINA_USE_KERNEL="0")
    assert done.stdout == "torch True\n", done.stderr


def test_without_the_native_module():
    done = run(BLOCKED + REPORT)
    assert done.stdout == "torch True\n", done.stderr


@pytest.mark.parametrize("name", ["LUMINA_USE_KERNEL", "LUMINA_USE_RUST"])
def test_asking_for_a_missing_module(name):
    done = run(BLOCKED + "import lumina_kernel.nn", **{name: "1"})
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: {name}=1 asks for") and "_core" in last


def test_from_its_sources_it_has_no_version():
    program = """
from importlib import metadata
def version(name):
    raise metadata.PackageNotFoundError(name)
metadata.version = version
import lumina_kernel
print(hasattr(lumina_kernel, "__version__"))
"""
    done = run(BLOCKED + program)
    assert done.stdout == "False\n", done.stderr


def test_compiled_functions_say_why_they_are_missing():
    done = run(BLOCKED + "from lumina_kernel import optical_linear_fused")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: lumina_kernel.optical_linear_fused needs") and "_core" in last
