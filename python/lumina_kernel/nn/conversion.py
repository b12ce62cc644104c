"""Models of torch.nn's layers onto arrays, and back."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Set, Union

from torch import nn
from torch.nn.parameter import UninitializedTensorMixin

from .analog_module import AnyProfile
from .conversion_table import Conversion, ConversionRow, array_count
from .counterparts import NotConverted, digital, is_digital_kind, is_on_arrays, on_arrays
from .encoder_fast_path import leave_fast_path, return_to_fast_path
from .name_patterns import ProfileChoice, names_of

_RECORD = "_conversion_to_analog"


def convert_to_analog(
    model: nn.Module,
    profile: AnyProfile,
    overrides: Mapping[str, AnyProfile] = {},
    exclude: Union[str, Sequence[str]] = (),
    verbose: bool = False,
) -> nn.Module:
    """Puts layers of `model` on arrays: nn.Linear, Conv1d, Conv2d, Conv3d, MultiheadAttention,
    RNN, LSTM and GRU become AnalogLinear and so on, in their places in the model, which is
    returned; a model that is such a layer itself is returned as another one.

    profile     of the hardware: a Profile, a preset's name, or a HardwareProfile, with which
                nn.Linear becomes OpticalLinear and nothing else is converted
    overrides   {pattern: profile} for layers whose name, or the name of a module that they are in,
                matches (fnmatch: "encoder.*.fc?"); of several that match the last one counts
    exclude     patterns of what stays digital, matched alike, or one
    verbose     prints the table that conversion_report() returns

    Layers keep their very Parameters, so optimizers, tied weights and requires_grad stay; a module
    that is in several places stays one. The names in state_dict stay, and ranges and chips come
    beside them, so that either model loads the parameters of the other (strict=False from the
    converted one into the digital one). Forward and backward hooks go over, with their handles;
    hooks of state_dict and other attributes of a layer do not. No generator is drawn from.

    What has weights and is not converted is in the table, with why: layers of other kinds;
    subclasses of torch.nn's, for their forward() may be another; what is pruned, parametrized or
    normalised. A module that reads a layer's weight in the place of calling it is not noticed; of
    torch's own, encoder layers, whose fast path is switched off, and MultiheadAttention are
    taken care of.

    Errors: TypeError, ValueError; a pattern that matches nothing, a lazy layer that is not
    initialised. The model is as it was then.
    """
    _check_model(model)
    names = names_of(model)
    profiles = ProfileChoice(names, profile, overrides, exclude)
    earlier = {row.name: row for row in _converted_before(model)}
    replaced: Dict[nn.Module, nn.Module] = {}
    rows: List[ConversionRow] = []
    inside: Set[nn.Module] = set()  # layers that have been dealt with
    for module, own in names.items():
        if module in inside:
            continue
        name, kind, pattern = own[0], type(module).__name__, profiles.excluded_by(own)
        if is_on_arrays(module):
            row = earlier.get(name) or _row_of(name, kind, module)
        elif pattern is not None and (is_digital_kind(module) or _has_matrix(module)):
            row = ConversionRow(name, kind, why_not=f"excluded by {pattern!r}")
        elif is_digital_kind(module):
            _check_initialised(name, module)
            try:
                replaced[module] = on_arrays(module, profiles.of(own))
                row = _row_of(name, kind, replaced[module])
            except NotConverted as error:
                row = ConversionRow(name, kind, why_not=str(error))
        elif _has_matrix(module):
            row = ConversionRow(name, kind, why_not=f"{kind} has no counterpart on arrays")
        else:
            continue
        rows.append(row)
        if is_on_arrays(module) or is_digital_kind(module):
            inside.update(module.modules())
    profiles.check_used()
    model = _replace(model, replaced)
    leave_fast_path(model, is_on_arrays)
    conversion = vars(model)[_RECORD] = Conversion(rows)
    if verbose:
        print(conversion)
    return model


def convert_to_digital(model: nn.Module) -> nn.Module:
    """Undoes convert_to_analog(): each layer on arrays, whoever has put it there, becomes
    torch.nn's, with the very Parameters. Ranges, chips and options of noise are forgotten. Returns
    the model.

    Errors: TypeError; ValueError, a layer is parametrized, pruned, or a subclass. The model is as
    it was then.
    """
    _check_model(model)
    replaced: Dict[nn.Module, nn.Module] = {}
    inside: Set[nn.Module] = set()
    for module, (name, *_) in names_of(model).items():
        if module not in inside and is_on_arrays(module):
            inside.update(module.modules())
            try:
                replaced[module] = digital(module)
            except NotConverted as error:
                raise ValueError(f"{name or 'the model'} can't be converted: {error}") from error
    model = _replace(model, replaced)
    return_to_fast_path(model)
    vars(model).pop(_RECORD, None)
    return model


def conversion_report(model: nn.Module) -> Conversion:
    """What convert_to_analog() has done to `model`: a table as str(), or to_dict().

    Errors: TypeError; ValueError, the model has not been converted, or is a part of one that has.
    """
    _check_model(model)
    if _RECORD not in vars(model):
        raise ValueError(
            f"model, a {type(model).__name__}, is none that convert_to_analog() has returned"
        )
    return vars(model)[_RECORD]


def _check_model(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {type(model).__name__}")


def _converted_before(model: nn.Module) -> List[ConversionRow]:
    return vars(model)[_RECORD].converted if _RECORD in vars(model) else []


def _row_of(name: str, before: str, layer: nn.Module) -> ConversionRow:
    profile = getattr(layer, "profile", None) or layer.hardware_profile
    return ConversionRow(name, before, type(layer).__name__, profile.name, array_count(layer))


def _has_matrix(module: nn.Module) -> bool:
    """Or, if it is lazy, may get one."""
    return any(
        isinstance(each, UninitializedTensorMixin) or (each is not None and each.dim() > 1)
        for each in module._parameters.values()
    )


def _check_initialised(name: str, module: nn.Module) -> None:
    if any(isinstance(each, UninitializedTensorMixin) for each in module.parameters()):
        raise ValueError(
            f"{name or 'the model'}: a {type(module).__name__} is not initialised; call the model "
            "once before it is converted"
        )


def _replace(model: nn.Module, replaced: Dict[nn.Module, nn.Module]) -> nn.Module:
    if model in replaced:
        return replaced[model]
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child in replaced:
                parent._modules[name] = replaced[child]
    return model
