"""Passes of layers on arrays: what they draw from, remember, and hold."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

from torch import Tensor

from ..array_settings import ArraySettings
from .array_interface import KeptPass
from .array_spec import ArrayKind, ArraySpec, Ranges
from .chips import Chip, Held
from .noise_keys import NoiseKeys
from .passes import Passes


class ArrayPassResult(NamedTuple):
    y: Tensor
    kept: Optional[KeptPass]
    settings: ArraySettings
    bound: Optional[Tensor]
    computation: Any
    programmed: bool


class ArrayPasses(Passes):
    """`held`: the weights of a programmed layer."""

    held: Optional[Held] = None
    _first_weights: Optional[List[Any]] = None

    @contextmanager
    def with_the_same_weights(self) -> Iterator[None]:
        """All passes within, the steps of a sequence, have what the first one has encoded, its
        noise of training included. (A graph of torch.compile encodes in each step.)"""
        self._first_weights = []
        try:
            yield
        finally:
            self._first_weights = None

    @classmethod
    def of_arrays(cls, id: int) -> ArrayPasses:
        """The ones with that id, or, where they are not of this process, some."""
        found = cls.of(id)
        return found if isinstance(found, ArrayPasses) else _others

    def run_on_arrays(
        self,
        spec: ArraySpec,
        x: Tensor,
        weight: Tensor,
        bias: Optional[Tensor],
        ranges: Ranges,
        training: bool,
        number: Optional[int],
        keep: bool,
        remember: bool = True,
        source: Optional[Tensor] = None,
    ) -> ArrayPassResult:
        """All tensors are detached. `source`: the parameter that the weight is of; None: a graph of
        tensors does not say. `number`: drawn from torch's default generator, where the pass
        draws noise. Errors: those of array_interface.py; RuntimeError, a range is not calibrated,
        a recomputation is one of no known pass, or a programmed layer can't be asked."""
        bound = spec.bound(ranges.adc_bound)
        key = self.key(number, remember)
        weights, kind, settings = self.weights_of_pass(
            spec, weight, ranges, training, key, source
        )
        y, kept = kind.computation.forward(x, weights, bias, bound, settings, keep)
        programmed = Chip.of(ranges.chip) is not None
        return ArrayPassResult(y, kept, settings, bound, kind.computation, programmed)

    def weights_of_pass(
        self,
        spec: ArraySpec,
        weight: Tensor,
        ranges: Ranges,
        training: bool,
        key: Optional[int],
        source: Optional[Tensor] = None,
    ) -> Tuple[Any, ArrayKind, ArraySettings]:
        """(what a pass with that key multiplies, how, its settings)."""
        settings, chip = spec.settings(ranges.input_range), Chip.of(ranges.chip)
        if chip is not None:
            held = self._held(spec, weight, ranges, chip, training, source)
            kind = spec.kind(held.encoding, settings, weight.device)
            return held.weights, kind, kind.at(key)[1]
        kind = spec.kind(spec.encoding(training), settings, weight.device)
        encoding, settings = kind.at(key)
        first = self._first_weights
        weights = first[0] if first else kind.computation.encode(weight, encoding, spec.kernel)
        if first is not None:
            first[:] = [weights]
        return weights, kind, settings

    def _held(
        self,
        spec: ArraySpec,
        weight: Tensor,
        ranges: Ranges,
        chip: Chip,
        training: bool,
        source: Optional[Tensor],
    ) -> Held:
        if training:
            raise RuntimeError(
                f"{spec.name}: a programmed layer can't be in train() mode; call eval(), or "
                "lumina_kernel.nn.unprogram()"
            )
        held = self.held
        if held is not None and held.chip == chip:
            self.check_held(spec, weight if source is None else source)
            settings = spec.settings(ranges.input_range)
            kind = spec.kind(held.encoding, settings, weight.device)
            if held.computation is kind.computation:
                return held
        held = spec.held(weight, ranges, chip, weight if source is None else source)
        if source is not None:  # otherwise a change could not be seen
            self.held = held
        return held

    def check_held(self, spec: ArraySpec, weight: Tensor) -> None:
        """Error: RuntimeError, what the chip was programmed to has changed."""
        if self.held is not None and not self.held.is_of(weight):
            raise RuntimeError(
                f"{spec.name}: the weight has been changed or replaced since it was programmed; "
                "call lumina_kernel.nn.program() again, or unprogram()"
            )


_others = ArrayPasses(NoiseKeys())
