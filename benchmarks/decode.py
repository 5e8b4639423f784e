"""Photographs decoded and packed a second, beside Pillow and torchvision.

    python benchmarks/decode.py [--count 100]

The photographs are made here: JPEG files of 500 × 375 px. Packing decodes, hashes and writes.
"""

import tempfile
from pathlib import Path

import timing
import torch
from operations import photographs
from PIL import Image

from aesthlib.data import photographs as packs

EDGE_PX, CROP_PX = 256, 227


def write(folder: Path, count: int) -> list[Path]:
    made = photographs(count, 500)[:, :, :375].permute(0, 2, 3, 1).numpy()
    paths = [folder / f"{index:05d}.jpg" for index in range(count)]
    for path, array in zip(paths, made, strict=True):
        Image.fromarray(array).save(path, quality=90)
    return paths


def main() -> None:
    given = timing.arguments(__doc__.splitlines()[0], count=100)
    if given.small:
        given.count, given.rounds = 6, 2
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms.v2 import functional as tv

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photographs"
        folder.mkdir()
        paths = write(folder, given.count)

        def pillow(path):
            with Image.open(path) as image:
                scale = EDGE_PX / min(image.size)
                size = tuple(round(side * scale) for side in image.size)
                return image.convert("RGB").resize(size, Image.Resampling.BILINEAR)

        def torchvision(path):
            return tv.resize(decode_image(str(path), ImageReadMode.RGB), EDGE_PX)

        works = {
            "aesthlib": lambda: [packs.decode(path, EDGE_PX) for path in paths],
            "Pillow": lambda: [pillow(path) for path in paths],
            "torchvision": lambda: [torchvision(path) for path in paths],
        }
        table = timing.rows("decode", timing.in_turns(works, given.rounds), given.count)
        turn = iter(range(10**6))

        def pack():
            target = Path(name) / f"pack{next(turn)}"
            packs.pack(packs.find(folder), target, EDGE_PX, "made")
            return target

        table += timing.rows("pack", timing.in_turns({"aesthlib": pack}, given.rounds), given.count)
        loaded = packs.load(pack())
        generator = torch.Generator().manual_seed(0)
        index = torch.arange(given.count)
        crop = {"packed, cropped": lambda: loaded.random_crops(index, CROP_PX, generator)}
        table += timing.rows("crop", timing.in_turns(crop, given.rounds), given.count)
    timing.report("decode", table, given)


if __name__ == "__main__":
    main()
