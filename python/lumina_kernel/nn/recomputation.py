"""Forward passes that are run again for their gradients.

torch.utils.checkpoint drops what a forward pass keeps, and runs it again within the backward pass
with the state that torch's default generator had. So each pass with something that a second run
would not find, noise or a range that moves, draws a number from that generator: the second run
draws the same, and finds under it what the first one had.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Optional, Set, Tuple

import torch

from .limits import Limit

Drawn = Tuple[Optional[int], Limit]

if hasattr(torch._C, "_current_graph_task_id"):

    def within_backward() -> bool:
        """Whether autograd is at work on this thread: a forward pass is run again then."""
        return torch._C._current_graph_task_id() != -1

else:  # before torch 2.1
    _STARTS = (torch.autograd.backward.__code__, torch.autograd.grad.__code__)

    def within_backward() -> bool:
        frame = sys._getframe(1)
        while frame is not None and frame.f_code not in _STARTS:
            frame = frame.f_back
        return frame is not None


try:
    torch._C._autograd._top_saved_tensors_default_hooks(False)
    KNOWS_HOOKS = True
except (AttributeError, TypeError):  # torch does not say it yet
    KNOWS_HOOKS = False


def hooked() -> bool:
    """Whether hooks, such as those of torch.utils.checkpoint, may have what autograd saves."""
    return (
        not KNOWS_HOOKS or torch._C._autograd._top_saved_tensors_default_hooks(False) is not None
    )


class History:
    """What the last passes of a layer have drawn, by their number: the key of the noise, or None,
    and the ADC's limit, where that is tracked."""

    LENGTH = 4096

    def __init__(self) -> None:
        self._drawn: OrderedDict[int, Optional[Drawn]] = OrderedDict()  # None: one of several
        self._recalled: Set[int] = set()

    def __len__(self) -> int:
        return len(self._drawn)

    def record(self, number: int, drawn: Drawn) -> None:
        entries = self._drawn
        if number in entries:
            # After the same manual_seed() a second pass draws the first one's number. Where that
            # has been run again already it is over; otherwise either may be asked for.
            known = entries.pop(number)
            if number in self._recalled:
                self._recalled.remove(number)
            elif known != drawn:
                drawn = None
        entries[number] = drawn
        if len(entries) > self.LENGTH:
            self._recalled.discard(entries.popitem(last=False)[0])

    def recall(self, number: int) -> Drawn:
        """Error: RuntimeError, it is not known."""
        if number not in self._drawn:
            raise RuntimeError(
                "OpticalLinear: a forward pass within a backward pass must be the recomputation of "
                "an earlier one, but this layer knows none that has drawn the same number from "
                "torch's default generator. torch.utils.checkpoint restores that generator only "
                f"with preserve_rng_state=True, and a layer knows its last {self.LENGTH} passes; "
                "in another mode, train() or eval(), than the first run it can't be found either"
            )
        self._recalled.add(number)
        drawn = self._drawn[number]
        if drawn is None:
            raise RuntimeError(
                "OpticalLinear: two forward passes with different noise or ranges have drawn the "
                "same number from torch's default generator, so it is not known which one is to be "
                "recomputed. Call torch.manual_seed() once, not before each of them"
            )
        return drawn
