"""Equations 1 to 3 and the entropy weight, each against plain Python loops."""

import math

import pytest
import torch
import torch.nn.functional as F

from aesthlib.pretext import losses

PATCHES, OPERATIONS, CLASSES, WIDTH = 4, 3, 22, 5
VERSIONS = 1 + 2 * OPERATIONS


def numbers(*shape, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64) * scale


@pytest.fixture
def logits():
    return numbers(PATCHES, VERSIONS, CLASSES, scale=3.0)


@pytest.fixture
def labels():
    return torch.randint(CLASSES, (PATCHES, VERSIONS), generator=torch.Generator().manual_seed(1))


def probabilities(values):
    top = max(values)
    exponentials = [math.exp(value - top) for value in values]
    return [e / sum(exponentials) for e in exponentials]


def test_degradation_loss_is_minus_log_probability(logits, labels):
    result = losses.degradation_loss(logits, labels)
    for n in range(PATCHES):
        for v in range(VERSIONS):
            p = probabilities(logits[n, v].tolist())[labels[n, v]]
            assert result[n, v].item() == pytest.approx(-math.log(p))


def squared_distance(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def test_triplet_loss_compares_squared_distances():
    original, milder, stronger = (
        F.normalize(numbers(PATCHES, OPERATIONS, WIDTH, seed=seed), dim=-1) for seed in range(3)
    )
    result = losses.triplet_loss(original[:, :1], milder, stronger)
    for n in range(PATCHES):
        for k in range(OPERATIONS):
            h = original[n, 0].tolist()
            near = squared_distance(h, milder[n, k].tolist())
            far = squared_distance(h, stronger[n, k].tolist())
            assert result[n, k].item() == pytest.approx(max(0, near - far + 1))


@pytest.mark.parametrize(
    "milder, stronger, expected",
    [((1.0, 0.0), (-1.0, 0.0), 0.0), ((1.0, 0.0), (1.0, 0.0), 1.0), ((-1.0, 0.0), (1.0, 0.0), 5.0)],
)
def test_triplet_loss_at_its_ends(milder, stronger, expected):
    original = torch.tensor([1.0, 0.0])
    result = losses.triplet_loss(original, torch.tensor(milder), torch.tensor(stronger))
    assert result.item() == expected


@pytest.mark.parametrize("alpha", [0.0, 0.3, 5 / 3])
def test_entropy_weight_falls_with_the_entropy(alpha, logits):
    result = losses.entropy_weight(logits, alpha)
    values = losses.entropy(logits)
    for n in range(PATCHES):
        for v in range(VERSIONS):
            p = probabilities(logits[n, v].tolist())
            entropy = -sum(q * math.log(q) for q in p)
            assert values[n, v].item() == pytest.approx(entropy)
            assert result[n, v].item() == pytest.approx(max(1 - alpha * entropy, 0))


def test_entropy_weight_of_a_sure_and_of_a_blind_prediction():
    sure, blind = torch.zeros(CLASSES), torch.zeros(CLASSES)
    sure[3] = 1e4
    assert losses.entropy_weight(sure, 5 / 3).item() == 1.0
    assert losses.entropy_weight(blind, 5 / 3).item() == 0.0


@pytest.mark.parametrize("lambda_triplet", [0.0, 0.02, 1.0])
def test_total_loss_adds_up(lambda_triplet):
    degradation = numbers(PATCHES, VERSIONS).square()
    triplet = numbers(PATCHES, OPERATIONS, seed=1).square()
    ordered = numbers(PATCHES, OPERATIONS, seed=2) > 0
    weight = numbers(PATCHES, VERSIONS, seed=3).sigmoid()
    result = losses.total_loss(degradation, triplet, ordered, weight, lambda_triplet)
    total = 0.0
    for n in range(PATCHES):
        for v in range(VERSIONS):
            total += weight[n, v].item() * degradation[n, v].item()
        for k in range(OPERATIONS):
            if ordered[n, k]:
                milder, stronger = weight[n, 1 + 2 * k].item(), weight[n, 2 + 2 * k].item()
                total += lambda_triplet * (milder + stronger) / 2 * triplet[n, k].item()
    assert result.item() == pytest.approx(total / (PATCHES * VERSIONS))


def test_gradients_flow_through_both_losses_and_not_through_the_weight(logits, labels):
    logits.requires_grad_()
    features = numbers(PATCHES, VERSIONS, WIDTH, seed=4).requires_grad_()
    h = F.normalize(features, dim=-1)
    pairs = h[:, 1:].unflatten(1, (-1, 2))
    weight = losses.entropy_weight(logits, 0.1)
    assert not weight.requires_grad and weight.min() > 0
    total = losses.total_loss(
        losses.degradation_loss(logits, labels),
        losses.triplet_loss(h[:, :1], pairs[:, :, 0], pairs[:, :, 1]),
        torch.ones(PATCHES, OPERATIONS, dtype=torch.bool),
        weight,
        0.02,
    )
    total.backward()
    assert features.grad.abs().min() > 0
    # of w · cross-entropy with w held fixed: w · (P − one-hot) / versions
    one_hot = F.one_hot(labels, CLASSES)
    expected = weight[..., None] * (logits.detach().softmax(-1) - one_hot) / labels.numel()
    torch.testing.assert_close(logits.grad, expected)
