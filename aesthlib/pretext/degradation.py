"""The paper's task: which degradation was applied, and that a stronger one lies further away."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .. import models, ops
from ..models import LAYERS
from ..store import settings
from . import Measures, Task, losses, tiles


class Degradation(Task):
    """Equations 1 to 3 on seven versions of each patch; head: average pool, one linear layer."""

    @dataclass(frozen=True)
    class Options:
        """What the task can be told.

        Attributes:
            preset: levels, "paper" or "calibrated".
            operations: names of those drawn; all ten by default.
            operations_per_patch: three in the paper, both levels of each.
            noise_units: unit of the noise variance, see `ops.Reading`.
            shuffle_block_px: pixels a side of a block in patch shuffle.
            shuffle: "within" or "move", see `ops.Reading`.
            use_degradation: whether eq. 1 is in the loss.
            lambda_triplet: λ of eq. 3; 0 leaves eq. 2 out. Paper: 0.02.
            triplet_from_epoch: the triplet loss enters after that many epochs. Paper: 30.
            entropy_alpha: α of the entropy weight; 0 gives every patch weight 1. Paper: 5/3.
            entropy_from_epoch: the weight enters after that many epochs ("several" in the paper).
        """

        preset: str = "paper"
        operations: tuple[str, ...] = ops.NAMES
        operations_per_patch: int = 3
        noise_units: str = "standardized"
        shuffle_block_px: int = 8
        shuffle: str = "within"
        use_degradation: bool = True
        lambda_triplet: float = 0.02
        triplet_from_epoch: int = 30
        entropy_alpha: float = 5 / 3
        entropy_from_epoch: int = 5

        def __post_init__(self):
            settings.settle(self)
            ops.Reading(self.noise_units, self.shuffle_block_px, self.shuffle)
            for name in self.operations:
                ops.operation(name)
            if self.preset not in ops.PRESETS:
                raise ValueError(
                    f"preset must be one of {', '.join(ops.PRESETS)}, got {self.preset!r}"
                )
            if len(set(self.operations)) < len(self.operations):
                raise ValueError(f"operations must be named once each, got {self.operations}")
            if not 1 <= self.operations_per_patch <= len(self.operations):
                raise ValueError(
                    f"operations_per_patch must lie in [1, {len(self.operations)}], "
                    f"got {self.operations_per_patch}"
                )
            settings.hold(
                self,
                {
                    "lambda_triplet": 0,
                    "triplet_from_epoch": 0,
                    "entropy_alpha": 0,
                    "entropy_from_epoch": 0,
                },
            )

    def __init__(self, backbone: nn.Module, options: Options, seed: int):
        super().__init__(backbone, options, seed)
        self.chance = 1 / (1 + 2 * options.operations_per_patch)  # always None
        self.reading = ops.Reading(options.noise_units, options.shuffle_block_px, options.shuffle)
        self.head = models.linear(backbone.channels[LAYERS[-1]], len(ops.CLASSES), seed)

    def logits(self, taps: dict[str, Tensor]) -> Tensor:
        """Scores of the 22 classes, float (N, 22), from the backbone's taps."""
        return models.scores(self.head, taps[LAYERS[-1]])

    def embedding(self, taps: dict[str, Tensor]) -> Tensor:
        """h of eq. 2, L2-normalized, float (N, D), from the backbone's taps."""
        return F.normalize(models.averaged(taps[LAYERS[-1]]), dim=1)

    def versions(self, photographs: Tensor, plan: ops.Plan, generator: Generator) -> Tensor:
        """What the network sees of a batch, uint8 (N, V, 3, S, S), the original first."""
        return ops.degrade(photographs, plan, generator, self.options.preset, self.reading)

    @torch.no_grad()
    def prepare(self, photographs: Tensor, generator: Generator) -> tuple:
        """V versions of each patch, and what was drawn.

        Returns:
            uint8 (N, V, 3, S, S), int64 (N, V) classes, bool (N, K) pairs in the triplet loss, and
            how many these are.
        """
        options = self.options
        plan = ops.draw(
            len(photographs), generator, options.operations, options.operations_per_patch
        )
        versions = self.versions(photographs, plan, generator)
        places = plan.on(photographs.device)
        return versions, places.labels, places.ordered, float(plan.ordered.sum())

    def learn(self, backbone: nn.Module, batch: tuple, epoch: int) -> tuple[Tensor, Measures]:
        """Equation 3, and sums of the measures in the history."""
        options = self.options
        versions, labels, ordered, triplets_seen = batch
        taps = backbone(versions.flatten(0, 1))
        logits = self.logits(taps).unflatten(0, labels.shape)  # (N, V, 22)
        h = self.embedding(taps).unflatten(0, labels.shape)  # (N, V, D)

        degradation = losses.degradation_loss(logits, labels)
        pairs = h[:, 1:].unflatten(1, (-1, 2))  # (N, K, 2, D)
        triplet = losses.triplet_loss(h[:, :1], pairs[:, :, 0], pairs[:, :, 1])
        entropy_weight = losses.entropy_weight(logits, options.entropy_alpha)
        switched_on = epoch >= options.entropy_from_epoch
        weight = entropy_weight if switched_on else torch.ones_like(degradation)
        loss = losses.total_loss(
            degradation * options.use_degradation,
            triplet,
            ordered,
            weight,
            options.lambda_triplet if epoch >= options.triplet_from_epoch else 0.0,
        )
        versions_seen = float(labels.numel())
        correct = logits.argmax(-1) == labels
        return loss, Measures(
            labels.numel(),
            {
                "cross_entropy": (degradation.detach().sum(), versions_seen),
                "accuracy": (correct.sum(), versions_seen),
                "triplet": ((ordered * triplet.detach()).sum(), triplets_seen),
                "entropy": (losses.entropy(logits).sum(), versions_seen),
                "entropy_weight": (entropy_weight.sum(), versions_seen),  # switched on or not
            },
        )


class DegradationCropped(Degradation):
    """The same, each version cut out at a random place after the operation.

    So neither the frame nor the place of a grid of blocks, which start at the corner of what an
    operation is given, tells the class.
    """

    margin_px = 12  # more than the widest block of Table 1, so that every place of its grid occurs

    def versions(self, photographs: Tensor, plan: ops.Plan, generator: Generator) -> Tensor:
        whole = super().versions(photographs, plan, generator)
        size = whole.shape[-1] - self.margin_px
        count = whole.shape[0] * whole.shape[1]
        top, left = torch.randint(self.margin_px + 1, (count, 2), generator=generator).T
        cut = tiles.cut(whole.flatten(0, 1), top[:, None], left[:, None], size)
        return cut.squeeze(1).unflatten(0, whole.shape[:2])
