"""Unseen operations: degraded or not, and how strongly, by operations no task trains on.

A benchmark with known truth. It stands for technical quality and is no human judgement.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.functional import to_uint8
from .photographs import Pack

STRENGTHS = 3


def contrast_loss(images: Tensor, strength: int) -> Tensor:
    """Pull every pixel towards the photograph's mean grey: to 0.7, 0.5, 0.3 of its contrast."""
    values = images.float()
    mean = values.mean((1, 2, 3), keepdim=True)
    return to_uint8(mean + (values - mean) * (0.9 - 0.2 * strength))


def colour_cast(images: Tensor, strength: int) -> Tensor:
    """Multiply red and divide blue by 1.15, 1.3, 1.45."""
    factor = 1 + 0.15 * strength
    gain = torch.tensor([factor, 1.0, 1 / factor], device=images.device).view(1, 3, 1, 1)
    return to_uint8(images.float() * gain)


def vignette(images: Tensor, strength: int) -> Tensor:
    """Darken with the squared distance from the centre, the corners to 0.7, 0.4, 0.1."""
    height, width = images.shape[2:]
    y = torch.linspace(-1, 1, height, device=images.device)[:, None]
    x = torch.linspace(-1, 1, width, device=images.device)
    return to_uint8(images.float() * (1 - 0.3 * strength * (x * x + y * y) / 2))


def motion_blur(images: Tensor, strength: int) -> Tensor:
    """Average along a horizontal line of 5, 9, 13 px."""
    length = 1 + 4 * strength
    padded = F.pad(images.float(), (length // 2, length // 2, 0, 0), "replicate")
    return to_uint8(F.avg_pool2d(padded, (1, length), stride=1))


OPERATIONS = {
    "contrast_loss": contrast_loss,
    "colour_cast": colour_cast,
    "vignette": vignette,
    "motion_blur": motion_blur,
}


@dataclass(frozen=True)
class Unseen:
    """Pairs of a patch and its degraded version, from photographs kept out of pretraining.

    Attributes:
        photographs: to crop from.
        size_px: side of the patches.
        pairs: a photograph; every operation at every strength in turn.
        seed: of the crops.
    """

    photographs: Pack
    size_px: int
    pairs: int
    seed: int = 0

    def __len__(self) -> int:
        return 2 * self.pairs * len(self.photographs)

    @property
    def positive(self) -> np.ndarray:
        """bool (N,): not degraded."""
        return np.arange(len(self)) % 2 == 0

    @property
    def strength(self) -> np.ndarray:
        """int64 (N,): 0 not degraded, then 1 … 3."""
        pair = np.arange(len(self)) // 2 % self.pairs
        return np.where(self.positive, 0, pair // len(OPERATIONS) % STRENGTHS + 1)

    @property
    def groups(self) -> np.ndarray:
        """int64 (N,): the photograph of each entry."""
        return np.arange(len(self)) // (2 * self.pairs)

    def batch_of(self, index: Tensor) -> Tensor:
        """Entries of int64 indices, uint8 (n, 3, S, S); the same for the same index."""
        generator = torch.Generator().manual_seed(self.seed)
        count = self.pairs * len(self.photographs)
        draws = torch.rand(3, count, generator=generator, dtype=torch.float64)
        pair = index // 2
        photograph = pair // self.pairs
        pack = self.photographs
        top = (draws[0, pair] * (pack.heights[photograph] - self.size_px + 1)).long()
        left = (draws[1, pair] * (pack.widths[photograph] - self.size_px + 1)).long()
        patches = pack.crop(photograph, top, left, self.size_px, draws[2, pair] < 0.5).clone()
        strength = torch.from_numpy(self.strength)[index]
        kind = pair % self.pairs % len(OPERATIONS)
        for number, operation in enumerate(OPERATIONS.values()):
            for level in range(1, STRENGTHS + 1):
                chosen = (kind == number) & (strength == level)
                if chosen.any():
                    patches[chosen] = operation(patches[chosen], level)
        return patches
