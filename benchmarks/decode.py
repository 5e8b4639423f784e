"""Photographs decoded and packed a second, beside Pillow and torchvision; how packing grows.

    python benchmarks/decode.py [--count 100] [--edge-px 256]

The photographs are made here: JPEG files of 500 × 375 px, and a few of 12 megapixels. Packing
decodes, hashes and writes, in as many threads as there are processors. `ratios` are medians over
the rounds of torchvision's time by the reader's, side by side: above 1 the reader is faster.
"""

import os
import shutil
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import timing
import torch
from operations import photographs
from PIL import Image

from aesthlib.data import photographs as packs

CROP_PX = 227
IMAGENET, CORES = 1_281_167, 16  # what the arithmetic at the end is made for


def write(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """JPEG files of so many pixels across and down."""
    folder.mkdir()
    made = photographs(min(count, 100), 500)[:, :, :375].permute(0, 2, 3, 1).numpy()
    paths = [folder / f"{index:05d}.jpg" for index in range(count)]
    for index, path in enumerate(paths):
        image = Image.fromarray(made[index % len(made)])
        image.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
    return paths


def ratio(seconds: dict[str, list[float]], name: str, other: str) -> float:
    """Median of how many times as fast name is as other, turn by turn."""
    pairs = zip(seconds[name], seconds[other], strict=True)
    return round(statistics.median(theirs / ours for ours, theirs in pairs), 3)


def main() -> None:
    given = timing.arguments(__doc__.splitlines()[0], count=100, edge_px=256)
    growing = (500, 1000, 2000)
    if given.small:
        given.count, given.rounds, growing = 6, 2, (6, 12)
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms.v2 import functional as tv

    edge, cores = given.edge_px, os.cpu_count() or 1

    def pillow(path):
        with Image.open(path) as image:
            scale = edge / min(image.size)
            size = tuple(round(side * scale) for side in image.size)
            return image.convert("RGB").resize(size, Image.Resampling.BILINEAR)

    def torchvision(path):
        return tv.resize(decode_image(str(path), ImageReadMode.RGB), edge)

    readers = {
        "aesthlib": lambda path: packs.decode(path, edge),
        "Pillow": pillow,
        "torchvision": torchvision,
    }
    table, ratios = [], {}
    with tempfile.TemporaryDirectory() as name:
        ordinary = write(Path(name) / "ordinary", given.count, (500, 375))
        large = write(Path(name) / "large", max(1, given.count // 12), (4000, 3000))
        for kind, paths in (("decode", ordinary), ("decode 12 megapixels", large)):
            works = {
                by: lambda read=read, paths=paths: [read(path) for path in paths]
                for by, read in readers.items()
            }
            seconds = timing.in_turns(works, given.rounds)
            table += timing.rows(kind, seconds, len(paths))
            ratios[f"{kind}, one thread"] = ratio(seconds, "aesthlib", "torchvision")

        turn = iter(range(10**6))

        def pack(folder: Path = ordinary[0].parent) -> Path:
            number = next(turn)
            shutil.rmtree(Path(name) / f"pack{number - 1}", ignore_errors=True)
            target = Path(name) / f"pack{number}"
            return packs.pack(packs.find(folder), target, edge, "made")

        def threaded():
            with ThreadPoolExecutor(cores) as pool:
                list(pool.map(torchvision, ordinary))

        works = {
            "aesthlib": pack,
            "torchvision": lambda: [torchvision(path) for path in ordinary],
            f"torchvision, {cores} threads": threaded,
        }
        seconds = timing.in_turns(works, given.rounds)
        table += timing.rows("pack", seconds, given.count)
        for other in list(works)[1:]:
            ratios[f"pack, by {other}"] = ratio(seconds, "aesthlib", other)
        per_photograph = {}
        for count in growing:
            folder = ordinary[0].parent.with_name(f"grown{count}")
            write(folder, count, (500, 375))
            works = {f"{count:,} photographs": lambda folder=folder: pack(folder)}
            seconds = timing.in_turns(works, 1 if given.small else 3)
            table += timing.rows("pack, growing", seconds, count)
            per_photograph[count] = statistics.median(next(iter(seconds.values()))) / count
        grown = per_photograph[growing[-1]] / per_photograph[growing[0]]
        ratios[f"seconds a photograph of {growing[-1]:,} by {growing[0]:,}"] = round(grown, 3)
        minutes = per_photograph[growing[-1]] * cores * IMAGENET / CORES / 60

        loaded = packs.load(pack())
        generator = torch.Generator().manual_seed(0)
        index = torch.arange(given.count)
        crop = {"packed, cropped": lambda: loaded.random_crops(index, CROP_PX, generator)}
        table += timing.rows("crop", timing.in_turns(crop, given.rounds), given.count)
    told = f"{minutes:.1f} minutes for {IMAGENET:,} on {CORES} cores, were they as these {cores}"
    timing.report("decode", table, given, ratios=ratios, arithmetic=told)


if __name__ == "__main__":
    main()
