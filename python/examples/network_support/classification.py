"""Networks that tell images apart: training and accuracy."""

from __future__ import annotations

from typing import Iterator

import torch
from lumina_kernel import nn as analog
from torch import Tensor, nn
from torch.nn import functional

from . import progress
from .fashion_mnist import Images

AT_ONCE = 500  # images of a forward pass that measures


def batches(images: int, batch: int, seed: int) -> Iterator[Tensor]:
    """Numbers of images, all of them once, in an order that `seed` chooses."""
    order = torch.randperm(images, generator=torch.Generator().manual_seed(seed))
    return (part for part in order.split(batch) if len(part) == batch)


def train(network: nn.Module, data: Images, epochs: int, batch: int, seed: int, title: str) -> None:
    """With Adam, its rate falling linearly to 0; AnalogAdam clips weights of analog layers
    after each step, and leaves others alone."""
    if epochs == 0:
        return
    optimizer = analog.AnalogAdam(network, lr=3e-3)
    steps = epochs * (len(data.labels) // batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 - step / steps)
    network.train()
    with progress.bar(steps, title) as bar:
        for epoch in range(epochs):
            for step, chosen in enumerate(batches(len(data.labels), batch, seed + epoch)):
                analog.seed_step(network, seed + epoch, step)
                train_step(network, optimizer, data.pixels[chosen], data.labels[chosen])
                schedule.step()
                bar.update()
    network.eval()


def train_step(network: nn.Module, optimizer: torch.optim.Optimizer, pixels: Tensor,
               labels: Tensor) -> None:
    loss = functional.cross_entropy(network(pixels), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


@torch.no_grad()
def accuracy(network: nn.Module, data: Images) -> float:
    """Percent."""
    network.eval()
    right = [(network(pixels).argmax(dim=1) == labels).sum().item()
             for pixels, labels in zip(data.pixels.split(AT_ONCE), data.labels.split(AT_ONCE))]
    return 100.0 * sum(right) / len(data.labels)
