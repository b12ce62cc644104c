"""Which layer of torch.nn is which one on arrays, and how the one becomes the other."""

from __future__ import annotations

import warnings
from typing import NamedTuple, Tuple, Union

import torch
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from ..hardware.profile import Profile
from ..profiles import HardwareProfile
from .analog_attention import AnalogMultiheadAttention
from .analog_conv import AnalogConv1d, AnalogConv2d, AnalogConv3d
from .analog_linear import AnalogLinear
from .analog_module import AnalogModule
from .analog_rnn import AnalogGRU, AnalogLSTM, AnalogRNN
from .optical_linear import OpticalLinear

_LINEAR = ("in_features", "out_features")
_CONVOLUTION = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation",
                "groups", "padding_mode")  # fmt: skip
_ATTENTION = ("embed_dim", "num_heads", "dropout", "add_zero_attn", "kdim", "vdim", "batch_first")
_RECURRENT = ("input_size", "hidden_size", "num_layers", "batch_first", "dropout", "bidirectional")


class Kind(NamedTuple):
    digital: type
    analog: type
    arguments: Tuple[str, ...]  #: attributes of both, by which either is made


KINDS = (
    Kind(nn.Linear, AnalogLinear, _LINEAR),
    Kind(nn.Conv1d, AnalogConv1d, _CONVOLUTION),
    Kind(nn.Conv2d, AnalogConv2d, _CONVOLUTION),
    Kind(nn.Conv3d, AnalogConv3d, _CONVOLUTION),
    Kind(nn.MultiheadAttention, AnalogMultiheadAttention, _ATTENTION),
    Kind(nn.RNN, AnalogRNN, (*_RECURRENT, "nonlinearity")),
    Kind(nn.LSTM, AnalogLSTM, (*_RECURRENT, "proj_size")),
    Kind(nn.GRU, AnalogGRU, _RECURRENT),
)
_DIGITAL = {kind.digital: kind for kind in KINDS}
_DIGITAL[NonDynamicallyQuantizableLinear] = _DIGITAL[nn.Linear]
_ANALOG = {kind.analog: kind for kind in KINDS}
_ANALOG[OpticalLinear] = _DIGITAL[nn.Linear]


class NotConverted(Exception):
    """Its message says why."""


def is_on_arrays(module: nn.Module) -> bool:
    return isinstance(module, tuple(_ANALOG))


def is_digital_kind(module: nn.Module) -> bool:
    """Whether it is one of those that have a counterpart, or a subclass."""
    return isinstance(module, tuple(_DIGITAL)) and not is_on_arrays(module)


def on_arrays(module: nn.Module, profile: Union[Profile, HardwareProfile]) -> nn.Module:
    """The layer on arrays, with the Parameters of `module`, a layer of torch.nn. Error:
    NotConverted."""
    kind = _DIGITAL.get(type(module))
    if kind is None:
        raise NotConverted(_why_unknown(module))
    cls = kind.analog
    if isinstance(profile, HardwareProfile):
        if cls is not AnalogLinear:
            raise NotConverted(
                f"{profile.name!r} is a HardwareProfile, which has linear layers only"
            )
        cls = OpticalLinear
    named = "hardware_profile" if cls is OpticalLinear else "profile"
    return _made(cls, kind, module, {named: profile})


def digital(module: nn.Module) -> nn.Module:
    """The layer of torch.nn, with the Parameters of `module`, which is on arrays. Error:
    NotConverted."""
    kind = _ANALOG.get(type(module))
    if kind is None:
        raise NotConverted(_why_unknown(module))
    return _made(kind.digital, kind, module, {})


def _why_unknown(module: nn.Module) -> str:
    if hasattr(module, "parametrizations"):
        names = ", ".join(module.parametrizations)
        return (
            f"{names} is parametrized; torch.nn.utils.parametrize.remove_parametrizations() first"
        )
    known = (*_DIGITAL, *_ANALOG)
    parent = next(base.__name__ for base in type(module).__mro__ if base in known)
    return f"a subclass of {parent}, whose forward() may be another"


def _made(cls: type, kind: Kind, module: nn.Module, given: dict) -> nn.Module:
    if "forward" in vars(module):
        raise NotConverted("its forward() has been replaced")
    arguments = {name: getattr(module, name) for name in kind.arguments}
    arguments["bias"] = _has_bias(module)
    if kind.digital is nn.MultiheadAttention:
        arguments["add_bias_kv"] = module.bias_k is not None
    dtype = next((each.dtype for each in module.parameters()), None)
    try:
        with warnings.catch_warnings():  # which the first one has had
            warnings.simplefilter("ignore")
            new = cls(**arguments, **given, device="meta", dtype=dtype)
    except (TypeError, ValueError) as error:
        raise NotConverted(str(error)) from error
    _take_parameters(new, module)
    out_proj = getattr(module, "out_proj", None)
    if isinstance(out_proj, nn.Module):
        if type(out_proj) not in (*_DIGITAL, *_ANALOG):
            raise NotConverted(f"its out_proj is {_why_unknown(out_proj)}")
        _take_parameters(new.out_proj, out_proj, "its out_proj: ")
    for each in new.modules():  # which were made on meta
        if isinstance(each, AnalogModule):
            each._make_buffers(each.weight.device)
        elif isinstance(each, OpticalLinear) and each.adc_limit is not None:
            each.adc_limit = torch.zeros((), device=each.weight.device)
    for name, value in vars(module).items():
        if name.startswith(("_forward_", "_backward_")) or name == "_is_full_backward_hook":
            setattr(new, name, value)
    for each in new.modules():
        each.training = module.training
    return new


def _has_bias(module: nn.Module) -> bool:
    bias = module.in_proj_bias if hasattr(module, "in_proj_bias") else module.bias
    return bias if isinstance(bias, bool) else bias is not None


def _take_parameters(new: nn.Module, old: nn.Module, where: str = "") -> None:
    """The very Parameters. Error: NotConverted, `old` has others than its kind."""
    mine = {name for name, each in new._parameters.items() if each is not None}
    theirs = {name: each for name, each in old._parameters.items() if each is not None}
    if theirs.keys() != mine:
        others = ", ".join(sorted(theirs.keys() - mine)) or f"no {', '.join(mine - theirs.keys())}"
        raise NotConverted(
            f"{where}has {others}: pruned, normalised or the like; torch.nn.utils.prune.remove() "
            "or remove_weight_norm() first"
        )
    for name, each in theirs.items():
        setattr(new, name, each)
