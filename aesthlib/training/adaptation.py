"""Supervised adaptation of whole networks: fine-tuned from a pretext task, or from scratch.

The training is that of `training.pretrain` with the task `labels` and two classes.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .. import training
from ..data.entries import Entries
from ..store import files
from . import PretrainConfig

BATCH = 128


def adapt(
    config: PretrainConfig,
    entries: Entries,
    train: np.ndarray,
    test: np.ndarray,
    folder: Path,
    device: str,
    initial: nn.Module | None = None,
    initial_sha256: str = "",
    keep: bool = False,
) -> np.ndarray:
    """Train a network on some entries and score others. Done once, scores are read from folder.

    Args:
        config: of the training; method "labels" with two classes.
        train, test: int64 rows of the entries.
        folder: of the scores, and of the checkpoints while it trains.
        initial, initial_sha256: backbone to start from and the hash of its checkpoint; None for
            random weights.
        keep: leave the last checkpoint in folder.

    Returns:
        float32 (len(test),), logit of the positive class minus that of the negative one.

    Raises:
        ValueError: one of the classes is missing in train.
    """
    known = folder / "scores.npy"
    if known.exists() and (not keep or (folder / "checkpoint.json").exists()):
        return np.load(known)
    labels = tuple("positive" if good else "negative" for good in entries.positive[train])
    pack = entries.pack().take(torch.from_numpy(train), labels)
    outcome = training.pretrain(config, pack, folder, device, initial, initial_sha256)
    model = training.load_model(folder, outcome.checkpoint_sha256, device)
    scores = np.concatenate(
        [
            margins(model, entries.batch_of(torch.from_numpy(rows)), device).numpy()
            for rows in _batches(test)
        ]
    )
    with files.replacing(known) as file:
        np.save(file, scores)
    if not keep:
        for path in folder.glob("*.safetensors"):
            path.unlink()
        (folder / "checkpoint.json").unlink()
    return scores


@torch.inference_mode()
def margins(model: nn.Module, photographs: torch.Tensor, device: str) -> torch.Tensor:
    """Logit of the positive class minus that of the negative one, float32 (N,) on the CPU.

    Args:
        model: backbone and task `labels` of two classes, in evaluation mode.
        photographs: uint8 (N, 3, S, S).
    """
    negative, positive = model.task.logits(model.backbone(photographs.to(device))).unbind(1)
    return (positive - negative).float().cpu()


def forget(folder: Path) -> None:
    """Remove what `adapt` left in a folder of runs, once its record is written."""
    shutil.rmtree(folder, ignore_errors=True)


def _batches(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]
