"""Who trains and who is judged: folds, parts of the labels, fixed splits."""

import numpy as np
import torch

from .config import ProbeConfig


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


def inner_folds(positive: np.ndarray, config: ProbeConfig, seed: int, groups) -> np.ndarray:
    """Inner fold of every entry; −1 for all where no two folds can be made."""
    for folds in range(config.inner_folds, 1, -1):
        try:
            return splits(positive, folds, seed, groups)
        except ValueError:
            continue
    return np.full(len(positive), -1)


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
        tested = [fixed(positive, test)]
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


def fixed(positive: np.ndarray, test: np.ndarray) -> np.ndarray:
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
