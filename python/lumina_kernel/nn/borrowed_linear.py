"""Products of layers that hold several, whose parameters are theirs."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from torch import Tensor, nn

from ..hardware.profile import Profile
from .analog_linear import AnalogLinear
from .analog_module import AnyProfile, profile_of
from .noise_keys import NoiseKeys


class Lent(NamedTuple):
    """A parameter of the owner, or rows of it."""

    name: str
    rows: Optional[slice] = None

    def of(self, owner: nn.Module) -> Optional[Tensor]:
        whole = getattr(owner, self.name)
        return whole if whole is None or self.rows is None else whole[self.rows]


class BorrowedLinear(AnalogLinear):
    """An AnalogLinear whose weight and bias are parameters of `owner`, or rows of them.

    So a state_dict, an optimizer and a tie see the parameters, and their names, of torch's own
    layers; beside them state_dict has this layer's ranges and chip.
    """

    def __init__(
        self,
        owner: nn.Module,
        name: str,
        weight: Lent,
        bias: Optional[Lent],
        *,
        profile: Profile,
        noise_in_eval: bool,
        keys: NoiseKeys,
        process_group: Optional[Any],
    ) -> None:
        nn.Module.__init__(self)
        self.__dict__["_owner"] = owner  # not as a submodule
        self._lent_weight, self._lent_bias = weight, bias
        self.out_features, self.in_features = self.weight.shape
        self._begin(
            profile,
            None,
            self.in_features,
            self.out_features,
            noise_in_eval,
            keys,
            process_group,
        )
        self._take(self._spec._replace(name=f"{type(owner).__name__}.{name}"))

    def __new__(cls, *_: Any, **__: Any) -> BorrowedLinear:
        return nn.Module.__new__(cls)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        return self._lent_weight.of(self._owner)

    @property
    def bias(self) -> Optional[Tensor]:  # type: ignore[override]
        return None if self._lent_bias is None else self._lent_bias.of(self._owner)

    def reset_parameters(self) -> None:
        """The owner's are not its own."""

    def _source(self) -> Optional[nn.Parameter]:
        return self._owner._parameters.get(self._lent_weight.name)

    def _load_from_state_dict(
        self,
        state_dict: dict,
        prefix: str,
        local_metadata: dict,
        strict: bool,
        missing_keys: list,
        *rest: Any,
    ) -> None:
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, *rest
        )
        # A state_dict of torch's own layer has nothing of this one.
        missing_keys[:] = [key for key in missing_keys if not key.startswith(prefix)]


def array_profile(layer: str, profile: AnyProfile) -> Profile:
    """Errors: TypeError, ValueError."""
    profile = profile_of(profile)
    if not isinstance(profile, Profile):
        raise TypeError(
            f"{layer}: profile must be a Profile, not {profile.name!r}, a HardwareProfile"
        )
    return profile


def checked_share(layer: str, name: str, value: Any) -> float:
    """Of elements that are dropped. Errors: TypeError, ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{layer}: {name} must be a number, not {type(value).__name__}")
    if not 0 <= value <= 1:
        raise ValueError(f"{layer}: {name} must be in 0..1, not {value}")
    return float(value)


def check_tensor(layer: str, name: str, value: Any) -> None:
    """Errors: TypeError, no tensor; ValueError, a nested one."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{layer}: {name} must be a torch.Tensor, not {type(value).__name__}")
    if value.is_nested:
        raise ValueError(f"{layer}: {name} must be one tensor, not a nested one")
