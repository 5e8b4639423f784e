"""Figures: data in, Figure out, with what they promise on them."""

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from aesthlib import ops, plots
from aesthlib.models import LAYERS


@pytest.fixture(autouse=True)
def offscreen():
    matplotlib.use("agg")
    yield
    plt.close("all")


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in (*axis.texts, axis.title)]


def test_strips_show_every_class_with_its_value():
    photograph = torch.zeros(3, 16, 16, dtype=torch.uint8)
    versions = {item.index: photograph for item in ops.CLASSES[1:]}
    titles = texts(plots.degradation_strips(photograph, versions, "calibrated"))
    assert titles.count("original") == 10
    assert "gaussian blur\nsigma 2.5" in titles
    assert sum("\n" in title for title in titles) == 21


def test_visibility_marks_what_is_identical():
    rows = [
        {"layer": item.name, "metric": metric, "value": value}
        for item in ops.CLASSES[1:]
        for metric, value in (
            ("mean_absolute_change", 0.0 if item.name == "gaussian_blur/1" else 5.0),
            ("unchanged_share", 1.0 if item.name == "gaussian_blur/1" else 0.0),
        )
    ]
    assert (
        texts(plots.visibility(pd.DataFrame(rows), "paper")).count("identical to the original") == 1
    )


def test_training_curves_mark_the_switch_on_points():
    history = pd.DataFrame(
        {"epoch": [1, 2, 3], "seed": 0, "cross_entropy": [3, 2, 1], "accuracy": [0.1, 0.2, 0.3],
         "triplet": [1, 1, 1], "entropy": [None, 2.0, 1.0]}
    )  # fmt: skip
    options = {"triplet_from_epoch": 1, "entropy_from_epoch": 3, "entropy_alpha": 5 / 3}
    shown = texts(plots.training_curves(history, options, chance=1 / 7))
    assert shown.count("switched on") == 1  # the entropy weight never is
    assert "weight 0 above 0.6" in shown


def test_probe_panels_show_every_method_and_its_interval():
    rows = [
        {"dataset": dataset, "layer": layer, "method": method, "metric": "srcc", "value": 0.3,
         "low": 0.2, "high": 0.4, "n": 900}
        for dataset in ("oasis", "vessel") for layer in LAYERS for method in plots.COLOURS
    ]  # fmt: skip
    figure = plots.probe_layers(pd.DataFrame(rows), "srcc", "SRCC", 0)
    assert [axis.get_title() for axis in figure.axes] == ["oasis (n = 900)", "vessel (n = 900)"]
    assert [len(axis.containers) for axis in figure.axes] == [2, 2]
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == list(plots.LABELS.values())
