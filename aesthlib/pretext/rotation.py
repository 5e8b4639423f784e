"""RotNet: by which multiple of 90° was the photograph turned?"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from .. import models
from ..models import LAYERS
from ..ops.functional import rotate
from ..store import settings
from . import Measures, Task, classified


class Rotation(Task):
    """Gidaris, Singh and Komodakis, "Unsupervised representation learning by predicting image
    rotations", ICLR 2018.

    As there: the four rotations of a patch are in one batch, and they move pixels without
    interpolation, since a trace of resampling would tell the angle. Otherwise: average pool of
    conv5 and one linear layer in place of AlexNet's fully connected layers, so that every task
    has the same backbone and a head of its size.
    """

    @dataclass(frozen=True)
    class Options:
        """What the task can be told.

        Attributes:
            degrees: angles, counter-clockwise, each a class. The paper also tries two.
        """

        degrees: tuple[int, ...] = (0, 90, 180, 270)

        def __post_init__(self):
            settings.settle(self)
            known = {0, 90, 180, 270}
            if len(self.degrees) < 2 or len(set(self.degrees) & known) < len(self.degrees):
                raise ValueError(
                    f"degrees must be two or more of 0, 90, 180 and 270, got {self.degrees}"
                )

    def __init__(self, backbone: nn.Module, options: Options, seed: int):
        super().__init__(backbone, options, seed)
        self.chance = 1 / len(options.degrees)
        self.head = models.linear(backbone.channels[LAYERS[-1]], len(options.degrees), seed)

    def views(self, photographs: Tensor) -> tuple[Tensor, Tensor]:
        """Every rotation of every patch, and the index of its angle.

        Args:
            photographs: uint8 (N, 3, S, S).

        Returns:
            uint8 (A·N, 3, S, S) and int64 (A·N,) of A angles, those of one angle together.
        """
        degrees = self.options.degrees
        labels = torch.arange(len(degrees), device=photographs.device)
        turned = torch.cat([rotate(photographs, angle) for angle in degrees])
        return turned, labels.repeat_interleave(len(photographs))

    @torch.no_grad()
    def prepare(self, photographs: Tensor, generator: Generator) -> tuple:
        """What `views` gives; nothing is drawn."""
        return self.views(photographs)

    def learn(self, backbone: nn.Module, batch: tuple, epoch: int) -> tuple[Tensor, Measures]:
        views, labels = batch
        logits = models.scores(self.head, backbone(views)[LAYERS[-1]])
        return classified(logits, labels, len(views))
