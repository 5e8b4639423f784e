"""Random weights: one pass sets the batch-norm statistics and moves no weight."""

import torch

from aesthlib import models
from aesthlib.pretext.random import Random


def test_step_changes_statistics_alone(smooth):
    backbone = models.build("alexnet", seed=0)
    task = Random(backbone, Random.Options(), seed=0)
    assert not task.trains and not list(task.parameters())
    before = {name: value.clone() for name, value in backbone.named_parameters()}
    batches = smooth(6, 67, 67).split(2)
    for batch in batches:
        loss, measures = task.step(backbone, batch, torch.Generator(), epoch=0)
        assert loss.item() == 0 and not loss.requires_grad
        assert measures.images == 2 and measures.sums == {}
    assert all(torch.equal(value, before[name]) for name, value in backbone.named_parameters())

    convolution, norm = backbone.stages["conv1"][:2]
    with torch.no_grad():
        values = [convolution(backbone.door(batch)) for batch in batches]
    # plain averages over the pass, every batch alike
    mean = torch.stack([value.mean((0, 2, 3)) for value in values]).mean(0)
    variance = torch.stack([value.transpose(0, 1).flatten(1).var(1) for value in values]).mean(0)
    torch.testing.assert_close(norm.running_mean, mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, variance, rtol=1e-4, atol=1e-5)
    assert norm.num_batches_tracked == 3
