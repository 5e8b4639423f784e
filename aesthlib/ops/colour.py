"""CIE Lab of photographs, and the quantised ab plane of Zhang, Isola and Efros 2016."""

from functools import cache

import torch
from torch import Tensor

from .images import check_images, to_uint8

GRID = 10  # of the ab plane, side of a bin
# sRGB (IEC 61966-2-1) to XYZ, and the white D65 of the 2° observer
TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE = (0.95047, 1.0, 1.08883)


def rgb_to_lab(images: Tensor) -> Tensor:
    """CIE Lab of sRGB photographs under D65.

    Args:
        images: uint8 (N, 3, H, W).

    Returns:
        float32 (N, 3, H, W): L in [0, 100], a in about [-86, 98], b in about [-108, 94].

    Raises:
        ValueError: images is not uint8 (N, 3, H, W).
    """
    check_images(images)
    values = images.float() / 255
    linear = torch.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)
    red, green, blue = linear.unbind(1)
    # sums, not a matrix product: autocast would round that to bf16
    x, y, z = (
        (r / white) * red + (g / white) * green + (b / white) * blue
        for (r, g, b), white in zip(TO_XYZ, WHITE, strict=True)
    )
    ratio = torch.stack([x, y, z])
    x, y, z = torch.where(ratio > 0.008856, ratio ** (1 / 3), 7.787 * ratio + 16 / 116)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def lab_levels(images: Tensor) -> Tensor:
    """Lab as a file holds it: L · 255/100, a + 128, b + 128, rounded; uint8 (N, 3, H, W).

    The fractions of L tell the colour of a pixel of 8 bits a channel (a grey one has 256 values
    of L), and those of a and b its lightness: rounding keeps each blind to the other.

    Raises:
        ValueError: images is not uint8 (N, 3, H, W).
    """
    lab = rgb_to_lab(images)
    levels = torch.cat([lab[:, :1] * 2.55, lab[:, 1:] + 128], 1)
    return levels.round_().clamp_(0, 255).to(torch.uint8)


@cache
def ab_bins() -> Tensor:
    """Centres of the bins of the ab plane that sRGB reaches, float32 (Q, 2), sorted; Q = 261.

    Bins are squares of 10 around multiples of 10 that hold the colour of some pixel. The surface
    of the RGB cube is enough: a line of constant a and b leaves the cube through it.
    """
    level = torch.arange(256, dtype=torch.uint8)
    face = torch.stack(torch.meshgrid(level, level, indexing="ij"))
    surface = torch.stack(
        [
            torch.cat([face[:channel], torch.full_like(face[:1], end), face[channel:]])
            for channel in range(3)
            for end in (0, 255)
        ]
    )  # (6, 3, 256, 256)
    ab = rgb_to_lab(surface)[:, 1:]
    return (ab / GRID).round().permute(0, 2, 3, 1).flatten(0, 2).unique(dim=0) * GRID


def grey(images: Tensor) -> Tensor:
    """Photographs without colour: luma of ITU-R BT.601 in all three channels.

    Args:
        images: uint8 (N, 3, H, W).

    Returns:
        Same shape, dtype and device, rounded to the nearest level.
    """
    check_images(images)
    red, green, blue = images.float().unbind(1)
    luma = to_uint8(0.299 * red + 0.587 * green + 0.114 * blue)
    return luma[:, None].expand_as(images)
