"""Squares cut from photographs in memory."""

import torch

from aesthlib.ops import squares


def test_squares_are_slices(speckled):
    images = speckled(3, 11, 13)
    pixels = images.permute(0, 2, 3, 1).flatten()
    places = [(0, 0, 0), (2, 7, 9), (1, 3, 2), (1, 3, 2)]
    start = torch.tensor([3 * (143 * image + 13 * top + left) for image, top, left in places])
    for stride in (39, torch.full((4,), 39)):
        found = squares.cut(pixels, start, stride, 4)
        for square, (image, top, left) in zip(found, places, strict=True):
            expected = images[image, :, top : top + 4, left : left + 4]
            assert torch.equal(square.permute(2, 0, 1), expected)
