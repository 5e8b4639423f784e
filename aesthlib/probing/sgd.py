"""Probes by the paper's schedule: stochastic gradient descent, linear or with a hidden layer."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .config import ProbeConfig
from .folds import splits
from .lbfgs import coordinates, scaled


def _descended(
    inputs: Tensor,
    positive: np.ndarray,
    trained: list[np.ndarray],
    config: ProbeConfig,
    seed: int,
    values: int,
) -> np.ndarray:
    """Logit differences (S, N) of S models trained side by side by SGD, each on its rows.

    Args:
        inputs: float32 (N, d).
        trained: rows of each.
        values: of the features, of which the inputs may be coordinates.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.from_numpy(positive.astype(np.int64))
    rows_of = [torch.from_numpy(rows) for rows in trained]
    models, least = len(rows_of), min(len(rows) for rows in rows_of)
    batch = min(config.batch_size, least)
    hidden = config.hidden_units if config.solver == "nonlinear" else 0
    # the last layer starts from zero
    layers = [(torch.zeros(models, hidden or inputs.shape[1], 2), torch.zeros(models, 1, 2))]
    if hidden:
        # of the variance of PyTorch's linear layers, for features of so many values
        first = torch.randn(models, inputs.shape[1], hidden, generator=generator)
        layers.insert(0, (first / (3 * values) ** 0.5, torch.zeros(models, 1, hidden)))
    weights = [tensor.requires_grad_() for layer in layers for tensor in layer]

    def logits(entries, training):
        for weight, bias in layers[:-1]:
            entries = (entries @ weight + bias).relu()
            if training and config.dropout:
                kept = torch.rand(entries.shape, generator=generator) >= config.dropout
                entries = entries * kept / (1 - config.dropout)
        weight, bias = layers[-1]
        return entries @ weight + bias

    optimizer = torch.optim.SGD(
        weights,
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=True,
        weight_decay=config.weight_decay,
    )
    for epoch in range(config.epochs):
        drops = epoch // config.drop_every_epochs
        optimizer.param_groups[0]["lr"] = config.learning_rate * config.learning_rate_drop**drops
        order = [rows[torch.randperm(len(rows), generator=generator)] for rows in rows_of]
        for step in range(least // batch):
            rows = torch.stack([o[step * batch : (step + 1) * batch] for o in order])
            guess = logits(inputs[rows], True)
            # the sum over models gives each the gradient of its own mean
            loss = F.cross_entropy(guess.flatten(0, 1), labels[rows].flatten()) * models
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        guess = logits(inputs, False)
        return (guess[..., 1] - guess[..., 0]).numpy()


def descend(
    features: Tensor, positive: np.ndarray, groups, test, config: ProbeConfig
) -> np.ndarray:
    """Scores (R, judged) of models trained by SGD, a repeat's folds side by side."""
    if config.solver == "nonlinear":  # as if each value had a variance of 1
        inputs = scaled(features).mul_(features.shape[1] ** 0.5).float()
    else:
        inputs = coordinates(features).float()
    values = features.shape[1]
    result = np.empty((config.repeats, len(positive)))
    for repeat in range(config.repeats):
        seed = config.seed + repeat
        if test is not None:
            trained = [np.flatnonzero(~test)]
            result[repeat] = _descended(inputs, positive, trained, config, seed, values)
            continue
        fold_of = splits(positive, config.folds, seed, groups)
        trained = [np.flatnonzero(fold_of != fold) for fold in range(config.folds)]
        margin = _descended(inputs, positive, trained, config, seed, values)
        result[repeat] = margin[fold_of, np.arange(len(positive))]
    return result if test is None else result[:, test]
