"""What the tests share: photographs made on the spot, packs of them, a full disk, a browser."""

import importlib.util
import os
import resource
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from aesthlib.data.photographs import Pack

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(scope="session")
def smooth():
    """Function of (count, height, width, seed) to soft photograph-like uint8 (N, 3, H, W)."""

    def make(count, height, width, seed=0):
        coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        fine = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
        return (fine * 255).round().clamp(0, 255).to(torch.uint8)

    return make


@pytest.fixture(scope="session")
def speckled():
    """Function of (count, height, width, seed) to random bytes, uint8 (N, 3, H, W)."""

    def make(count, height, width, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(256, (count, 3, height, width), dtype=torch.uint8, generator=generator)

    return make


@pytest.fixture(scope="session")
def packed():
    """Function of uint8 (N, 3, H, W) to a Pack of these photographs, in memory."""

    def make(images, sha256="0" * 64):
        count, _, height, width = images.shape
        return Pack(
            name="made",
            sha256=sha256,
            pixels=images.permute(0, 2, 3, 1).flatten(),
            offsets=torch.arange(count) * 3 * height * width,
            heights=torch.full((count,), height),
            widths=torch.full((count,), width),
            names=tuple(f"{index}.png" for index in range(count)),
        )

    return make


@pytest.fixture(scope="session")
def network():
    """An untrained network of the degradation task, its batch norm away from the identity."""
    from aesthlib.training import Network, PretrainConfig

    made, generator = Network(PretrainConfig()), torch.Generator().manual_seed(0)
    for module in made.backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -0.2, 0.5),
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.5, 2.0),
            ):
                values.data.uniform_(low, high, generator=generator)
    made.task.head.weight.data.mul_(4)  # so that classes differ
    return made.eval()


@pytest.fixture(scope="session")
def probe():
    """A linear probe of conv3's averaged features, with weights out of thin air."""
    weights = torch.randn(384, generator=torch.Generator().manual_seed(1)) / 384
    return {
        "layer": ["conv3"],
        "weights": weights.tolist(),
        "intercept": 4.0,
        "rmse": 0.8,
        "srcc": 0.4,
        "benchmark": "OASIS beauty",
        "low": 1,
        "high": 7,
    }


@pytest.fixture(scope="session")
def kinds():
    """The module of files of every kind that is read, `every()` of which makes them."""
    for name in ("photograph_files", "photograph_kinds"):
        path = Path(__file__).with_name(f"{name}.py")
        spec = importlib.util.spec_from_file_location(name, path)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def full_disk():
    """Context in which no file grows beyond so many bytes; writing more fails as on a full disk."""

    @contextmanager
    def limit(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture(scope="session")
def shared():
    """The folder of real photographs beside the project; skips where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("AESTHLIB_SHARED", beside))
    if not (folder / "data").is_dir():
        pytest.skip("no ../shared/data; AESTHLIB_SHARED can name the folder above data")
    return folder


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; skips where there is none."""
    sync = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine (on Debian: install chromium)")
    with sync.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()
