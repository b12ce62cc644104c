"""What the host knows of tensors on a device, each reading of which would wait for the device.

A buffer that no pass changes, a range or a chip, is read once, and again when autograd's count of
changes has moved. What goes behind that count (tensor.data) is not noticed.
"""

from __future__ import annotations

import weakref
from typing import Any, Callable, Dict, Tuple, TypeVar

from torch import Tensor

T = TypeVar("T")
Question = Callable[[Tensor], T]

_known: Dict[Tuple[int, Question], Tuple[weakref.ref, int, Any]] = {}


def ask(tensor: Tensor, question: Question, for_good: bool = False) -> Any:
    """question(tensor), a value that never changes. On the CPU it is asked each time. `for_good`:
    what was true once is taken for true, whatever has changed."""
    if tensor.is_cpu or tensor.is_inference():
        return question(tensor)
    known = _known.get((id(tensor), question))
    if known is not None and known[0]() is tensor:
        if known[1] == tensor._version or (for_good and known[2]):
            return known[2]
    answer = question(tensor)
    tell(tensor, question, answer)
    return answer


def tell(tensor: Tensor, question: Question, answer: Any) -> None:
    """What question(tensor) is, for whom that knows it."""
    if tensor.is_cpu or tensor.is_inference():
        return
    key = id(tensor), question
    forget = weakref.ref(tensor, lambda _: _known.pop(key, None))
    _known[key] = forget, tensor._version, answer
