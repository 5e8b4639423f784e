"""Squares cut from photographs that lie in memory one after another."""

import torch
from torch import Tensor


def cut(pixels: Tensor, start: Tensor, stride: Tensor | int, size_px: int) -> Tensor:
    """Cut squares, all in one gather of their rows; nothing waits for the device.

    Args:
        pixels: uint8 (bytes,), photographs as (H, W, 3).
        start: int64 (N,), the first byte of each square, on the pixels' device.
        stride: int64 (N,), or one for all: bytes from a row to the next.
        size_px: side S of the squares.

    Returns:
        uint8 (N, S, S, 3). Where they lie is not checked.
    """
    row_bytes = 3 * size_px
    # every start of a row as a view of the bytes: one indexed copy, nothing materialised
    rows = pixels.as_strided((len(pixels) - row_bytes + 1, row_bytes), (1, 1))
    down = torch.arange(size_px, device=pixels.device)
    if isinstance(stride, Tensor):
        stride = stride[:, None]
    index = start[:, None] + stride * down
    return rows.index_select(0, index.flatten()).view(-1, size_px, size_px, 3)
