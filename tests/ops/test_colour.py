"""Lab against scikit-image, and the bins of the ab plane."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from aesthlib.ops import colour


def reference(images):
    lab = rgb2lab((images.permute(0, 2, 3, 1) / 255).double().numpy())
    return torch.from_numpy(lab).permute(0, 3, 1, 2)


def test_lab_is_that_of_scikit_image(speckled):
    corners = torch.tensor(list(np.ndindex(2, 2, 2)), dtype=torch.uint8).T[None, :, :, None] * 255
    dark = torch.arange(30, dtype=torch.uint8).view(1, 1, 5, 6).expand(1, 3, 5, 6)
    for images in (speckled(3, 37, 41), corners, dark):
        lab = colour.rgb_to_lab(images)
        assert lab.dtype == torch.float32 and lab.shape == images.shape
        torch.testing.assert_close(lab.double(), reference(images), rtol=0, atol=1e-3)


def test_one_literal():
    orange = torch.tensor([255, 128, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    # skimage.color.rgb2lab([[[1.0, 128 / 255, 0.0]]])
    expected = torch.tensor([67.05480, 42.82538, 74.01746])
    torch.testing.assert_close(colour.rgb_to_lab(orange).flatten(), expected, rtol=0, atol=1e-3)


def test_levels_are_rounded_lab(speckled):
    images = speckled(2, 19, 23)
    lab = reference(images)
    expected = torch.cat([lab[:, :1] * 2.55, lab[:, 1:] + 128], 1)
    levels = colour.lab_levels(images)
    assert levels.dtype == torch.uint8 and (levels - expected).abs().max() < 0.501


def test_autocast_changes_nothing(speckled):
    images = speckled(2, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        inside = colour.rgb_to_lab(images)
    assert torch.equal(inside, colour.rgb_to_lab(images))


@pytest.mark.parametrize("function", [colour.rgb_to_lab, colour.lab_levels])
def test_only_photographs(function):
    with pytest.raises(ValueError, match="must be uint8"):
        function(torch.zeros(1, 3, 4, 4))


def test_bins_are_those_that_pixels_reach(speckled):
    bins = colour.ab_bins()
    assert bins.shape == (261, 2) and bins.dtype == torch.float32
    assert torch.equal(bins, bins.unique(dim=0)) and torch.equal(bins % colour.GRID, bins * 0)
    # a coarse lattice of the whole cube, its inside too, reaches no bin that is not listed
    axis = np.arange(0, 256, 5) / 255
    lattice = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(1, -1, 3)
    reached = torch.from_numpy(rgb2lab(lattice)[0, :, 1:]).div(10).round().mul(10).unique(dim=0)
    listed = {tuple(centre) for centre in bins.tolist()}
    found = {tuple(centre) for centre in reached.tolist()}
    assert found <= listed and len(found) > 250


@pytest.mark.gpu
def test_cuda_is_close_to_the_cpu(speckled):
    images = speckled(2, 37, 41)
    on_cpu, on_cuda = colour.rgb_to_lab(images), colour.rgb_to_lab(images.cuda()).cpu()
    torch.testing.assert_close(on_cuda, on_cpu, rtol=0, atol=1e-3)
