"""Frozen features of all layers, written once, and the ways to look at them."""

import os
import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .. import progress
from ..data.photographs import Pack
from ..models import LAYERS, pool_for_probe
from ..store import files
from ..training import recompute_batch_norm

BATCH = 128
ALL = "all"  # the five layers side by side
CLEAN_PATCHES = 2048  # that batch-norm statistics are estimated on anew


def pool_mean(tap: Tensor) -> Tensor:
    """Mean over the positions: (N, C, h, w) to (N, C)."""
    return tap.mean((2, 3))


def pool_moments(tap: Tensor) -> Tensor:
    """Mean and standard deviation over the positions: (N, C, h, w) to (N, 2C)."""
    return torch.cat([tap.mean((2, 3)), tap.std((2, 3), correction=0)], 1)


POOLINGS = {"grid": pool_for_probe, "mean": pool_mean, "moments": pool_moments}


@dataclass(frozen=True)
class View:
    """How a frozen network is looked at. The default is the paper's.

    Attributes:
        pooling: "grid", the paper's 9600 or 9216 values a layer; "mean" over all positions; or
            "moments", the mean and the standard deviation over them. The latter two also give
            "all", the five layers side by side, and are standardized value by value.
        statistics: of batch norm: "training", those of the pretraining; or "clean", estimated anew
            on the pretraining's photographs as they are.

    Raises:
        ValueError: an unknown pooling or statistics.
    """

    pooling: str = "grid"
    statistics: str = "training"

    def __post_init__(self):
        for name, known in (("pooling", tuple(POOLINGS)), ("statistics", ("training", "clean"))):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}"
                )

    @property
    def layers(self) -> tuple[str, ...]:
        """What can be loaded of it."""
        return LAYERS if self.pooling == "grid" else (*LAYERS, ALL)


STANDARD = View()


def with_clean_statistics(
    backbone: nn.Module, photographs: Pack, size_px: int, device: str
) -> nn.Module:
    """A copy whose batch-norm statistics are those of unedited photographs.

    Args:
        backbone: frozen.
        photographs: of the pretraining; up to `CLEAN_PATCHES` random crops are taken, one each.
        size_px: side of the crops.
    """
    changed = deepcopy(backbone)
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(photographs), generator=generator)[:CLEAN_PATCHES]
    batches = iter(order.split(BATCH))

    def see() -> None:
        changed(photographs.random_crops(next(batches), size_px, generator).to(device))

    recompute_batch_norm(changed, see, -(-len(order) // BATCH))
    return changed.eval()


def extract(
    backbone: nn.Module,
    count: int,
    batch_of: Callable[[Tensor], Tensor],
    folder: Path,
    device: str,
    label: str,
    pooling: str = "grid",
) -> Path:
    """Write conv1.npy … conv5.npy, float16 (N, values), unless they are there.

    Args:
        backbone: frozen, in evaluation mode.
        count: photographs N.
        batch_of: photographs of int64 indices, uint8 (n, 3, S, S).
        folder: of the features; it appears when all are written.
        device: where the backbone is.
        label: for the progress line.
        pooling: of `POOLINGS`.

    Returns:
        folder.

    Raises:
        FloatingPointError: a feature does not fit float16.
        OSError: the disk is full.
    """
    folder = Path(folder)
    if complete(folder):
        return folder
    work = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    written = {}
    try:
        with progress.bar(total=count, unit="photo", label=label) as line, torch.inference_mode():
            for start in range(0, count, BATCH):
                index = torch.arange(start, min(start + BATCH, count))
                taps = backbone(batch_of(index).to(device))
                for layer in LAYERS:
                    values = POOLINGS[pooling](taps[layer]).to("cpu", torch.float16)
                    if not torch.isfinite(values).all():
                        raise FloatingPointError(f"{label}: features of {layer} exceed float16")
                    if layer not in written:
                        written[layer] = np.lib.format.open_memmap(
                            work / f"{layer}.npy", "w+", np.float16, (count, values.shape[1])
                        )
                        with open(work / f"{layer}.npy", "r+b") as file:
                            # writing to a sparse map on a full disk would kill the process
                            os.posix_fallocate(file.fileno(), 0, file.seek(0, os.SEEK_END))
                    written[layer][index.numpy()] = values.numpy()
                line.update(len(index))
        for array in written.values():
            array.flush()
        files.write_json(work / "features.json", {"count": count, "layers": list(LAYERS)})
        os.replace(work, folder)
    except OSError as error:
        raise OSError(
            error.errno, f"could not write features into {folder}: {error.strerror or error}"
        ) from error
    return folder


def complete(folder: Path) -> bool:
    """Whether features were written there."""
    return (Path(folder) / "features.json").exists()


def load(folder: Path, layer: str, view: View = STANDARD) -> Tensor:
    """Features of a layer, float32 (N, values).

    Args:
        folder: that `extract` wrote with the view's pooling.
        layer: one of the view's layers.

    Raises:
        FileNotFoundError: they are not there.
    """
    names = LAYERS if layer == ALL else (layer,)
    found = [torch.from_numpy(np.load(Path(folder) / f"{name}.npy")).float() for name in names]
    values = torch.cat(found, 1) if len(found) > 1 else found[0]
    if view.pooling == "grid":
        return values
    deviation, mean = torch.std_mean(values, 0, correction=0)  # no label enters
    return (values - mean) / deviation.clamp_min(1e-6)
