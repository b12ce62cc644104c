"""What all layers on arrays have in common."""

from __future__ import annotations

import weakref
from typing import Any, Callable, List, Optional, Union

import torch
from torch import Tensor, nn

from ..array_layout import tiles_of
from ..array_settings import Kernel
from ..hardware import presets
from ..hardware.converters import Calibrated
from ..hardware.profile import Profile
from ..profiles import HardwareProfile
from . import array_function, array_operators
from .array_passes import ArrayPasses
from .array_spec import ArraySpec, Ranges
from .chips import Chip, no_chip
from .kinds import float32
from .noise_keys import NoiseKeys, drawn

AnyProfile = Union[str, Profile, HardwareProfile]


def profile_of(profile: AnyProfile) -> Union[Profile, HardwareProfile]:
    """Itself, or the preset of that name. Errors: TypeError, ValueError."""
    if isinstance(profile, str):
        return presets.named(profile)
    if isinstance(profile, (Profile, HardwareProfile)):
        return profile
    raise TypeError(
        f"profile must be a Profile, a HardwareProfile or a preset's name, not "
        f"{type(profile).__name__}"
    )


class AnalogModule(nn.Module):
    """A layer whose weight lies on arrays.

    In train() mode, and as long as no chip is programmed, weights are encoded in each pass, whatever
    has changed them: in training with the noise of `profile.training`. program() puts them on a
    chip's devices, whose weights stay until the next program(), drift() or load_state_dict(); a
    programmed layer answers, in eval() mode, and is not trained.

    Buffers, all of them in state_dict():
      input_range  r of the DAC, float32; 0: not calibrated
      adc_bound    of the ADCs, float32 [1 or tiles, 1 or out]; 0: not calibrated
      chip         chips.Chip
      reference    the read-out that drift is compensated with, float32 [tiles, 1 or out]
    """

    weight: Tensor
    bias: Optional[Tensor]
    input_range: Optional[Tensor]
    adc_bound: Optional[Tensor]
    chip: Tensor
    reference: Optional[Tensor]
    noise_in_eval: bool

    _alive: weakref.WeakSet[AnalogModule] = weakref.WeakSet()

    @classmethod
    def all_alive(cls) -> List[AnalogModule]:
        """The process's layers on arrays."""
        return list(cls._alive)

    def _begin(
        self,
        profile: AnyProfile,
        kernel: Optional[Kernel],
        inputs: int,
        outputs: int,
        noise_in_eval: bool,
        keys: NoiseKeys,
        process_group: Optional[Any],
    ) -> None:
        """To be called by constructors. `inputs`: ArraySpec.units."""
        self._alive.add(self)
        self._take(ArraySpec(profile, kernel, inputs, type(self).__name__))
        self._passes = ArrayPasses(keys, process_group)
        self._observer: Optional[Any] = None  # calibration.py, report.py
        self.noise_in_eval = noise_in_eval
        self._columns = tiles_of(kernel, inputs, profile.mapping), outputs
        self._make_buffers(self.weight.device)

    def _make_buffers(self, device: torch.device) -> None:
        """As of a new layer."""
        dac, adc, (tiles, outputs) = self.profile.dac, self.profile.adc, self._columns
        compensated = {None: 0, "tile": 1, "column": outputs}[self.profile.compensation]
        buffers = {
            "input_range": dac and _range_buffer(dac.range, 1, 1).reshape(()),
            "adc_bound": adc and _range_buffer(adc.bound, tiles, outputs),
            "chip": no_chip(),
            "reference": torch.zeros(tiles, compensated) if compensated else None,
        }
        for name, values in buffers.items():
            values = None if values is None else values.to(device)
            self.register_buffer(name, values)

    def _take(self, spec: ArraySpec) -> None:
        # What is worked out here a compiler of graphs need not look into.
        self._spec, self._text = spec, spec.to_text()
        self._draws = {training: spec.draws(training) for training in (False, True)}

    @property
    def profile(self) -> Profile:
        return self._spec.profile

    @property
    def seed(self) -> Optional[int]:
        """Of the noise of passes."""
        return self._passes.keys.seed

    @property
    def programmed(self) -> Optional[Chip]:
        """The chip that holds the weights, or None."""
        return Chip.of(self.chip)

    def _ranges(self) -> Ranges:
        return Ranges(self.input_range, self.adc_bound, self.chip, self.reference)

    def _source(self) -> Optional[nn.Parameter]:
        """The parameter that the weight is, or is part of; None where each pass computes it."""
        return self._parameters.get("weight")

    def _filters(self, weight: Tensor) -> Tensor:
        """The weight as computations take it."""
        return float32(weight)

    # --- A pass -----------------------------------------------------------------------------------

    def _run(self, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        """y of x, which is rows, or images [N, C, D, H, W]; float32."""
        x, w, bias = float32(x).resolve_neg(), self._filters(weight), float32(bias)
        if self._observer is not None:
            return self._observer.run(self, x, w, bias)
        training = self.training
        draws = (training or self.noise_in_eval) and self._draws[training]
        if x.is_meta and not array_operators.AVAILABLE:
            return array_operators.shape_of(self._text, x, w, training)
        if array_operators.needed(x, w):
            return array_operators.call(
                self._text, self._passes, x, w, bias, self._ranges(), training, draws
            )
        number = drawn().item() if draws else None
        return array_function.run(
            self._spec, self._passes, x, w, bias, self._ranges(), training, number, weight.detach()
        )

    # --- What functions over models call ----------------------------------------------------------

    def program(self, seed: int, stream: int = 0) -> None:
        """The weights as they are now onto the devices of a chip. Errors: RuntimeError, a range is
        not calibrated, or the weight is no parameter."""
        if self._source() is None:
            raise RuntimeError(
                f"{type(self).__name__}: only a weight that is a parameter can be programmed; "
                "remove its parametrization or pruning first"
            )
        chip = Chip(int(seed), int(stream), None)
        if self.reference is not None:  # the first reading
            with torch.no_grad():
                first = chip._replace(seconds=0.0)
                w = self._filters(self.weight.detach())
                self.reference.copy_(self._spec.read_out(w, self._ranges(), first))
        self._hold(chip)

    def drift(self, seconds: Optional[float]) -> None:
        """The chip's devices so long after programming, whatever the times before. Error:
        RuntimeError, nothing is programmed, or the weight has changed since."""
        chip = self.programmed
        if chip is None:
            raise RuntimeError(f"{type(self).__name__}: program() comes before drift()")
        self._passes.check_held(self._spec, self.weight)
        self._hold(chip._replace(seconds=seconds))

    def unprogram(self) -> None:
        self.chip.zero_()
        self._passes.held = None

    def _hold(self, chip: Chip) -> None:
        weight = self._filters(self.weight.detach())
        held = self._spec.held(weight, self._ranges(), chip, self.weight)
        chip.to(self.chip)
        self._passes.held = held

    # --- What nn.Module calls ---------------------------------------------------------------------

    def _apply(self, fn: Callable[[Tensor], Tensor], *options: Any, **others: Any) -> AnalogModule:
        """to(), half(), to_empty() and the like: ranges stay float32."""
        self._passes.held = None  # encoded again when it is needed
        before = {name: self._buffers[name] for name in ("input_range", "adc_bound", "reference")}
        was_meta = self.chip.is_meta
        super()._apply(fn, *options, **others)
        for name, values in before.items():
            after = self._buffers[name]
            if values is not None and after.dtype != torch.float32:
                self._buffers[name] = values.to(after.device)
        if was_meta and not self.chip.is_meta:  # to_empty() leaves what was in memory
            self._make_buffers(self.chip.device)
        return self

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
        self._passes.held = None
        if any(key.startswith(prefix) for key in state_dict):  # those of torch's own layers
            for name in ("input_range", "adc_bound", "chip", "reference"):
                if prefix + name in missing_keys:
                    missing_keys.remove(prefix + name)
        if prefix + "weight" in state_dict and prefix + "chip" not in state_dict:
            self.chip.zero_()  # which other weights were programmed on

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_observer": None}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._alive.add(self)

    def __prepare_scriptable__(self) -> None:
        raise TypeError(
            f"{type(self).__name__}: torch.jit.script can't compile it; use torch.jit.trace"
        )

    def _repr_of_hardware(self) -> str:
        chip = None if self.chip.is_meta else self.programmed
        times = "" if chip is None else f", programmed={chip.seed}, seconds={chip.seconds}"
        return f"profile={self.profile.name!r}{times}"


def _range_buffer(given: Union[float, Calibrated], tiles: int, outputs: int) -> Tensor:
    if not isinstance(given, Calibrated):
        return torch.full((1, 1), float(given))
    return torch.zeros({"column": (tiles, outputs), "tile": (tiles, 1), "layer": (1, 1)}[given.per])
