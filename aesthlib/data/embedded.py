"""The photographs that scikit-image and scikit-learn ship: study material on every machine."""

from pathlib import Path

from .photographs import Source

# file, package; the split keeps photographs of the probes out of pretraining
PRETRAINING = (
    ("astronaut.png", "skimage"),
    ("chelsea.png", "skimage"),
    ("rocket.jpg", "skimage"),
    ("motorcycle_left.png", "skimage"),
    ("camera.png", "skimage"),
    ("coins.png", "skimage"),
    ("grass.png", "skimage"),
    ("brick.png", "skimage"),
    ("flower.jpg", "sklearn"),
)
PROBING = (
    ("coffee.png", "skimage"),
    ("china.jpg", "sklearn"),
    ("gravel.png", "skimage"),
    ("hubble_deep_field.jpg", "skimage"),
    ("moon.png", "skimage"),
    ("retina.jpg", "skimage"),
)


def sources() -> list[Source]:
    """The embedded photographs with splits "train" and "probe".

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
        for file, package in listed:
            path = folders[package] / file
            if not path.is_file():
                raise FileNotFoundError(
                    f"{path} is missing: install the version of {package} that requirements.lock "
                    "names"
                )
            found.append(Source(f"{package}/{file}", path, split))
    return found
