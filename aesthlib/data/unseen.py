"""Unseen operations: degraded or not, and how strongly, by operations no task trains on.

A benchmark with known truth. It stands for technical quality and is no human judgement.

The ten are flaws of tone (contrast loss, haze), light (vignette), colour (colour cast), lens
(chromatic aberration), movement (motion blur, a dead tilt), sensor and transmission (banding,
interlacing) and processing (over-sharpening). Left out, since the pair could not be told apart or
a task comes near: loss of saturation (nothing happens to a grey photograph), speckle and salt and
pepper (noise is trained on), fewer tones (quantization is). None leaves a border: a filled frame,
or the edge's own pixels where some from beyond it are needed.

Every operation takes and returns uint8 (N, 3, H, W) of the same shape and device, each photograph
by itself, without randomness. Strengths are 1, 2 and 3; 0 returns the input. All raise ValueError
for other images or strengths.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.functional import gaussian_blur
from ..ops.images import check_images, check_whole, to_uint8
from ..store import files
from .photographs import Pack

STRENGTHS = 3
BATCH = 256
OPERATIONS: dict[str, Callable[[Tensor, int], Tensor]] = {}


def _checked(function: Callable[[Tensor, int], Tensor]) -> Callable[[Tensor, int], Tensor]:
    """Check what goes in, round what comes out."""

    @functools.wraps(function)
    def operation(images: Tensor, strength: int) -> Tensor:
        check_images(images)
        check_whole("strength", strength, 0, STRENGTHS)
        return images.clone() if strength == 0 else to_uint8(function(images, int(strength)))

    return operation


def _operation(function: Callable[[Tensor, int], Tensor]) -> Callable[[Tensor, int], Tensor]:
    OPERATIONS[function.__name__] = _checked(function)
    return OPERATIONS[function.__name__]


@_operation
def contrast_loss(images: Tensor, strength: int) -> Tensor:
    """Pull every pixel towards the photograph's mean grey: to 0.7, 0.5, 0.3 of its contrast."""
    mean = images.mean((1, 2, 3), dtype=torch.float64, keepdim=True).float()
    return mean + (images - mean) * (0.9 - 0.2 * strength)


@_operation
def colour_cast(images: Tensor, strength: int) -> Tensor:
    """Multiply red and divide blue by 1.15, 1.3, 1.45."""
    factor = 1 + 0.15 * strength
    gain = torch.tensor([factor, 1.0, 1 / factor], device=images.device).view(1, 3, 1, 1)
    return images * gain


@_operation
def vignette(images: Tensor, strength: int) -> Tensor:
    """Darken with the squared distance from the centre, the corners to 0.7, 0.4, 0.1."""
    height, width = images.shape[2:]
    y = torch.linspace(-1, 1, height, device=images.device)[:, None]
    x = torch.linspace(-1, 1, width, device=images.device)
    return images * (1 - 0.3 * strength * (x * x + y * y) / 2)


@_operation
def motion_blur(images: Tensor, strength: int) -> Tensor:
    """Average along a horizontal line of 5, 9, 13 px; the edge is extended by its own pixels."""
    length = 1 + 4 * strength
    padded = F.pad(images.float(), (length // 2, length // 2, 0, 0), "replicate")
    return F.avg_pool2d(padded, (1, length), stride=1)


@_operation
def oversharpening(images: Tensor, strength: int) -> Tensor:
    """Add 1, 2, 3 times the difference to a Gaussian blur of σ = 2 px: halos along edges."""
    return images + strength * (images.float() - gaussian_blur(images, 2.0))


@_operation
def haze(images: Tensor, strength: int) -> Tensor:
    """Lay an even white veil over everything: 0.15, 0.3, 0.45 of the way to white."""
    veil = 0.15 * strength
    return images * (1 - veil) + 255 * veil


@_operation
def banding(images: Tensor, strength: int) -> Tensor:
    """Add a wave of 8, 16, 24 levels, 16 rows long: flickering light under a rolling shutter."""
    rows = torch.arange(images.shape[2], dtype=torch.float64)
    wave = 8 * strength * torch.sin(rows * (2 * math.pi / 16)).float().to(images.device)
    return images + wave[:, None]


@_operation
def interlacing(images: Tensor, strength: int) -> Tensor:
    """Take every second row from 2, 4, 6 px further right: combs, as in stills from video."""
    columns = torch.arange(images.shape[3]) + 2 * strength
    values = images.float()
    values[:, :, 1::2] = values[:, :, 1::2, columns.clamp_max(images.shape[3] - 1)]
    return values


@_operation
def tilt(images: Tensor, strength: int) -> Tensor:
    """Turn by 2, 4, 8 degrees about the centre and enlarge until the frame is filled.

    See `untilted` for what it is compared with.
    """
    return _warp(images, (_filling(images, strength),) * 3, 2.0**strength)


@_checked
def untilted(images: Tensor, strength: int) -> Tensor:
    """Enlarge as `tilt` does and do not turn: so that only the tilt tells, not the resampling."""
    return _warp(images, (_filling(images, strength),) * 3)


@_operation
def chromatic_aberration(images: Tensor, strength: int) -> Tensor:
    """Enlarge red by 3, 6, 9 %, green by 2, 4, 6 %, blue by 1, 2, 3 %: fringes far from the centre.

    See `achromatic` for what it is compared with.
    """
    return _warp(images, tuple(1 + 0.01 * strength * share for share in (3, 2, 1)))


@_checked
def achromatic(images: Tensor, strength: int) -> Tensor:
    """Enlarge all as `chromatic_aberration` does green: so that only the fringes tell."""
    return _warp(images, (1 + 0.02 * strength,) * 3)


# What the undegraded one of a pair undergoes, where the operation resamples.
CONTROLS = {"tilt": untilted, "chromatic_aberration": achromatic}


def _filling(images: Tensor, strength: int) -> float:
    """The least enlargement at which a tilted photograph still fills its frame."""
    height, width = images.shape[2:]
    angle = math.radians(2.0**strength)
    return math.cos(angle) + math.sin(angle) * max(height, width) / min(height, width)


def _warp(images: Tensor, zooms: tuple[float, ...], degrees: float = 0.0) -> Tensor:
    """Turn about the centre and enlarge channel by channel, bicubic; float32 (N, 3, H, W)."""
    height, width = images.shape[2:]
    y = (torch.arange(height, dtype=torch.float64) - (height - 1) / 2)[:, None]
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    angle = math.radians(degrees)
    across = (x * math.cos(angle) - y * math.sin(angle)) * (2 / width)
    down = (x * math.sin(angle) + y * math.cos(angle)) * (2 / height)
    grid = torch.stack([across, down], -1)[None]
    channels = [
        F.grid_sample(
            images[None, :, channel].float(),  # photographs share a grid as channels of one
            (grid / zoom).float().to(images.device),
            mode="bicubic",
            padding_mode="border",
            align_corners=False,
        )[0]
        for channel, zoom in enumerate(zooms)
    ]
    return torch.stack(channels, 1)


@dataclass(frozen=True)
class Unseen:
    """Pairs of a patch and its degraded version, from photographs kept out of pretraining.

    The 30 combinations of operation and strength come in turn, from one photograph to the next, so
    that each is as frequent as any other to within one pair; 30 pairs a photograph cover each once.
    Where the operation resamples, the undegraded patch went through its control (`CONTROLS`).

    Attributes:
        photographs: to crop from; of a pack with a split, those of that split.
        size_px: side S of the patches.
        pairs: a photograph.
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
        return np.where(self.positive, 0, self._combination[1])

    @property
    def operation(self) -> np.ndarray:
        """str (N,): the operation of each entry's pair."""
        return np.array(list(OPERATIONS))[self._combination[0]]

    @property
    def groups(self) -> np.ndarray:
        """int64 (N,): the photograph of each entry."""
        return np.arange(len(self)) // (2 * self.pairs)

    @functools.cached_property
    def _combination(self) -> tuple[np.ndarray, np.ndarray]:
        """Number of the operation and strength of each entry's pair, int64 (N,) each."""
        turn = np.arange(len(self)) // 2
        kind = turn % len(OPERATIONS)
        return kind, (turn // len(OPERATIONS) + kind) % STRENGTHS + 1

    @functools.cached_property
    def _draws(self) -> Tensor:
        """Places and flips of the pairs' crops, float64 (3, pairs)."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.rand(3, len(self) // 2, generator=generator, dtype=torch.float64)

    def batch_of(self, index: Tensor) -> Tensor:
        """Entries of int64 indices, uint8 (n, 3, S, S); the same for the same index."""
        place = self._draws[:, index // 2]
        photograph = index // (2 * self.pairs)
        pack = self.photographs
        top = (place[0] * (pack.heights[photograph] - self.size_px + 1)).long()
        left = (place[1] * (pack.widths[photograph] - self.size_px + 1)).long()
        patches = pack.crop(photograph, top, left, self.size_px, place[2] < 0.5).clone()
        kind, level = (torch.from_numpy(values)[index] for values in self._combination)
        for number, (name, operation) in enumerate(OPERATIONS.items()):
            for odd, function in ((1, operation), (0, CONTROLS.get(name))):
                for strength in range(1, STRENGTHS + 1) if function else ():
                    rows = (kind == number) & (level == strength) & (index % 2 == odd)
                    if rows.any():
                        rows = rows.nonzero()[:, 0].to(patches.device)
                        patches[rows] = function(patches[rows], strength)
        return patches

    def pack(self) -> Pack:
        """All entries as photographs in memory, to train on: S × S, labels "positive", "negative".

        Names tell photograph, pair, operation and strength.
        """
        count, side = len(self), self.size_px
        pixels = torch.cat(
            [
                self.batch_of(rows).permute(0, 2, 3, 1).flatten()
                for rows in torch.arange(count).split(BATCH)
            ]
        )
        strength, operation, groups = self.strength, self.operation, self.groups
        names = tuple(
            f"{self.photographs.names[groups[row]]}/{row // 2 % self.pairs}-{operation[row]}-"
            f"{strength[row]}"
            for row in range(count)
        )
        labels = tuple("positive" if good else "negative" for good in self.positive)
        told = [self.photographs.sha256, names, side, self.seed]
        return Pack(
            name="unseen",
            sha256=files.digest(told),
            pixels=pixels,
            offsets=torch.arange(count) * 3 * side * side,
            heights=torch.full((count,), side),
            widths=torch.full((count,), side),
            names=names,
            labels=labels,
        )
