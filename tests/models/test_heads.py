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


def test_averages_and_scores_are_not_rounded_within_autocast():
    generator = torch.Generator().manual_seed(0)
    tap = torch.rand(3, 8, 5, 5, generator=generator).to(torch.bfloat16)
    head = models.linear(8, 4, 0)
    expected = tap.double().mean((2, 3))
    with torch.autocast("cpu", torch.bfloat16):
        average, scores = models.averaged(tap), models.scores(head, tap)
    assert average.dtype == scores.dtype == torch.float32
    torch.testing.assert_close(average.double(), expected, rtol=1e-6, atol=1e-6)
    wanted = expected @ head.weight.double().T
    torch.testing.assert_close(scores.double(), wanted, rtol=1e-5, atol=1e-6)
