"""The photographs that scikit-image and scikit-learn ship."""

from collections import Counter

import numpy as np
import pytest
import torch

from aesthlib.data import embedded
from aesthlib.data.photographs import decode


def test_every_photograph_is_there_and_decodes():
    sources = embedded.sources()
    assert len(sources) == len(embedded.PRETRAINING) + len(embedded.PROBING) == 15
    for source in sources:
        pixels = decode(source.path, 67)
        assert pixels.dtype == np.uint8 and min(pixels.shape[:2]) == 67, source.name


def test_no_photograph_stands_on_both_sides():
    sources = embedded.sources()
    sides = {split: {s.name for s in sources if s.split == split} for split in ("train", "probe")}
    assert len(sides["train"]) == 9 and len(sides["probe"]) == 6
    assert not sides["train"] & sides["probe"]


def test_both_sides_hold_the_same_classes():
    sides = {
        split: [s.label for s in embedded.sources() if s.split == split]
        for split in ("train", "probe")
    }
    assert {split: Counter(labels) for split, labels in sides.items()} == {
        "train": {"living": 4, "made": 3, "surface": 2},
        "probe": {"living": 1, "made": 2, "surface": 3},
    }


def test_patches_are_cut_from_the_centre_and_from_the_corners_of_the_central_square():
    sources, size = embedded.sources(), 32
    central = embedded.central_patches(48, size)
    corners = embedded.corner_patches(48, size)
    assert central.dtype == corners.dtype == torch.uint8
    assert central.shape == (len(sources), 3, size, size)
    assert corners.shape == (4 * len(sources), 3, size, size)
    pixels = torch.from_numpy(decode(sources[1].path, 48).copy()).permute(2, 0, 1)
    top, left = (pixels.shape[1] - 48) // 2, (pixels.shape[2] - 48) // 2
    square = pixels[:, top : top + 48, left : left + 48]
    middle = (pixels.shape[1] - size) // 2, (pixels.shape[2] - size) // 2
    assert torch.equal(
        central[1], pixels[:, middle[0] : middle[0] + size, middle[1] : middle[1] + size]
    )
    for corner, rows, columns in zip(
        corners[4:8],
        (slice(size), slice(size), slice(-size, None), slice(-size, None)),
        (slice(size), slice(-size, None)) * 2,
        strict=True,
    ):
        assert torch.equal(corner, square[:, rows, columns])


def test_a_photograph_that_is_no_longer_shipped_is_named(monkeypatch):
    monkeypatch.setattr(embedded, "PROBING", (("gone.png", "skimage", "made"),))
    with pytest.raises(FileNotFoundError, match="gone.png is missing: install .* skimage"):
        embedded.sources()
