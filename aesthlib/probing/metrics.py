"""Accuracy and correlations, their bootstrap intervals, and paired comparisons of two methods.

A metric is a function of rows, (…, N) to (…). With weights, which say how often each of B
resamples holds each entry, it is one of truth (N,), scores (R, N) and weights (B, N) to (R, B).
"""

from collections.abc import Iterator

import numpy as np

CONFIDENCE = 0.95
BLOCK = 200_000  # entries resampled at once


def accuracy(
    positive: np.ndarray, score: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Share of entries whose score is above 0 exactly where positive is true, in [0, 1].

    Args:
        positive: bool (…, N), or (N,) with weights.
        score: float (…, N) logits, or (R, N) with weights.
        weights: float (B, N) of resamples; None for the entries themselves.
    """
    right = np.asarray(positive, bool) == (np.asarray(score) > 0)
    return right.mean(-1) if weights is None else right @ weights.T / weights.sum(1)


def plcc(mos: np.ndarray, prediction: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Pearson's linear correlation, in [-1, 1]; 0 where either is constant.

    Args:
        mos: float (…, N), or (N,) with weights.
        prediction: float (…, N), or (R, N) with weights.
        weights: float (B, N) of resamples; None for the entries themselves.
    """
    mos, prediction = (_standardized(values) for values in (mos, prediction))
    if weights is None:
        return (mos * prediction).mean(-1)
    share = (weights / weights.sum(1, keepdims=True)).T
    along, across = mos @ share, prediction @ share  # means in a resample
    return _correlation(
        (mos * prediction) @ share - along * across,
        mos**2 @ share - along**2,
        prediction**2 @ share - across**2,
    )


def srcc(mos: np.ndarray, prediction: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Spearman's rank correlation, ties at their mean rank, in [-1, 1]; 0 if either is constant.

    Args:
        mos: float (…, N), or (N,) with weights.
        prediction: float (…, N), or (R, N) with weights.
        weights: float (B, N) of resamples; None for the entries themselves.
    """
    if weights is None:
        from scipy.stats import rankdata  # slow to load

        return plcc(rankdata(mos, axis=-1), rankdata(prediction, axis=-1))
    rank = _ranks(mos, weights)
    weighted = weights * rank
    spread = np.einsum("bn,bn->b", weighted, rank)
    found = []
    for row in prediction:
        other = _ranks(row, weights)
        product = np.einsum("bn,bn->b", weighted, other)
        found.append(_correlation(product, spread, np.einsum("bn,bn->b", weights * other, other)))
    return np.array(found)


def _standardized(values: np.ndarray) -> np.ndarray:
    """Rows with mean 0 and variance 1; 0 where a row is constant."""
    values = np.asarray(values, float)
    values = values - values.mean(-1, keepdims=True)
    varies = np.ptp(values, axis=-1, keepdims=True) > 0
    return np.divide(values, values.std(-1, keepdims=True), np.zeros_like(values), where=varies)


def _correlation(product: np.ndarray, spread: np.ndarray, other: np.ndarray) -> np.ndarray:
    norm = np.sqrt(np.maximum(spread, 0) * np.maximum(other, 0))
    # less is what rounding leaves of a resample whose entries are all equal
    return np.divide(product, norm, out=np.zeros_like(product), where=norm > 1e-12)


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ranks (B, N) of entries within resamples, less the mean rank; ties at their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    held = np.take(weights, np.argsort(place, kind="stable"), 1)
    if len(counts) < len(place):  # entries of equal value together
        held = np.add.reduceat(held, np.cumsum(counts) - counts, 1)
    rank = np.cumsum(held, 1)
    rank -= (held + rank[:, -1:]) / 2
    return np.take(rank, place, 1)


def _resampled(
    count: int, seed: int, groups: np.ndarray | None, resamples: int
) -> Iterator[np.ndarray]:
    """How often each resample holds each entry, float64 (B, N), in blocks."""
    generator = np.random.default_rng(seed)
    unit_of = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = unit_of.max() + 1
    block = max(1, BLOCK // count)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = generator.integers(units, size=(rows, units))
        drawn += units * np.arange(rows)[:, None]
        held = np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units)
        yield held.astype(float)[:, unit_of]


def bootstrap(
    metric,
    truth: np.ndarray,
    scores: np.ndarray,
    seed: int,
    groups: np.ndarray | None = None,
    resamples: int = 1000,
) -> tuple[float, float, float]:
    """Mean of a metric over repeats, and its percentile interval over resampled entries.

    Args:
        metric: one of this module.
        truth: (N,).
        scores: (R, N), out-of-fold scores of R repeats.
        seed: of the resampling.
        groups: int (N,); whole groups are resampled. None resamples entries.
        resamples: number of them.

    Returns:
        value, low, high of the 95 % interval.
    """
    truth, scores = np.asarray(truth), np.atleast_2d(scores)
    drawn = np.concatenate(
        [
            metric(truth, scores, weights).mean(0)
            for weights in _resampled(len(truth), seed, groups, resamples)
        ]
    )
    return _mean(metric, truth, scores), *_interval(drawn)


def compare(
    metric,
    truth: np.ndarray,
    ours: np.ndarray,
    theirs: np.ndarray,
    seed: int,
    groups: np.ndarray | None = None,
    resamples: int = 10_000,
) -> tuple[float, float, float, float]:
    """How much better ours are than theirs on the same entries, by a paired bootstrap.

    Each resample of the entries serves both methods. With B resamples, of which the difference is
    at most 0 in L and at least 0 in G, p = min(1, 2·(1 + min(L, G)) / (1 + B)): the level at which
    the percentile interval would begin to hold 0. So p is never below 2 / (1 + B).

    Args:
        metric: one of this module.
        truth: (N,).
        ours: (R, N) scores of R repeats.
        theirs: (S, N) scores of the same entries in the same order.
        seed: of the resampling.
        groups: int (N,); whole groups are resampled. None resamples entries.
        resamples: their number B.

    Returns:
        difference of the mean metrics, ours less theirs; low, high of its 95 % interval; p,
        two-sided.

    Raises:
        ValueError: the arrays are not of the same entries.
    """
    truth, ours, theirs = np.asarray(truth), np.atleast_2d(ours), np.atleast_2d(theirs)
    if not len(truth) == ours.shape[1] == theirs.shape[1]:
        raise ValueError(
            f"truth, ours and theirs must be of the same entries, got {len(truth)}, "
            f"{ours.shape[1]}, {theirs.shape[1]}"
        )
    drawn = np.concatenate(
        [
            metric(truth, ours, weights).mean(0) - metric(truth, theirs, weights).mean(0)
            for weights in _resampled(len(truth), seed, groups, resamples)
        ]
    )
    fewer = min((drawn <= 0).sum(), (drawn >= 0).sum())
    p = min(1.0, 2 * (1 + int(fewer)) / (1 + resamples))
    difference = _mean(metric, truth, ours) - _mean(metric, truth, theirs)
    return difference, *_interval(drawn), p


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjustment for many comparisons: float (M,) p values to adjusted ones, in [0, 1].

    To reject where the adjusted value is at most α keeps the chance of any false rejection at
    most α, whatever the dependence.
    """
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def _mean(metric, truth: np.ndarray, scores: np.ndarray) -> float:
    return float(np.mean([metric(truth, row) for row in scores]))


def _interval(drawn: np.ndarray) -> tuple[float, float]:
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)
