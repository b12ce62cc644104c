"""torch.nn's transformer encoders have a fast way through eval() on which they read the weights of
their layers and call none of them. Where one of these is on arrays, that way must not be taken."""

from __future__ import annotations

from typing import Callable

from torch import nn

#: Attributes that such a module looks at first, and that say no.
_SAYING_NO = {
    nn.TransformerEncoderLayer: {"activation_relu_or_gelu": 0},
    nn.TransformerEncoder: {"enable_nested_tensor": False, "use_nested_tensor": False},
}
_BEFORE = "_before_conversion"


def leave_fast_path(model: nn.Module, on_arrays: Callable[[nn.Module], bool]) -> None:
    for module in model.modules():
        for kind, attributes in _SAYING_NO.items():
            if isinstance(module, kind) and any(map(on_arrays, module.modules())):
                before = {k: vars(module)[k] for k in attributes if k in vars(module)}
                vars(module).setdefault(_BEFORE, before)
                vars(module).update({name: attributes[name] for name in before})


def return_to_fast_path(model: nn.Module) -> None:
    for module in model.modules():
        vars(module).update(vars(module).pop(_BEFORE, {}))
