"""One number of threads for everybody: torch, the BLAS behind it, and us by `threads=`."""

from __future__ import annotations

import ctypes
import os
import re

import torch


def all_threads() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def use(threads: int) -> None:
    """torch.set_num_threads reaches MKL and OpenMP, but not an OpenBLAS with threads of its own,
    which is what Debian's torch multiplies with."""
    torch.set_num_threads(threads)
    for path in blas_libraries():
        if "openblas" in path:
            set_threads = getattr(ctypes.CDLL(path), "openblas_set_num_threads", None)
            if set_threads is not None:
                set_threads(threads)


def blas_libraries() -> list[str]:
    """Paths of the BLAS libraries that this process has loaded (Linux; elsewhere none)."""
    try:
        with open("/proc/self/maps", encoding="utf-8") as maps:
            lines = maps.read().splitlines()
    except OSError:
        return []
    paths = {line.split(maxsplit=5)[-1] for line in lines if "/" in line}
    return sorted(p for p in paths if re.search(r"/lib[^/]*(openblas|mkl_rt|blas|mkl_core)", p))
