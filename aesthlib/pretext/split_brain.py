"""Split-brain: one half of the network predicts colour from lightness, the other the reverse."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import models
from ..models import LAYERS, Backbone
from ..ops import colour
from ..store import settings
from . import Measures, Task
from .colorization import Colorization, soft_cross_entropy, soft_encode


class Halves(nn.Module):
    """Two backbones of half width that see different channels, as one with their taps together.

    Attributes:
        light: sees L.
        chroma: sees a and b.
        channels: of the taps together, by layer.
    """

    def __init__(self, light: Backbone, chroma: Backbone):
        super().__init__()
        self.light, self.chroma = light, chroma
        self.channels = {layer: light.channels[layer] + chroma.channels[layer] for layer in LAYERS}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) to float (N, C, h, w) by layer, the channels of `light` first."""
        light, chroma = self.light(images), self.chroma(images)
        return {layer: torch.cat([light[layer], chroma[layer]], 1) for layer in LAYERS}


class SplitBrain(Task):
    """Zhang, Isola and Efros, "Split-brain autoencoders", CVPR 2017.

    As there: two networks of half the channels of every layer, features concatenated layer by
    layer; both directions as classification, which the paper finds best: colour among the bins
    of `Colorization`, spread over the nearest, lightness among 100 equal bins; no rebalancing;
    the two losses are added.

    Otherwise: what `Colorization` says of bins, rounding, cells and head.

    Measures: "accuracy" over both directions, and `ab_…` (from L) and `l_…` (from ab) of each.
    """

    @dataclass(frozen=True)
    class Options:
        """What the task can be told.

        Attributes:
            lightness_bins: equal parts of L in [0, 100]. Paper: 100.
            soft_bins: nearest bins over which a colour is spread. Paper: 5.
            sigma: deviation of that Gaussian, in units of ab. Paper: 5.
        """

        lightness_bins: int = 100
        soft_bins: int = 5
        sigma: float = 5.0

        def __post_init__(self):
            settings.settle(self)
            settings.hold(self, {"lightness_bins": 2})
            Colorization.Options(self.soft_bins, self.sigma)

    def __init__(self, backbone: nn.Module, options: Options, seed: int):
        super().__init__(backbone, options, seed)
        bins, last = colour.ab_bins(), LAYERS[-1]
        self.ab_head = models.linear(backbone.light.channels[last], len(bins), seed)
        self.l_head = models.linear(backbone.chroma.channels[last], options.lightness_bins, seed)
        self.register_buffer("bins", bins, persistent=False)

    @classmethod
    def build(cls, backbone: str, seed: int) -> Halves:
        """Two halves of the backbone, each with weights of its own."""
        draws = torch.randint(2**31, (2,), generator=torch.Generator().manual_seed(seed)).tolist()
        return Halves(
            models.build(backbone, draws[0], 1, 0.5, models.LabChannels("L")),
            models.build(backbone, draws[1], 2, 0.5, models.LabChannels("ab")),
        )

    def learn(self, backbone: nn.Module, batch: tuple, epoch: int) -> tuple[Tensor, Measures]:
        """Sum of the two mean cross-entropies, and sums of the measures in the history."""
        (photographs,) = batch
        options = self.options
        light, chroma = (
            half(photographs)[LAYERS[-1]] for half in (backbone.light, backbone.chroma)
        )
        lab = backbone.light.cells(colour.rgb_to_lab(photographs), light.shape[2:])
        lab = lab.permute(0, 2, 3, 1).flatten(0, 2)  # (N·h·w, 3)

        ab_logits = self.ab_head(light.permute(0, 2, 3, 1)).float().flatten(0, 2)
        index, soft = soft_encode(lab[:, 1:], self.bins, options.soft_bins, options.sigma)
        ab_loss = soft_cross_entropy(ab_logits, index, soft)
        ab_correct = ab_logits.argmax(1) == index[:, 0]

        l_logits = self.l_head(chroma.permute(0, 2, 3, 1)).float().flatten(0, 2)
        most = options.lightness_bins - 1
        level = (lab[:, 0] * (options.lightness_bins / 100)).long().clamp(0, most)
        l_loss = F.cross_entropy(l_logits, level, reduction="none")
        l_correct = l_logits.argmax(1) == level

        cells = float(len(lab))
        return ab_loss.mean() + l_loss.mean(), Measures(
            len(photographs),
            {
                "accuracy": (ab_correct.sum() + l_correct.sum(), 2 * cells),
                "ab_cross_entropy": (ab_loss.detach().sum(), cells),
                "ab_accuracy": (ab_correct.sum(), cells),
                "l_cross_entropy": (l_loss.detach().sum(), cells),
                "l_accuracy": (l_correct.sum(), cells),
            },
        )
