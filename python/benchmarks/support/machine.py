"""Where the numbers come from."""

from __future__ import annotations

import os
import platform
import re
from typing import Sequence

import lumina_kernel as lk
import numpy as np
import torch

from . import threads


def cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def torch_build() -> str:
    """The vector unit that torch's own kernels use, and the BLAS that multiplies for it."""
    unit = re.search(r"CPU capability usage: (\S+)", torch.__config__.show())
    blas = [os.path.basename(path) for path in threads.blas_libraries()]
    blas = [name for name in blas if not name.startswith("libblas")] or blas
    parts = [unit.group(1)] if unit else []
    return " and ".join(parts + blas) or "unknown build"


def describe(thread_counts: Sequence[int]) -> str:
    return (
        f"{cpu_model()}, {threads.all_threads()} cores; "
        f"lumina_kernel {lk.version()} on {lk.isa()}; "
        f"torch {torch.__version__} with {torch_build()}; "
        f"NumPy {np.__version__}, Python {platform.python_version()}; "
        f"threads: {' and '.join(map(str, thread_counts))}."
    )
