"""Probes on frozen features: linear, converged ("exact") or by the paper's schedule ("sgd"), and
with one hidden layer ("nonlinear").

Features are centred by their mean over all entries (no label enters). A linear model with an L2
penalty, or trained by SGD from zero, never leaves the span of its features. So N entries of D > N
values are turned into N coordinates without loss: every distance, every solution and every step of
SGD on the centred features stays the same, at N/D of the cost. A hidden layer may work there too:
it starts from independent Gaussian weights of one variance, whose law no rotation changes, and the
part of its weights outside the span neither reaches an output nor gets a gradient. Its features are
scaled by one number to a mean variance of 1 a value, so that one learning rate serves all layers.

Folds, inner folds, penalties and both losses are fitted at once, one row a fit, weights marking
its entries. Large problems keep their features, in float32; their leading principal directions
precondition the fits. Small parts of them are turned into their own span.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import metrics, settings

SOLVERS = ("exact", "sgd", "nonlinear")
MEMORY = 10  # pairs that L-BFGS keeps
TOLERANCE = {torch.float64: 1e-6, torch.float32: 3e-4}  # of the preconditioned gradient's norm
ROTATED = 2000  # up to so many entries or values, whichever are fewer, coordinates are made
SPANNED = 1000  # up to so many training entries of larger problems, their own span is turned
DIRECTIONS = 256  # principal directions that precondition larger problems
DIRECTIONS_FROM = 4096  # entries, evenly spaced, that they are estimated from


class Scored(NamedTuple):
    """What a probe found.

    Attributes:
        rows: metrics with value, low, high and n.
        scores: float32 (R, n) by kind, "logit" and, where ratings were judged, "rating" in their
            unit; of the judged entries in their order, by R repeats.
    """

    rows: list[dict]
    scores: dict[str, np.ndarray]


@dataclass(frozen=True)
class ProbeConfig:
    """How features are judged.

    Attributes:
        solver: "exact", the minimum of the penalized loss; "sgd", the paper's schedule; or
            "nonlinear", one hidden layer by the same schedule.
        folds: of the stratified cross-validation where there is no fixed split; the same for every
            method.
        repeats: of the cross-validation, each with other folds. With a fixed split, of SGD from
            other draws; the exact solution has one.
        inner_folds: within the training entries, where the penalty is chosen; fewer where a class
            has fewer entries, and with a single entry of a class the strongest penalty is taken.
        penalties: L2, on features scaled to a mean squared norm of 1.
        epochs: of solvers "sgd" and "nonlinear", as all that follows but the seed; fixed
            beforehand, not stated in the paper.
        learning_rate: at the start.
        learning_rate_drop: factor after every so many epochs.
        drop_every_epochs: epochs between drops.
        batch_size: entries a step.
        momentum: Nesterov's.
        weight_decay: on all weights.
        hidden_units: of solver "nonlinear".
        dropout: of the hidden units, as a share.
        seed: of folds, subsets, weights, batches and intervals.
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
    hidden_units: int = 256
    dropout: float = 0.5
    seed: int = 0

    def __post_init__(self):
        if self.solver not in SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, got {self.solver!r}")
        settings.settle(self)
        settings.hold(
            self,
            {
                "folds": 2,
                "repeats": 1,
                "inner_folds": 2,
                "epochs": 1,
                "drop_every_epochs": 1,
                "batch_size": 1,
                "learning_rate": 0,
                "learning_rate_drop": 0,
                "momentum": 0,
                "weight_decay": 0,
                "hidden_units": 1,
                "dropout": 0,
            },
        )
        if self.dropout >= 1:
            raise ValueError(f"dropout must be below 1, got {self.dropout}")
        if not self.penalties or min(self.penalties) <= 0:
            raise ValueError(f"penalties must be positive, got {self.penalties}")
        object.__setattr__(self, "penalties", tuple(sorted(map(float, self.penalties))))


def splits(
    positive: np.ndarray, folds: int, seed: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """Fold of every entry, int64 (N,), stratified by class; groups stay together.

    Raises:
        ValueError: a class has fewer entries, or is in fewer groups, than there are folds, or the
            groups leave a fold empty or a class out of a training set.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    positive = np.asarray(positive, bool)
    unit = np.arange(len(positive)) if groups is None else np.asarray(groups)
    least = min(len(np.unique(unit[positive == kind])) for kind in (False, True))
    if least < folds:
        of = "entries" if groups is None else "groups"
        raise ValueError(f"cannot split into {folds} folds: a class has only {least} {of}")
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    fold_of = np.empty(len(positive), np.int64)
    splitter = kind(folds, shuffle=True, random_state=seed)
    for fold, (trained, held_out) in enumerate(splitter.split(positive, positive, groups)):
        if not len(held_out) or positive[trained].all() or not positive[trained].any():
            raise ValueError(f"cannot split into {folds} folds: the groups are too unequal")
        fold_of[held_out] = fold
    return fold_of


def subset_splits(
    positive: np.ndarray,
    fraction: float,
    seed: int,
    config: ProbeConfig,
    groups: np.ndarray | None = None,
    test: np.ndarray | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training sets of a part of the labels, the same for every method (Fig. 5 and 6).

    Of each class of a training set, the first entries in an order drawn from the seed: rounded,
    at least one. So for one seed the smaller fractions are parts of the larger ones.

    Args:
        positive: bool (N,).
        fraction: of the training entries of each class, above 0 and up to 1.
        seed: of the subset and, without a fixed split, of the folds, added to the config's.
        config: its folds and seed are used.
        groups: int (N,) entries that no fold parts; None for none.
        test: bool (N,) the test entries of a fixed split; None for cross-validation.

    Returns:
        Rows of training and test entries, ascending int64: one pair with a fixed split, else one
        for each fold.

    Raises:
        ValueError: the fraction is not in (0, 1], or a class is missing in training.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be above 0 and at most 1, got {fraction}")
    positive = np.asarray(positive, bool)
    if test is None:
        fold_of = splits(positive, config.folds, config.seed + seed, groups)
        tested = [fold_of == fold for fold in range(config.folds)]
    else:
        tested = [_fixed(positive, test)]
    generator = torch.Generator().manual_seed(config.seed + seed)
    order = torch.randperm(len(positive), generator=generator).numpy()
    pairs = []
    for held_out in tested:
        chosen = []
        for kind in (False, True):
            rows = order[~held_out[order] & (positive[order] == kind)]
            chosen.append(rows[: max(1, round(fraction * len(rows)))])
        pairs.append((np.sort(np.concatenate(chosen)), np.flatnonzero(held_out)))
    return pairs


def _fixed(positive: np.ndarray, test: np.ndarray) -> np.ndarray:
    test = np.asarray(test)
    if test.dtype != bool or test.shape != positive.shape:
        raise ValueError(
            f"test must be bool of shape {positive.shape}, got {test.dtype} {test.shape}"
        )
    if not test.any():
        raise ValueError("test marks no entry")
    if len(np.unique(positive[~test])) < 2:
        raise ValueError("the entries that are not marked in test lack a class")
    return test


def coordinates(features: Tensor) -> Tensor:
    """Centred features (N, D) along their principal directions: an isometry up to the mean's shift.

    Returns:
        float64 (N, min(N, D)) where the smaller of N and D is at most `ROTATED`; beyond, the
        centred features themselves, float32 (N, D).
    """
    if min(features.shape) > ROTATED:
        return features.float() - features.mean(0, dtype=torch.float32)
    centered = features.double()
    centered = centered - centered.mean(0)
    if centered.shape[0] >= centered.shape[1]:
        return centered @ torch.linalg.eigh(centered.T @ centered)[1]
    values, vectors = torch.linalg.eigh(centered @ centered.T)
    return vectors * values.clamp_min(0).sqrt()


def principal(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The leading principal directions of centred inputs (N, D), well enough to precondition fits.

    Two rounds of block power iteration from fixed random vectors, on entries evenly spaced.

    Returns:
        directions (D, K) and the variances along them (K,), descending; K is `DIRECTIONS`, or the
        smaller of N and D.
    """
    inputs = inputs[:: -(-len(inputs) // DIRECTIONS_FROM)]
    start = torch.randn(
        len(inputs), min(DIRECTIONS, *inputs.shape), generator=torch.Generator().manual_seed(0)
    )
    start = start.to(inputs.dtype)
    for _ in range(2):
        basis = torch.linalg.qr(inputs.T @ start)[0]
        start = inputs @ basis
    values, vectors = torch.linalg.eigh(start.T @ start / len(inputs))
    return basis @ vectors.flip(1), values.flip(0)


def minimize(
    inputs: Tensor,
    targets: Tensor,
    weights: Tensor,
    penalties: Tensor,
    logistic: int,
    directions: tuple[Tensor, Tensor] | None = None,
    start: Tensor | None = None,
    max_iterations: int = 5000,
) -> Tensor:
    """Fit C linear models at once, each row to the minimum of

    Σ w·loss(x·β + b, y) / Σ w + ½·penalty·‖β‖², loss logistic or half the squared error.

    Batched L-BFGS with backtracking on the outputs, preconditioned by the Hessian's diagonal or,
    given principal directions, by the Hessian along them. Finished fits drop out: those with
    √(gᵀPg) of at most `TOLERANCE`, g the gradient, P the preconditioner, which is 1e-6 for float64
    inputs and 3e-4 for float32. Half its square estimates how far the sum is above its minimum.
    Products with the inputs have their precision, the sum is float64.

    Args:
        inputs: float64 or float32 (N, D).
        targets: float64 (C, N), in {0, 1} in logistic fits.
        weights: float64 (C, N), 0 leaves an entry out of a fit.
        penalties: float64 (C,), positive; the intercept b is not penalized.
        logistic: so many fits, from the first, have the logistic loss.
        directions: from `principal`; None where the inputs' covariance is nearly diagonal.
        start: (C, D + 1) where to begin; None for zero.
        max_iterations: that a fit may need.

    Returns:
        (C, D + 1) in the inputs' precision, the intercept last.

    Raises:
        ArithmeticError: a fit did not converge.
    """
    dtype, count = inputs.dtype, len(weights)
    beta = inputs.new_zeros(count, inputs.shape[1] + 1) if start is None else start.to(dtype)
    share = weights / weights.sum(1, keepdim=True)
    ridge = penalties.to(dtype)[:, None].repeat(1, beta.shape[1])
    ridge[:, -1] = 0
    if directions is None:
        spread = share.to(dtype) @ inputs.square()
    else:
        along, variances = directions
        spread = variances[-1].expand(count, inputs.shape[1])
    spread = F.pad(spread, (0, 1), value=1.0)
    solution, live = torch.empty_like(beta), torch.arange(count)
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []

    def value(output, beta):
        bent, straight = output[:logistic], output[logistic:] - targets[logistic:]
        loss = torch.cat([F.softplus(bent) - targets[:logistic] * bent, straight.square() / 2])
        return (share * loss).sum(1) + (ridge * beta.square()).sum(1, dtype=torch.float64) / 2

    def slope(output, beta):
        """The gradient, and each fit's mean second derivative of the loss."""
        guess = torch.cat([output[:logistic].sigmoid(), output[logistic:]])
        residual = (share * (guess - targets)).to(dtype)
        bend = ridge.new_ones(len(ridge), 1)
        curved = (share * guess * (1 - guess))[:logistic].sum(1, keepdim=True)
        bend[:logistic] = curved.clamp_min(1e-3)
        return torch.hstack([residual @ inputs, residual.sum(1, keepdim=True)]) + ridge * beta, bend

    def precondition(vectors):
        result = vectors / (bend * spread + ridge + 1e-12)
        if directions is not None:
            gain, rest = (1 / (bend * v + ridge[:, :1]) for v in (variances, variances[-1:]))
            result[:, :-1] += (vectors[:, :-1] @ along * (gain - rest)) @ along.T
        return result

    output = _outputs(inputs, beta).double()
    current, (gradient, bend) = value(output, beta), slope(output, beta)
    for iteration in range(max_iterations + 1):
        left = (gradient * precondition(gradient)).sum(1)
        going = ~(left <= TOLERANCE[dtype] ** 2)  # so that what is not a number goes on
        if not going.all():
            solution[live[~going]] = beta[~going]
            logistic, kept = int(going[:logistic].sum()), going.nonzero().squeeze(1)
            live, beta, output, targets, share, ridge, spread, current, gradient, bend = (
                tensor.index_select(0, kept)
                for tensor in (
                    live,
                    beta,
                    output,
                    targets,
                    share,
                    ridge,
                    spread,
                    current,
                    gradient,
                    bend,
                )
            )
            pairs = [tuple(tensor.index_select(0, kept) for tensor in pair) for pair in pairs]
        if not len(live):
            return solution
        if iteration == max_iterations:
            break
        direction, remembered = gradient.clone(), []
        for step, change, rho in reversed(pairs):
            a = rho * (step * direction).sum(1, keepdim=True)
            remembered.append(a)
            direction -= a * change
        direction = precondition(direction)
        for (step, change, rho), a in zip(pairs, reversed(remembered), strict=True):
            direction += step * (a - rho * (change * direction).sum(1, keepdim=True))
        direction.neg_()
        descent = (direction * gradient).sum(1, dtype=torch.float64)
        moved = _outputs(inputs, direction).double()
        length = torch.ones_like(descent)
        for _ in range(40):
            there = output + length[:, None] * moved
            ahead = beta + length[:, None].to(dtype) * direction
            tried = value(there, ahead)
            failing = tried > current + 1e-4 * length * descent + 1e-14 * current.abs()
            if not failing.any():
                break
            length = torch.where(failing, length / 2, length)
        step, before = ahead - beta, gradient
        beta, output, current = ahead, there, tried
        gradient, bend = slope(output, beta)
        change = gradient - before
        inner = (step * change).sum(1, keepdim=True)
        pairs = [*pairs, (step, change, torch.where(inner > 0, 1 / inner, 0.0))][-MEMORY:]
    raise ArithmeticError(
        f"{len(live)} of {count} linear probes did not converge in {max_iterations} "
        "iterations: use larger penalties"
    )


def _outputs(inputs: Tensor, beta: Tensor) -> Tensor:
    """Outputs (C, N) of linear models (C, D + 1)."""
    # one fit a row: with few columns, MKL is up to thirty times slower on the transpose
    return beta[:, :-1] @ inputs.T + beta[:, -1:]


def _inner_folds(positive: np.ndarray, config: ProbeConfig, seed: int, groups) -> np.ndarray:
    """Inner fold of every entry; −1 for all where no two folds can be made."""
    for folds in range(config.inner_folds, 1, -1):
        try:
            return splits(positive, folds, seed, groups)
        except ValueError:
            continue
    return np.full(len(positive), -1)


def _fit(
    inputs: Tensor,
    targets: list[Tensor],
    positive: np.ndarray,
    groups,
    training: np.ndarray,
    config: ProbeConfig,
    seed: int,
    directions,
) -> tuple[Tensor, Tensor]:
    """Solutions (T, S, d + 1), the penalty of each training set chosen inside it; and (T, S) the
    losses, summed over the training set, of the chosen penalty on the inner folds left out.

    Args:
        inputs: (n, d), scaled.
        targets: float64 (n,) each; the first is binary, a second is a rating.
        training: bool (S, n) training sets.
    """
    inner, sets, count = config.inner_folds, len(training), len(inputs)
    penalties = torch.tensor(config.penalties, dtype=torch.float64)
    inner_of = np.full((sets, count), -1)
    for row, kept in zip(inner_of, training, strict=True):
        row[kept] = _inner_folds(
            positive[kept], config, seed, None if groups is None else groups[kept]
        )
    held = torch.from_numpy(inner_of[:, None] == np.arange(inner)[:, None])  # (S, I, n)
    kept, truth = torch.from_numpy(training), torch.stack(targets)
    # a fit for every target, training set, inner fold that is left out, and penalty
    shape = (len(targets), sets, inner, len(penalties))
    fits = sets * inner * len(penalties)
    weights = (kept[:, None] & ~held).flatten(0, 1).repeat_interleave(len(penalties), 0).double()
    beta = minimize(
        inputs,
        truth.repeat_interleave(fits, 0),
        weights.repeat(len(targets), 1),
        penalties.repeat(len(targets) * sets * inner),
        fits,
        directions,
    )
    guess = _outputs(inputs, beta).double().view(*shape, count)
    loss = torch.stack(
        [
            F.softplus(of) - target * of if index == 0 else (of - target).square()
            for index, (of, target) in enumerate(zip(guess, targets, strict=True))
        ]
    )
    error = torch.einsum("tsipn,sin->tsp", loss, held.double())
    best = len(penalties) - 1 - error.flip(-1).argmin(-1)  # (T, S), of equals the strongest
    start = beta.view(*shape, -1).mean(2)[
        torch.arange(len(targets))[:, None], torch.arange(sets), best
    ]
    solved = minimize(
        inputs,
        truth.repeat_interleave(sets, 0),
        kept.double().repeat(len(targets), 1),
        penalties[best].flatten(),
        sets,
        directions,
        start.flatten(0, 1),
    )
    return solved.view(len(targets), sets, -1), error.gather(-1, best[..., None])[..., 0]


def _scaled(features: Tensor) -> Tensor:
    """Coordinates with a mean squared norm of 1."""
    inputs = coordinates(features)
    norm = torch.linalg.vector_norm(inputs, dim=1).square().mean().sqrt()
    return inputs.div_(norm.clamp_min(1e-12))


def _span(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates, float64 (n, n), of few inputs (n, D) within their span, and the way back:
    (n, n) that turns a solution in coordinates into weights of the inputs' rows."""
    values, vectors = torch.linalg.eigh((inputs @ inputs.T).double())
    noise = torch.finfo(inputs.dtype).eps * values[-1]  # of the products
    root = torch.where(values > noise, values, 0.0).sqrt()
    return vectors * root, vectors * torch.where(root > 0, 1 / root, 0.0)


def _directions(inputs: Tensor) -> tuple[Tensor, Tensor] | None:
    return principal(inputs) if inputs.dtype == torch.float32 else None


def _fit_part(
    part: Tensor,
    target: Tensor,
    positive: np.ndarray,
    groups,
    config: ProbeConfig,
    seed: int,
    directions,
) -> Tensor:
    """The solution (1, D + 1) of one training set (n, D); where few entries are a part of a large
    problem, it is found in their span."""
    spanned = directions is not None and len(part) <= SPANNED
    inputs, back = _span(part) if spanned else (part, None)
    training = np.ones((1, len(part)), bool)
    (beta,), _ = _fit(
        inputs, [target], positive, groups, training, config, seed, None if spanned else directions
    )
    if not spanned:
        return beta
    weights = (beta[:, :-1] @ back.T).to(part.dtype) @ part
    return torch.hstack([weights, beta[:, -1:].to(part.dtype)])


def _exact(
    features: Tensor, targets: list[Tensor], positive: np.ndarray, groups, test, config: ProbeConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (targets, R, judged) of the converged solutions, and what the training entries say of
    them: losses (targets, R, S) of `_fit`, R repeats of S training sets."""
    inputs = _scaled(features)
    directions = _directions(inputs)
    if test is not None:
        kept = np.flatnonzero(~test)
        beta, error = _fit(
            inputs[kept],
            [target[kept] for target in targets],
            positive[kept],
            None if groups is None else groups[kept],
            np.ones((1, len(kept)), bool),
            config,
            config.seed,
            directions,
        )
        return _outputs(inputs, beta[:, 0])[:, None].numpy()[..., test], error[:, None].numpy()
    result = np.empty((len(targets), config.repeats, len(positive)))
    errors = np.empty((len(targets), config.repeats, config.folds))
    for repeat in range(config.repeats):
        fold_of = splits(positive, config.folds, config.seed + repeat, groups)
        training = fold_of != np.arange(config.folds)[:, None]
        beta, error = _fit(
            inputs, targets, positive, groups, training, config, config.seed + repeat, directions
        )
        output = torch.stack([_outputs(inputs, of) for of in beta]).numpy()  # (T, S, N)
        result[:, repeat] = output[:, fold_of, np.arange(len(positive))]
        errors[:, repeat] = error.numpy()
    return result, errors


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


def _sgd(features: Tensor, positive: np.ndarray, groups, test, config: ProbeConfig) -> np.ndarray:
    """Scores (R, judged) of models trained by SGD, a repeat's folds side by side."""
    if config.solver == "nonlinear":  # as if each value had a variance of 1
        inputs = _scaled(features).mul_(features.shape[1] ** 0.5).float()
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


def _check(features: Tensor, positive, **beside) -> None:
    for name, values in {"positive": positive, **beside}.items():
        if values is not None and len(values) != len(features):
            raise ValueError(
                f"features and {name} must have one length, got {len(features)} and {len(values)}"
            )
    if not all(torch.isfinite(extreme) for extreme in features.aminmax()):
        raise ValueError("features must be finite")


def probe(
    features: Tensor,
    positive: np.ndarray,
    mos: np.ndarray | None,
    config: ProbeConfig,
    groups: np.ndarray | None = None,
    test: np.ndarray | None = None,
) -> Scored:
    """Judge features by models, on entries that no model saw in training.

    Args:
        features: float (N, D).
        positive: bool (N,).
        mos: float64 (N,) mean ratings or known strengths; None where there are none.
        config: how.
        groups: int (N,) entries that must stay together; None for none.
        test: bool (N,) the test entries of a fixed split: they are judged, the others train. None
            judges every entry by cross-validation.

    Returns:
        Rows: accuracy; with the exact solver and ratings SRCC and PLCC too. And the scores.

    Raises:
        ValueError: lengths differ, features are not finite, or there are too few entries.
    """
    _check(features, positive, mos=mos, groups=groups, test=test)
    if test is not None:
        _fixed(np.asarray(positive, bool), test)
    if config.solver != "exact":
        scores = {"logit": _sgd(features, np.asarray(positive, bool), groups, test, config)}
    else:
        scores, _ = _converged(features, positive, mos, config, groups, test)
    return _scored(scores, positive, mos, config, groups, test)


def select(
    candidates: Iterable[Tensor],
    positive: np.ndarray,
    mos: np.ndarray,
    config: ProbeConfig,
    groups: np.ndarray | None = None,
    test: np.ndarray | None = None,
) -> tuple[Scored, dict[str, np.ndarray]]:
    """Judge a choice among features that each training set makes for itself.

    Every candidate is fitted by the exact solver; in each training set the one with the smallest
    loss on its inner folds scores the test entries, for the classes and the ratings each by its own
    loss. So the test entries take no part in the choice.

    Args:
        candidates: features, float (N, D) each, D as it may be; gone through once.
        mos: float64 (N,) mean ratings.
        positive, config, groups, test: as in `probe`.

    Returns:
        What `probe` returns, and by kind of score the number of the chosen candidate, int64 (R, S),
        R repeats of S training sets.

    Raises:
        ValueError: as `probe`, or there is no candidate.
    """
    scores, least, chosen = {}, {}, {}
    for number, values in enumerate(candidates):
        _check(values, positive, mos=mos, groups=groups, test=test)
        found, errors = _converged(values, positive, mos, config, groups, test)
        for kind, theirs in found.items():
            if number == 0:
                scores[kind], least[kind] = theirs, errors[kind]
                chosen[kind] = np.zeros(errors[kind].shape, int)
                continue
            better = errors[kind] < least[kind]  # (R, S)
            chosen[kind][better] = number
            least[kind] = np.minimum(least[kind], errors[kind])
            of_entry = (
                better
                if test is not None
                else np.stack(
                    [
                        row[splits(positive, config.folds, config.seed + repeat, groups)]
                        for repeat, row in enumerate(better)
                    ]
                )
            )
            scores[kind] = np.where(of_entry, theirs, scores[kind])
    if not scores:
        raise ValueError("candidates: there is none to choose from")
    return _scored(scores, positive, mos, config, groups, test), chosen


def _converged(
    features: Tensor, positive, mos, config: ProbeConfig, groups, test
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Scores (R, judged) of the exact solver by kind, ratings in their unit, and the losses."""
    positive = np.asarray(positive, bool)
    binary = torch.from_numpy(positive).double()
    if mos is None:
        result, errors = _exact(features, [binary], positive, groups, test, config)
        return {"logit": result[0]}, {"logit": errors[0]}
    mos = np.asarray(mos, np.float64)
    # the tolerance is meant for ratings of variance 1; solutions scale with them
    known = mos if test is None else mos[~_fixed(positive, test)]
    center, unit = known.mean(), known.std() or 1.0
    targets = [binary, torch.from_numpy((mos - center) / unit)]
    (logit, rating), errors = _exact(features, targets, positive, groups, test, config)
    scores = {"logit": logit, "rating": rating * unit + center}
    return scores, dict(zip(scores, errors, strict=True))


def _scored(scores: dict[str, np.ndarray], positive, mos, config, groups, test) -> Scored:
    """Metrics of scores, with their intervals."""
    positive = np.asarray(positive, bool)
    judged = slice(None) if test is None else _fixed(positive, test)
    scores = {kind: values.astype(np.float32) for kind, values in scores.items()}
    asked = [("accuracy", metrics.accuracy, positive, "logit")]
    if "rating" in scores:
        mos = np.asarray(mos, np.float64)
        asked += [("srcc", metrics.srcc, mos, "rating"), ("plcc", metrics.plcc, mos, "rating")]
    rows = []
    for name, metric, truth, kind in asked:
        value, low, high = metrics.bootstrap(
            metric,
            truth[judged],
            scores[kind],
            config.seed,
            None if groups is None else np.asarray(groups)[judged],
        )
        n = scores[kind].shape[1]
        rows.append({"metric": name, "value": value, "low": low, "high": high, "n": n})
    return Scored(rows, scores)


def low_data(
    features: Tensor,
    positive: np.ndarray,
    config: ProbeConfig,
    fractions: Iterable[float],
    subsets: int,
    groups: np.ndarray | None = None,
    test: np.ndarray | None = None,
) -> list[dict]:
    """Accuracy of exact probes that are trained on parts of the labels (Fig. 5 and 6).

    Penalties are chosen inside each part, as in `probe`; centring and scale are those of all
    entries.

    Args:
        features: float (N, D).
        positive: bool (N,).
        config: its folds, inner folds, penalties and seed are used.
        fractions: of the training entries of each class.
        subsets: of each fraction, seeds 0, 1 … of `subset_splits`.
        groups: as in `probe`.
        test: as in `probe`.

    Returns:
        A row for each fraction and subset: fraction, subset, accuracy in [0, 1], n_train (the mean
        over folds, rounded down) and n, the entries judged.

    Raises:
        ValueError: as `probe` and `subset_splits`.
    """
    _check(features, positive, groups=groups, test=test)
    positive = np.asarray(positive, bool)
    binary = torch.from_numpy(positive).double()
    inputs = _scaled(features)
    directions = _directions(inputs)
    room = torch.empty_like(inputs)  # where rows are gathered, no memory being faulted in twice
    found = []
    for fraction in fractions:
        for subset in range(subsets):
            right, tested, trained = 0, 0, 0
            pairs = subset_splits(positive, fraction, subset, config, groups, test)
            for train, judged in pairs:
                rows = torch.from_numpy(np.concatenate([train, judged]))
                gathered = torch.index_select(inputs, 0, rows, out=room[: len(rows)])
                part, tests = gathered.split([len(train), len(judged)])
                beta = _fit_part(
                    part,
                    binary[train],
                    positive[train],
                    None if groups is None else groups[train],
                    config,
                    config.seed + subset,
                    directions,
                )
                logit = _outputs(tests, beta)[0].numpy()
                right += int(((logit > 0) == positive[judged]).sum())
                tested, trained = tested + len(judged), trained + len(train)
            found.append(
                {
                    "fraction": float(fraction),
                    "subset": subset,
                    "accuracy": right / tested,
                    "n_train": trained // len(pairs),
                    "n": tested,
                }
            )
    return found
