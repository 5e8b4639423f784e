"""The photographs that scikit-image and scikit-learn ship: study material on every machine."""

from pathlib import Path

import torch
from torch import Tensor

from .photographs import Source, decode

# file, package, class; the split keeps photographs of the probes out of pretraining. Classes are
# ours, coarse enough for both splits to hold all: what lives, what was made, and surfaces or fields
# without one subject.
PRETRAINING = (
    ("astronaut.png", "skimage", "living"),
    ("chelsea.png", "skimage", "living"),
    ("rocket.jpg", "skimage", "made"),
    ("motorcycle_left.png", "skimage", "made"),
    ("camera.png", "skimage", "living"),
    ("coins.png", "skimage", "made"),
    ("grass.png", "skimage", "surface"),
    ("brick.png", "skimage", "surface"),
    ("flower.jpg", "sklearn", "living"),
)
PROBING = (
    ("coffee.png", "skimage", "made"),
    ("china.jpg", "sklearn", "made"),
    ("gravel.png", "skimage", "surface"),
    ("hubble_deep_field.jpg", "skimage", "surface"),
    ("moon.png", "skimage", "surface"),
    ("retina.jpg", "skimage", "living"),
)


def sources() -> list[Source]:
    """The embedded photographs with splits "train" and "probe".

    Labels are our own three classes, for trying out supervised pretraining: "living" (people,
    animals, plants, a retina), "made" (things and a building) and "surface" (ground, walls, stars).

    Raises:
        FileNotFoundError: a package no longer ships one of them; names it.
    """
    import skimage
    import sklearn

    folders = {
        "skimage": Path(skimage.__file__).parent / "data",
        "sklearn": Path(sklearn.__file__).parent / "datasets" / "images",
    }
    found = []
    for split, listed in (("train", PRETRAINING), ("probe", PROBING)):
        for file, package, label in listed:
            path = folders[package] / file
            if not path.is_file():
                raise FileNotFoundError(
                    f"{path} is missing: install the version of {package} that requirements.lock "
                    "names"
                )
            found.append(Source(f"{package}/{file}", path, split, label))
    return found


def central_patches(shorter_edge_px: int, size_px: int) -> Tensor:
    """The centre of every embedded photograph, uint8 (N, 3, S, S), in the order of `sources`.

    Args:
        shorter_edge_px: that the photographs are decoded at.
        size_px: side S of the patches.
    """
    return torch.stack([_cut(pixels, size_px, 0.5, 0.5) for pixels in _decoded(shorter_edge_px)])


def corner_patches(shorter_edge_px: int, size_px: int) -> Tensor:
    """Four corners of the central square of every embedded photograph, uint8 (4N, 3, S, S)."""
    squares = [_cut(pixels, shorter_edge_px, 0.5, 0.5) for pixels in _decoded(shorter_edge_px)]
    places = [(y, x) for y in (0.0, 1.0) for x in (0.0, 1.0)]
    return torch.stack([_cut(square, size_px, *place) for square in squares for place in places])


def _decoded(shorter_edge_px: int) -> list[Tensor]:
    return [
        torch.from_numpy(decode(source.path, shorter_edge_px).copy()).permute(2, 0, 1)
        for source in sources()
    ]


def _cut(pixels: Tensor, size_px: int, down: float, right: float) -> Tensor:
    """A square at a place between the upper left (0, 0) and the lower right (1, 1)."""
    top, left = (
        int((side - size_px) * share)
        for side, share in zip(pixels.shape[1:], (down, right), strict=True)
    )
    return pixels[:, top : top + size_px, left : left + size_px]
