"""Heads of the pretext tasks."""

import torch
from torch import nn


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
