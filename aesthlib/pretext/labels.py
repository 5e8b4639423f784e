"""Supervised pretraining: the class of a photograph, from class folders."""

from dataclasses import dataclass

from torch import Tensor, nn

from .. import models
from ..models import LAYERS
from ..store import settings
from . import Measures, Task, classified


class Labels(Task):
    """Rows "ImageNet label" and "Places label" of Table 2; head: average pool, one linear layer."""

    supervised = True

    @dataclass(frozen=True)
    class Options:
        """What the task can be told.

        Attributes:
            classes: of the photographs; as many as there are class folders.
        """

        classes: int = 1000

        def __post_init__(self):
            settings.settle(self)
            settings.hold(self, {"classes": 2})

    def __init__(self, backbone: nn.Module, options: Options, seed: int):
        super().__init__(backbone, options, seed)
        self.chance = 1 / options.classes
        self.head = models.linear(backbone.channels[LAYERS[-1]], options.classes, seed)

    def logits(self, taps: dict[str, Tensor]) -> Tensor:
        """Scores of the classes, float (N, classes), from the backbone's taps."""
        return models.scores(self.head, taps[LAYERS[-1]])

    def learn(self, backbone: nn.Module, batch: tuple, epoch: int) -> tuple[Tensor, Measures]:
        """Mean cross-entropy of patches, uint8 (N, 3, S, S), with their classes, int64 (N,)."""
        photographs, labels = batch
        return classified(self.logits(backbone(photographs)), labels, len(labels))
