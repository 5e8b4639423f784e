"""Linear probes against scikit-learn, and what may not leak."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from aesthlib import probes
from aesthlib.probes import ProbeConfig


def entries(count=80, values=200, signal=1.0, seed=0):
    generator = np.random.default_rng(seed)
    mos = generator.normal(size=count)
    direction = generator.normal(size=values)
    features = generator.normal(size=(count, values)) + signal * np.outer(mos, direction)
    return torch.from_numpy(features.astype(np.float32)), mos > np.median(mos), mos


@pytest.mark.parametrize("shape", [(30, 100), (100, 30)], ids=["fewer entries", "fewer values"])
def test_coordinates_keep_every_distance(shape):
    features = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    inputs = probes.coordinates(features)
    assert inputs.shape == (shape[0], min(shape))
    torch.testing.assert_close(
        torch.cdist(inputs, inputs), torch.cdist(features.double(), features.double()),
        atol=1e-5, rtol=1e-5,
    )  # fmt: skip


@pytest.mark.parametrize("penalty", [1e-3, 1e-1])
def test_logistic_minimum_is_scikit_learns(penalty):
    features, positive, _ = entries(values=20)
    weights = torch.zeros(80, 2, dtype=torch.float64)
    weights[:50, 0] = weights[20:, 1] = 1  # two subsets, fitted at once
    targets = torch.from_numpy(positive.astype(float))
    both = probes.minimize(
        features.double(), targets, weights, torch.full((2,), penalty).double(), logistic=True
    )
    for column, rows in enumerate((slice(None, 50), slice(20, None))):
        size = len(features[rows])
        second = LogisticRegression(C=1 / (penalty * size), tol=1e-12, max_iter=10_000).fit(
            features[rows].numpy().astype(float), positive[rows]
        )
        assert both[:-1, column].numpy() == pytest.approx(second.coef_[0], abs=2e-4)
        assert both[-1, column].item() == pytest.approx(second.intercept_[0], abs=2e-4)


def test_ridge_minimum_is_scikit_learns():
    features, _, mos = entries(values=20)
    solution = probes.minimize(
        features.double(), torch.from_numpy(mos), torch.ones(80, 1).double(),
        torch.tensor([0.1]).double(), logistic=False,
    )  # fmt: skip
    second = Ridge(alpha=0.1 * 80, tol=1e-12).fit(features.numpy().astype(float), mos)
    assert solution[:-1, 0].numpy() == pytest.approx(second.coef_, abs=1e-5)


def test_splits_are_stratified_seeded_and_keep_groups_together():
    positive = np.arange(60) % 3 == 0
    fold_of = probes.splits(positive, 5, seed=0)
    assert np.array_equal(fold_of, probes.splits(positive, 5, seed=0))
    assert not np.array_equal(fold_of, probes.splits(positive, 5, seed=1))
    assert all(positive[fold_of == fold].sum() == 4 for fold in range(5))
    groups = np.arange(60) // 6
    grouped = probes.splits(positive, 5, 0, groups)
    assert all(len(set(grouped[groups == group])) == 1 for group in range(10))
    with pytest.raises(ValueError, match="cannot split into 5 folds"):
        probes.splits(np.arange(60) < 3, 5, seed=0)


@pytest.mark.parametrize("solver", probes.SOLVERS)
def test_features_with_signal_are_found_and_noise_is_not(solver):
    config = ProbeConfig(solver=solver, repeats=2, epochs=10, learning_rate=1e-4)
    found = {row["metric"]: row for row in probes.probe(*entries(signal=1.0), config)}
    noise = {row["metric"]: row for row in probes.probe(*entries(signal=0.0), config)}
    assert found["accuracy"]["value"] > 0.85
    assert found["accuracy"]["low"] > 0.5
    assert 0.3 < noise["accuracy"]["value"] < 0.7
    if solver == "exact":
        assert found["srcc"]["value"] > 0.8 and found["plcc"]["value"] > 0.8
        assert abs(noise["srcc"]["value"]) < 0.35
    assert all(row["n"] == 80 for row in found.values())


def test_labels_of_held_out_entries_do_not_reach_their_predictions():
    """Random labels on doubled entries: what leaks is remembered, unless groups prevent it."""
    generator = np.random.default_rng(0)
    features = torch.randn(30, 400, generator=torch.Generator().manual_seed(0)).repeat(2, 1)
    positive = np.tile(np.arange(30) % 2 == 0, 2)[generator.permutation(30).tolist() * 2]
    positive[30:] = positive[:30]
    groups = np.tile(np.arange(30), 2)
    config = ProbeConfig(repeats=2)
    mos = positive.astype(float)
    leaking = probes.probe(features, positive, mos, config)[0]["value"]
    honest = probes.probe(features, positive, mos, config, groups)[0]["value"]
    assert leaking > 0.8 and honest < 0.7


def test_same_config_gives_same_numbers():
    config = ProbeConfig(repeats=1)
    assert probes.probe(*entries(), config) == probes.probe(*entries(), config)


@pytest.mark.parametrize(
    ("field", "value"),
    [("solver", "newton"), ("folds", 1), ("repeats", 0), ("penalties", ()), ("penalties", (-1.0,))],
)
def test_bad_settings_are_named(field, value):
    with pytest.raises(ValueError, match=field):
        ProbeConfig(**{field: value})


def test_bad_features_are_named():
    features, positive, mos = entries()
    with pytest.raises(ValueError, match="one length"):
        probes.probe(features[:-1], positive, mos, ProbeConfig())
    features[0, 0] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        probes.probe(features, positive, mos, ProbeConfig())
