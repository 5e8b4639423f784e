"""Counting: what a photograph holds is the sum of what its four quarters hold."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .. import models
from ..models import LAYERS
from ..ops import colour, draws
from ..ops.images import to_uint8
from ..store import settings
from . import Measures, Task

SMALLEST_PX = 35  # side of the least input that AlexNet still has a map for
FILTERS = ("area", "bilinear", "bicubic")


def halve(images: Tensor, choice: Tensor) -> Tensor:
    """Shrink photographs by 2 along each side, each with its own filter.

    Args:
        images: uint8 (N, 3, 2s, 2s).
        choice: int64 (N,) on the CPU, indices into `FILTERS`; all but "area" reach over the
            square of four pixels that a new one stands for, so that nothing aliases.

    Returns:
        uint8 (N, 3, s, s), rounded to the nearest level.
    """
    size = (images.shape[2] // 2, images.shape[3] // 2)
    order = choice.argsort(stable=True)
    order, back = draws.sent([order, order.argsort()], images.device)
    parts = images[order].split(choice.bincount(minlength=len(FILTERS)).tolist())
    halved = [
        to_uint8(F.interpolate(part.float(), size, mode=name, antialias=name != "area"))
        for part, name in zip(parts, FILTERS, strict=True)
        if len(part)
    ]
    return torch.cat(halved)[back]


def quarters(images: Tensor) -> Tensor:
    """The four tiles of photographs, uint8 (N, 3, 2s, 2s) to (4, N, 3, s, s), row by row."""
    rows = images.unflatten(3, (2, -1)).unflatten(2, (2, -1))  # (N, 3, 2, s, 2, s)
    return rows.permute(2, 4, 0, 1, 3, 5).flatten(0, 1)


class Counting(Task):
    """Noroozi, Pirsiavash and Favaro, "Representation learning by learning to count", ICCV 2017.

    As there: one network on the photograph at half size and on its four quarters; counts end in
    a ReLU, 1000 of them; `|φ(D∘x) − Σ φ(T_j∘x)|² + max(0, M − |φ(D∘y) − Σ φ(T_j∘x)|²)` with M = 10
    and y another patch of the batch. Against telling the half-size photograph by its making: the
    filter that shrinks it is drawn (of the paper's four, Lanczos is missing), and two thirds of
    the patches lose their colour, and with it the chromatic aberration.

    Otherwise:
        - Average pool and two linear layers of 1000, batch norm between, in place of AlexNet's
          three.
        - `|·|²` is the mean over the counts, not the sum, and the loss is in units of M. With the
          sum and a learning rate of 0.1 the first steps end at counts of 0 for all.
        - Halves of patches below 70 px are enlarged to 35 px: AlexNet sees nothing smaller.
        - The last row and column of an odd patch are left out.
        - y may be another crop of the same photograph, where an epoch has several.

    Measures: "accuracy", how often the photograph's own counts are nearer to the sum than y's;
    "own" and "other", these two squared distances. Counts that are the same for every input have
    accuracy 0 and a loss of at least 1.
    """

    chance = 0.5

    @dataclass(frozen=True)
    class Options:
        """What the task can be told.

        Attributes:
            counts: numbers that the head gives. Paper: 1000.
            margin: M, the squared distance of counts that another patch should keep. Paper: 10.
            grey_share: of the patches, shown without colour. Paper: 0.67.
        """

        counts: int = 1000
        margin: float = 10.0
        grey_share: float = 0.67

        def __post_init__(self):
            settings.settle(self)
            settings.hold(self, {"counts": 1, "grey_share": 0})
            if not self.margin > 0:
                raise ValueError(f"margin must be positive, got {self.margin}")
            if self.grey_share > 1:
                raise ValueError(f"grey_share must be at most 1, got {self.grey_share}")

    def __init__(self, backbone: nn.Module, options: Options, seed: int):
        super().__init__(backbone, options, seed)
        self.head = nn.Sequential(
            *models.hidden(backbone.channels[LAYERS[-1]], options.counts, seed),
            models.linear(options.counts, options.counts, seed + 1),
            nn.ReLU(inplace=True),
        )

    def views(self, photographs: Tensor, generator: Generator) -> Tensor:
        """Each patch at half size, and its four quarters.

        Args:
            photographs: uint8 (N, 3, S, S).
            generator: on the CPU; draws who is grey and the filters.

        Returns:
            uint8 (5, N, 3, s, s), the half-size patches first; s = S // 2, at least 35.
        """
        count, side = len(photographs), photographs.shape[-1] // 2
        images = photographs[..., : 2 * side, : 2 * side]
        grey = torch.rand(count, generator=generator) < self.options.grey_share
        (grey,) = draws.sent([grey.view(-1, 1, 1, 1)], images.device)
        images = torch.where(grey, colour.grey(images), images)
        choice = torch.randint(len(FILTERS), (count,), generator=generator)
        views = torch.cat([halve(images, choice)[None], quarters(images)])
        if side >= SMALLEST_PX:
            return views
        values = views.flatten(0, 1).float()
        enlarged = F.interpolate(values, (SMALLEST_PX, SMALLEST_PX), mode="bilinear")
        return to_uint8(enlarged).unflatten(0, views.shape[:2])

    @torch.no_grad()
    def prepare(self, photographs: Tensor, generator: Generator) -> tuple:
        """The views of N ≥ 2 patches, uint8 (5, N, 3, s, s), and how many patches y is off."""
        views = self.views(photographs, generator)
        return views, int(torch.randint(1, len(photographs), (), generator=generator))

    def learn(self, backbone: nn.Module, batch: tuple, epoch: int) -> tuple[Tensor, Measures]:
        """Mean loss in units of M, and sums of the measures in the history."""
        views, shift = batch
        count = views.shape[1]
        taps = backbone(views.flatten(0, 1))
        counts = self.head(models.averaged(taps[LAYERS[-1]])).float().unflatten(0, (5, count))
        whole, parts = counts[0], counts[1:].sum(0)  # (N, counts)
        own = (whole - parts).square().mean(1)
        other = (whole.roll(shift, 0) - parts).square().mean(1)
        loss = own + (self.options.margin - other).relu()
        return loss.mean() / self.options.margin, Measures(
            5 * count,
            {
                "accuracy": ((own < other).sum(), float(count)),
                "own": (own.detach().sum(), float(count)),
                "other": (other.detach().sum(), float(count)),
            },
        )
