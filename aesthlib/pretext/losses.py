"""Equations 1 to 3 of the paper and its entropy weight."""

import torch.nn.functional as F
from torch import Tensor

MARGIN = 1.0  # eq. 2


def degradation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """L_deg, −log P of the class that was applied (eq. 1), in nats.

    Args:
        logits: float (N, V, C) of V versions of N patches.
        labels: int64 (N, V) in 0 … C − 1.

    Returns:
        float (N, V), one loss a version.
    """
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)


def triplet_loss(original: Tensor, milder: Tensor, stronger: Tensor) -> Tensor:
    """L_trp = max(0, D(p, θ1) − D(p, θ2) + 1), D the squared L2 distance (eq. 2).

    Args:
        original, milder, stronger: float (…, D) L2-normalized features; they broadcast.

    Returns:
        float (…), between 0 and 5.
    """
    near = (original - milder).square().sum(-1)
    far = (original - stronger).square().sum(-1)
    return F.relu(near - far + MARGIN)


def entropy(logits: Tensor) -> Tensor:
    """H(P) in nats of the softmax of float (…, C), without gradient; float (…)."""
    log_p = F.log_softmax(logits.detach(), dim=-1)
    return -(log_p.exp() * log_p).sum(-1)


def entropy_weight(logits: Tensor, alpha: float) -> Tensor:
    """w = max(1 − α·H(P), 0), H in nats, without gradient.

    Args:
        logits: float (…, C).
        alpha: ≥ 0; 5/3 in the paper, which gives weight 0 from 0.6 nats on; 0 gives weight 1.

    Returns:
        float (…) in [0, 1].
    """
    return F.relu(1 - alpha * entropy(logits))


def total_loss(
    degradation: Tensor, triplet: Tensor, ordered: Tensor, weight: Tensor, lambda_triplet: float
) -> Tensor:
    """L = Σ (w·L_deg + λ·w·L_trp) / (number of versions), eq. 3 with entropy weights.

    The paper's divisor, B times T, is read as the number of versions of all patches, originals
    among them. A triplet takes the mean weight of its two edited versions.

    Args:
        degradation: float (N, 1 + 2K) from `degradation_loss`.
        triplet: float (N, K) from `triplet_loss`.
        ordered: bool (N, K), the pairs that enter.
        weight: float (N, 1 + 2K); ones before the warm-up ends.
        lambda_triplet: λ; 0 leaves the triplets out.

    Returns:
        float (), the loss of the batch.
    """
    total = (weight * degradation).sum()
    if lambda_triplet:
        pair_weight = weight[:, 1:].unflatten(1, (-1, 2)).mean(-1)
        total = total + lambda_triplet * (ordered * pair_weight * triplet).sum()
    return total / degradation.numel()
