"""Colorization: which colours belong to a photograph of which only the lightness is seen?"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import models
from ..models import LAYERS
from ..ops import colour
from ..store import settings
from . import Measures, Task


def likeness(first: Tensor, second: Tensor, sigma: float) -> Tensor:
    """Log of an unnormalized Gaussian of the distances, float (M, Q), of ab values (M, 2), (Q, 2).

    Distances are taken coordinate by coordinate: a matrix product would round them.
    """
    distance = torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")
    return -distance.square() / (2 * sigma**2)


def soft_encode(ab: Tensor, bins: Tensor, count: int, sigma: float) -> tuple[Tensor, Tensor]:
    """The nearest bins of a colour, weighted by a Gaussian of their distance.

    Args:
        ab: float (M, 2).
        bins: float (Q, 2), centres.
        count: of the bins taken, K.
        sigma: of the Gaussian, in units of ab.

    Returns:
        int64 (M, K) bins, the nearest first, and float (M, K) weights that sum to 1.
    """
    near, index = likeness(ab, bins, sigma).topk(count)
    return index, near.softmax(1)


def soft_cross_entropy(logits: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy in nats, float (M,), of logits (M, Q) against what `soft_encode` gives."""
    return -(weight * logits.log_softmax(1).gather(1, index)).sum(1)


def rebalancing(share: Tensor, spread: Tensor, uniform_share: float) -> Tensor:
    """Weights of the bins that make rare colours count.

    Args:
        share: float (Q,), how often each bin is seen, summing to 1.
        spread: float (Q, Q), smoothing; columns sum to 1.
        uniform_share: λ, of the uniform distribution that is mixed in.

    Returns:
        float (Q,), inverse to the smoothed and mixed share; their mean over the smoothed share
        is 1.
    """
    smooth = (spread * share).sum(1)
    weight = 1 / ((1 - uniform_share) * smooth + uniform_share / len(share))
    return weight / (smooth * weight).sum()


class Colorization(Task):
    """Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016.

    As there: the network sees lightness alone, on one channel, in the probes too; it chooses
    among bins of 10 × 10 in the ab plane; a colour is spread over its 5 nearest bins by a
    Gaussian of deviation 5; a cell's loss is weighted by the rarity of its colour, λ = 1/2.

    Otherwise:
        - 261 bins, those that a pixel of 8 bits a channel can fall into, where the paper has 313.
        - Lightness is rounded to 256 levels, see `ops.colour.lab_levels`.
        - How often a colour occurs is the plain average over the batches so far, this one
          included, not counted beforehand on ImageNet: the buffers `share` and `seen` of the
          checkpoint. It is not updated in evaluation.
        - One prediction for each cell of conv5's map, by a 1 × 1 convolution; its target is the
          mean colour around the cell's centre.

    Measures: "cross_entropy" and "accuracy" of the nearest bin give every cell the same weight,
    "balanced_accuracy" gives it that of the loss.
    """

    @dataclass(frozen=True)
    class Options:
        """What the task can be told.

        Attributes:
            soft_bins: nearest bins over which a colour is spread. Paper: 5.
            sigma: deviation of the Gaussians, in units of ab. Paper: 5.
            uniform_share: λ of the rebalancing; 1 gives every colour weight 1. Paper: 1/2.
        """

        soft_bins: int = 5
        sigma: float = 5.0
        uniform_share: float = 0.5

        def __post_init__(self):
            settings.settle(self)
            settings.hold(self, {"soft_bins": 1})
            if self.soft_bins > len(colour.ab_bins()):
                raise ValueError(
                    f"soft_bins must be at most {len(colour.ab_bins())}, got {self.soft_bins}"
                )
            if not self.sigma > 0:
                raise ValueError(f"sigma must be positive, got {self.sigma}")
            if not 0 < self.uniform_share <= 1:
                raise ValueError(f"uniform_share must lie in (0, 1], got {self.uniform_share}")

    def __init__(self, backbone: nn.Module, options: Options, seed: int):
        super().__init__(backbone, options, seed)
        bins = colour.ab_bins()
        self.head = models.linear(backbone.channels[LAYERS[-1]], len(bins), seed)
        self.register_buffer("bins", bins, persistent=False)
        spread = likeness(bins, bins, options.sigma).softmax(0)
        self.register_buffer("spread", spread, persistent=False)
        self.register_buffer("share", torch.full((len(bins),), 1 / len(bins)))
        self.register_buffer("seen", torch.zeros(()))

    @classmethod
    def build(cls, backbone: str, seed: int) -> nn.Module:
        """The backbone behind a door that lets lightness through, on one channel."""
        return models.build(backbone, seed, inputs=1, door=models.LabChannels("L"))

    @torch.no_grad()
    def count(self, nearest: Tensor) -> None:
        """Add a batch's nearest bins, int64 (M,), to the average of how often each is seen."""
        ones = torch.ones_like(nearest)
        counts = torch.zeros_like(self.share, dtype=torch.int64).index_add_(0, nearest, ones)
        self.seen += 1
        self.share += (counts / len(nearest) - self.share) / self.seen

    def learn(self, backbone: nn.Module, batch: tuple, epoch: int) -> tuple[Tensor, Measures]:
        """Rebalanced cross-entropy, and sums of the measures in the history."""
        (photographs,) = batch
        options = self.options
        tap = backbone(photographs)[LAYERS[-1]]
        logits = self.head(tap.permute(0, 2, 3, 1)).float().flatten(0, 2)  # (N·h·w, Q)
        ab = backbone.cells(colour.rgb_to_lab(photographs)[:, 1:], tap.shape[2:])
        index, soft = soft_encode(
            ab.permute(0, 2, 3, 1).flatten(0, 2), self.bins, options.soft_bins, options.sigma
        )
        cross_entropy = soft_cross_entropy(logits, index, soft)
        nearest = index[:, 0]
        if self.training:
            self.count(nearest)
        weight = rebalancing(self.share, self.spread, options.uniform_share)[nearest]
        correct, cells = logits.argmax(1) == nearest, float(len(nearest))
        return (weight * cross_entropy).mean(), Measures(
            len(photographs),
            {
                "cross_entropy": (cross_entropy.detach().sum(), cells),
                "accuracy": (correct.sum(), cells),
                "balanced_accuracy": ((weight * correct).sum(), cells),
            },
        )
