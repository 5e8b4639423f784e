"""Frozen features of all layers, written once."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from . import files, progress
from .models import LAYERS, pool_for_probe

BATCH = 128


def extract(
    backbone: nn.Module,
    count: int,
    batch_of: Callable[[Tensor], Tensor],
    folder: Path,
    device: str,
    label: str,
) -> Path:
    """Write conv1.npy … conv5.npy, float16 (N, values), unless they are there.

    Args:
        backbone: frozen, in evaluation mode.
        count: photographs N.
        batch_of: photographs of int64 indices, uint8 (n, 3, S, S).
        folder: of the features; it appears when all are written.
        device: where the backbone is.
        label: for the progress line.

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
                    values = pool_for_probe(taps[layer]).to("cpu", torch.float16)
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


def load(folder: Path, layer: str) -> Tensor:
    """Features of a layer, float32 (N, values). Raises FileNotFoundError if they are not there."""
    return torch.from_numpy(np.load(Path(folder) / f"{layer}.npy")).float()
