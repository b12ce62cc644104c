"""Patches of images as rows: what the products of a convolution multiply."""

from __future__ import annotations

from itertools import product as all_of

import torch.nn.functional as F
from torch import Tensor

from ..array_settings import Kernel


def patches(images: Tensor, kernel: Kernel, first_channel: int, channels: int) -> Tensor:
    """Those of so many channels of [N, C, D, H, W]: [N·D'·H'·W', taps·channels], input =
    tap·channels + channel. Padding is 0."""
    size = kernel.output_size(images.shape[2:])
    taps = kernel.size[0] * kernel.size[1] * kernel.size[2]
    rows = images.shape[0] * size[0] * size[1] * size[2]
    if rows == 0:
        return images.new_empty(0, taps * channels)
    own = images[:, first_channel : first_channel + channels]
    (d, h, w) = kernel.padding
    padded = F.pad(own, (w, w, h, h, d, d)).permute(0, 2, 3, 4, 1).contiguous()
    image, *pixel, channel = padded.stride()
    steps = [stride * step for stride, step in zip(pixel, kernel.stride)]
    tap_steps = [stride * step for stride, step in zip(pixel, kernel.dilation)]
    view = padded.as_strided(
        (images.shape[0], *size, *kernel.size, channels), (image, *steps, *tap_steps, channel)
    )
    return view.reshape(rows, taps * channels)


def add_patches(
    by_patch: Tensor, kernel: Kernel, first_channel: int, channels: int, images: Tensor
) -> None:
    """Adds rows as patches() makes them to the pixels of `images` that they are."""
    batch, size = images.shape[0], kernel.output_size(images.shape[2:])
    if by_patch.shape[0] == 0:
        return
    taps = by_patch.view(batch, *size, *kernel.size, channels)
    padding = zip(images.shape[2:], kernel.padding)
    padded = images.new_zeros(batch, *(length + 2 * more for length, more in padding), channels)
    for tap in all_of(*(range(length) for length in kernel.size)):
        where = tuple(
            slice(at * dilation, at * dilation + (length - 1) * stride + 1, stride)
            for at, dilation, length, stride in zip(tap, kernel.dilation, size, kernel.stride)
        )
        padded[(slice(None), *where)] += taps[(slice(None),) * 4 + tap]
    inside = tuple(
        slice(more, more + length) for length, more in zip(images.shape[2:], kernel.padding)
    )
    images[:, first_channel : first_channel + channels] += padded[(slice(None), *inside)].permute(
        0, 4, 1, 2, 3
    )
