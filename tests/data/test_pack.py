"""Packs: opened, and cropped on the device."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from aesthlib.data.photographs import Source, decode, find, load, pack

EDGE = 24  # px, of the packs here


def as_image(photograph):
    return Image.fromarray(photograph.permute(1, 2, 0).numpy())


@pytest.fixture
def folder(tmp_path, smooth):
    """Six photographs of different sizes."""
    target = tmp_path / "photographs"
    target.mkdir()
    for index in range(6):
        as_image(smooth(1, 30 + index, 40 - index, seed=index)[0]).save(target / f"{index}.png")
    return target


# --- loading ---


def edit(name, old, new):
    def change(target):
        text = (target / name).read_text()
        assert old in text
        (target / name).write_text(text.replace(old, new, 1))

    return change


def drop_last_row(target):
    lines = (target / "manifest.csv").read_text().splitlines(keepends=True)
    (target / "manifest.csv").write_text("".join(lines[:-1]))


@pytest.mark.parametrize(
    "change, message",
    [
        (edit("manifest.csv", ",24,", ",wide,"), "manifest.csv, line 2: offset, height and width"),
        (edit("manifest.csv", ",24,", ",-24,"), "manifest.csv, line 2: 0.png does not lie within"),
        (edit("manifest.csv", "offset,", ""), "manifest.csv, line 1: the columns must be"),
        (drop_last_row, "manifest.csv lists 5 photographs, pack.json 6"),
        (edit("pack.json", "{", "["), "pack.json, line 2: not valid JSON"),
        (lambda target: os.truncate(target / "pixels.bin", 9000), "line 6: 4.png does not lie"),
    ],
    ids=["no number", "negative", "columns", "row gone", "broken JSON", "pixels cut off"],
)
def test_load_names_file_and_line(change, message, folder, tmp_path):
    target = pack(find(folder), tmp_path / "pack", EDGE, "made")
    change(target)
    with pytest.raises(ValueError, match=message):
        load(target)


def test_load_without_a_pack(tmp_path):
    with pytest.raises(FileNotFoundError, match="not a finished pack"):
        load(tmp_path)


def test_load_of_a_split(folder, tmp_path):
    sources = [
        Source(source.name, source.path, "train" if index % 2 else "probe")
        for index, source in enumerate(find(folder))
    ]
    target = pack(sources, tmp_path / "pack", EDGE, "made")
    train, probe, every = (load(target, split) for split in ("train", "probe", None))
    assert train.names == ("1.png", "3.png", "5.png") and probe.names == ("0.png", "2.png", "4.png")
    assert len({train.sha256, probe.sha256, every.sha256}) == 3
    with pytest.raises(ValueError, match="no photograph of split 'test'"):
        load(target, "test")


# --- crops ---


@pytest.fixture
def opened(folder, tmp_path):
    """The six photographs, packed, and their pixels as arrays."""
    sources = find(folder)
    return (
        load(pack(sources, tmp_path / "pack", EDGE, "made")),
        [decode(source.path, EDGE) for source in sources],
    )


def test_crops_are_slices_mirrored_where_asked(opened):
    photos, arrays = opened
    index = torch.tensor([5, 0, 3, 3])
    top, left = torch.tensor([0, 3, 8, 1]), torch.tensor([0, 6, 2, 3])
    flip = torch.tensor([False, True, False, True])
    patches = photos.crop(index, top, left, 16, flip)
    assert patches.dtype == torch.uint8 and patches.shape == (4, 3, 16, 16)
    assert patches.is_contiguous(memory_format=torch.channels_last)
    for patch, i, y, x, mirrored in zip(patches, index, top, left, flip, strict=True):
        expected = arrays[i][y : y + 16, x : x + 16]
        expected = expected[:, ::-1] if mirrored else expected
        assert np.array_equal(patch.permute(1, 2, 0).numpy(), expected)


def test_center_crops(opened):
    photos, arrays = opened
    patches = photos.center_crops(torch.arange(6), EDGE)
    for patch, array in zip(patches, arrays, strict=True):
        height, width, _ = array.shape
        y, x = (height - EDGE) // 2, (width - EDGE) // 2
        expected = array[y : y + EDGE, x : x + EDGE]
        assert np.array_equal(patch.permute(1, 2, 0).numpy(), expected)


def test_random_crops_reach_every_place_and_both_sides(packed):
    height, width, size = 6, 7, 4
    places = torch.arange(height * width, dtype=torch.uint8).view(1, 1, height, width)
    photos = packed(places.expand(1, 3, -1, -1))
    index = torch.zeros(2000, dtype=torch.int64)
    patches = photos.random_crops(index, size, torch.Generator().manual_seed(0))
    again = photos.random_crops(index, size, torch.Generator().manual_seed(0))
    assert torch.equal(patches, again)
    mirrored = patches[:, 0, 0, 0] > patches[:, 0, 0, -1]
    assert 900 < mirrored.sum() < 1100
    corners = torch.where(mirrored, patches[:, 0, 0, -1], patches[:, 0, 0, 0])
    counts = corners.int().bincount()
    expected = [y * width + x for y in range(3) for x in range(4)]
    assert counts.nonzero().flatten().tolist() == expected
    assert counts[expected].min() > 110  # of 2000 / 12 = 167, one standard deviation 12


@pytest.mark.parametrize("top, left, size", [(0, 0, 33), (-1, 0, 8), (0, -1, 8), (17, 0, 16)])
def test_crops_beyond_a_photograph_are_refused(top, left, size, packed, smooth):
    photos = packed(smooth(2, 32, 40))
    one = torch.ones(1, dtype=torch.int64)
    with pytest.raises(ValueError, match="size_px"):
        photos.crop(one, one * top, one * left, size, torch.tensor([False]))


def test_random_and_center_crops_larger_than_a_photograph_are_refused(packed, smooth):
    photos = packed(smooth(2, 32, 40))
    with pytest.raises(ValueError, match="size_px: patches of 33 px"):
        photos.random_crops(torch.arange(2), 33, torch.Generator())
    with pytest.raises(ValueError, match="size_px: patches of 34 px"):
        photos.center_crops(torch.arange(2), 34)


@pytest.mark.gpu
def test_crops_on_cuda_are_those_of_the_cpu(opened):
    photos, _ = opened
    index = torch.arange(6)
    there = photos.to("cuda")
    for size in (8, EDGE):
        expected = photos.random_crops(index, size, torch.Generator().manual_seed(0))
        patches = there.random_crops(index, size, torch.Generator().manual_seed(0))
        assert patches.is_cuda and torch.equal(patches.cpu(), expected)
