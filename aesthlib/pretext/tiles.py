"""Square tiles cut from patches, for the tasks that ask how they lay to each other."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .. import models
from ..models.backbones import IMAGENET_MEAN
from ..ops import draws, squares
from ..ops.images import LUMINANCE_LEVELS, to_uint8

PAPER_PX = 227  # side of the patches at which lengths are stated
SMALLEST_PX = models.SMALLEST_PX["alexnet"]  # side of a tile, whatever other backbones there are
NOISE_STEPS = 200  # of a standard deviation: normal numbers come as whole ones
GRID, EACH, JOINED = 3, 128, 512  # of the head: side of the map, values of a tile, of all


def scaled(length_px: int, size_px: int) -> int:
    """A length stated for patches of 227 px, in patches of size_px: whole, and 0 only for 0."""
    return length_px and max(1, round(length_px * size_px / PAPER_PX))


def cut(photographs: Tensor, top: Tensor, left: Tensor, size_px: int) -> Tensor:
    """Cut square tiles, all in one gather on the photographs' device.

    Args:
        photographs: uint8 (N, 3, H, W).
        top, left: int64 (N, T) on the CPU, upper left corners in pixels.
        size_px: side t of the tiles.

    Returns:
        uint8 (N, T, 3, t, t).

    Raises:
        ValueError: a tile does not lie within its photograph.
    """
    count, _, height, width = photographs.shape
    room = min(height - size_px - top.max(), width - size_px - left.max())
    if min(room, top.min(), left.min()) < 0:
        raise ValueError(f"size_px: tiles of {size_px} px do not lie within the photographs")
    pixels = photographs.permute(0, 2, 3, 1).flatten()  # a view where channels come last
    first = 3 * (height * width * torch.arange(count)[:, None] + top * width + left)
    (first,) = draws.sent([first.flatten()], photographs.device)
    tiles = squares.cut(pixels, first, 3 * width, size_px)
    return tiles.permute(0, 3, 1, 2).unflatten(0, top.shape)


def enlarge(tiles: Tensor) -> Tensor:
    """Enlarge tiles below 67 px to 67 px, bilinearly: AlexNet sees nothing smaller.

    Args:
        tiles: uint8 (M, 3, t, t).

    Returns:
        uint8 (M, 3, max(t, 67), max(t, 67)), rounded to the nearest level.
    """
    if tiles.shape[-1] >= SMALLEST_PX:
        return tiles
    return to_uint8(F.interpolate(tiles.float(), size=(SMALLEST_PX, SMALLEST_PX), mode="bilinear"))


def drop_colours(tiles: Tensor, generator: Generator) -> Tensor:
    """Keep one channel of each tile, drawn at random; the others become noise without a picture.

    Doersch et al. 2015: chromatic aberration shifts the channels against each other, and one
    alone has no shift. The noise lies around ImageNet's mean, its standard deviation is 1/100 of
    the kept channel's; the tiles of a call share one field of it.

    Args:
        tiles: uint8 (M, 3, t, t).
        generator: on the CPU.

    Returns:
        uint8 (M, 3, t, t).
    """
    kept = torch.randint(3, (len(tiles),), generator=generator)
    field, device = tiles[0].numel(), tiles.device
    words = draws.Words(draws.key(generator), 1, -(-field // 2), device)
    noise = draws.normal(words.take(words.rows), (float(NOISE_STEPS),), field)
    noise = noise.view(tiles.shape[1:]).float() / NOISE_STEPS
    (kept,) = draws.sent([kept], device)
    mask = kept[:, None, None, None] == torch.arange(3, device=device)[:, None, None]
    mean = _mean(device)
    spread = (tiles.float().std((2, 3), keepdim=True, correction=0) * mask).sum(1, keepdim=True)
    return torch.where(mask, tiles, to_uint8(mean + noise * spread / 100))


@cache
def _mean(device: torch.device) -> Tensor:
    """ImageNet's mean in levels, float32 (3, 1, 1)."""
    return torch.tensor(IMAGENET_MEAN).mul(LUMINANCE_LEVELS).view(3, 1, 1).to(device)


def project_colours(tiles: Tensor) -> Tensor:
    """Take away what lies along the axis from green to magenta, (−1, 2, −1).

    Doersch et al. 2015: lenses shift green against red and blue. Those two shifted against each
    other survive, and so does the double edge of a shifted green.

    Args:
        tiles: uint8 (M, 3, t, t).

    Returns:
        uint8 (M, 3, t, t), clipped.
    """
    values = tiles.float()
    red, green, blue = values.unbind(1)
    along = (2 * green - red - blue) / 6
    return to_uint8(values - torch.stack([-along, 2 * along, -along], 1))


class Siamese(nn.Module):
    """Head on several tiles: the same layer for each, then theirs joined, as siamese networks do.

    conv5 is averaged to 3 × 3 only, for where a thing lies in its tile tells where the tile lies.
    Small beside the layers fc6 and fc7 of both papers (4096 values), which cost more than all
    convolutions.

    Args:
        channels: of conv5.
        together: tiles that are judged together.
        classes: that are told apart.
        seed: of the weights; the global generator is left alone.
    """

    def __init__(self, channels: int, together: int, classes: int, seed: int):
        super().__init__()
        self.each = nn.Sequential(
            nn.AdaptiveAvgPool2d(GRID), nn.Flatten(), *models.hidden(channels * GRID**2, EACH, seed)
        )
        self.joined = nn.Sequential(
            *models.hidden(together * EACH, JOINED, seed + 1),
            models.linear(JOINED, classes, seed + 2),
        )

    def forward(self, maps: Tensor, order: Tensor) -> Tensor:
        """Scores of sequences of tiles.

        Args:
            maps: float (N·T, C, h, w), conv5 of the T tiles of N patches.
            order: int64 (N, K, J), for each of a patch's K sequences the tiles in it, in order.

        Returns:
            float (N·K, classes).
        """
        values = self.each(maps).unflatten(0, (len(order), -1))  # (N, T, E)
        patch = torch.arange(len(order), device=order.device)[:, None, None]
        return self.joined(values[patch, order].flatten(2).flatten(0, 1)).float()
