"""Pretext tasks, one file each, one protocol.

A task is an nn.Module that holds its head. The training loop knows of it only:

- `Task(backbone, options, seed)`: builds the head for a backbone.
- `Task.Options`: a frozen dataclass of what can be set; its fields are the parameters' names.
- `task.trains`: False where there is nothing to learn (random weights).
- `task.step(backbone, photographs, generator, epoch)`: uint8 (N, 3, S, S) to (loss, Measures).
"""

from dataclasses import dataclass, field
from importlib import import_module

from torch import Tensor

TASKS = {"degradation": "Degradation", "random": "Random"}


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


def task(name: str):
    """The class of a task. Raises ValueError for an unknown one; lists the known ones."""
    if name not in TASKS:
        raise ValueError(f"method must be one of {', '.join(TASKS)}, got {name!r}")
    return getattr(import_module(f".{name}", __name__), TASKS[name])
