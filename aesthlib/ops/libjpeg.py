"""What libjpeg makes of photographs, without its files, for a device on which it does not run.

Entropy coding loses nothing, so it is left out: colour conversion, chroma averages, transform,
quantisation and back, all in the whole numbers of libjpeg (and libjpeg-turbo) with 4:2:0 sampling,
the accurate transform and triangle upsampling, its defaults. Sums of products are float64, exact
below 2⁵³, so the result is libjpeg's to the bit on every device.
"""

from functools import cache
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor

# Tables K.1 and K.2 of ITU-T T.81
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99), (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)  # fmt: skip
# libjpeg's transform of 8 values, in units of 2⁻¹³; its inverse is the transpose
FIRST_HALF = (
    (8192, 8192, 8192, 8192), (11363, 9633, 6437, 2260), (10703, 4433, -4433, -10703),
    (9633, -2259, -11362, -6436), (8192, -8192, -8192, 8192), (6437, -11362, 2261, 9633),
    (4433, -10704, 10704, -4433), (2260, -6436, 9633, -11363),
)  # fmt: skip
TRANSFORM = tuple(
    (*row, *(value if index % 2 == 0 else -value for value in reversed(row)))
    for index, row in enumerate(FIRST_HALF)
)


def simulate(images: Tensor, qualities: int | list[int]) -> Tensor:
    """Compress and decompress, bit for bit as libjpeg does.

    Args:
        images: uint8 (N, 3, H, W), on any device.
        qualities: 1 … 100, one for all or one for each image.

    Returns:
        uint8 (N, 3, H, W), channels last.
    """
    height, width = images.shape[2:]
    if isinstance(qualities, int):
        qualities = [qualities] * len(images)
    red, green, blue = images.to(torch.int32).unbind(1)
    luma = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    chroma = torch.stack(
        [-11058 * red - 21710 * green + 32768 * blue, 32768 * red - 27439 * green - 5329 * blue], 1
    )
    chroma = (chroma + (128 << 16) + 32767) >> 16
    luma = _coded(luma[:, None], LUMINANCE, qualities)
    chroma = _coded(_halved(chroma), CHROMINANCE, qualities)[..., : -(-width // 2)]
    chroma = _enlarged(chroma)
    luma, (blue, red) = luma[:, 0], (chroma[..., :height, :width] - 128).unbind(1)
    pixels = [
        luma + ((91881 * red + 32768) >> 16),
        luma + ((-22554 * blue - 46802 * red + 32768) >> 16),
        luma + ((116130 * blue + 32768) >> 16),
    ]
    return torch.stack(pixels, -1).clamp_(0, 255).to(torch.uint8).permute(0, 3, 1, 2)


def _extended(planes: Tensor, rows: int, columns: int) -> Tensor:
    """Repeat the last row and column of (N, C, H, W) until there are so many."""
    y, x = (
        torch.arange(size, device=planes.device).clamp_(max=side - 1)
        for size, side in zip((rows, columns), planes.shape[2:], strict=True)
    )
    return planes.index_select(2, y).index_select(3, x)


def _halved(planes: Tensor) -> Tensor:
    """Means of 2 × 2 pixels, rounded down and up in turns: int32 (N, C, ⌈H/2⌉, whole blocks)."""
    rows, columns = -(-planes.shape[2] // 2), -(-planes.shape[3] // 16) * 8
    planes = _extended(planes, 2 * rows, 2 * columns)
    sums = planes.unflatten(3, (columns, 2)).sum(4, dtype=torch.int32)
    sums = sums.unflatten(2, (rows, 2)).sum(3, dtype=torch.int32)
    bias = torch.arange(columns, device=planes.device, dtype=torch.int32) % 2 + 1
    return (sums + bias) >> 2


@cache
def _transform(bits: int, device: torch.device) -> Tensor:
    """`TRANSFORM` over 2^bits as float64 (8, 8)."""
    return (torch.tensor(TRANSFORM, dtype=torch.float64) * 2.0**-bits).to(device)


@cache
def _divisors(base: tuple, quality: int, device: torch.device) -> Tensor:
    """The table that libjpeg makes of a base table for a quality, times 8: float64 (8, 8)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    table = (torch.tensor(base, dtype=torch.float64) * scale + 50) / 100
    return (8 * table.floor_().clamp_(1, 255)).to(device)


def _coded(planes: Tensor, base: tuple, qualities: list[int]) -> Tensor:
    """Transform, quantise and go back: int32 (N, C, H, W) of 0 … 255."""
    height, width = planes.shape[2:]
    rows, columns = -(-height // 8), -(-width // 8)
    device = planes.device
    table = torch.cat(
        [
            _divisors(base, quality, device).expand(len(list(alike)), 1, 1, 1, 8, 8)
            for quality, alike in groupby(qualities)
        ]
    )
    # libjpeg shifts by these bits after each of the four products; the transform's values, and the
    # table's, are 8 times too large
    first, second, third, fourth = (_transform(bits, device) for bits in (11, 15, 14, 18))
    values = _extended(planes, 8 * rows, 8 * columns).to(torch.float64).sub_(128)
    blocks = values.unflatten(3, (columns, 8)).unflatten(2, (rows, 8)).transpose(3, 4)
    blocks = _rounded(second @ _rounded(blocks @ first.T))
    # away from zero where half-way
    blocks = _rounded(blocks.abs().div_(table)).copysign_(blocks).mul_(table)
    blocks = _rounded(_rounded(third.T @ blocks) @ fourth)
    values = blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3)
    return values.add_(128).clamp_(0, 255).to(torch.int32)[..., :height, :width]


def _rounded(values: Tensor) -> Tensor:
    """The nearest whole numbers, half up. Consumes values."""
    return values.add_(0.5).floor_()


def _enlarged(planes: Tensor) -> Tensor:
    """Twice the rows and columns, three parts of the nearest and one of the next: int32."""
    if planes.shape[3] <= 2:  # libjpeg then repeats
        return planes.repeat_interleave(2, 2).repeat_interleave(2, 3)
    rows = F.pad(planes.to(torch.float64), (0, 0, 1, 1), "replicate").to(torch.int32)
    rows = torch.stack([3 * planes + rows[:, :, :-2], 3 * planes + rows[:, :, 2:]], 3).flatten(2, 3)
    before = torch.cat([rows[..., :1], rows[..., :-1]], 3)
    after = torch.cat([rows[..., 1:], rows[..., -1:]], 3)
    return torch.stack([(3 * rows + before + 8) >> 4, (3 * rows + after + 7) >> 4], 4).flatten(3, 4)
