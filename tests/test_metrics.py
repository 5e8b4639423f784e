"""Metrics against scipy and against what bootstrap intervals must do."""

import numpy as np
import pytest
from scipy import stats

from aesthlib import metrics


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
