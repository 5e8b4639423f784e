"""No pretext task: random weights, with batch-norm statistics of the training photographs."""

import torch
from torch import Tensor, nn

from . import Measures, Task


class Random(Task):
    """Row "Without pretext" of Table 2. One pass estimates the statistics, no weight moves."""

    trains = False

    def __init__(self, backbone: nn.Module, options: Task.Options, seed: int):
        super().__init__(backbone, options, seed)
        self._passed = 0

    @torch.no_grad()
    def learn(self, backbone: nn.Module, batch: tuple, epoch: int) -> tuple[Tensor, Measures]:
        (photographs,) = batch
        if self.training:  # a plain average; with momentum None, each norm would wait for its count
            self._passed += 1
            for module in backbone.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = 1 / self._passed
        backbone(photographs)
        return torch.zeros((), device=photographs.device), Measures(len(photographs))
