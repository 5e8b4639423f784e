"""JPEG without its files: libjpeg's bytes, from torch alone."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from aesthlib.ops import functional
from aesthlib.ops.libjpeg import TRANSFORM, simulate

SIZES = [
    (227, 227),
    (128, 128),
    (40, 33),
    (33, 40),
    (16, 16),
    (17, 31),
    (8, 5),
    (3, 5),
    (5, 3),
    (2, 2),
    (1, 1),
    (1, 20),
    (20, 1),
]


def pillows(image, quality):
    file = io.BytesIO()
    pillow = Image.fromarray(image.permute(1, 2, 0).numpy())
    pillow.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("quality", [1, 10, 35, 50, 60, 75, 95, 100])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_is_pillows_to_the_bit(size, quality, smooth, speckled):
    kinds = smooth(2, *size), speckled(2, *size), speckled(1, 1, 1).expand(1, 3, *size)
    for images in kinds:
        for image, result in zip(images, simulate(images, quality), strict=True):
            assert np.array_equal(pillows(image, quality), result.permute(1, 2, 0).numpy())


def test_keeps_its_input_and_takes_any_memory_format(speckled):
    images = speckled(2, 20, 30)
    before = images.clone()
    result = simulate(images, 60)
    assert torch.equal(images, before)
    last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(simulate(last, 60), result)


def test_same_bytes_within_autocast(smooth):
    images = smooth(1, 40, 40)
    with torch.autocast("cpu", torch.bfloat16):
        inside = simulate(images, 10)
    assert torch.equal(inside, simulate(images, 10))


def test_transform_is_the_cosine_transform():
    k, x = np.arange(8)[:, None], np.arange(8)
    exact = np.where(k == 0, 1, np.sqrt(2)) * np.cos((2 * x + 1) * k * np.pi / 16)
    assert np.abs(np.array(TRANSFORM) / 2**13 - exact).max() < 2e-4


@pytest.mark.gpu
@pytest.mark.parametrize("quality", [60, 10])
def test_cuda_is_libjpegs(quality, smooth, speckled):
    for images in (smooth(4, 227, 227), speckled(4, 227, 227), speckled(2, 3, 5)):
        result = functional.jpeg(images.cuda(), quality)
        assert result.is_cuda
        assert torch.equal(result.cpu(), functional.jpeg(images, quality))
