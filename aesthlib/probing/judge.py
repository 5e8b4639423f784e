"""Probes on frozen features: linear, converged ("exact") or by the paper's schedule ("sgd"), and
with one hidden layer ("nonlinear").

Features are centred by their mean over all entries (no label enters). A linear model with an L2
penalty, or trained by SGD from zero, never leaves the span of its features. So N entries of D > N
values are turned into N coordinates without loss: every distance, every solution and every step of
SGD on the centred features stays the same, at N/D of the cost. A hidden layer may work there too:
it starts from independent Gaussian weights of one variance, whose law no rotation changes, and the
part of its weights outside the span neither reaches an output nor gets a gradient. Its features are
scaled by one number to a mean variance of 1 a value, so that one learning rate serves all layers.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import metrics
from .config import ProbeConfig
from .exact import converged, fit_part
from .folds import fixed, splits, subset_splits
from .lbfgs import directions_of, outputs, scaled
from .sgd import descend


class Scored(NamedTuple):
    """What a probe found.

    Attributes:
        rows: metrics with value, low, high and n.
        scores: float32 (R, n) by kind, "logit" and, where ratings were judged, "rating" in their
            unit; of the judged entries in their order, by R repeats.
    """

    rows: list[dict]
    scores: dict[str, np.ndarray]


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
        fixed(np.asarray(positive, bool), test)
    if config.solver != "exact":
        scores = {"logit": descend(features, np.asarray(positive, bool), groups, test, config)}
    else:
        scores, _ = converged(features, positive, mos, config, groups, test)
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
        found, errors = converged(values, positive, mos, config, groups, test)
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


def _scored(scores: dict[str, np.ndarray], positive, mos, config, groups, test) -> Scored:
    """Metrics of scores, with their intervals."""
    positive = np.asarray(positive, bool)
    judged = slice(None) if test is None else fixed(positive, test)
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
    inputs = scaled(features)
    directions = directions_of(inputs)
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
                beta = fit_part(
                    part,
                    binary[train],
                    positive[train],
                    None if groups is None else groups[train],
                    config,
                    config.seed + subset,
                    directions,
                )
                logit = outputs(tests, beta)[0].numpy()
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
