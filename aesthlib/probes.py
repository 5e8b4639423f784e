"""Linear probes on frozen features: converged ("exact") or by the paper's schedule ("sgd").

Features are centred by their mean over all entries (no label enters). A linear model with an L2
penalty, or trained by SGD from zero, never leaves the span of its features. So N entries of D > N
values are then turned into N coordinates without loss: every distance, every solution and every
step of SGD on the centred features stays the same, at N/D of the cost. All folds, inner folds and
penalties are fitted at once, one column a fit, weights marking its entries.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import metrics, settings

SOLVERS = ("exact", "sgd")
MEMORY = 10  # pairs that L-BFGS keeps
TOLERANCE = 1e-6  # of the preconditioned gradient's norm


@dataclass(frozen=True)
class ProbeConfig:
    """How features are judged where there is no fixed split.

    Attributes:
        solver: "exact", the minimum of the penalized loss, or "sgd", the paper's schedule.
        folds: of the stratified cross-validation; the same for every method.
        repeats: of the cross-validation, each with other folds.
        inner_folds: within the training folds, where the penalty is chosen.
        penalties: L2, on features scaled to a mean squared norm of 1.
        epochs: of solver "sgd", as all that follows but the seed; not stated in the paper.
        learning_rate: at the start.
        learning_rate_drop: factor after every so many epochs.
        drop_every_epochs: epochs between drops.
        batch_size: entries a step.
        momentum: Nesterov's.
        weight_decay: on the linear layer.
        seed: of folds, batches and intervals.
    """

    solver: str = "exact"
    folds: int = 5
    repeats: int = 5
    inner_folds: int = 3
    penalties: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
    epochs: int = 30
    learning_rate: float = 0.01
    learning_rate_drop: float = 0.2
    drop_every_epochs: int = 10
    batch_size: int = 64
    momentum: float = 0.9
    weight_decay: float = 5e-4
    seed: int = 0

    def __post_init__(self):
        if self.solver not in SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, got {self.solver!r}")
        settings.settle(self)
        settings.hold(self, {
            "folds": 2, "repeats": 1, "inner_folds": 2, "epochs": 1, "drop_every_epochs": 1,
            "batch_size": 1, "learning_rate": 0, "learning_rate_drop": 0, "momentum": 0,
            "weight_decay": 0,
        })  # fmt: skip
        if not self.penalties or min(self.penalties) <= 0:
            raise ValueError(f"penalties must be positive, got {self.penalties}")
        object.__setattr__(self, "penalties", tuple(sorted(map(float, self.penalties))))


def splits(
    positive: np.ndarray, folds: int, seed: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """Fold of every entry, int64 (N,), stratified by class; groups stay together.

    Raises:
        ValueError: a class has fewer entries (or groups) than there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    positive = np.asarray(positive)
    least = min(np.bincount(positive.astype(int), minlength=2))
    if groups is not None:
        least = min(least, len(np.unique(groups)))
    if least < folds:
        raise ValueError(f"cannot split into {folds} folds: a class has only {least} entries")
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    fold_of = np.empty(len(positive), np.int64)
    splitter = kind(folds, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(splitter.split(positive, positive, groups)):
        fold_of[held_out] = fold
    return fold_of


def coordinates(features: Tensor) -> Tensor:
    """Features (N, D) as float64 (N, min(N, D)): an isometry up to the mean's shift."""
    centered = features.double()
    centered = centered - centered.mean(0)
    if centered.shape[0] >= centered.shape[1]:
        return centered
    values, vectors = torch.linalg.eigh(centered @ centered.T)
    return vectors * values.clamp_min(0).sqrt()


def minimize(
    inputs: Tensor,
    targets: Tensor,
    weights: Tensor,
    penalties: Tensor,
    logistic: bool,
    max_iterations: int = 500,
) -> Tensor:
    """Fit C linear models at once, each column to the minimum of

    Σ w·loss(x·β + b, y) / Σ w + ½·penalty·‖β‖², loss logistic or half the squared error.

    Batched L-BFGS preconditioned by the Hessian's diagonal bound, backtracking on the outputs.
    Finished columns drop out.

    Args:
        inputs: float64 (N, D).
        targets: float64 (N,), in {0, 1} if logistic.
        weights: float64 (N, C), 0 leaves an entry out of a fit.
        penalties: float64 (C,), positive; the intercept b is not penalized.

    Returns:
        float64 (D + 1, C), the intercept last.

    Raises:
        ArithmeticError: a fit did not converge.
    """  # fmt: skip
    design = F.pad(inputs, (0, 1), value=1.0)
    targets = targets[:, None]
    share = weights / weights.sum(0)
    ridge = penalties.repeat(design.shape[1], 1)
    ridge[-1] = 0
    curvature = 0.25 if logistic else 1.0
    scale = 1 / (curvature * (design.square().T @ share) + ridge + 1e-12)
    solution = torch.zeros(design.shape[1], weights.shape[1], dtype=torch.float64)
    live = torch.arange(weights.shape[1])
    beta, output = solution.clone(), torch.zeros_like(weights)
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []

    def value(output, beta, share, ridge):
        loss = F.softplus(output) - targets * output if logistic else (output - targets) ** 2 / 2
        return (share * loss).sum(0) + (ridge * beta.square()).sum(0) / 2

    def slope(output, beta, share, ridge):
        residual = (output.sigmoid() if logistic else output) - targets
        return design.T @ (share * residual) + ridge * beta

    current, gradient = value(output, beta, share, ridge), slope(output, beta, share, ridge)
    for _ in range(max_iterations):
        going = (gradient.square() * scale).sum(0).sqrt() > TOLERANCE
        if not going.all():
            solution[:, live[~going]] = beta[:, ~going]
            live, beta, output, share, ridge, scale, current, gradient = (
                tensor[..., going]
                for tensor in (live, beta, output, share, ridge, scale, current, gradient)
            )
            pairs = [tuple(tensor[..., going] for tensor in pair) for pair in pairs]
        if not len(live):
            return solution
        direction, remembered = gradient.clone(), []
        for step, change, rho in reversed(pairs):
            a = rho * (step * direction).sum(0)
            remembered.append(a)
            direction -= a * change
        direction *= scale
        for (step, change, rho), a in zip(pairs, reversed(remembered), strict=True):
            direction += step * (a - rho * (change * direction).sum(0))
        direction.neg_()
        descent = (direction * gradient).sum(0)
        moved = design @ direction
        length = torch.ones_like(descent)
        for _ in range(40):
            tried = value(output + length * moved, beta + length * direction, share, ridge)
            failing = tried > current + 1e-4 * length * descent + 1e-14 * current.abs()
            if not failing.any():
                break
            length = torch.where(failing, length / 2, length)
        step = length * direction
        beta, output = beta + step, output + length * moved
        before, gradient = gradient, slope(output, beta, share, ridge)
        current = value(output, beta, share, ridge)
        change = gradient - before
        inner = (step * change).sum(0)
        pairs = [*pairs, (step, change, torch.where(inner > 0, 1 / inner, 0.0))][-MEMORY:]
    raise ArithmeticError(
        f"{len(live)} of {weights.shape[1]} linear probes did not converge in {max_iterations} "
        "iterations: use larger penalties"
    )


def _exact(
    inputs: Tensor,
    targets: Tensor,
    positive: np.ndarray,
    groups,
    config: ProbeConfig,
    logistic: bool,
) -> np.ndarray:
    """Out-of-fold outputs (R, N), the penalty of each training set chosen inside it."""
    count, inner = len(positive), config.inner_folds
    inputs = inputs / inputs.square().sum(1).mean().sqrt().clamp_min(1e-12)
    outer = [
        splits(positive, config.folds, config.seed + repeat, groups)
        for repeat in range(config.repeats)
    ]
    # fits of a training set: one an inner fold left out, and one on all of it (inner fold −1)
    training = np.zeros((config.repeats, config.folds, inner + 1, count))
    inner_of = np.full((config.repeats, config.folds, count), -1)
    for repeat, fold in np.ndindex(config.repeats, config.folds):
        kept = outer[repeat] != fold
        inner_of[repeat, fold, kept] = splits(
            positive[kept], inner, config.seed + repeat, None if groups is None else groups[kept]
        )
        for left_out in range(inner + 1):
            training[repeat, fold, left_out] = kept & (inner_of[repeat, fold] != left_out)
    penalties = torch.tensor(config.penalties, dtype=torch.float64)
    weights = torch.from_numpy(training).reshape(-1, count).repeat_interleave(len(penalties), 0)
    beta = minimize(
        inputs, targets, weights.T.contiguous(),
        penalties.repeat(len(weights) // len(penalties)), logistic,
    )  # fmt: skip
    shape = (count, config.repeats, config.folds, inner + 1, len(penalties))
    output = (F.pad(inputs, (0, 1), value=1.0) @ beta).view(shape).numpy()
    truth = targets.numpy()[:, None]
    result = np.empty((config.repeats, count))
    for repeat, fold in np.ndindex(config.repeats, config.folds):
        error = np.zeros(len(penalties))
        for left_out in range(inner):
            held = inner_of[repeat, fold] == left_out
            guess = output[held, repeat, fold, left_out]
            loss = (
                np.logaddexp(0, guess) - truth[held] * guess
                if logistic
                else (guess - truth[held]) ** 2
            )
            error += loss.sum(0)
        best = len(penalties) - 1 - int(np.argmin(error[::-1]))  # of equals the strongest
        tested = outer[repeat] == fold
        result[repeat, tested] = output[tested, repeat, fold, inner, best]
    return result


def _sgd(inputs: Tensor, positive: np.ndarray, groups, config: ProbeConfig) -> np.ndarray:
    """Out-of-fold logit differences (R, N): all folds of a repeat are trained side by side."""
    count = len(positive)
    labels = torch.from_numpy(positive.astype(np.int64))
    inputs = F.pad(inputs.float(), (0, 1), value=1.0)
    result = np.empty((config.repeats, count))
    for repeat in range(config.repeats):
        fold_of = splits(positive, config.folds, config.seed + repeat, groups)
        generator = torch.Generator().manual_seed(config.seed + repeat)
        train = [torch.from_numpy(np.flatnonzero(fold_of != fold)) for fold in range(config.folds)]
        batch = min(config.batch_size, *(len(rows) for rows in train))
        steps = min(len(rows) for rows in train) // batch
        weight = torch.zeros(config.folds, inputs.shape[1], 2, requires_grad=True)
        optimizer = torch.optim.SGD(
            [weight], lr=config.learning_rate, momentum=config.momentum, nesterov=True,
            weight_decay=config.weight_decay,
        )  # fmt: skip
        for epoch in range(config.epochs):
            drops = epoch // config.drop_every_epochs
            optimizer.param_groups[0]["lr"] = (
                config.learning_rate * config.learning_rate_drop**drops
            )
            order = [rows[torch.randperm(len(rows), generator=generator)] for rows in train]
            for step in range(steps):
                rows = torch.stack([o[step * batch : (step + 1) * batch] for o in order])
                logits = torch.bmm(inputs[rows], weight)
                # the sum over folds gives each fold the gradient of its own mean
                loss = F.cross_entropy(logits.flatten(0, 1), labels[rows].flatten()) * config.folds
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        with torch.no_grad():
            logits = inputs @ weight  # (folds, N, 2)
            margin = (logits[..., 1] - logits[..., 0]).numpy()
        result[repeat] = margin[fold_of, np.arange(count)]
    return result


def probe(
    features: Tensor,
    positive: np.ndarray,
    mos: np.ndarray,
    config: ProbeConfig,
    groups: np.ndarray | None = None,
) -> list[dict]:
    """Judge features by linear models, on entries that no model saw in training.

    Args:
        features: float (N, D).
        positive: bool (N,).
        mos: float64 (N,) mean ratings or known strengths.
        config: how.
        groups: int (N,) entries that must stay together; None for none.

    Returns:
        Metrics with value, low, high and n: accuracy; with the exact solver SRCC and PLCC too.

    Raises:
        ValueError: lengths differ, features are not finite, or there are too few entries.
    """
    if not len(features) == len(positive) == len(mos):
        raise ValueError(
            f"features, positive and mos must have one length, got {len(features)}, "
            f"{len(positive)}, {len(mos)}"
        )
    if not torch.isfinite(features).all():
        raise ValueError("features must be finite")
    inputs = coordinates(features)
    if config.solver == "sgd":
        found = [("accuracy", metrics.accuracy, positive, _sgd(inputs, positive, groups, config))]
    else:
        binary = torch.from_numpy(positive.astype(np.float64))
        rating = torch.from_numpy(mos - mos.mean())
        logits = _exact(inputs, binary, positive, groups, config, logistic=True)
        rated = _exact(inputs, rating, positive, groups, config, logistic=False)
        found = [
            ("accuracy", metrics.accuracy, positive, logits),
            ("srcc", metrics.srcc, mos, rated),
            ("plcc", metrics.plcc, mos, rated),
        ]
    rows = []
    for name, metric, truth, scores in found:
        value, low, high = metrics.bootstrap(metric, truth, scores, config.seed, groups)
        rows.append({"metric": name, "value": value, "low": low, "high": high, "n": len(truth)})
    return rows
