"""Metrics against scipy and against what bootstrap intervals must do."""

import numpy as np
import pytest
from scipy import stats

from aesthlib.probing import metrics


@pytest.fixture
def rows():
    generator = np.random.default_rng(0)
    truth = generator.normal(size=(4, 60)).round(1)  # with ties
    return truth, truth + generator.normal(size=truth.shape)


def test_accuracy_counts_the_right_side():
    assert metrics.accuracy([True, False, True, True], [2.0, -1.0, -3.0, 0.0]) == 0.5


@pytest.mark.parametrize(
    ("metric", "second"), [(metrics.srcc, stats.spearmanr), (metrics.plcc, stats.pearsonr)]
)
def test_correlations_agree_with_scipy(rows, metric, second):
    expected = [second(a, b)[0] for a, b in zip(*rows, strict=True)]
    assert metric(*rows) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", [metrics.srcc, metrics.plcc])
def test_a_constant_prediction_correlates_with_nothing(metric):
    assert metric(np.arange(5.0), np.ones(5)) == 0


def test_interval_covers_the_truth_about_as_often_as_it_says():
    generator, covered = np.random.default_rng(1), 0
    for trial in range(60):
        truth = np.ones(100, bool)
        scores = np.where(generator.random(100) < 0.7, 1.0, -1.0)
        _, low, high = metrics.bootstrap(metrics.accuracy, truth, scores, trial, resamples=300)
        covered += low <= 0.7 <= high
    assert 50 <= covered <= 60  # 57 expected


def test_interval_is_seeded_and_holds_the_value(rows):
    once, again = (metrics.bootstrap(metrics.srcc, rows[0][0], rows[1], seed=3) for _ in range(2))
    assert once == again
    assert once[1] <= once[0] <= once[2]


def test_groups_widen_the_interval():
    generator = np.random.default_rng(2)
    groups = np.repeat(np.arange(10), 20)
    scores = np.where(generator.random(10)[groups] < 0.6, 1.0, -1.0)  # whole groups right or wrong
    truth = np.ones(200, bool)
    _, low, high = metrics.bootstrap(metrics.accuracy, truth, scores, 0)
    _, grouped_low, grouped_high = metrics.bootstrap(metrics.accuracy, truth, scores, 0, groups)
    assert grouped_high - grouped_low > 2 * (high - low)


@pytest.mark.parametrize("metric", [metrics.accuracy, metrics.plcc, metrics.srcc])
@pytest.mark.parametrize("grouped", [False, True])
def test_weights_are_repeated_entries(rows, metric, grouped):
    """A resample by weights has the metric of the entries written out; ties among them."""
    truth = rows[0][0] > 0 if metric is metrics.accuracy else rows[0][0]
    scores = rows[1].round(1)
    groups = np.arange(60) // 7 if grouped else None
    [weights] = metrics._resampled(60, 5, groups, resamples=40)
    assert weights.shape == (40, 60)
    chosen = [np.repeat(np.arange(60), row.astype(int)) for row in weights]
    assert grouped or all(len(some) == 60 for some in chosen)
    expected = [[metric(truth[some], row[some]) for some in chosen] for row in scores]
    assert metric(truth, scores, weights) == pytest.approx(np.array(expected), abs=1e-12)


@pytest.mark.parametrize("metric", [metrics.srcc, metrics.plcc])
def test_a_resample_of_equal_entries_correlates_with_nothing(metric):
    truth = np.array([0.1, 0.1, 0.1, 0.7])
    weights = np.array([[2.0, 1, 1, 0], [0, 0, 0, 4]])
    assert np.array_equal(metric(truth, np.array([[0.3, 0.9, 0.2, 0.5]]), weights), [[0, 0]])


def test_blocks_of_resamples_change_nothing(rows, monkeypatch):
    whole = metrics.bootstrap(metrics.srcc, rows[0][0], rows[1], seed=3)
    monkeypatch.setattr(metrics, "BLOCK", 300)
    assert metrics.bootstrap(metrics.srcc, rows[0][0], rows[1], seed=3) == pytest.approx(
        whole, abs=1e-12
    )


def test_comparison_is_the_bootstrap_of_the_difference(rows):
    """By writing every resample out, with the p value counted as it is defined."""
    truth, ours, theirs = rows[0][0], rows[1][:2], rows[1][1:] + 0.1 * rows[0][1:]
    found = metrics.compare(metrics.srcc, truth, ours, theirs, 7, resamples=200)
    [weights] = metrics._resampled(60, 7, None, 200)
    drawn = []
    for row in weights:
        some = np.repeat(np.arange(60), row.astype(int))
        mean = [np.mean([metrics.srcc(truth[some], s[some]) for s in of]) for of in (ours, theirs)]
        drawn.append(mean[0] - mean[1])
    drawn = np.array(drawn)
    value = [np.mean([metrics.srcc(truth, s) for s in of]) for of in (ours, theirs)]
    p = 2 * (1 + min((drawn <= 0).sum(), (drawn >= 0).sum())) / 201
    expected = [value[0] - value[1], *np.percentile(drawn, [2.5, 97.5]), min(p, 1)]
    assert found == pytest.approx(expected, abs=1e-12)


def test_comparison_sees_a_difference_that_separate_intervals_hide():
    generator = np.random.default_rng(3)
    truth = generator.random(400) < 0.5
    theirs = np.where(generator.random(400) < 0.7, 1.0, -1.0) * np.where(truth, 1, -1)
    ours = theirs.copy()
    wrong = np.flatnonzero((theirs > 0) != truth)[:15]
    ours[wrong] *= -1
    difference, low, high, p = metrics.compare(metrics.accuracy, truth, ours, theirs, 0)
    assert difference == pytest.approx(15 / 400)
    assert 0 < low < difference < high and p == 2 / 10_001
    separate = [metrics.bootstrap(metrics.accuracy, truth, s, 0) for s in (ours, theirs)]
    assert separate[0][1] < separate[1][2]  # the intervals overlap
    swapped = metrics.compare(metrics.accuracy, truth, theirs, ours, 0)
    assert swapped == pytest.approx((-difference, -high, -low, p))


def test_comparison_of_equals_is_no_difference(rows):
    assert metrics.compare(metrics.plcc, rows[0][0], rows[1], rows[1], 0) == (0, 0, 0, 1)
    with pytest.raises(ValueError, match="same entries, got 60, 60, 59"):
        metrics.compare(metrics.plcc, rows[0][0], rows[1], rows[1][:, 1:], 0)


def test_p_values_of_equal_methods_are_about_uniform():
    generator, small = np.random.default_rng(4), 0
    for trial in range(200):
        truth = np.ones(120, bool)
        ours, theirs = generator.normal(0.5, size=(2, 120))
        p = metrics.compare(metrics.accuracy, truth, ours, theirs, trial, resamples=400)[3]
        small += p <= 0.2
    assert 22 <= small <= 58  # 40 expected


def test_whole_groups_are_compared():
    generator = np.random.default_rng(5)
    groups = np.repeat(np.arange(12), 20)
    better = generator.random(12)[groups] < 0.6
    ours, theirs = np.where(better, 1.0, -1.0), -np.where(better, 1.0, -1.0)
    truth = np.ones(240, bool)
    alone = metrics.compare(metrics.accuracy, truth, ours, theirs, 0)
    grouped = metrics.compare(metrics.accuracy, truth, ours, theirs, 0, groups)
    assert grouped[2] - grouped[1] > 2 * (alone[2] - alone[1]) and grouped[3] > alone[3]


def test_holm_is_the_step_down_rule():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert metrics.holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert metrics.holm([0.6, 0.9]) == pytest.approx([1, 1])
    assert metrics.holm([]).shape == (0,)
