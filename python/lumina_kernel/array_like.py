"""What the functions take for an array, for annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Tuple, Union

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Buffer


class SupportsDLPack(Protocol):
    """An array that lends its memory by DLPack: a CPU tensor of PyTorch, and those of others."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...

    def __dlpack_device__(self) -> Tuple[int, int]: ...


#: An array in the CPU's memory, of the element type that a function names, mostly float32. Other
#: types are not converted, and lists are none.
ArrayLike = Union[np.ndarray, "Buffer", SupportsDLPack]
