"""What the tests of several tasks share: photographs, and a short training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb

from aesthlib.data import embedded, photographs
from aesthlib.training import PretrainConfig, load_model, pretrain


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


@pytest.fixture(scope="session")
def upright(tmp_path_factory):
    """Pack of four embedded photographs that have an upright and parts unlike each other."""
    chosen = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
    found = [s for s in embedded.sources() if s.name.split("/")[1] in chosen]
    folder = tmp_path_factory.mktemp("packs") / "upright"
    return photographs.load(photographs.pack(found, folder, 128, "upright"))


@pytest.fixture(scope="session")
def scenes(shared, tmp_path_factory):
    """Two packs of real landscapes, 320 to learn from and 80 others."""
    files = sorted((shared / "data" / "photos" / "lnsim").iterdir())[::6][:400]
    found = [photographs.Source(path.name, path, "train") for path in files]
    folder = tmp_path_factory.mktemp("packs") / "scenes"
    pack = photographs.load(photographs.pack(found, folder, 128, "scenes"))
    return pack.take(torch.arange(320)), pack.take(torch.arange(320, 400))


@pytest.fixture
def learned(tmp_path):
    """Function of a pack and settings: backbone and task after a short training."""

    def train(pack, **settings):
        config = PretrainConfig(
            shorter_edge_px=128, batch_size=8, drop_every_epochs=100, precision="fp32", **settings
        )
        outcome = pretrain(config, pack, tmp_path, "cpu")
        return load_model(tmp_path, outcome.checkpoint_sha256, "cpu")

    return train
