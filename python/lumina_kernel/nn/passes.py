"""One forward pass of a layer: its noise, its ADC's range, and both again in a recomputation."""

from __future__ import annotations

import copy
import itertools
import weakref
from typing import Any, NamedTuple, Optional

from torch import Tensor

from . import limits, ranks, recomputation, selection
from .converters import Converter, LimitConverter
from .interface import Kept, LayerSettings
from .limits import SMALLEST_LIMIT, Limit
from .noise_keys import NoiseKeys
from .recomputation import History


class PassKind(NamedTuple):
    """What passes of a layer have in common, as long as nobody changes the layer."""

    settings: LayerSettings  #: without a pass's own: key, keep, track
    tracked: bool  #: the ADC's range is ± the limit that a pass gets, in place of the settings'
    noisy: bool
    learns: bool  #: the limit follows the largest |v|

    @property
    def numbered(self) -> bool:
        """Another run would find something else."""
        return self.noisy or self.learns

    def at(
        self, limit: Limit, key: Optional[int] = None, keep: bool = False, track: bool = False
    ) -> LayerSettings:
        """The settings of a pass."""
        if key is None and not (self.tracked or keep or track):
            return self.settings  # making another takes as long as a small product
        dac, readout, adc = self.settings.dac, self.settings.readout, self.settings.adc
        if self.tracked and isinstance(limit, Tensor):
            adc = LimitConverter(adc.bits, limit, adc.symmetric)
        elif self.tracked:
            adc = Converter(adc.bits, -limit, limit, adc.symmetric)
        products = self.settings.gradient_products
        return LayerSettings(dac, readout, adc, key, keep, track, products)


class PassResult(NamedTuple):
    y: Tensor
    settings: LayerSettings
    used: Limit  #: that of their ADC, where it is tracked
    limit: Limit  #: the one that the next pass is to have
    kept: Optional[Kept]


class Passes:
    """What a layer's passes draw from and remember. A copy remembers nothing.

    `group`: of torch.distributed, whose processes agree on the tracked range; None: all.
    """

    _numbers = itertools.count(1)
    _all: weakref.WeakValueDictionary[int, Passes] = weakref.WeakValueDictionary()

    def __init__(self, keys: NoiseKeys, group: Optional[Any] = None) -> None:
        self.keys = keys
        self.group = group
        self._begin()

    def _begin(self) -> None:
        self.history = History()
        self.id = next(self._numbers)  # by which a graph of tensors finds it, in this process
        self._all[self.id] = self

    @classmethod
    def of(cls, id: int) -> Passes:
        """The ones with that id, or, where they are not of this process, some."""
        return cls._all.get(id, _others)

    def run(
        self,
        x: Tensor,
        weights: Any,
        bias: Optional[Tensor],
        kind: PassKind,
        number: Optional[int],
        limit: Limit,
        keep: bool,
        remember: bool = True,
    ) -> PassResult:
        """`number`: drawn from torch's default generator, where the kind is numbered. `limit`: 0 is
        one that is not known yet; the batch is its own measure then. `remember`: for another run.

        Errors: those of interface.py; RuntimeError, `limit` is none of an ADC, or a recomputation
        is one of no known pass.
        """
        if kind.tracked:
            limits.checked(limit)
        again = number is not None and recomputation.within_backward()
        key, used = None, limit
        if again:
            key, used = self.history.recall(number)
        elif kind.noisy:
            key = self._next_key(number)
        forward = selection.computation(x.device).forward
        if kind.tracked and not isinstance(used, Tensor) and used == 0.0:
            some = kind.at(1.0, key, track=True)
            largest = forward(x, weights, bias, some)[1] if x.numel() else 0.0
            limit = limits.widened(0.0, largest, kind.learns, self.group)
            used = limit or SMALLEST_LIMIT  # a batch of zeros says nothing
            settings = kind.at(used, key, keep)
            y, _, kept = forward(x, weights, bias, settings)
        else:
            track = kind.learns and not again
            settings = kind.at(used, key, keep, track)
            y, largest, kept = forward(x, weights, bias, settings)
            if track:
                limit = limits.widened(limit, largest, kind.learns, self.group)
        if remember and number is not None and not again:
            self.history.record(number, (key, used))
        return PassResult(y, settings, used, limit, kept)

    def key(self, number: Optional[int], remember: bool = True) -> Optional[int]:
        """Of a pass that draws noise and has no range to move; without a number None."""
        if number is None:
            return None
        if recomputation.within_backward():
            return self.history.recall(number)[0]
        key = self._next_key(number)
        if remember:
            self.history.record(number, (key, 0.0))
        return key

    def _next_key(self, number: int) -> int:
        return self.keys.next(number, ranks.rank(self.group))

    def __deepcopy__(self, memo: dict) -> Passes:
        copied = type(self).__new__(type(self))
        copied.__setstate__({"keys": copy.deepcopy(self.keys, memo), "group": self.group})
        return copied

    def __getstate__(self) -> dict:
        return {"keys": self.keys, "group": self.group}

    def __setstate__(self, state: dict) -> None:
        self.keys, self.group = state["keys"], state["group"]
        self._begin()


_others = Passes(NoiseKeys())
