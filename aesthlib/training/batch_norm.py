"""Batch-norm statistics of a finished network."""

from collections.abc import Callable

import torch
from torch import nn


@torch.no_grad()
def recompute_batch_norm(model: nn.Module, see: Callable[[], None], batches: int) -> None:
    """Replace batch norm's moving averages by plain averages over some batches, in place.

    A moving average holds a few of the last batches, seen while the weights still moved: after a
    short training with small batches it is too noisy for what the finished network computes.

    Args:
        see: passes a batch, another one each time, through the model.
        batches: how many.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
    model.train()
    for number in range(1, batches + 1):
        for norm in norms:  # a plain average; with momentum None, each would wait for its count
            norm.momentum = 1 / number
        see()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
