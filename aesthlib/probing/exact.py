"""The converged solution of a linear probe, its penalty chosen inside the training entries.

Folds, inner folds, penalties and both losses are fitted at once, one row a fit, weights marking
its entries. Large problems keep their features, in float32; their leading principal directions
precondition the fits. Small parts of them are turned into their own span.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .config import ProbeConfig
from .folds import fixed, inner_folds, splits
from .lbfgs import directions_of, minimize, outputs, scaled, span

SPANNED = 1000  # up to so many training entries of larger problems, their own span is turned


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
        row[kept] = inner_folds(
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
    guess = outputs(inputs, beta).double().view(*shape, count)
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


def fit_part(
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
    inputs, back = span(part) if spanned else (part, None)
    training = np.ones((1, len(part)), bool)
    (beta,), _ = _fit(
        inputs, [target], positive, groups, training, config, seed, None if spanned else directions
    )
    if not spanned:
        return beta
    weights = (beta[:, :-1] @ back.T).to(part.dtype) @ part
    return torch.hstack([weights, beta[:, -1:].to(part.dtype)])


def exact(
    features: Tensor, targets: list[Tensor], positive: np.ndarray, groups, test, config: ProbeConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (targets, R, judged) of the converged solutions, and what the training entries say of
    them: losses (targets, R, S) of `_fit`, R repeats of S training sets."""
    inputs = scaled(features)
    directions = directions_of(inputs)
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
        return outputs(inputs, beta[:, 0])[:, None].numpy()[..., test], error[:, None].numpy()
    result = np.empty((len(targets), config.repeats, len(positive)))
    errors = np.empty((len(targets), config.repeats, config.folds))
    for repeat in range(config.repeats):
        fold_of = splits(positive, config.folds, config.seed + repeat, groups)
        training = fold_of != np.arange(config.folds)[:, None]
        beta, error = _fit(
            inputs, targets, positive, groups, training, config, config.seed + repeat, directions
        )
        output = torch.stack([outputs(inputs, of) for of in beta]).numpy()  # (T, S, N)
        result[:, repeat] = output[:, fold_of, np.arange(len(positive))]
        errors[:, repeat] = error.numpy()
    return result, errors


def converged(
    features: Tensor, positive, mos, config: ProbeConfig, groups, test
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Scores (R, judged) of the exact solver by kind, ratings in their unit, and the losses."""
    positive = np.asarray(positive, bool)
    binary = torch.from_numpy(positive).double()
    if mos is None:
        result, errors = exact(features, [binary], positive, groups, test, config)
        return {"logit": result[0]}, {"logit": errors[0]}
    mos = np.asarray(mos, np.float64)
    # the tolerance is meant for ratings of variance 1; solutions scale with them
    known = mos if test is None else mos[~fixed(positive, test)]
    center, unit = known.mean(), known.std() or 1.0
    targets = [binary, torch.from_numpy((mos - center) / unit)]
    (logit, rating), errors = exact(features, targets, positive, groups, test, config)
    scores = {"logit": logit, "rating": rating * unit + center}
    return scores, dict(zip(scores, errors, strict=True))
