"""What the tests of several tasks share: the embedded photographs, as they are and toned."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb

from aesthlib.data import embedded, photographs


@pytest.fixture(scope="session")
def embedded_pack(tmp_path_factory):
    """Folder of a pack of the embedded photographs, shorter edge 96 px."""
    return photographs.pack(
        embedded.sources(), tmp_path_factory.mktemp("packs") / "embedded", 96, "embedded"
    )


@pytest.fixture(scope="session")
def toned(embedded_pack):
    """Two packs of them, no photograph in both, blue in the shadows and yellow in the lights."""
    pack = photographs.load(embedded_pack)
    lightness = np.linspace(5, 95, 256)
    dark = lightness < 50
    lab = np.stack([lightness, np.where(dark, 10, 5), np.where(dark, -30, 40)], -1)
    palette = torch.from_numpy((lab2rgb(lab[None])[0] * 255).round()).to(torch.uint8)
    grey = pack.pixels.view(-1, 3).float().mean(1).long()
    pack = replace(pack, pixels=palette[grey].flatten())
    rows = torch.arange(len(pack))
    return tuple(pack.take(rows[chosen]) for chosen in (rows % 3 != 1, rows % 3 == 1))
