"""Where the noise of a layer comes from."""

from __future__ import annotations

from typing import Optional

import torch

from ..checks import checked_int


class NoiseKeys:
    """Draws the key of each noisy forward pass, from which all noise of that pass follows.

    Drawn from `generator`, from a generator of its own if there is a `seed`, else from torch's
    default one. A copy, or what comes back from a file, goes on where the original stood, with a
    generator of its own.
    """

    def __init__(self, generator: Optional[torch.Generator], seed: Optional[int]) -> None:
        if generator is not None and seed is not None:
            raise ValueError("generator and seed exclude each other")
        if generator is not None and not isinstance(generator, torch.Generator):
            raise TypeError(
                f"generator must be a torch.Generator, not {type(generator).__name__}"
            )
        if generator is not None and generator.device.type != "cpu":
            raise ValueError(f"generator must be on the CPU, not on {generator.device}")
        if seed is not None:
            seed = checked_int("seed", seed)
            if not 0 <= seed < 1 << 64:
                raise ValueError(f"seed must be in 0..2^64-1, not {seed}")
            generator = torch.Generator().manual_seed(seed)
        self._generator = generator

    def draw(self) -> int:
        """0 … 2^63 − 1."""
        key = torch.empty((), dtype=torch.int64, device="cpu")
        return key.random_(generator=self._generator).item()

    # A generator itself can't be pickled by every version of torch; its state, a tensor, can.
    def __getstate__(self) -> dict:
        return {"state": None if self._generator is None else self._generator.get_state()}

    def __setstate__(self, state: dict) -> None:
        self._generator = None
        if state["state"] is not None:
            self._generator = torch.Generator()
            self._generator.set_state(state["state"])
