"""What all operations share: the checks, rounding to levels, the work in pieces."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

IMAGENET_STD = (0.229, 0.224, 0.225)  # of pixels in [0, 1], channel by channel (torchvision)
LUMINANCE_LEVELS = 255  # the largest value of a uint8 channel
PIECE_VALUES = 160_000  # worked on at once: as floats they stay in the cache of a CPU's core


def check_images(images: Tensor, name: str = "images") -> None:
    """Raise ValueError, naming the parameter, unless images is uint8 (N, 3, H, W), not empty."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
        raise ValueError(
            f"{name} must be uint8 (N, 3, H, W) and not empty, got {images.dtype} "
            f"{tuple(images.shape)}"
        )


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError, naming the parameter, unless value is finite and in [low, high]."""
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} must lie in [{low}, {high}], got {value}")


def check_whole(name: str, value: float, low: int, high: int) -> None:
    """Raise ValueError, naming the parameter, unless value is whole and in [low, high]."""
    if not (math.isfinite(value) and int(value) == value and low <= value <= high):
        raise ValueError(f"{name} must be a whole number in [{low}, {high}], got {value}")


def to_uint8(values: Tensor) -> Tensor:
    """Round floats half to even, clip to 0 … 255 and return uint8. Consumes values."""
    values = values.round_().clamp_(0, LUMINANCE_LEVELS)
    if values.device.type == "cpu":
        values = values.to(torch.int16)  # a CPU has no instruction from float to uint8
    return values.to(torch.uint8)


def in_pieces(work: Callable[..., Tensor], result: Tensor, *batches: Tensor) -> Tensor:
    """Fill result with what work makes of a few images of each batch at a time.

    On the CPU what lies between then never leaves the cache; other devices take all at once.

    Args:
        work: of pieces of the batches to the same piece of result.
        result: (N, …), written over and returned.
        batches: (N, …) each.
    """
    count = len(result)
    piece = max(1, PIECE_VALUES // max(1, result[0].numel()))
    if result.device.type != "cpu":
        piece = count
    for start in range(0, count, piece):
        rows = slice(start, start + piece)
        result[rows].copy_(work(*(batch[rows] for batch in batches)))
    return result


def channels_last(images: Tensor) -> Tensor:
    """The same photographs as (N, H, W, 3), contiguous: a view where they are channels last."""
    return images.permute(0, 2, 3, 1).contiguous()
