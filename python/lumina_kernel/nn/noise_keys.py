"""Where the noise of a layer comes from."""

from __future__ import annotations

import threading
from typing import Dict, Optional, Tuple

import torch
from torch import Tensor

from ..checks import checked_int
from ..mixing import mixed

_WORDS = 1 << 64
_lock = threading.Lock()  # of what passes and layers count


def drawn(generator: Optional[torch.Generator] = None) -> Tensor:
    """A number 0 … 2^63 − 1 from `generator` or torch's default one."""
    return torch.empty((), dtype=torch.int64, device="cpu").random_(generator=generator)


class _Streams:
    """The numbers 0, 1, 2 … of the layers that are made with one seed.

    A layer is known again by a number that it draws from torch's default generator: where a model
    is built once more after the same torch.manual_seed(), its layers get the streams they had.
    """

    def __init__(self) -> None:
        self._of_marks: Dict[int, Dict[int, int]] = {}

    def take(self, seed: int) -> int:
        mark = drawn().item()
        with _lock:
            streams = self._of_marks.setdefault(seed, {})
            return streams.setdefault(mark, len(streams))


_streams = _Streams()


class NoiseKeys:
    """The key of each noisy forward pass, from which all noise of that pass follows.

    Without generator and seed it is the number that the pass has drawn from torch's default
    generator, and another one on each rank, for programs seed all ranks alike; else drawn from
    `generator`, or a function of `seed`, `stream` and how many passes there have been. A copy, or
    what comes back from a file, goes on where the original stood, with a generator of its own.
    """

    def __init__(
        self,
        generator: Optional[torch.Generator] = None,
        seed: Optional[int] = None,
        stream: Optional[int] = None,
    ) -> None:
        if generator is not None and seed is not None:
            raise ValueError("generator and seed exclude each other")
        if generator is not None and not isinstance(generator, torch.Generator):
            raise TypeError(
                f"generator must be a torch.Generator, not {type(generator).__name__}"
            )
        if generator is not None and generator.device.type != "cpu":
            raise ValueError(f"generator must be on the CPU, not on {generator.device}")
        self.generator = generator
        self.seed = None if seed is None else _checked_word("seed", seed)
        self._stream: Optional[int] = None
        self._count = 0
        self._step: Optional[Tuple[int, ...]] = None
        if stream is not None:
            self.stream = stream
        elif seed is not None:
            self._stream = _streams.take(self.seed)

    @property
    def stream(self) -> Optional[int]:
        return self._stream

    @stream.setter
    def stream(self, stream: int) -> None:
        if self.seed is None:
            raise ValueError("stream is one of a seed's, and there is no seed")
        self._stream = _checked_word("stream", stream)

    @property
    def own(self) -> bool:
        """Whether torch's default generator has no part in it."""
        return not (self.generator is None and self.seed is None and self._step is None)

    def at_step(self, *words: int) -> None:
        """From now on keys are a function of `words` and of how many passes there were since."""
        self._step = words
        self._count = 0

    def next(self, number: int, rank: int) -> int:
        """The key of a pass that has drawn `number`: 0 … 2^63 − 1."""
        if self._step is not None:
            with _lock:
                count, self._count = self._count, self._count + 1
            return mixed(*self._step, rank, count)
        if self.seed is not None:
            with _lock:
                count, self._count = self._count, self._count + 1
            return mixed(self.seed, self._stream, count)
        if self.generator is not None:
            return drawn(self.generator).item()
        return number if rank == 0 else mixed(number, rank)

    # A generator itself can't be pickled by every version of torch; its state, a tensor, can.
    def __getstate__(self) -> dict:
        state = dict(self.__dict__)
        if self.generator is not None:
            state["generator"] = self.generator.get_state()
        return state

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self.__dict__.setdefault("_step", None)  # of an older file
        if self.generator is not None:
            self.generator = torch.Generator()
            self.generator.set_state(state["generator"])


def _checked_word(name: str, value: int) -> int:
    value = checked_int(name, value)
    if not 0 <= value < _WORDS:
        raise ValueError(f"{name} must be in 0..2^64-1, not {value}")
    return value
