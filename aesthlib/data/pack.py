"""Packs: photographs decoded once to uint8 at a shorter edge, cropped on the device.

A pack is a folder of three files: `pixels.bin`, all photographs one after another as uint8
(H, W, 3); `manifest.csv`, a row a source file with its hash, size, offset, split and what was
wrong with it; `pack.json`, the settings, the counts and the data hash.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor

from ..ops import draws, squares
from ..store import files

COLUMNS = ("file", "sha256", "split", "label", "height", "width", "offset", "problem")
TEXT = {"encoding": "utf-8", "errors": "surrogateescape"}  # file names need not be UTF-8


@dataclass(frozen=True)
class Pack:
    """Photographs in memory or mapped from disk.

    Attributes:
        name: of the data, as records call it.
        sha256: of the source files, their splits and the packing; names the data in records.
        pixels: uint8 (bytes,), all photographs as (H, W, 3) one after another, on any device.
        offsets, heights, widths: int64 (N,) on the CPU.
        names: of the N photographs.
        problems: (name, what was wrong) of the files left out.
        labels: of the N photographs, "" where there is none.
    """

    name: str
    sha256: str
    pixels: Tensor
    offsets: Tensor
    heights: Tensor
    widths: Tensor
    names: tuple[str, ...]
    problems: tuple[tuple[str, str], ...] = ()
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str) -> "Pack":
        """The same photographs with the pixels on a device."""
        return Pack(**{**self.__dict__, "pixels": self.pixels.to(device)})

    def take(self, rows: Tensor, labels: tuple[str, ...] | None = None) -> "Pack":
        """Some of the photographs, the pixels shared.

        Args:
            rows: int64 (n,).
            labels: of these n photographs; None keeps theirs.
        """
        rows = torch.as_tensor(rows)
        chosen = rows.tolist()
        if labels is None:
            labels = tuple(self.labels[row] for row in chosen) if self.labels else ()
        named = [[self.names[row] for row in chosen], labels]
        return Pack(
            **{
                **self.__dict__,
                "sha256": files.digest([self.sha256, *named]),
                "offsets": self.offsets[rows],
                "heights": self.heights[rows],
                "widths": self.widths[rows],
                "names": tuple(named[0]),
                "labels": labels,
            }
        )

    def crop(self, index: Tensor, top: Tensor, left: Tensor, size_px: int, flip: Tensor) -> Tensor:
        """Cut square patches in one gather from the pixels, on their device, not waiting for it.

        Args:
            index, top, left: int64 (N,) photographs and upper left corners in pixels.
            size_px: side S of the patches.
            flip: bool (N,), mirror left and right.

        Returns:
            uint8 (N, 3, S, S), channels last.

        Raises:
            ValueError: a patch does not lie within its photograph.
        """
        room = torch.minimum(self.heights[index] - top, self.widths[index] - left)
        if min(room.min() - size_px, top.min(), left.min()) < 0:
            raise ValueError(f"size_px: patches of {size_px} px do not lie within the photographs")
        start = self.offsets[index] + 3 * (top * self.widths[index] + left)
        order = flip.int().argsort(stable=True)  # those to be mirrored are turned as one
        unturned = len(flip) - int(flip.sum())
        start, stride, back = draws.sent(
            [start[order], 3 * self.widths[index][order], order.argsort()], self.pixels.device
        )
        patches = squares.cut(self.pixels, start, stride, size_px)
        if unturned < len(patches):
            mirrored = patches[unturned:]
            mirrored.copy_(mirrored.flip(2))
            patches = patches.index_select(0, back)
        return patches.permute(0, 3, 1, 2)

    def random_crops(self, index: Tensor, size_px: int, generator: Generator) -> Tensor:
        """Patches at random places, half of them mirrored; draws come from a CPU generator.

        Args:
            index: int64 (N,) photographs.

        Returns:
            uint8 (N, 3, S, S).
        """
        draws = torch.rand(3, len(index), generator=generator, dtype=torch.float64)
        top = (draws[0] * (self.heights[index] - size_px + 1)).long()
        left = (draws[1] * (self.widths[index] - size_px + 1)).long()
        return self.crop(index, top, left, size_px, draws[2] < 0.5)

    def center_crops(self, index: Tensor, size_px: int) -> Tensor:
        """Central patches, uint8 (N, 3, S, S): what is seen at test time."""
        top = (self.heights[index] - size_px) // 2
        left = (self.widths[index] - size_px) // 2
        return self.crop(index, top, left, size_px, torch.zeros(len(index), dtype=torch.bool))


def load(target: Path, split: str | None = None) -> Pack:
    """Open a pack, mapped from disk.

    Args:
        target: a folder that `pack` made.
        split: only photographs of that split; None for all.

    Raises:
        FileNotFoundError: there is no finished pack.
        ValueError: the files do not fit together, or the split is empty; names file and line.
    """
    target = Path(target)
    if not (target / "pack.json").exists():
        raise FileNotFoundError(
            f"{target} is not a finished pack; make it with `aesthlib data pack`"
        )
    header = files.read_json(target / "pack.json")
    manifest = target / "manifest.csv"
    size = (target / "pixels.bin").stat().st_size
    rows, problems, packed = [], [], 0
    with open(manifest, newline="", **TEXT) as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{manifest}, line 1: the columns must be {', '.join(COLUMNS)}")
        for row in reader:
            line = reader.line_num
            if row["problem"]:
                problems.append((row["file"], row["problem"]))
                continue
            try:
                shape = [int(row[key]) for key in ("offset", "height", "width")]
            except (TypeError, ValueError):
                raise ValueError(
                    f"{manifest}, line {line}: offset, height and width must be "
                    "whole numbers; pack the photographs again"
                ) from None
            if min(shape) < 0 or shape[0] + 3 * shape[1] * shape[2] > size:
                raise ValueError(
                    f"{manifest}, line {line}: {row['file']} does not lie within "
                    "pixels.bin; pack the photographs again"
                )
            packed += 1
            if split is None or row["split"] == split:
                rows.append((row["file"], row["label"], *shape))
    if packed != header["photographs"]:
        raise ValueError(
            f"{manifest} lists {packed} photographs, pack.json "
            f"{header['photographs']}; pack the photographs again"
        )
    if not rows:
        raise ValueError(f"{target} holds no photograph of split {split!r}")
    pixels = torch.from_file(str(target / "pixels.bin"), shared=False, size=size, dtype=torch.uint8)
    names, labels, *shape = zip(*rows, strict=True)
    offsets, heights, widths = (torch.tensor(values, dtype=torch.int64) for values in shape)
    digest = header["sha256"] if split is None else files.digest([header["sha256"], split])
    return Pack(
        header["name"], digest, pixels, offsets, heights, widths, names, tuple(problems), labels
    )
