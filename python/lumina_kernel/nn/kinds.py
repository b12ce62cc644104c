"""Types and places of tensors that layers take: floats on one device, computed in float32."""

from __future__ import annotations

from typing import Any, Optional, Union

import torch
from torch import Tensor

from . import selection

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def check_kind(name: str, tensor: Tensor) -> None:
    """Errors: TypeError, no float; ValueError, not dense."""
    if tensor.dtype not in FLOATS:
        raise TypeError(
            f"{name} {list(tensor.shape)} must be float32, float64, float16 or bfloat16, not "
            f"{tensor.dtype}"
        )
    if tensor.layout != torch.strided:
        raise ValueError(f"{name} {list(tensor.shape)} must be dense, not {tensor.layout}")


def checked_options(device: Union[None, str, torch.device], dtype: Optional[torch.dtype]) -> dict:
    """Of a parameter. Errors: TypeError, ValueError."""
    if dtype is not None and dtype not in FLOATS:
        raise TypeError(f"dtype must be float32, float64, float16 or bfloat16, not {dtype}")
    if device is not None and not selection.is_known(device):
        raise ValueError(f"device must be meta, the CPU or a CUDA device, not {device}")
    return {"device": device, "dtype": dtype}


def float32(tensor: Optional[Tensor]) -> Optional[Tensor]:
    return tensor if tensor is None or tensor.dtype == torch.float32 else tensor.float()


def check_operands(input: Any, weight: Tensor, bias: Optional[Tensor]) -> None:
    """What every computation relies on; NaN and Inf it refuses itself. Errors: TypeError,
    ValueError."""
    if not isinstance(input, Tensor):
        raise TypeError(f"input must be a torch.Tensor, not {type(input).__name__}")
    if input.is_nested:
        raise ValueError("input must be one tensor, not a nested one")
    operands = (("input", input), ("weight", weight), ("bias", bias))
    for name, tensor in operands:
        if tensor is not None:
            check_kind(name, tensor)
    selection.check_devices(*operands)


def check_linear(
    input: Any, weight: Tensor, bias: Optional[Tensor], in_features: int, out_features: int
) -> None:
    """Operands of a linear layer. Errors: TypeError, ValueError."""
    check_operands(input, weight, bias)
    ins, outs = in_features, out_features
    if input.dim() == 0 or input.shape[-1] != ins:
        raise ValueError(
            f"input is {list(input.shape)}, but must be [..., {ins}] for a weight "
            f"{list(weight.shape)}"
        )
    if weight.shape != (outs, ins):
        raise ValueError(f"weight must be {[outs, ins]}, not {list(weight.shape)}")
    if bias is not None and bias.shape != (outs,):
        raise ValueError(f"bias must be {[outs]}, not {list(bias.shape)}")
