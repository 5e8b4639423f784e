"""The ten degradations as pure batch functions on uint8 photographs (N, 3, H, W).

Every function takes uint8 and returns uint8 of the same device, rounded to the nearest
level, so that no class is betrayed by fractional values. None modifies its input. Values
are clipped to 0 … 255. Randomness comes from a CPU `torch.Generator` only: keys, from which
`draws` makes the same numbers on every device. None waits for a device.

One edge rule for all grids (`downsample`, `pixelate`, `patch_shuffle`): the grid starts at
the top left, and blocks cut by the right or bottom edge are smaller blocks of their own.

All raise ValueError for images that are not uint8 (N, 3, H, W) with N, H, W ≥ 1, and for a
parameter outside its stated range.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, reduce

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from . import draws, libjpeg
from .images import (
    IMAGENET_STD,
    LUMINANCE_LEVELS,
    channels_last,
    check_images,
    check_range,
    check_whole,
    in_pieces,
    to_uint8,
)

LARGEST_BLOCK_PX = 1024
NOISE_UNITS = ("standardized", "pixel")
SHUFFLES = ("within", "move")


def jpeg(images: Tensor, quality: int | Sequence[int]) -> Tensor:
    """Compress and decompress with libjpeg, 4:2:0 (Table 1, attribute Much noise).

    On the CPU the codec takes one image a task in torch's number of threads; on another device
    `libjpeg.simulate` gives its very bytes.

    Args:
        images: uint8 (N, 3, H, W).
        quality: libjpeg's quality, 1 … 100; 100 is mildest, yet not the identity. One for all, or
            one for each image.
    """
    check_images(images)
    qualities = list(quality) if isinstance(quality, Sequence) else [quality] * len(images)
    if len(qualities) != len(images):
        raise ValueError(f"quality must be one or {len(images)} numbers, got {len(qualities)}")
    for value in set(qualities):
        check_whole("quality", value, 1, 100)
    qualities = [int(value) for value in qualities]
    if images.device.type != "cpu":
        return libjpeg.simulate(images, qualities)
    from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg

    sources = channels_last(images)
    coded = torch.empty_like(sources)

    inference = torch.is_inference_mode_enabled()  # which threads do not inherit

    def code(index: int) -> None:
        with torch.inference_mode(inference):
            file = encode_jpeg(sources[index].permute(2, 0, 1), quality=qualities[index])
            coded[index] = decode_jpeg(file, mode=ImageReadMode.RGB).permute(1, 2, 0)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(code, range(len(sources))))  # which raises what a task raised
    return coded.permute(0, 3, 1, 2)


def gaussian_noise(
    images: Tensor, variance: float, generator: Generator, units: str = "standardized"
) -> Tensor:
    """Add white Gaussian noise, independent in every channel (Table 1, Much noise).

    Args:
        images: uint8 (N, 3, H, W).
        variance: of the noise, ≥ 0; 0 returns the input.
        generator: on the CPU.
        units: "standardized" measures it in channels divided by ImageNet's standard deviation
            (variance 0.2 is σ ≈ 0.10 of the pixel range); "pixel" in pixels of [0, 1] (σ ≈ 0.45).
    """
    check_images(images)
    check_range("variance", variance, 0, 1e6)
    if units not in NOISE_UNITS:
        raise ValueError(f"units must be one of {', '.join(NOISE_UNITS)}, got {units!r}")
    if variance == 0:
        return images.clone()
    scale = IMAGENET_STD if units == "standardized" else (1.0, 1.0, 1.0)
    sigma = tuple(math.sqrt(variance) * LUMINANCE_LEVELS * std for std in scale)
    pixels = channels_last(images)
    values = pixels.flatten(1)
    count, size = values.shape
    words = draws.Words(draws.key(generator), count, -(-size // 2), images.device)

    def add(values: Tensor, rows: Tensor) -> Tensor:
        noise = draws.normal(words.take(rows), sigma, size)
        return noise.add_(values).clamp_(0, LUMINANCE_LEVELS)

    noisy = in_pieces(add, torch.empty_like(values), values, words.rows)
    return noisy.view(pixels.shape).permute(0, 3, 1, 2)


def rotate(images: Tensor, degrees: int) -> Tensor:
    """Turn counter-clockwise by a multiple of 90° (Table 1, Camera shake).

    Args:
        images: uint8 (N, 3, H, W); 90° and 270° swap H and W.
        degrees: 0, 90, 180 or 270; 0 returns the input.
    """
    check_images(images)
    if degrees not in (0, 90, 180, 270):
        raise ValueError(f"degrees must be 0, 90, 180 or 270, got {degrees}")
    # as (N, H, W, 3), whose flips move whole pixels; rot90 copies, for 0° too
    pixels, turns = images.permute(0, 2, 3, 1), int(degrees) // 90
    if turns == 1 and pixels.is_contiguous():  # a flip along W alone moves pixel by pixel
        pixels, turns = pixels.flip(1, 2), 3
    return torch.rot90(pixels, turns, (1, 2)).permute(0, 3, 1, 2)


def _block_means(pixels: Tensor, block_px: int) -> Tensor:
    """Means of the grid's blocks; cut ones average what they have.

    Args:
        pixels: uint8 (N, H, W, 3).

    Returns:
        float32 (N, ⌈H/b⌉, ⌈W/b⌉, 3).
    """
    count, *sides, _ = pixels.shape
    cells = [-(-side // block_px) for side in sides]
    whole = [cell * block_px for cell in cells]
    if whole != sides:
        pixels = F.pad(pixels, (0, 0, 0, whole[1] - sides[1], 0, whole[0] - sides[0]))
    rows = pixels.view(count, cells[0], block_px, -1).sum(2, dtype=torch.float32)
    # whole numbers below 2²⁴, so exact in any order; a sum over the last but one is slower
    sums = reduce(torch.add, rows.view(count, *cells, block_px, 3).unbind(3))
    return sums / _block_sizes(*sides, block_px, pixels.device)


@lru_cache(maxsize=16)
def _block_sizes(height: int, width: int, block_px: int, device: torch.device) -> Tensor:
    """Pixels of each block of the grid, float32 (⌈H/b⌉, ⌈W/b⌉, 1)."""
    high, wide = ((torch.arange(side) // block_px).bincount() for side in (height, width))
    return (high[:, None, None] * wide[:, None]).to(device, torch.float32)


def downsample(images: Tensor, factor: int) -> Tensor:
    """Shrink by block means, enlarge again bilinearly (Table 1, Soft / Grainy).

    Args:
        images: uint8 (N, 3, H, W).
        factor: whole number of pixels a side of a block, 1 … 1024; 1 returns the input. A factor
            beyond the image's size leaves its mean colour.
    """
    check_images(images)
    check_whole("factor", factor, 1, LARGEST_BLOCK_PX)
    if factor == 1:
        return images.clone()
    factor = int(factor)
    height, width = images.shape[2:]
    pixels = channels_last(images)

    def work(pixels: Tensor) -> Tensor:
        small = _block_means(pixels, factor).permute(0, 3, 1, 2)
        # scale_factor, not size: a cut block keeps the sampling of a whole one
        large = F.interpolate(
            small, scale_factor=float(factor), mode="bilinear", align_corners=False
        )
        return to_uint8(large.permute(0, 2, 3, 1)[:, :height, :width])

    return in_pieces(work, torch.empty_like(pixels), pixels).permute(0, 3, 1, 2)


def quantize(images: Tensor, levels: int) -> Tensor:
    """Keep a number of evenly spaced levels a channel, 0 and 255 among them (Soft / Grainy).

    Args:
        images: uint8 (N, 3, H, W).
        levels: a channel, 2 … 256; 256 returns the input.
    """
    check_images(images)
    check_whole("levels", levels, 2, 256)
    steps = int(levels) - 1

    def work(values: Tensor) -> Tensor:
        if steps % 2:  # nothing lies half-way between levels, so floats round as exact numbers do
            index = values.to(torch.float32).mul_(steps / LUMINANCE_LEVELS).round_()
            return to_uint8(index.mul_(LUMINANCE_LEVELS / steps))
        return _look_up(values, _levels(steps, values.device))

    return in_pieces(work, torch.empty_like(images), images)


def pixelate(images: Tensor, block_px: int) -> Tensor:
    """Give every block its mean colour (Table 1, Soft / Grainy).

    Args:
        images: uint8 (N, 3, H, W).
        block_px: pixels a side of a block, 1 … 1024; 1 returns the input.
    """
    check_images(images)
    check_whole("block_px", block_px, 1, LARGEST_BLOCK_PX)
    if block_px == 1:
        return images.clone()
    block_px = int(block_px)
    rows, columns = (
        torch.arange(side, device=images.device) // block_px for side in images.shape[2:]
    )
    pixels = channels_last(images)

    def work(pixels: Tensor) -> Tensor:
        means = to_uint8(_block_means(pixels, block_px))
        return means.index_select(2, columns).index_select(1, rows)

    return in_pieces(work, torch.empty_like(pixels), pixels).permute(0, 3, 1, 2)


def expose(images: Tensor, factor: float) -> Tensor:
    """Multiply pixel values (Table 1, Poor lighting).

    Args:
        images: uint8 (N, 3, H, W).
        factor: ≥ 0; below 1 darker, above 1 brighter, 1 returns the input.
    """
    check_images(images)
    check_range("factor", factor, 0, 1e6)

    def work(values: Tensor) -> Tensor:
        if factor == 0.5:  # of two neighbours the even one
            half = values >> 1
            return half.add_((values & half).bitwise_and_(1))
        if factor in (1, 3, 5):  # which divide 255
            return values.clamp(max=int(LUMINANCE_LEVELS // factor)).mul_(int(factor))
        return _look_up(values, _exposures(factor, values.device))

    return in_pieces(work, torch.empty_like(images), images)


def _look_up(values: Tensor, table: Tensor) -> Tensor:
    """Map every value through a uint8 table (256,): exact and the same on every device."""
    return table.index_select(0, values.flatten().int()).view(values.shape)


@lru_cache(maxsize=64)
def _levels(steps: int, device: torch.device) -> Tensor:
    """The nearest of steps + 1 levels to each value, half up: uint8 (256,)."""
    every = torch.arange(256, dtype=torch.float64)
    # in exact arithmetic: index = ⌊x·steps/255 + ½⌋
    index = torch.div(2 * every * steps + LUMINANCE_LEVELS, 2 * LUMINANCE_LEVELS).floor_()
    return to_uint8(index * LUMINANCE_LEVELS / steps).to(device)


@lru_cache(maxsize=64)
def _exposures(factor: float, device: torch.device) -> Tensor:
    """Each value times factor: uint8 (256,)."""
    return to_uint8(torch.arange(256, dtype=torch.float64) * factor).to(device)


def gaussian_blur(images: Tensor, sigma: float) -> Tensor:
    """Blur with an isotropic Gaussian (Table 1, attribute Fuzzy).

    Edges are extended by their own pixels. The kernel reaches ⌈4σ⌉ pixels. With sigma 0.2 the
    neighbours weigh 4e-6 and the result equals the input.

    Args:
        images: uint8 (N, 3, H, W).
        sigma: standard deviation in pixels, 0 … 100; 0 returns the input.
    """
    check_images(images)
    check_range("sigma", sigma, 0, 100)
    if sigma == 0:
        return images.clone()
    kernel = _gaussian(sigma, torch.device("cpu"))
    radius = len(kernel) // 2
    neighbours = 1 - kernel[radius].item() ** 2  # what all but the pixel itself weigh
    if LUMINANCE_LEVELS * neighbours < 0.49:  # rounds to the input
        return images.clone()
    if images.device.type != "cpu":
        return _convolve(images, _gaussian(sigma, images.device))
    pixels = channels_last(images)
    height, width = pixels.shape[1:3]

    def work(pixels: Tensor) -> Tensor:
        rows = _extend(pixels.to(torch.float32), 1, radius).flatten(2)
        rows = _weigh(rows, kernel, 1, height)
        columns = _extend(rows.view(len(pixels), height, width, 3), 2, radius).flatten(2)
        return to_uint8(_weigh(columns, kernel, 3, 3 * width).view(pixels.shape))

    return in_pieces(work, torch.empty_like(pixels), pixels).permute(0, 3, 1, 2)


@lru_cache(maxsize=16)
def _gaussian(sigma: float, device: torch.device) -> Tensor:
    """Weights of pixels up to ⌈4σ⌉ away, with sum 1: float32 (2r + 1,)."""
    radius = math.ceil(4 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    return (weights / weights.sum()).to(torch.float32).to(device)


def _convolve(images: Tensor, kernel: Tensor) -> Tensor:
    """The separable convolution of uint8 (N, 3, H, W) by the device's own kernels.

    Args:
        kernel: float32 (2r + 1,), on that device.
    """
    kernel, radius = kernel.repeat(3, 1, 1, 1), kernel.shape[-1] // 2
    blurred = images.to(torch.float32)
    vertical, horizontal = kernel.transpose(2, 3), kernel
    with torch.autocast(images.device.type, enabled=False):  # bf16 would darken the photograph
        blurred = F.conv2d(F.pad(blurred, (0, 0, radius, radius), "replicate"), vertical, groups=3)
        blurred = F.conv2d(
            F.pad(blurred, (radius, radius, 0, 0), "replicate"), horizontal, groups=3
        )
    return to_uint8(blurred)


def _extend(values: Tensor, dim: int, radius: int) -> Tensor:
    """Repeat both ends of (N, H, W, 3) along a dimension, radius times."""
    size = values.shape[dim]
    shape = list(values.shape)
    shape[dim] += 2 * radius
    extended = values.new_empty(shape)
    extended.narrow(dim, radius, size).copy_(values)
    extended.narrow(dim, 0, radius).copy_(values.narrow(dim, 0, 1))
    extended.narrow(dim, radius + size, radius).copy_(values.narrow(dim, size - 1, 1))
    return extended


def _weigh(values: Tensor, kernel: Tensor, step: int, size: int) -> Tensor:
    """Sum of kernel[j] · values shifted by j · step, along dimension 1 (step 1) or 2 (step 3).

    One multiply-add a tap, in the order of a convolution: its very bits, at the speed of memory.
    """
    dim = 1 if step == 1 else 2
    first, *others = kernel.tolist()
    result = values.narrow(dim, 0, size) * first
    for tap, weight in enumerate(others, start=1):
        result.add_(values.narrow(dim, tap * step, size), alpha=weight)
    return result


def patch_shuffle(
    images: Tensor,
    fraction: float,
    generator: Generator,
    block_px: int = 8,
    reading: str = "within",
) -> Tensor:
    """Shuffle pixels within a fraction of small blocks (Table 1, Distracting; Kang et al. 2017).

    Args:
        images: uint8 (N, 3, H, W).
        fraction: of the blocks, 0 … 1, rounded to whole blocks (at least one, if not 0); 0 returns
            the input.
        generator: on the CPU.
        block_px: pixels a side of a block, 1 … 1024; 1 returns the input where pixels stay within.
        reading: "within" permutes the pixels inside each chosen block; "move" permutes the chosen
            blocks among themselves (whole blocks only: those cut by the edge stay).
    """
    check_images(images)
    check_range("fraction", fraction, 0, 1)
    check_whole("block_px", block_px, 1, LARGEST_BLOCK_PX)
    if reading not in SHUFFLES:
        raise ValueError(f"reading must be one of {', '.join(SHUFFLES)}, got {reading!r}")
    if fraction == 0:
        return images.clone()
    count, _, height, width = images.shape
    block_px, device = int(block_px), images.device
    rows, columns = -(-height // block_px), -(-width // block_px)
    if reading == "move":
        rows, columns = height // block_px, width // block_px
        if rows * columns == 0:
            return images.clone()
    chosen_count = max(1, round(fraction * rows * columns))
    words = draws.Words(draws.key(generator), count, rows * columns, device)
    chosen = draws.orders(words.take(words.rows))[:, :chosen_count]  # (N, K) in random order
    first, kinds, offsets, sizes = _blocks(height, width, block_px, device)
    image = torch.arange(count, device=device)[:, None] * (height * width)
    if reading == "within":
        start, kind = image + first[chosen], kinds[chosen]
        length = offsets.shape[1]
        words = draws.Words(draws.key(generator), start.numel(), length, device)
        inside = sizes[kind].view(-1, 1)  # pixels of each block
        order = draws.orders(words.take(words.rows), inside)
        # those beyond a cut block's end do once more what its first one does
        order = torch.where(torch.arange(length, device=device) < inside, order, order[:, :1])
        shift = kind.view(-1, 1) * length
        sources = (start.view(-1, 1) + offsets.view(-1)[shift + order]).flatten()
        targets = (start[..., None] + offsets[kind]).flatten()
    else:  # the chosen blocks in raster order receive the chosen blocks in random order
        whole = first.view(-(-height // block_px), -1)[:rows, :columns].reshape(-1)
        sources, targets = (
            ((image + whole[blocks])[..., None] + offsets[0]).flatten()
            for blocks in (chosen, chosen.sort(1).values)
        )
    pixels = channels_last(images).view(-1, 3)
    shuffled = pixels.clone().index_copy_(0, targets, pixels.index_select(0, sources))
    return shuffled.view(count, height, width, 3).permute(0, 3, 1, 2)


@lru_cache(maxsize=8)
def _blocks(
    height: int, width: int, block_px: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The grid's blocks, in raster order, of a photograph whose pixels lie row by row.

    Returns:
        int64 (B,) address of each block's first pixel; int64 (B,) its kind: 0 for whole ones, 1
        and 2 for those cut by the right and the bottom edge, 3 for both; int64 (4, b²) addresses
        of a kind's pixels against the first, in raster order, 0 behind the last one; int64 (4,)
        how many there are.
    """
    tops, lefts = (torch.arange(0, side, block_px) for side in (height, width))
    first = tops[:, None] * width + lefts
    kinds = 2 * (tops[:, None] + block_px > height) + (lefts + block_px > width).long()
    rank = torch.arange(block_px**2)
    highs, wides = (
        torch.tensor([block_px, side % block_px or block_px]) for side in (height, width)
    )
    high, wide = highs.repeat_interleave(2), wides.repeat(2)
    offsets = rank // wide[:, None] * width + rank % wide[:, None]
    offsets.masked_fill_(rank >= (high * wide)[:, None], 0)
    return tuple(x.to(device) for x in (first.flatten(), kinds.flatten(), offsets, high * wide))


def mixup(images: Tensor, alpha: float, partners: Tensor) -> Tensor:
    """Blend with other photographs: (1 − α)·image + α·partner (Table 1, Distracting).

    Args:
        images: uint8 (N, 3, H, W).
        alpha: 0 … 1; 0 returns the input.
        partners: uint8 (N, 3, H, W), one for each image.
    """
    check_images(images)
    check_images(partners, "partners")
    check_range("alpha", alpha, 0, 1)
    if partners.shape != images.shape:
        raise ValueError(
            f"partners must have the shape of images {tuple(images.shape)}, "
            f"got {tuple(partners.shape)}"
        )

    def work(images: Tensor, partners: Tensor) -> Tensor:
        share = partners.to(torch.float32).mul_(float(alpha))
        return to_uint8(images.to(torch.float32).mul_(1.0 - alpha).add_(share))

    return in_pieces(work, torch.empty_like(images), images, partners)
