"""Probes against scikit-learn, their large path against the small one, and what may not leak."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from aesthlib import probing
from aesthlib.probing import ProbeConfig, exact, folds, judge, lbfgs, metrics
from aesthlib.probing.config import SOLVERS


def entries(count=80, values=200, signal=1.0, seed=0):
    generator = np.random.default_rng(seed)
    mos = generator.normal(size=count)
    direction = generator.normal(size=values)
    features = generator.normal(size=(count, values)) + signal * np.outer(mos, direction)
    return torch.from_numpy(features.astype(np.float32)), mos > np.median(mos), mos


@pytest.mark.parametrize("shape", [(30, 100), (100, 30)], ids=["fewer entries", "fewer values"])
def test_coordinates_keep_every_distance(shape):
    features = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    inputs = lbfgs.coordinates(features)
    assert inputs.shape == (shape[0], min(shape))
    torch.testing.assert_close(
        torch.cdist(inputs, inputs),
        torch.cdist(features.double(), features.double()),
        atol=1e-5,
        rtol=1e-5,
    )


def photographlike(count, values, seed=0):
    """Correlated Gaussians through a ReLU: the spectrum falls about as that of a network's."""
    generator = np.random.default_rng(seed)
    latent = generator.normal(size=(count, 100)) * np.arange(1, 101) ** -0.6
    features = latent @ generator.normal(size=(100, values))
    features = np.maximum(features + generator.normal(size=features.shape), 0)
    mos = latent[:, :5].sum(1) + 0.5 * generator.normal(size=count)
    return torch.from_numpy(features.astype(np.float32)), mos > np.median(mos), mos


def as_large(monkeypatch):
    """Every problem counts as too large for coordinates."""
    monkeypatch.setattr(lbfgs, "ROTATED", 1)
    monkeypatch.setattr(lbfgs, "DIRECTIONS", 40)


def marked(count, share=0.25, seed=1):
    return np.random.default_rng(seed).random(count) < share


@pytest.mark.parametrize("penalty", [1e-3, 1e-1])
def test_logistic_minimum_is_scikit_learns(penalty):
    features, positive, _ = entries(values=20)
    weights = torch.zeros(2, 80, dtype=torch.float64)
    weights[0, :50] = weights[1, 20:] = 1  # two subsets, fitted at once
    targets = torch.from_numpy(positive.astype(float)).repeat(2, 1)
    both = lbfgs.minimize(
        features.double(), targets, weights, torch.full((2,), penalty).double(), logistic=2
    )
    for found, rows in zip(both, (slice(None, 50), slice(20, None)), strict=True):
        size = len(features[rows])
        second = LogisticRegression(C=1 / (penalty * size), tol=1e-12, max_iter=10_000).fit(
            features[rows].numpy().astype(float), positive[rows]
        )
        assert found[:-1].numpy() == pytest.approx(second.coef_[0], abs=2e-4)
        assert found[-1].item() == pytest.approx(second.intercept_[0], abs=2e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("penalty", [1e-4, 1e-2, 1.0])
def test_both_losses_at_once_reach_scikit_learns_minimum(dtype, penalty):
    """More values than entries, in one problem, preconditioned by principal directions."""
    features, positive, mos = photographlike(300, 500)
    inputs = features - features.mean(0)
    inputs = (inputs / inputs.square().sum(1).mean().sqrt()).to(dtype)
    mos = (mos - mos.mean()) / mos.std()
    targets = torch.from_numpy(np.stack([positive.astype(float), mos]))
    found = lbfgs.minimize(
        inputs,
        targets,
        torch.ones(2, 300).double(),
        torch.full((2,), penalty).double(),
        1,
        lbfgs.principal(inputs),
    )
    outputs = (found[:, :-1] @ inputs.T + found[:, -1:]).double().numpy()
    double = inputs.numpy().astype(float)
    logistic = LogisticRegression(C=1 / (penalty * 300), tol=1e-10, max_iter=50_000)
    logit = logistic.fit(double, positive).decision_function(double)
    rating = Ridge(alpha=penalty * 300, solver="cholesky").fit(double, mos).predict(double)
    close = {torch.float64: 1e-4, torch.float32: 5e-3}[dtype]
    assert outputs[0] == pytest.approx(logit, abs=close * logit.std())
    assert outputs[1] == pytest.approx(rating, abs=close)

    def above(output):  # the penalized logistic loss
        loss = np.logaddexp(0, output) - positive * output
        return loss.mean()

    ours = above(outputs[0]) + penalty / 2 * found[0, :-1].double().square().sum().item()
    theirs = above(logit) + penalty / 2 * (logistic.coef_**2).sum()
    assert ours - theirs < {torch.float64: 1e-9, torch.float32: 1e-6}[dtype]


def test_convergence_is_also_tested_after_the_last_iteration():
    features, positive, _ = entries(values=20)
    problem = (
        features.double(),
        torch.from_numpy(positive.astype(float))[None],
        torch.ones(1, 80).double(),
        torch.tensor([0.1]).double(),
        1,
    )
    solution = lbfgs.minimize(*problem)
    again = lbfgs.minimize(*problem, start=solution, max_iterations=0)
    assert torch.equal(again, solution)
    with pytest.raises(ArithmeticError, match="1 of 1 linear probes did not converge in 1 iter"):
        lbfgs.minimize(*problem, max_iterations=1)


def test_principal_directions_are_those_of_the_covariance():
    inputs = photographlike(400, 300)[0]
    inputs = inputs - inputs.mean(0)
    directions, variances = lbfgs.principal(inputs)
    exact = torch.linalg.eigvalsh(inputs.T @ inputs / 400).flip(0)
    assert directions.shape == (300, lbfgs.DIRECTIONS)
    assert torch.dist(directions.T @ directions, torch.eye(lbfgs.DIRECTIONS)) < 1e-3
    torch.testing.assert_close(variances[:20], exact[:20], rtol=1e-2, atol=0)


def test_splits_are_stratified_seeded_and_keep_groups_together():
    positive = np.arange(60) % 3 == 0
    fold_of = probing.splits(positive, 5, seed=0)
    assert np.array_equal(fold_of, probing.splits(positive, 5, seed=0))
    assert not np.array_equal(fold_of, probing.splits(positive, 5, seed=1))
    assert all(positive[fold_of == fold].sum() == 4 for fold in range(5))
    groups = np.arange(60) // 6
    grouped = probing.splits(positive, 5, 0, groups)
    assert all(len(set(grouped[groups == group])) == 1 for group in range(10))
    with pytest.raises(ValueError, match="cannot split into 5 folds: a class has only 3 entries"):
        probing.splits(np.arange(60) < 3, 5, seed=0)
    with pytest.raises(ValueError, match="a class has only 1 groups"):
        probing.splits(np.arange(60) < 6, 5, 0, groups)


def test_groups_that_would_leave_a_class_out_of_training_are_refused():
    positive = np.array([False, False, True, False, True, True, False, True])
    groups = np.array([1, 0, 1, 0, 1, 2, 1, 2])  # each class is in two of them
    with pytest.raises(ValueError, match="cannot split into 2 folds: the groups are too unequal"):
        probing.splits(positive, 2, 3897, groups)


@pytest.mark.parametrize("test", [None, marked(200)], ids=["folds", "fixed split"])
@pytest.mark.parametrize("grouped", [False, True])
def test_subsets_are_seeded_nested_stratified_and_free_of_test_entries(test, grouped):
    positive = np.arange(200) % 4 == 0
    groups = np.arange(200) // 4 if grouped else None
    config = ProbeConfig()
    asked = (0, config, groups, test)
    small, large, full = (
        probing.subset_splits(positive, fraction, *asked) for fraction in (0.05, 0.2, 1)
    )
    again = probing.subset_splits(positive, 0.05, *asked)
    other = probing.subset_splits(positive, 0.05, 1, config, groups, test)
    assert len(small) == (config.folds if test is None else 1)
    assert any(not np.array_equal(a[0], b[0]) for a, b in zip(small, other, strict=True))
    for (few, held), (some, _), (every, _), (same, _) in zip(
        small, large, full, again, strict=True
    ):
        assert np.array_equal(few, same)
        assert set(few) < set(some) < set(every)
        assert not set(every) & set(held) and len(every) + len(held) == 200
        for kind in (True, False):
            assert (positive[some] == kind).sum() == round(0.2 * (positive[every] == kind).sum())
        if grouped and test is None:
            assert not set(groups[every]) & set(groups[held])
    judged = np.sort(np.concatenate([held for _, held in small]))
    assert np.array_equal(judged, np.arange(200) if test is None else np.flatnonzero(test))


def test_bad_subsets_are_named():
    positive = np.arange(20) % 2 == 0
    for fraction in (0, 1.5):
        with pytest.raises(ValueError, match="fraction"):
            probing.subset_splits(positive, fraction, 0, ProbeConfig())
    for test, message in (
        (np.zeros(20), "bool"),
        (np.zeros(20, bool), "no entry"),
        (positive, "lack a class"),
    ):
        with pytest.raises(ValueError, match=message):
            probing.subset_splits(positive, 0.5, 0, ProbeConfig(), test=test)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("test", [None, marked(80)], ids=["folds", "fixed split"])
def test_features_with_signal_are_found_and_noise_is_not(solver, test):
    config = ProbeConfig(solver=solver, repeats=2, epochs=10, hidden_units=16)
    if solver == "sgd":
        config = replace(config, learning_rate=1e-4)
    signal = probing.probe(*entries(signal=1.0), config, test=test)
    noise = probing.probe(*entries(signal=0.0), config, test=test)
    found = {row["metric"]: row for row in signal.rows}
    nothing = {row["metric"]: row for row in noise.rows}
    assert found["accuracy"]["value"] > 0.85
    assert found["accuracy"]["low"] > 0.5
    assert 0.2 < nothing["accuracy"]["value"] < 0.8
    if solver == "exact":
        assert found["srcc"]["value"] > 0.8 and found["plcc"]["value"] > 0.8
        assert abs(nothing["srcc"]["value"]) < 0.5
    judged = 80 if test is None else test.sum()
    assert all(row["n"] == judged for row in found.values())
    assert set(signal.scores) == ({"logit", "rating"} if solver == "exact" else {"logit"})
    repeats = 1 if solver == "exact" and test is not None else 2
    for scores in signal.scores.values():
        assert scores.shape == (repeats, judged) and scores.dtype == np.float32


def test_rows_follow_from_the_scores():
    features, positive, mos = entries(signal=0.1)
    test = marked(80)
    rows, scores = probing.probe(features, positive, mos, ProbeConfig(), test=test)
    values = [row["value"] for row in rows]
    assert values == pytest.approx(
        [
            metrics.accuracy(positive[test], scores["logit"][0]),
            metrics.srcc(mos[test], scores["rating"][0]),
            metrics.plcc(mos[test], scores["rating"][0]),
        ]
    )
    assert scores["rating"].mean() == pytest.approx(mos[~test].mean(), abs=0.5)


@pytest.mark.parametrize("test", [None, marked(150)], ids=["folds", "fixed split"])
def test_without_ratings_the_accuracy_is_the_same(test):
    features, positive, mos = photographlike(150, 200)
    config = ProbeConfig(repeats=1)
    both = probing.probe(features, positive, mos, config, test=test)
    alone = probing.probe(features, positive, None, config, test=test)
    assert alone.rows == both.rows[:1] and set(alone.scores) == {"logit"}
    assert alone.scores["logit"] == pytest.approx(both.scores["logit"], abs=1e-3)


def test_penalty_and_scores_are_those_of_a_slow_second_way():
    """Fixed split: inner folds, penalty, and scores of the test entries, by scikit-learn."""
    features, positive, mos = photographlike(160, 120)
    test, config = marked(160), ProbeConfig(penalties=(1e-3, 1e-1, 10.0))
    inputs = (features - features.mean(0)).numpy().astype(float)
    inputs /= np.sqrt((inputs**2).sum(1).mean())
    train, judged = inputs[~test], inputs[test]
    inner = probing.splits(positive[~test], config.inner_folds, config.seed)

    def logit(penalty, rows, asked):
        model = LogisticRegression(C=1 / (penalty * rows.sum()), tol=1e-10, max_iter=10_000)
        return model.fit(train[rows], positive[~test][rows]).decision_function(asked)

    def rating(penalty, rows, asked):
        return Ridge(alpha=penalty * rows.sum()).fit(train[rows], mos[~test][rows]).predict(asked)

    scores = probing.probe(features, positive, mos, config, test=test).scores
    losses = {
        "logit": (logit, positive[~test], lambda guess, y: np.logaddexp(0, guess) - y * guess),
        "rating": (rating, mos[~test], lambda guess, y: (guess - y) ** 2),
    }
    for kind, (fit, truth, loss) in losses.items():
        errors = [
            sum(
                loss(fit(penalty, inner != fold, train[inner == fold]), truth[inner == fold]).sum()
                for fold in range(config.inner_folds)
            )
            for penalty in config.penalties
        ]
        best = config.penalties[int(np.argmin(errors))]
        expected = fit(best, np.ones(len(train), bool), judged)
        assert scores[kind][0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("test", [None, marked(200)], ids=["folds", "fixed split"])
def test_large_problems_have_the_same_answer(monkeypatch, test):
    features, positive, mos = photographlike(200, 300)
    config = ProbeConfig(repeats=1)
    small = probing.probe(features, positive, mos, config, test=test)
    part = probing.low_data(features, positive, config, [0.3], 2, test=test)
    as_large(monkeypatch)
    assert lbfgs.coordinates(features).dtype == torch.float32
    large = probing.probe(features, positive, mos, config, test=test)
    for kind, scores in small.scores.items():
        assert large.scores[kind] == pytest.approx(scores, abs=5e-3 * float(scores.std()))
    for spanned in (exact.SPANNED, 0):  # small parts turned into their own span, and not
        monkeypatch.setattr(exact, "SPANNED", spanned)
        others = probing.low_data(features, positive, config, [0.3], 2, test=test)
        for one, other in zip(part, others, strict=True):
            assert one["accuracy"] == pytest.approx(other["accuracy"], abs=0.011)


def test_span_keeps_the_outputs_of_a_solution():
    inputs = torch.randn(30, 200, generator=torch.Generator().manual_seed(0))
    inputs *= torch.arange(1, 201) ** -1.0  # strong and weak directions
    inputs[7] = inputs[3]  # fewer directions than entries
    turned, back = lbfgs.span(inputs)
    torch.testing.assert_close(turned @ turned.T, (inputs @ inputs.T).double(), atol=1e-4, rtol=0)
    solution = torch.randn(30, generator=torch.Generator().manual_seed(1)).double()
    weights = (back @ solution).float() @ inputs
    torch.testing.assert_close(inputs @ weights, (turned @ solution).float(), atol=1e-3, rtol=0)


def test_sgd_makes_the_same_steps_in_coordinates(monkeypatch):
    features, positive, _ = photographlike(60, 200)
    config = ProbeConfig(solver="sgd", repeats=1, epochs=5)
    rotated = probing.probe(features, positive, None, config).scores["logit"]
    as_large(monkeypatch)
    plain = probing.probe(features, positive, None, config).scores["logit"]
    assert rotated == pytest.approx(plain, abs=1e-3 * float(plain.std()))


def test_hidden_layer_has_the_same_law_in_coordinates(monkeypatch):
    """Outputs before training differ by seed alone: their spread over networks is the same."""
    features, positive, _ = photographlike(60, 200)
    config = ProbeConfig(solver="nonlinear", repeats=40, epochs=3, hidden_units=8, folds=2)
    rotated = probing.probe(features, positive, None, config).scores["logit"]
    as_large(monkeypatch)
    plain = probing.probe(features, positive, None, config).scores["logit"]
    assert not np.allclose(rotated, plain, atol=1e-3)
    error = np.hypot(rotated.std(0), plain.std(0)) / np.sqrt(40)
    assert np.abs(rotated.mean(0) - plain.mean(0)).max() < 5 * error.max()
    assert rotated.std(0).mean() == pytest.approx(plain.std(0).mean(), rel=0.15)


def test_hidden_layer_finds_what_a_linear_probe_cannot():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(400, 4)).astype(np.float32)
    positive = features[:, 0] * features[:, 1] > 0
    test = marked(400)
    found = {
        solver: probing.probe(
            torch.from_numpy(features),
            positive,
            None,
            ProbeConfig(solver=solver, repeats=1, hidden_units=64, learning_rate=0.1),
            test=test,
        ).rows[0]["value"]
        for solver in ("exact", "nonlinear")
    }
    assert found["exact"] < 0.65 and found["nonlinear"] > 0.85


def test_labels_of_held_out_entries_do_not_reach_their_predictions():
    """Random labels on doubled entries: what leaks is remembered, unless groups prevent it."""
    generator = np.random.default_rng(0)
    features = torch.randn(30, 400, generator=torch.Generator().manual_seed(0)).repeat(2, 1)
    positive = np.tile(np.arange(30) % 2 == 0, 2)[generator.permutation(30).tolist() * 2]
    positive[30:] = positive[:30]
    groups = np.tile(np.arange(30), 2)
    config = ProbeConfig(repeats=2)
    mos = positive.astype(float)
    leaking = probing.probe(features, positive, mos, config).rows[0]["value"]
    honest = probing.probe(features, positive, mos, config, groups).rows[0]["value"]
    assert leaking > 0.8 and honest < 0.7


@pytest.mark.parametrize("solver", SOLVERS)
def test_labels_of_a_fixed_test_split_change_no_score(solver):
    features, positive, mos = entries(signal=0.1)
    test = marked(80)
    config = ProbeConfig(solver=solver, repeats=1, epochs=2, hidden_units=8)
    scores = probing.probe(features, positive, mos, config, test=test).scores
    changed = probing.probe(
        features,
        np.where(test, ~positive, positive),
        np.where(test, -3 * mos, mos),
        config,
        test=test,
    ).scores
    assert all(np.array_equal(scores[kind], changed[kind]) for kind in scores)


@pytest.mark.parametrize("test", [None, marked(200)], ids=["folds", "fixed split"])
def test_more_labels_help(test):
    features, positive, _ = photographlike(200, 100)
    fractions = (0.01, 0.1, 1.0)  # of the smallest, an entry or two a class
    rows = probing.low_data(features, positive, ProbeConfig(), fractions, 3, test=test)
    assert [(row["fraction"], row["subset"]) for row in rows] == [
        (fraction, subset) for fraction in fractions for subset in range(3)
    ]
    judged = 200 if test is None else test.sum()
    assert all(row["n"] == judged and 0 <= row["accuracy"] <= 1 for row in rows)
    assert rows[-1]["n_train"] == (160 if test is None else 200 - judged)
    mean = [np.mean([row["accuracy"] for row in rows[i : i + 3]]) for i in (0, 3, 6)]
    assert mean[0] < mean[1] < mean[2]


def test_all_labels_are_the_probe_itself():
    features, positive, _ = photographlike(120, 200)
    config, test = ProbeConfig(repeats=1), marked(120)
    for split in (None, test):
        [row] = probing.low_data(features, positive, config, [1.0], 1, test=split)
        whole = probing.probe(features, positive, None, config, test=split)
        assert row["accuracy"] == pytest.approx(whole.rows[0]["value"], abs=1e-12)


def test_entries_outside_a_subset_do_not_train():
    """Their features may trade places: neither the mean nor the scale of all entries changes."""
    features, positive, _ = photographlike(200, 100)
    test, config = marked(200), ProbeConfig()
    [(train, _)] = probing.subset_splits(positive, 0.2, 0, config, test=test)
    rest = np.setdiff1d(np.flatnonzero(~test), train)
    moved = features.clone()
    moved[rest] = features[rest[::-1].copy()]
    for values, share in ((moved, 0.2), (features, 0.2), (moved, 1.0), (features, 1.0)):
        [row] = probing.low_data(values, positive, config, [share], 1, test=test)
        if values is moved:
            before = row["accuracy"]
        else:
            assert (before == row["accuracy"]) is (share == 0.2)


def test_same_config_gives_same_numbers():
    for solver in SOLVERS:
        config = ProbeConfig(solver=solver, repeats=1, epochs=2, hidden_units=8)
        once, again = (probing.probe(*entries(), config) for _ in range(2))
        assert once.rows == again.rows
        assert all(np.array_equal(once.scores[kind], again.scores[kind]) for kind in once.scores)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("solver", "newton"),
        ("folds", 1),
        ("repeats", 0),
        ("penalties", ()),
        ("penalties", (-1.0,)),
        ("hidden_units", 0),
        ("dropout", 1.0),
        ("dropout", -0.1),
    ],
)
def test_bad_settings_are_named(field, value):
    with pytest.raises(ValueError, match=field):
        ProbeConfig(**{field: value})


def test_bad_features_are_named():
    features, positive, mos = entries()
    for count in (dict(groups=np.arange(3)), dict(test=np.ones(3, bool))):
        with pytest.raises(ValueError, match=f"features and {next(iter(count))} must have one"):
            probing.probe(features, positive, mos, ProbeConfig(), **count)
    with pytest.raises(ValueError, match="one length"):
        probing.probe(features[:-1], positive, mos, ProbeConfig())
    for value in (float("nan"), float("-inf")):
        features[0, 0] = value
        with pytest.raises(ValueError, match="finite"):
            probing.probe(features, positive, mos, ProbeConfig())


# --- a choice among features ---

FEW = ProbeConfig(folds=3, repeats=2, inner_folds=2, penalties=(1e-2, 1.0))


def candidates():
    """Noise, ratings seen well, and noise again, of differing widths."""
    features, positive, mos = entries(values=12, signal=1.0)
    noise = [entries(values=width, signal=0.0, seed=seed)[0] for width, seed in ((9, 5), (15, 6))]
    return [noise[0], features, noise[1]], positive, mos


TEST_OR_GROUPS = pytest.mark.parametrize(
    "given",
    [{}, {"test": marked(80)}, {"groups": np.arange(80) // 4}],
    ids=["folds", "fixed split", "groups"],
)


@TEST_OR_GROUPS
def test_one_candidate_is_the_probe_itself(given):
    features, positive, mos = entries(values=12, signal=0.3)
    expected = probing.probe(features, positive, mos, FEW, **given)
    found, chosen = probing.select([features], positive, mos, FEW, **given)
    assert found.rows == expected.rows and set(found.scores) == {"logit", "rating"}
    for kind, scores in expected.scores.items():
        assert np.array_equal(found.scores[kind], scores)
        assert chosen[kind].shape == ((1, 1) if "test" in given else (2, 3))
        assert not chosen[kind].any()


@TEST_OR_GROUPS
def test_what_tells_the_ratings_is_chosen_in_every_training_set(given):
    """So the scores are those of its probe, whatever stands beside it."""
    every, positive, mos = candidates()
    found, chosen = probing.select(iter(every), positive, mos, FEW, **given)
    expected = probing.probe(every[1], positive, mos, FEW, **given)
    for kind in ("logit", "rating"):
        assert (chosen[kind] == 1).all() and chosen[kind].dtype.kind == "i"
        assert np.array_equal(found.scores[kind], expected.scores[kind])
    assert found.rows == expected.rows


def test_scores_are_those_of_the_candidate_that_each_fold_chose():
    """Two candidates, each knowing the ratings of a part, so that folds choose differently."""
    every, positive, mos = candidates()
    generator = np.random.default_rng(3)
    weak = [entries(values=10, signal=s, seed=seed)[0] for s, seed in ((0.1, 0), (0.1, 0))]
    weak[1] = weak[1] + torch.from_numpy(generator.normal(size=(80, 10)).astype(np.float32)) * 0.3
    weak = [every[0], *weak]
    single = [probing.probe(values, positive, mos, FEW).scores for values in weak]
    found, chosen = probing.select(weak, positive, mos, FEW)
    assert any(len(np.unique(picks)) > 1 for picks in chosen.values())
    for repeat in range(FEW.repeats):
        fold_of = probing.splits(positive, FEW.folds, FEW.seed + repeat)
        for kind, picks in chosen.items():
            for entry, fold in enumerate(fold_of):
                expected = single[picks[repeat, fold]][kind][repeat, entry]
                assert found.scores[kind][repeat, entry] == expected


@pytest.mark.parametrize("fixed", [False, True], ids=["folds", "fixed split"])
def test_test_entries_take_no_part_in_the_choice(fixed, monkeypatch):
    """Their labels and ratings may be turned round: the choice and their scores stay."""
    every, positive, mos = candidates()
    fold_of = probing.splits(positive, FEW.folds, FEW.seed)

    def splits(p, folds, seed, groups=None):
        return fold_of if len(p) == 80 else np.arange(len(p)) % folds

    for room in (folds, exact, judge):
        monkeypatch.setattr(room, "splits", splits)
    held = marked(80) if fixed else fold_of == 1
    given = {"test": held} if fixed else {}
    config = replace(FEW, repeats=1)
    other_positive, other_mos = positive.copy(), mos.copy()
    other_positive[held], other_mos[held] = ~positive[held], mos[held][::-1]
    # ratings are standardized by all entries where folds are crossed, so keep mean and deviation
    before, chosen = probing.select(every[::2], positive, mos, config, **given)
    after, again = probing.select(every[::2], other_positive, other_mos, config, **given)
    place = (0, 0) if fixed else (0, 1)
    judged = slice(None) if fixed else held
    for kind in ("logit", "rating"):
        assert chosen[kind][place] == again[kind][place]
        assert after.scores[kind][0, judged] == pytest.approx(
            before.scores[kind][0, judged], abs=1e-4
        )
    if not fixed:  # the other folds do train on them
        assert not np.allclose(after.scores["logit"][0, ~held], before.scores["logit"][0, ~held])


def test_of_equal_candidates_the_first_is_chosen():
    features, positive, mos = entries(values=12, signal=0.3)
    _, chosen = probing.select([features, features.clone()], positive, mos, FEW)
    assert not any(picks.any() for picks in chosen.values())


def test_no_candidate_and_bad_candidates_are_named():
    features, positive, mos = entries(values=12)
    with pytest.raises(ValueError, match="candidates: there is none to choose from"):
        probing.select([], positive, mos, FEW)
    with pytest.raises(ValueError, match="one length, got 79 and 80"):
        probing.select([features, features[1:]], positive, mos, FEW)
    with pytest.raises(ValueError, match="must be finite"):
        probing.select([features, features * torch.nan], positive, mos, FEW)
