"""Heads: seeds and sizes."""

import torch

from aesthlib import models


def test_same_seed_same_weights_and_global_generator_untouched():
    before = torch.get_rng_state()
    first, again, other = (models.linear(400, 300, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.weight, again.weight) and not torch.equal(first.weight, other.weight)
    assert first.weight.shape == (300, 400) and abs(first.weight.std() - 0.05) < 1e-3
    assert not first.bias.any()
