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
from concurrent.futures import ThreadPoolExecutor

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

IMAGENET_STD = (0.229, 0.224, 0.225)  # of pixels in [0, 1], channel by channel (torchvision)
LUMINANCE_LEVELS = 255  # the largest value of a uint8 channel
LARGEST_BLOCK_PX = 1024
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
    """Round floats (N, 3, H, W) half to even, clip to 0 … 255 and return uint8. Consumes values."""
    return values.round_().clamp_(0, LUMINANCE_LEVELS).to(torch.uint8)


def jpeg(images: Tensor, quality: int) -> Tensor:
    """Compress and decompress with libjpeg, 4:2:0 (Table 1, attribute Much noise).

    The codec runs on the CPU, one image a task in torch's number of threads; images on another
    device travel there and back.

    Args:
        images: uint8 (N, 3, H, W).
        quality: libjpeg's quality, 1 … 100; 100 is mildest, yet not the identity.
    """
    from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg

    check_images(images)
    check_whole("quality", quality, 1, 100)

    def code(image: Tensor) -> Tensor:
        return decode_jpeg(encode_jpeg(image, quality=int(quality)), mode=ImageReadMode.RGB)

    sources = images.cpu().contiguous()
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        coded = torch.stack(list(pool.map(code, sources)))
    return coded.to(images.device)


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
    noise = torch.randn(images.shape, generator=generator).mul_(sigma).round_()
    return to_uint8(noise.to(images.device) + images)


def rotate(images: Tensor, degrees: int) -> Tensor:
    """Turn counter-clockwise by a multiple of 90° (Table 1, Camera shake).

    Args:
        images: uint8 (N, 3, H, W); 90° and 270° swap H and W.
        degrees: 0, 90, 180 or 270; 0 returns the input.
    """
    check_images(images)
    if degrees not in (0, 90, 180, 270):
        raise ValueError(f"degrees must be 0, 90, 180 or 270, got {degrees}")
    return torch.rot90(images, int(degrees) // 90, dims=(2, 3)).clone()


def _block_means(images: Tensor, block_px: int) -> Tensor:
    """Float32 means of the grid's blocks, (N, 3, ⌈H/b⌉, ⌈W/b⌉); cut ones average the rest."""
    return F.avg_pool2d(images.to(torch.float32), block_px, ceil_mode=True, count_include_pad=False)


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
    height, width = images.shape[2:]
    small = _block_means(images, int(factor))
    # scale_factor, not size: a cut block keeps the sampling of a whole one
    large = F.interpolate(small, scale_factor=float(factor), mode="bilinear", align_corners=False)[
        :, :, :height, :width
    ]
    return to_uint8(large.contiguous(memory_format=torch.channels_last))


def quantize(images: Tensor, levels: int) -> Tensor:
    """Keep a number of evenly spaced levels a channel, 0 and 255 among them (Soft / Grainy).

    Args:
        images: uint8 (N, 3, H, W).
        levels: a channel, 2 … 256; 256 returns the input.
    """
    check_images(images)
    check_whole("levels", levels, 2, 256)
    steps = int(levels) - 1
    values = torch.arange(256, dtype=torch.float64)
    # half up in exact arithmetic: index = ⌊x·steps/255 + ½⌋
    index = torch.div(2 * values * steps + LUMINANCE_LEVELS, 2 * LUMINANCE_LEVELS).floor_()
    return _look_up(images, to_uint8(index * LUMINANCE_LEVELS / steps))


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
    height, width = images.shape[2:]
    means = to_uint8(_block_means(images, int(block_px)))
    rows = torch.arange(height, device=images.device) // int(block_px)
    columns = torch.arange(width, device=images.device) // int(block_px)
    return means.index_select(2, rows).index_select(3, columns)


def expose(images: Tensor, factor: float) -> Tensor:
    """Multiply pixel values (Table 1, Poor lighting).

    Args:
        images: uint8 (N, 3, H, W).
        factor: ≥ 0; below 1 darker, above 1 brighter, 1 returns the input.
    """
    check_images(images)
    _check_range("factor", factor, 0, 1e6)
    return _look_up(images, to_uint8(torch.arange(256, dtype=torch.float64) * factor))


def _look_up(images: Tensor, table: Tensor) -> Tensor:
    """Map every value through a uint8 table (256,): exact and the same on every device."""
    values = images.permute(0, 2, 3, 1)  # contiguous where images are channels last
    mapped = table.to(images.device).index_select(0, values.flatten().int())
    return mapped.view(values.shape).permute(0, 3, 1, 2)


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
    kernel = (kernel / kernel.sum()).to(images.device, torch.float32)
    blurred = images.to(torch.float32)
    vertical = kernel.view(1, 1, -1, 1).repeat(3, 1, 1, 1)
    horizontal = kernel.view(1, 1, 1, -1).repeat(3, 1, 1, 1)
    with torch.autocast(images.device.type, enabled=False):  # bf16 would darken the photograph
        blurred = F.conv2d(F.pad(blurred, (0, 0, radius, radius), "replicate"), vertical, groups=3)
        blurred = F.conv2d(
            F.pad(blurred, (radius, radius, 0, 0), "replicate"), horizontal, groups=3
        )
    return to_uint8(blurred)


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
    order = torch.rand(count, rows * columns, generator=generator).argsort(dim=1, stable=True)
    chosen = order[:, :chosen_count]  # (N, K) blocks in random order
    in_block = torch.arange(block_px)
    # pixel addresses (N, K, b²) of the chosen blocks; those beyond the edge are not inside
    y = (chosen // columns * block_px)[..., None, None] + in_block[:, None]
    x = (chosen % columns * block_px)[..., None, None] + in_block
    y, x = (axis.reshape(count, chosen_count, -1) for axis in torch.broadcast_tensors(y, x))
    inside = (y < height) & (x < width)
    address = (y * width + x) + (torch.arange(count) * height * width)[:, None, None]
    if reading == "within":
        keys = torch.rand(address.shape, generator=generator)
        # the pixels inside, in raster order, receive the pixels inside in random order
        order = keys.masked_fill_(~inside, 2.0).argsort(dim=-1, stable=True)
        targets, sources = address[inside], address.gather(-1, order)[inside.gather(-1, order)]
    else:  # the chosen blocks in raster order receive the chosen blocks in random order
        targets = address.gather(1, chosen.argsort(1)[..., None].expand_as(address)).flatten()
        sources = address.flatten()
    source_of = torch.arange(count * height * width)
    source_of[targets] = sources
    pixels = images.permute(0, 2, 3, 1).reshape(-1, 3)
    shuffled = pixels.index_select(0, source_of.to(images.device))
    return shuffled.view(count, height, width, 3).permute(0, 3, 1, 2)


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
    return to_uint8(images * (1.0 - alpha) + partners * float(alpha))
