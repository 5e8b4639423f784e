"""Pretext tasks, one file each, one protocol.

A task is an nn.Module that holds its head; the training loop knows nothing but `Task`.
"""

from dataclasses import dataclass, field
from importlib import import_module

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .. import models

TASKS = {
    "degradation": "Degradation",
    "rotation": "Rotation",
    "context": "Context",
    "jigsaw": "Jigsaw",
    "colorization": "Colorization",
    "split_brain": "SplitBrain",
    "counting": "Counting",
    "random": "Random",
    "labels": "Labels",
    "published": "Published",
    "degradation_cropped": "DegradationCropped",
}


@dataclass(frozen=True)
class Measures:
    """What a step saw, kept on the device so that the loop need not wait for it.

    Attributes:
        images: that went through the backbone.
        sums: by name, a () tensor and the count that belongs to it; an epoch adds both up and
            reports their quotient.
    """

    images: int
    sums: dict[str, tuple[Tensor, float]] = field(default_factory=dict)


class Task(nn.Module):
    """What every task offers.

    Attributes:
        trains: False where there is nothing to learn (random weights).
        supervised: whether `step` is also given labels, int64 (N,).
        margin_px: that `step` takes more of a photograph than the size that the network sees.
        chance: accuracy of the best answer that does not look; None where none can be stated.
    """

    trains = True
    supervised = False
    margin_px = 0
    chance: float | None = None

    @dataclass(frozen=True)
    class Options:
        """What can be set; the fields are the parameters' names. Nothing by default."""

    def __init__(self, backbone: nn.Module, options: Options, seed: int):
        """Builds the head for a backbone."""
        super().__init__()
        self.options = options

    @classmethod
    def build(cls, backbone: str, seed: int) -> nn.Module:
        """The backbone that this task trains, by name; most take it as it is."""
        return models.build(backbone, seed)

    @torch.no_grad()
    def prepare(self, photographs: Tensor, generator: Generator, *labels: Tensor) -> tuple:
        """What a step learns from: all that is drawn, cut and degraded, no weight being asked.

        It does not wait for the device, so the loop prepares a batch while the one before is
        learned from.

        Args:
            photographs: uint8 (N, 3, S + `margin_px`, S + `margin_px`).
            generator: on the CPU; every draw comes from it.
            labels: int64 (N,), for a supervised task alone.

        Returns:
            Tensors on the photographs' device, and numbers; by default what was given.
        """
        return (photographs, *labels)

    def learn(self, backbone: nn.Module, batch: tuple, epoch: int) -> tuple[Tensor, Measures]:
        """Loss of a batch and what it saw.

        Args:
            batch: from `prepare`.
            epoch: from 0; tells what is switched on.
        """
        raise NotImplementedError

    def step(
        self,
        backbone: nn.Module,
        photographs: Tensor,
        generator: Generator,
        epoch: int,
        *labels: Tensor,
    ) -> tuple[Tensor, Measures]:
        """`prepare` and `learn` in one."""
        return self.learn(backbone, self.prepare(photographs, generator, *labels), epoch)


def classified(logits: Tensor, labels: Tensor, images: int) -> tuple[Tensor, Measures]:
    """Loss and measures of a step that asks for classes alone.

    Args:
        logits: float (M, C).
        labels: int64 (M,).
        images: that went through the backbone.

    Returns:
        float () mean cross-entropy in nats; sums "cross_entropy" and "accuracy" over the M.
    """
    loss = F.cross_entropy(logits, labels, reduction="none")
    correct, count = logits.argmax(-1) == labels, float(len(labels))
    sums = {"cross_entropy": (loss.detach().sum(), count), "accuracy": (correct.sum(), count)}
    return loss.mean(), Measures(images, sums)


def task(name: str) -> type[Task]:
    """The class of a task. Raises ValueError for an unknown one; lists the known ones."""
    if name not in TASKS:
        raise ValueError(f"method must be one of {', '.join(TASKS)}, got {name!r}")
    room = "degradation" if name == "degradation_cropped" else name
    return getattr(import_module(f".{room}", __name__), TASKS[name])
