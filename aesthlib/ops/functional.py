"""The ten degradations as pure batch functions on uint8 photographs (N, 3, H, W).

Every function takes uint8 and returns uint8 of the same device, rounded to the nearest
level, so that no class is betrayed by fractional values. None modifies its input. Values
are clipped to 0 … 255. Randomness comes from a CPU `torch.Generator` only: the draws are
made on the CPU and moved, so CPU and CUDA get the same ones.

One edge rule for all grids (`downsample`, `pixelate`, `patch_shuffle`): the grid starts at
the top left, and blocks cut by the right or bottom edge are smaller blocks of their own.

All raise ValueError for images that are not uint8 (N, 3, H, W) with N, H, W ≥ 1, and for a
parameter outside its stated range.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import reduce

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from . import libjpeg

IMAGENET_STD = (0.229, 0.224, 0.225)  # of pixels in [0, 1], channel by channel (torchvision)
LUMINANCE_LEVELS = 255  # the largest value of a uint8 channel
LARGEST_BLOCK_PX = 1024
PIECE_VALUES = 160_000  # worked on at once: as floats they stay in the cache of a CPU's core
NOISE_IMAGES = 16  # drawn at once: `torch.randn` gives the same in runs of 16 values
NOISE_UNITS = ("standardized", "pixel")
SHUFFLES = ("within", "move")


def check_images(images: Tensor, name: str = "images") -> None:
    """Raise ValueError, naming the parameter, unless images is uint8 (N, 3, H, W), not empty."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
        raise ValueError(
            f"{name} must be uint8 (N, 3, H, W) and not empty, got {images.dtype} "
            f"{tuple(images.shape)}"
        )


def _check_range(name: str, value: float, low: float, high: float) -> None:
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


def _in_pieces(work: Callable[..., Tensor], result: Tensor, *batches: Tensor) -> Tensor:
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


def _channels_last(images: Tensor) -> Tensor:
    """The same photographs as (N, H, W, 3), contiguous: a view where they are channels last."""
    return images.permute(0, 2, 3, 1).contiguous()


def jpeg(images: Tensor, quality: int) -> Tensor:
    """Compress and decompress with libjpeg, 4:2:0 (Table 1, attribute Much noise).

    On the CPU the codec takes one image a task in torch's number of threads; on another device
    `libjpeg.simulate` gives its very bytes.

    Args:
        images: uint8 (N, 3, H, W).
        quality: libjpeg's quality, 1 … 100; 100 is mildest, yet not the identity.
    """
    check_images(images)
    check_whole("quality", quality, 1, 100)
    if images.device.type != "cpu":
        return libjpeg.simulate(images, int(quality))
    from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg

    sources = _channels_last(images)
    coded = torch.empty_like(sources)

    inference = torch.is_inference_mode_enabled()  # which threads do not inherit

    def code(index: int) -> None:
        with torch.inference_mode(inference):
            file = encode_jpeg(sources[index].permute(2, 0, 1), quality=int(quality))
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
    _check_range("variance", variance, 0, 1e6)
    if units not in NOISE_UNITS:
        raise ValueError(f"units must be one of {', '.join(NOISE_UNITS)}, got {units!r}")
    if variance == 0:
        return images.clone()
    scale = IMAGENET_STD if units == "standardized" else (1.0, 1.0, 1.0)
    sigma = math.sqrt(variance) * LUMINANCE_LEVELS * torch.tensor(scale).view(1, 3, 1, 1)
    together = NOISE_IMAGES if images[0].numel() >= NOISE_IMAGES else len(images)
    result = torch.empty_like(images)

    def add(noise: Tensor, images: Tensor) -> Tensor:
        noise = noise.mul_(sigma).round_().to(images.device)
        return to_uint8(noise.add_(images.contiguous()))

    for rows in torch.arange(len(images)).split(together):
        rows = slice(int(rows[0]), int(rows[-1]) + 1)
        noise = torch.randn(images[rows].shape, generator=generator)
        _in_pieces(add, result[rows], noise, images[rows])
    return result


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
    extent = [
        (torch.arange(side) // block_px).bincount().to(pixels.device, torch.float32)
        for side in sides
    ]
    return sums / (extent[0][:, None, None] * extent[1][:, None])


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
    pixels = _channels_last(images)

    def work(pixels: Tensor) -> Tensor:
        small = _block_means(pixels, factor).permute(0, 3, 1, 2)
        # scale_factor, not size: a cut block keeps the sampling of a whole one
        large = F.interpolate(
            small, scale_factor=float(factor), mode="bilinear", align_corners=False
        )
        return to_uint8(large.permute(0, 2, 3, 1)[:, :height, :width])

    return _in_pieces(work, torch.empty_like(pixels), pixels).permute(0, 3, 1, 2)


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
        every = torch.arange(256, dtype=torch.float64)
        # half up in exact arithmetic: index = ⌊x·steps/255 + ½⌋
        index = torch.div(2 * every * steps + LUMINANCE_LEVELS, 2 * LUMINANCE_LEVELS).floor_()
        return _look_up(values, to_uint8(index * LUMINANCE_LEVELS / steps))

    return _in_pieces(work, torch.empty_like(images), images)


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
    pixels = _channels_last(images)

    def work(pixels: Tensor) -> Tensor:
        means = to_uint8(_block_means(pixels, block_px))
        return means.index_select(2, columns).index_select(1, rows)

    return _in_pieces(work, torch.empty_like(pixels), pixels).permute(0, 3, 1, 2)


def expose(images: Tensor, factor: float) -> Tensor:
    """Multiply pixel values (Table 1, Poor lighting).

    Args:
        images: uint8 (N, 3, H, W).
        factor: ≥ 0; below 1 darker, above 1 brighter, 1 returns the input.
    """
    check_images(images)
    _check_range("factor", factor, 0, 1e6)

    def work(values: Tensor) -> Tensor:
        if factor == 0.5:  # of two neighbours the even one
            half = values >> 1
            return half.add_((values & half).bitwise_and_(1))
        if factor in (1, 3, 5):  # which divide 255
            return values.clamp(max=int(LUMINANCE_LEVELS // factor)).mul_(int(factor))
        return _look_up(values, to_uint8(torch.arange(256, dtype=torch.float64) * factor))

    return _in_pieces(work, torch.empty_like(images), images)


def _look_up(values: Tensor, table: Tensor) -> Tensor:
    """Map every value through a uint8 table (256,): exact and the same on every device."""
    mapped = table.to(values.device).index_select(0, values.flatten().int())
    return mapped.view(values.shape)


def gaussian_blur(images: Tensor, sigma: float) -> Tensor:
    """Blur with an isotropic Gaussian (Table 1, attribute Fuzzy).

    Edges are extended by their own pixels. The kernel reaches ⌈4σ⌉ pixels. With sigma 0.2 the
    neighbours weigh 4e-6 and the result equals the input.

    Args:
        images: uint8 (N, 3, H, W).
        sigma: standard deviation in pixels, 0 … 100; 0 returns the input.
    """
    check_images(images)
    _check_range("sigma", sigma, 0, 100)
    if sigma == 0:
        return images.clone()
    radius = math.ceil(4 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).to(torch.float32)
    neighbours = 1 - kernel[radius].item() ** 2  # what all but the pixel itself weigh
    if LUMINANCE_LEVELS * neighbours < 0.49:  # rounds to the input
        return images.clone()
    if images.device.type != "cpu":
        return _convolve(images, kernel)
    pixels = _channels_last(images)
    height, width = pixels.shape[1:3]

    def work(pixels: Tensor) -> Tensor:
        rows = _extend(pixels.to(torch.float32), 1, radius).flatten(2)
        rows = _weigh(rows, kernel, 1, height)
        columns = _extend(rows.view(len(pixels), height, width, 3), 2, radius).flatten(2)
        return to_uint8(_weigh(columns, kernel, 3, 3 * width).view(pixels.shape))

    return _in_pieces(work, torch.empty_like(pixels), pixels).permute(0, 3, 1, 2)


def _convolve(images: Tensor, kernel: Tensor) -> Tensor:
    """The separable convolution of uint8 (N, 3, H, W) by the device's own kernels."""
    kernel, radius = kernel.to(images.device), len(kernel) // 2
    blurred = images.to(torch.float32)
    vertical = kernel.view(1, 1, -1, 1).repeat(3, 1, 1, 1)
    horizontal = kernel.view(1, 1, 1, -1).repeat(3, 1, 1, 1)
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
    _check_range("fraction", fraction, 0, 1)
    check_whole("block_px", block_px, 1, LARGEST_BLOCK_PX)
    if reading not in SHUFFLES:
        raise ValueError(f"reading must be one of {', '.join(SHUFFLES)}, got {reading!r}")
    if fraction == 0:
        return images.clone()
    count, _, height, width = images.shape
    block_px = int(block_px)
    rows, columns = -(-height // block_px), -(-width // block_px)
    if reading == "move":
        rows, columns = height // block_px, width // block_px
        if rows * columns == 0:
            return images.clone()
    chosen_count = max(1, round(fraction * rows * columns))
    order = _order(torch.rand(count, rows * columns, generator=generator))
    chosen = order[:, :chosen_count]  # (N, K) blocks in random order
    y, x = chosen // columns * block_px, chosen % columns * block_px
    offsets = torch.arange(block_px)  # of a block's pixels in raster order
    offset_y, offset_x = offsets.repeat_interleave(block_px), offsets.repeat(block_px)
    # pixel addresses (N, K, b²) of the chosen blocks; those beyond the edge are not inside
    first = y * width + x + (torch.arange(count) * height * width)[:, None]
    address = first[..., None] + (offset_y * width + offset_x)
    if reading == "within":
        inside = (y[..., None] + offset_y < height) & (x[..., None] + offset_x < width)
        keys = torch.rand(address.shape, generator=generator)
        # the pixels inside, in raster order, receive the pixels inside in random order
        order = _order(keys.masked_fill_(~inside, 1.0))
        targets, sources = address[inside], address.gather(-1, order)[inside.gather(-1, order)]
    else:  # the chosen blocks in raster order receive the chosen blocks in random order
        targets = address.gather(1, chosen.argsort(1)[..., None].expand_as(address)).flatten()
        sources = address.flatten()
    pixels = _channels_last(images).view(-1, 3)
    targets, sources = targets.to(images.device), sources.to(images.device)
    shuffled = pixels.clone().index_copy_(0, targets, pixels.index_select(0, sources))
    return shuffled.view(count, height, width, 3).permute(0, 3, 1, 2)


def _order(keys: Tensor) -> Tensor:
    """Stable argsort along the last dimension, of draws of `torch.rand` and ones.

    Draws are multiples of 2⁻²⁴: with the place in the low bits they sort as whole numbers, all
    different, many times as fast.
    """
    length = keys.shape[-1]
    bits = (length - 1).bit_length()
    whole = (keys.numpy() * 2.0**24).astype(np.int32 if 25 + bits < 32 else np.int64)
    whole <<= bits
    whole |= np.arange(length, dtype=whole.dtype)
    whole.sort(-1)
    whole &= (1 << bits) - 1
    return torch.from_numpy(whole.astype(np.int64, copy=False))


def mixup(images: Tensor, alpha: float, partners: Tensor) -> Tensor:
    """Blend with other photographs: (1 − α)·image + α·partner (Table 1, Distracting).

    Args:
        images: uint8 (N, 3, H, W).
        alpha: 0 … 1; 0 returns the input.
        partners: uint8 (N, 3, H, W), one for each image.
    """
    check_images(images)
    check_images(partners, "partners")
    _check_range("alpha", alpha, 0, 1)
    if partners.shape != images.shape:
        raise ValueError(
            f"partners must have the shape of images {tuple(images.shape)}, "
            f"got {tuple(partners.shape)}"
        )

    def work(images: Tensor, partners: Tensor) -> Tensor:
        share = partners.to(torch.float32).mul_(float(alpha))
        return to_uint8(images.to(torch.float32).mul_(1.0 - alpha).add_(share))

    return _in_pieces(work, torch.empty_like(images), images, partners)
