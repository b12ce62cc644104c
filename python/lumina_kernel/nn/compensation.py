"""Drift compensation (../read_out.py) of tensors."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor

from .. import read_out as of_arrays
from .chips import Chip


def read_out(
    kind: Any,
    weights: Any,
    in_features: int,
    bound: Optional[Tensor],
    per_column: bool,
    chip: Chip,
) -> Tensor:
    """Behind noise and ADC, [tiles, 1 or out], float32, where `kind` computes. The noise is the chip's at that time: the
    same read-out each time.

    kind: an array_spec.ArrayKind. in_features: of a convolution taps·channels.
    """
    kernel = kind.kernel
    if kernel is not None:
        weights = weights._replace(kernel=of_arrays.patch_kernel(kernel))

    def outputs(units: np.ndarray, key: int) -> np.ndarray:
        _, settings = kind.at(key)
        rows = torch.from_numpy(units).to(kind.device) * settings.dac_range
        return kind.computation.outputs(rows, weights, bound, settings).cpu().numpy()

    means = of_arrays.read_out(
        outputs, kind.encoding.mapping, kernel, in_features, per_column, *chip
    )
    return torch.from_numpy(means).to(kind.device)


def factors(reference: Tensor, now: Tensor) -> Tensor:
    """1 where nothing can be said."""
    values = of_arrays.factors(reference.cpu().numpy(), now.cpu().numpy())
    return torch.from_numpy(values).to(now.device)
