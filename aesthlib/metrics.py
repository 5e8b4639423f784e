"""Accuracy and correlations with bootstrap intervals. Everything works on rows: (…, N) to (…)."""

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


def accuracy(positive: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Share of entries whose score is above 0 exactly where positive is true, in [0, 1].

    Args:
        positive: bool (…, N).
        score: float (…, N) logits.
    """
    return (np.asarray(positive, bool) == (np.asarray(score) > 0)).mean(-1)


def plcc(mos: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Pearson's linear correlation of float (…, N); 0 where a row is constant."""
    mos = np.asarray(mos, float) - np.mean(mos, -1, keepdims=True)
    prediction = np.asarray(prediction, float) - np.mean(prediction, -1, keepdims=True)
    norm = np.sqrt((mos**2).sum(-1) * (prediction**2).sum(-1))
    return np.divide((mos * prediction).sum(-1), norm, out=np.zeros_like(norm), where=norm > 0)


def srcc(mos: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of float (…, N), ties at their mean rank; 0 if constant."""
    return plcc(stats.rankdata(mos, axis=-1), stats.rankdata(prediction, axis=-1))


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
        metric: function of rows, such as `srcc`.
        truth: (N,).
        scores: (R, N), out-of-fold scores of R repeats.
        seed: of the resampling.
        groups: int (N,); whole groups are resampled. None resamples entries.
        resamples: number of them.

    Returns:
        value, low, high of the 95 % interval.
    """  # fmt: skip
    truth, scores = np.asarray(truth), np.atleast_2d(scores)
    value = float(np.mean([metric(truth, row) for row in scores]))
    generator = np.random.default_rng(seed)
    if groups is None:
        chosen = generator.integers(len(truth), size=(resamples, len(truth)))
        drawn = np.mean([metric(truth[chosen], row[chosen]) for row in scores], axis=0)
    else:
        members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
        drawn = np.empty(resamples)
        for index in range(resamples):
            picks = generator.integers(len(members), size=len(members))
            chosen = np.concatenate([members[pick] for pick in picks])
            drawn[index] = np.mean([metric(truth[chosen], row[chosen]) for row in scores])
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return value, float(low), float(high)
