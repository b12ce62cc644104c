"""The programs that users see first: the README's, the examples, the benchmark."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not here")
PYTHON = Path(__file__).resolve().parents[1]


def run(*command, cwd):
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run([sys.executable, *map(str, command)], cwd=cwd, env=environment,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_program_in_the_readme_is_the_example(tmp_path):
    readme = (PYTHON.parent / "README.md").read_text(encoding="utf-8")
    program = re.search(r"```python\n(.*?)```", readme, re.DOTALL).group(1)
    example = (PYTHON / "examples" / "optical_linear.py").read_text(encoding="utf-8")
    assert program.strip() in example
    assert "of which 0.100 is noise" in run(PYTHON / "examples" / "optical_linear.py", cwd=tmp_path)


def test_fashion_mnist(tmp_path):
    if not Path("/usr/share/datasets/fashion-mnist").is_dir():
        pytest.skip("the dataset (Debian: dataset-fashion-mnist) is not here")
    output = run(PYTHON / "examples" / "fashion_mnist_mlp.py", "--quick", cwd=tmp_path)
    assert "noise-aware" in output


def test_benchmark(tmp_path):
    picture, figures = tmp_path / "plot.png", tmp_path / "figures.json"
    output = run(PYTHON / "benchmarks" / "compare_with_pytorch.py", "--quick",
                 "--plot", picture, "--json", figures, cwd=tmp_path)
    assert "| batch" in output and picture.stat().st_size > 0 and figures.stat().st_size > 0
