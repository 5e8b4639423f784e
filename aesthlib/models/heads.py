"""Heads of the pretext tasks."""

import torch
from torch import Tensor, nn


def linear(features: int, outputs: int, seed: int) -> nn.Linear:
    """A linear layer, the same for the same seed: standard deviation features^-½, biases 0.

    On maps whose channels come last it is a 1 × 1 convolution.
    """
    with torch.random.fork_rng(devices=[]):  # nn.Linear draws from the global generator
        layer = nn.Linear(features, outputs)
    generator = torch.Generator().manual_seed(seed)
    nn.init.normal_(layer.weight, std=features**-0.5, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def hidden(features: int, outputs: int, seed: int) -> list[nn.Module]:
    """A hidden layer: linear, batch norm, ReLU."""
    return [linear(features, outputs, seed), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]


def averaged(tap: Tensor) -> Tensor:
    """Mean over the positions of a map (N, C, h, w): float32 (N, C), within autocast too."""
    return tap.mean((2, 3), dtype=torch.float32)


def scores(head: nn.Module, tap: Tensor) -> Tensor:
    """What a head makes of the average of a map, all in float32, within autocast too.

    Args:
        head: of float32 (N, C).
        tap: (N, C, h, w).
    """
    with torch.autocast(tap.device.type, enabled=False):
        return head(averaged(tap))
