"""The ten operations: what holds for all, then each against a second implementation."""

import io
import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from PIL import Image

from aesthlib import ops
from aesthlib.ops import functional, libjpeg

SIZES = [(40, 40), (227, 227), (13, 17), (3, 5), (1, 1)]  # height, width in pixels
each_class = pytest.mark.parametrize("item", ops.CLASSES, ids=lambda item: item.name)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def draws(item):
    return item.operation is not None and item.operation.name in ("gaussian_noise", "patch_shuffle")


def degraded(images, item, preset="paper"):
    return ops.apply(images, item.index, images.flip(0), seeded(), preset)


def as_arrays(images):
    """float64 (H, W, 3) of each image."""
    return [image.permute(1, 2, 0).numpy().astype(np.float64) for image in images]


def assert_rounded(images, exact):
    """images is exact, rounded to the nearest level; within 0.001 of a half, either neighbour."""
    for image, expected in zip(as_arrays(images), exact, strict=True):
        assert np.abs(image - expected).max() <= 0.5 + 1e-3


# --- all operations ---


@each_class
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_keeps_type_shape_device_and_input(item, size, speckled):
    images = speckled(2, *size)
    before = images.clone()
    result = degraded(images, item)
    turned = item.operation is not None and item.operation.name == "rotation" and item.level != 2
    assert result.shape == (2, 3, *(size[::-1] if turned else size))
    assert result.dtype == torch.uint8 and result.device == images.device
    assert torch.equal(images, before)
    assert result.data_ptr() != images.data_ptr()


@each_class
def test_same_bytes_within_autocast(item, smooth):
    images = smooth(2, 40, 40)
    with torch.autocast("cpu", torch.bfloat16):
        inside = degraded(images, item, "calibrated")
    assert torch.equal(inside, degraded(images, item, "calibrated"))


@each_class
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_same_bytes_for_same_state_and_any_memory_format(item, size, speckled):
    images = speckled(2, *size)
    result = degraded(images, item)
    assert torch.equal(degraded(images, item), result)
    last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(degraded(last, item), result)


@pytest.mark.parametrize(
    "item",
    [item for item in ops.CLASSES if not draws(item)],  # the others draw for the whole batch
    ids=lambda item: item.name,
)
def test_batch_equals_single(item, smooth):
    images = smooth(3, 45, 37)
    partners = images.flip(0)
    single = [
        ops.apply(images[i : i + 1], item.index, partners[i : i + 1], seeded()) for i in range(3)
    ]
    assert torch.equal(degraded(images, item), torch.cat(single))


@pytest.mark.parametrize(
    "row",
    [row for row in ops.OPERATIONS if row.name != "jpeg"],  # whose quality 100 still rounds
    ids=lambda row: row.name,
)
def test_identity_value_returns_the_input(row, speckled):
    images = speckled(2, 13, 17)
    result = row.apply(images, row.identity, images.flip(0), seeded(), ops.Reading())
    assert torch.equal(result, images)
    assert result.data_ptr() != images.data_ptr()


@pytest.mark.parametrize(
    "row", [row for row in ops.OPERATIONS if row.in_triplet], ids=lambda row: row.name
)
@pytest.mark.parametrize("preset", ops.PRESETS)
def test_stronger_levels_change_more(row, preset, smooth, speckled):
    grain = speckled(4, 227, 227, seed=1).float() - 127.5
    images = (smooth(4, 227, 227).float() + 0.1 * grain).round().clamp(0, 255).to(torch.uint8)
    changes = [
        (row.apply(images, value, images.flip(0), seeded(), ops.Reading()).float() - images)
        .abs()
        .mean()
        .item()
        for value in row.values(preset)
    ]
    assert all(mild < strong for mild, strong in zip(changes, changes[1:], strict=False))
    assert changes[-1] > 0.5


@each_class
def test_other_draws_give_other_bytes(item, speckled):
    images = speckled(2, 40, 40)
    again = ops.apply(images, item.index, images.flip(0), seeded(1))
    assert torch.equal(again, degraded(images, item)) != draws(item)


@pytest.mark.gpu
@each_class
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_cuda_equals_cpu(item, size, smooth):
    images = smooth(2, *size)
    expected = degraded(images, item)
    result = degraded(images.cuda(), item)
    assert result.is_cuda
    # sums of products: another order of addition may turn a half the other way
    summed = ("downsampling", "gaussian_blur", "mixup")
    bound = 1 if item.operation is not None and item.operation.name in summed else 0
    assert (result.cpu().int() - expected.int()).abs().max() <= bound


CALLS = {
    "jpeg": lambda x: functional.jpeg(x, 60),
    "gaussian_noise": lambda x: functional.gaussian_noise(x, 0.2, seeded()),
    "rotation": lambda x: functional.rotate(x, 90),
    "downsampling": lambda x: functional.downsample(x, 4),
    "quantization": lambda x: functional.quantize(x, 8),
    "pixelation": lambda x: functional.pixelate(x, 4),
    "exposure": lambda x: functional.expose(x, 3.0),
    "gaussian_blur": lambda x: functional.gaussian_blur(x, 0.8),
    "patch_shuffle": lambda x: functional.patch_shuffle(x, 1.0, seeded(), block_px=4),
    "mixup": lambda x: functional.mixup(x, 0.4, x.flip(-1)),
}
RAMP = (torch.arange(192) * 4 % 256).view(1, 3, 8, 8).to(torch.uint8)
# CALLS[name](RAMP)[0, 0, 1].tolist(), where RAMP[0, 0, 1] is 32, 36, … 60
LITERALS = {
    "jpeg": [32, 37, 42, 45, 48, 52, 57, 61],
    "gaussian_noise": [73, 50, 15, 50, 32, 82, 75, 47],
    "rotation": [24, 56, 88, 120, 152, 184, 216, 248],
    "downsampling": [54, 54, 56, 60, 64, 68, 70, 70],
    "quantization": [36, 36, 36, 36, 36, 36, 73, 73],
    "pixelation": [54, 54, 54, 54, 70, 70, 70, 70],
    "exposure": [96, 108, 120, 132, 144, 156, 168, 180],
    "gaussian_blur": [34, 37, 41, 45, 49, 53, 57, 60],
    "patch_shuffle": [0, 40, 76, 100, 28, 56, 52, 80],
    "mixup": [43, 44, 45, 46, 46, 47, 48, 49],
}


@pytest.mark.parametrize("name", CALLS)
def test_literal(name):
    assert RAMP[0, 0, 1].tolist() == [32, 36, 40, 44, 48, 52, 56, 60]
    assert CALLS[name](RAMP)[0, 0, 1].tolist() == LITERALS[name]


def test_every_operation_has_a_literal():
    assert tuple(CALLS) == ops.NAMES


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 3, 8, 8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
        torch.zeros(1, 4, 8, 8, dtype=torch.uint8),
        torch.zeros(0, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(1, 3, 0, 8, dtype=torch.uint8),
    ],
    ids=["float", "one image", "four channels", "no image", "no height"],
)
def test_bad_images_are_named(name, images):
    with pytest.raises(ValueError, match=r"images must be uint8 \(N, 3, H, W\)"):
        CALLS[name](images)


@pytest.mark.parametrize(
    "parameter, call, values",
    [
        ("quality", lambda x, v: functional.jpeg(x, v), (0, 101, 50.5)),
        ("variance", lambda x, v: functional.gaussian_noise(x, v, seeded()), (-0.1,)),
        ("units", lambda x, v: functional.gaussian_noise(x, 0.2, seeded(), v), ("dB",)),
        ("degrees", lambda x, v: functional.rotate(x, v), (45, 360, -90)),
        ("factor", lambda x, v: functional.downsample(x, v), (0, 2.5, 1025)),
        ("levels", lambda x, v: functional.quantize(x, v), (1, 257, 8.5)),
        ("block_px", lambda x, v: functional.pixelate(x, v), (0, -4, 1025)),
        ("factor", lambda x, v: functional.expose(x, v), (-1.0,)),
        ("sigma", lambda x, v: functional.gaussian_blur(x, v), (-0.1, 101.0)),
        ("fraction", lambda x, v: functional.patch_shuffle(x, v, seeded()), (-0.1, 1.1)),
        ("block_px", lambda x, v: functional.patch_shuffle(x, 0.5, seeded(), v), (0, 2.5)),
        ("reading", lambda x, v: functional.patch_shuffle(x, 0.5, seeded(), 8, v), ("swap",)),
        ("alpha", lambda x, v: functional.mixup(x, v, x), (-0.1, 1.1)),
        ("partners", lambda x, v: functional.mixup(x, 0.5, v), (RAMP.float(), RAMP[:, :, :4])),
    ],
)
def test_bad_parameters_are_named(parameter, call, values):
    numeric = isinstance(values[0], int | float)
    for value in (*values, math.nan, math.inf) if numeric else values:
        with pytest.raises(ValueError, match=f"^{parameter} must"):
            call(RAMP, value)


# --- each against a second implementation ---


@pytest.mark.parametrize("quality", [60, 10, 100])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_jpeg_is_pillows(quality, size, smooth):
    images = smooth(2, *size)
    for image, result in zip(images, functional.jpeg(images, quality), strict=True):
        file = io.BytesIO()
        pillow = Image.fromarray(image.permute(1, 2, 0).numpy())
        pillow.save(file, "JPEG", quality=quality, subsampling="4:2:0")
        assert np.array_equal(np.asarray(Image.open(file)), result.permute(1, 2, 0).numpy())


def test_every_image_can_have_its_own_quality(smooth):
    images, qualities = smooth(3, 45, 37), (60, 60, 10)
    single = [functional.jpeg(images[i : i + 1], quality) for i, quality in enumerate(qualities)]
    assert torch.equal(functional.jpeg(images, qualities), torch.cat(single))
    assert torch.equal(libjpeg.simulate(images, list(qualities)), torch.cat(single))
    with pytest.raises(ValueError, match="quality must be one or 3 numbers, got 2"):
        functional.jpeg(images, (60, 10))


@pytest.mark.parametrize("units, variance", [("standardized", 0.2), ("pixel", 0.01)])
def test_noise_has_the_stated_sigma_in_every_channel(units, variance):
    images = torch.full((4, 3, 200, 200), 128, dtype=torch.uint8)
    noise = functional.gaussian_noise(images, variance, seeded(), units).double() - 128
    scale = (0.229, 0.224, 0.225) if units == "standardized" else (1, 1, 1)
    channels = noise.transpose(0, 1).flatten(1)
    # 160,000 samples a channel: one standard error of sigma is 0.18 %, of the mean 0.25 % of sigma
    for channel, std in zip(channels, scale, strict=True):
        sigma = 255 * std * math.sqrt(variance)
        assert channel.std().item() == pytest.approx(sigma, rel=0.01)
        assert abs(channel.mean().item()) < 0.015 * sigma
    correlation = torch.corrcoef(channels) - torch.eye(3)
    assert correlation.abs().max() < 0.015


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_pillows(degrees, speckled):
    images = speckled(2, 13, 17)
    for image, result in zip(images, functional.rotate(images, degrees), strict=True):
        pillow = Image.fromarray(image.permute(1, 2, 0).numpy()).rotate(degrees, expand=True)
        assert np.array_equal(np.asarray(pillow), result.permute(1, 2, 0).numpy())


def block_means(image, block_px):
    """float64 (⌈H/b⌉, ⌈W/b⌉, 3), block by block."""
    height, width, _ = image.shape
    return np.array(
        [
            [
                image[y : y + block_px, x : x + block_px].mean((0, 1))
                for x in range(0, width, block_px)
            ]
            for y in range(0, height, block_px)
        ]
    )


@pytest.mark.parametrize("block_px", [2, 4, 8, 300])
@pytest.mark.parametrize("size", SIZES[::2] + [(3, 5), (1, 1)], ids=str)
def test_pixelation_is_block_means(block_px, size, speckled):
    images = speckled(2, *size)
    height, width = size
    exact = []
    for image in as_arrays(images):
        whole = block_means(image, block_px).repeat(block_px, 0).repeat(block_px, 1)
        exact.append(whole[:height, :width])
    assert_rounded(functional.pixelate(images, block_px), exact)


def bilinear(small, factor, height, width):
    """Sampled at pixel centres, (y + ½) / factor − ½, edges extended; one pixel at a time."""
    rows, columns, _ = small.shape
    large = np.empty((height, width, 3))
    for y in range(height):
        for x in range(width):
            v, u = max((y + 0.5) / factor - 0.5, 0), max((x + 0.5) / factor - 0.5, 0)
            top, left = min(int(v), rows - 1), min(int(u), columns - 1)
            down, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            v, u = v - top, u - left
            large[y, x] = (
                (1 - v) * (1 - u) * small[top, left]
                + (1 - v) * u * small[top, right]
                + v * (1 - u) * small[down, left]
                + v * u * small[down, right]
            )
    return large


@pytest.mark.parametrize("factor", [2, 4, 6, 50])
@pytest.mark.parametrize("size", [(40, 40), (13, 17), (3, 5), (1, 1)], ids=str)
def test_downsampling_is_block_means_enlarged_bilinearly(factor, size, speckled):
    images = speckled(2, *size)
    exact = [bilinear(block_means(image, factor), factor, *size) for image in as_arrays(images)]
    assert_rounded(functional.downsample(images, factor), exact)


@pytest.mark.parametrize("levels", [2, 3, 8, 64, 255, 256])
def test_quantization_takes_the_nearest_level(levels):
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).repeat(1, 3, 1, 1)
    allowed = [255 * k / (levels - 1) for k in range(levels)]
    # of two that are as near, the upper one
    exact = [round(min(reversed(allowed), key=lambda level: abs(level - x))) for x in range(256)]
    result = functional.quantize(every, levels)
    assert result[0, 0].flatten().tolist() == exact
    assert result.unique().numel() == levels


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.3, 3.0])
def test_exposure_multiplies_and_clips(factor, speckled):
    images = speckled(2, 13, 17)
    exact = [np.clip(image * factor, 0, 255) for image in as_arrays(images)]
    assert_rounded(functional.expose(images, factor), exact)


@pytest.mark.parametrize("sigma", [0.2, 0.8, 1.0, 2.5])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_blur_is_scipys(sigma, size, speckled):
    images = speckled(2, *size)
    exact = [
        scipy.ndimage.gaussian_filter(
            image, sigma, mode="nearest", radius=math.ceil(4 * sigma), axes=(0, 1)
        )
        for image in as_arrays(images)
    ]
    assert_rounded(functional.gaussian_blur(images, sigma), exact)


def test_blur_of_a_fifth_of_a_pixel_is_the_identity(speckled):
    images = speckled(4, 227, 227)
    assert torch.equal(functional.gaussian_blur(images, 0.2), images)


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0])
def test_mixup_is_the_weighted_mean(alpha, speckled):
    images, partners = speckled(2, 13, 17), speckled(2, 13, 17, seed=1)
    pairs = zip(as_arrays(images), as_arrays(partners), strict=True)
    exact = [(1 - alpha) * image + alpha * partner for image, partner in pairs]
    assert_rounded(functional.mixup(images, alpha, partners), exact)


# --- patch shuffle: 34 × 30 px in blocks of 8 px, cut ones of 6 or 2 px at the edges ---


def blocks(image, block_px=8):
    """Bytes of the pixels of each block, in raster order: lists by (row, column) of the block."""
    array = image.permute(1, 2, 0).numpy()
    height, width, _ = array.shape
    return {
        (y, x): [
            pixel.tobytes() for row in array[y : y + block_px, x : x + block_px] for pixel in row
        ]
        for y in range(0, height, block_px)
        for x in range(0, width, block_px)
    }


@pytest.mark.parametrize("fraction, touched", [(0.001, 1), (0.1, 2), (0.5, 10), (1.0, 20)])
def test_shuffle_keeps_the_pixels_of_every_block_and_touches_the_fraction(
    fraction, touched, speckled
):
    images = speckled(5, 34, 30)
    for image, result in zip(
        images, functional.patch_shuffle(images, fraction, seeded()), strict=True
    ):
        before, after = blocks(image), blocks(result)
        assert len(before) == 20
        assert all(sorted(before[place]) == sorted(after[place]) for place in before)
        assert sum(before[place] != after[place] for place in before) == touched


def test_shuffle_chooses_every_block_alike_edges_included(speckled):
    images = speckled(1, 34, 30).expand(400, -1, -1, -1)
    result = functional.patch_shuffle(images, 0.5, seeded())
    before = blocks(images[0])
    touched = dict.fromkeys(before, 0)
    for image in result:
        for place, pixels in blocks(image).items():
            touched[place] += pixels != before[place]
    # 400 tries at one half: 200 with a standard deviation of 10
    assert all(150 < count < 250 for count in touched.values())


def test_moving_whole_blocks_keeps_them_and_leaves_cut_ones(speckled):
    images = speckled(5, 34, 30)
    results = functional.patch_shuffle(images, 0.5, seeded(), reading="move")
    for image, result in zip(images, results, strict=True):
        before, after = blocks(image), blocks(result)
        whole = [place for place, pixels in before.items() if len(pixels) == 64]
        assert len(whole) == 12
        assert sorted(before[p] for p in whole) == sorted(after[p] for p in whole)
        assert 2 <= sum(before[p] != after[p] for p in whole) <= 6
        assert all(before[p] == after[p] for p in before if p not in whole)


def test_moving_blocks_larger_than_the_image_changes_nothing(speckled):
    images = speckled(2, 5, 40)
    result = functional.patch_shuffle(images, 1.0, seeded(), reading="move")
    assert torch.equal(result, images)


# --- no shortcut: nothing tells an operation but what it is for ---


@pytest.mark.parametrize("name", ["downsampling", "pixelation", "gaussian_blur", "jpeg"])
def test_no_border_is_left(name, smooth, speckled):
    row = ops.operation(name)
    grain = speckled(16, 227, 227, seed=1).float() - 127.5
    images = (smooth(16, 227, 227).float() + 0.2 * grain).round().clamp(0, 255).to(torch.uint8)
    for value in row.values("calibrated"):
        change = row.apply(images, value, images, seeded(), ops.Reading()).float() - images
        change = change.abs().mean((0, 1))
        inside = change[16:-16, 16:-16].mean()
        for edge in (change[:3], change[-3:], change[:, :3], change[:, -3:]):
            assert 0.75 < edge.mean() / inside < 1.25


@pytest.mark.parametrize(
    "name",
    [
        "jpeg",
        "gaussian_noise",
        "downsampling",
        "quantization",
        "pixelation",
        "gaussian_blur",
        "patch_shuffle",
    ],
)
def test_rounding_shifts_no_mean(name, smooth):
    row = ops.operation(name)
    images = (smooth(16, 227, 227).float() * 0.5 + 64).round().to(torch.uint8)  # far from clipping
    for value in row.levels:
        result = row.apply(images, value, images, seeded(), ops.Reading())
        assert abs((result.float() - images).mean().item()) < 0.5
