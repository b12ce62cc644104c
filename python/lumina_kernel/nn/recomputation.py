"""Forward passes that are run again for their gradients.

torch.utils.checkpoint drops what a forward pass keeps, and runs it again within the backward pass
with the state that torch's default generator had. So each pass with something that a second run
would not find, noise or a range that moves, draws a number from that generator: the second run
draws the same, and finds under it what the first one had.
"""

from __future__ import annotations

import sys
from typing import Any, Dict, NamedTuple, Optional

import torch

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


KNOWS_HOOKS = hasattr(torch._C._autograd, "_top_saved_tensors_default_hooks")


def hooked() -> bool:
    """Whether hooks, such as those of torch.utils.checkpoint, may have what autograd saves."""
    return (
        not KNOWS_HOOKS or torch._C._autograd._top_saved_tensors_default_hooks(False) is not None
    )


class Drawn(NamedTuple):
    """What a pass had that another run would not find."""

    key: Optional[int]  #: of its noise
    limit: float  #: of its ADC, where that is tracked


class _Entry(NamedTuple):
    drawn: Optional[Drawn]  #: None: two passes, that can't be told apart
    recalled: bool = False


class History:
    """What the last passes of a layer have drawn, by their number."""

    LENGTH = 4096

    def __init__(self) -> None:
        self._entries: Dict[int, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def record(self, number: int, drawn: Drawn) -> None:
        known = self._entries.pop(number, None)
        # After the same manual_seed() a second pass draws the first one's number. Where that has
        # been run again already it is over; otherwise either may be asked for.
        ambiguous = known is not None and not known.recalled and known.drawn != drawn
        self._entries[number] = _Entry(None if ambiguous else drawn)
        if len(self._entries) > self.LENGTH:
            del self._entries[next(iter(self._entries))]

    def recall(self, number: int) -> Drawn:
        """Error: RuntimeError, it is not known."""
        entry = self._entries.get(number)
        if entry is None:
            raise RuntimeError(
                "OpticalLinear: a forward pass within a backward pass must be the recomputation of "
                "an earlier one, but this layer knows none that has drawn the same number from "
                "torch's default generator. torch.utils.checkpoint restores that generator only "
                f"with preserve_rng_state=True, and a layer knows its last {self.LENGTH} passes; "
                "in another mode, train() or eval(), than the first run it can't be found either"
            )
        self._entries[number] = entry._replace(recalled=True)
        if entry.drawn is None:
            raise RuntimeError(
                "OpticalLinear: two forward passes with different noise or ranges have drawn the "
                "same number from torch's default generator, so it is not known which one is to be "
                "recomputed. Call torch.manual_seed() once, not before each of them"
            )
        return entry.drawn
