"""Rows that pages show, from records made here."""

import pytest

from aesthlib.report import tables


def record(run_id, experiment, method="rotation", seed=0, metrics=(), **config):
    return {
        "run_id": run_id,
        "experiment": experiment,
        "method": method,
        "seed": seed,
        "config": config,
        "metrics": list(metrics),
    }


def row(metric, layer, value):
    return {
        "dataset": "oasis",
        "metric": metric,
        "layer": layer,
        "value": value,
        "low": value - 0.02,
        "high": value + 0.01,
        "p": 0.0312,
        "n": 900,
    }


FOUND = [
    record("a", "probe", "degradation", pretrain="long"),
    record("b", "probe", seed=2, pretrain="short"),
    record(
        "c",
        "comparison",
        ours="a",
        theirs="b",
        metrics=[
            row("accuracy", "conv1", 0.5),
            row("accuracy", "average", 0.015),
            row("srcc", "average", -0.1),
        ],
    ),
]


def test_differences_are_those_of_the_average_layer():
    (found,) = tables.differences(FOUND).to_dict("records")
    assert (found["ours"], found["theirs"], found["method"]) == ("long", "short", "rotation")
    assert (found["seed"], found["dataset"], found["n"]) == (2, "oasis", 900)
    assert found["value"] == pytest.approx(1.5) and found["low"] == pytest.approx(-0.5)
    assert found["entry"] == "+1.5 [-0.5,\u00a0+2.5], p\u00a0=\u00a00.031"
    (found,) = tables.differences(FOUND, "srcc").to_dict("records")
    assert found["entry"].startswith("-0.100 [-0.120,\u00a0-0.090]")


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.0002, "< 0.001"),
        (0.00099, "< 0.001"),
        (0.001, "= 0.001"),
        (0.0349, "= 0.035"),
        (1, "= 1.000"),
    ],
)
def test_a_p_value_is_never_printed_as_zero(p, words):
    assert tables.p_words(p).replace("\u00a0", " ") == f"p {words}"


def test_without_comparisons_there_are_no_rows():
    assert tables.differences(FOUND[:2]).empty
