"""Near-duplicates: photographs that show the same picture, resized, compressed anew or mirrored.

Two photographs are compared twice. Coarsely, by the correlation of colour thumbnails of 16 px a
side, which finds candidates and takes any two skies for alike; then finely, by the correlation of
what thumbnails of 48 px have beyond their own blur, which tells candidates apart. A crop of another
photograph, or one turned, is not found.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import progress
from .photographs import Pack

COARSE_PX, FINE_PX = 16, 48
COARSE = 0.85  # correlation from which a pair is a candidate
FINE = 0.9  # and from which it is the same picture
ROWS = 4096  # compared at once
CANDIDATES = 1024


class Pair(NamedTuple):
    """Names of two near-duplicates and their fine correlation."""

    one: str
    other: str
    likeness: float


def near_duplicates(one: Pack, other: Pack | None = None) -> tuple[list[Pair], float]:
    """Pairs of the same picture, between two packs or within one.

    Args:
        one, other: of whole photographs; None looks within the first.

    Returns:
        The pairs, most alike first, and the largest fine correlation of a candidate that is none
        (0 where there is no candidate): how clear the border is.
    """
    first = _thumbnails(one)
    second = first if other is None else _thumbnails(other)
    names = (one if other is None else other).names
    seen: dict[tuple[int, int], float] = {}
    for mirrored in (False, True):
        flipped = [values.flip(3) if mirrored else values for values in second]
        coarse, fine = _normalized(flipped[0]), flipped[1]
        for start in range(0, len(one), ROWS):
            likeness = _normalized(first[0][start : start + ROWS]) @ coarse.T
            if other is None:
                likeness = likeness.triu(1 + start)
            a, b = (likeness > COARSE).nonzero().T
            a = a + start
            for rows in torch.arange(len(a)).split(CANDIDATES):
                values = (_fine(first[1][a[rows]]) * _fine(fine[b[rows]])).sum(1)
                for i, j, value in zip(
                    a[rows].tolist(), b[rows].tolist(), values.tolist(), strict=True
                ):
                    seen[i, j] = max(value, seen.get((i, j), 0.0))
    pairs = [Pair(one.names[i], names[j], value) for (i, j), value in seen.items() if value > FINE]
    below = max((value for value in seen.values() if value <= FINE), default=0.0)
    return sorted(pairs, key=lambda pair: (-pair.likeness, pair)), below


def _thumbnails(pack: Pack) -> tuple[Tensor, Tensor]:
    """Means over the cells of two grids, float32 (N, 3, S, S) each."""
    sizes = (COARSE_PX, FINE_PX)
    shrunk = [torch.empty(len(pack), 3, size, size) for size in sizes]
    rows = progress.bar(range(len(pack)), unit="photo", label=f"thumbnails of {pack.name}")
    for row in rows:
        start, height, width = (int(v[row]) for v in (pack.offsets, pack.heights, pack.widths))
        pixels = pack.pixels[start : start + 3 * height * width].view(1, height, width, 3)
        values = pixels.permute(0, 3, 1, 2).float().cpu()
        for size, target in zip(sizes, shrunk, strict=True):
            target[row] = F.adaptive_avg_pool2d(values, size)[0]
    return tuple(shrunk)


def _fine(thumbnails: Tensor) -> Tensor:
    blurred = F.avg_pool2d(F.pad(thumbnails, (2, 2, 2, 2), "replicate"), 5, 1)
    return _normalized(thumbnails - blurred)


def _normalized(values: Tensor) -> Tensor:
    """Rows of mean 0 and norm 1: their products are correlations; 0 where a row is constant."""
    flat = values.flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    return flat / torch.linalg.vector_norm(flat, dim=1, keepdim=True).clamp_min(1e-3)
